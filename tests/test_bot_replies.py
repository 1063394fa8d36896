"""Around a draft: why it was dismissed, why it was made, another one, a thread that moved on, a reply taken back."""

import json
import time

import pytest
from bot_fixtures import Bot, last_ephemeral
from sandbox_fixtures import PATIENCE, Refused, SandboxClient
from test_bot_desk import draft_for, open_editor, replies

from data import store, store_replies
from data.knowledge import import_knowledge
from data.prompts import WISHES

pytest_plugins = ("bot_fixtures", "sandbox_fixtures")

CUSTOMER, AGENT, SUPERVISOR, ADMIN = "U0CUSTOMER1", "U0AGENT1", "U0SUPER1", "U0ADMIN1"
HELP, REVIEW = "C0HELP", "C0SUPERVISORS"


def ephemerals(sandbox: SandboxClient) -> str:
    return json.dumps(sandbox.state(AGENT)["ephemerals"], ensure_ascii=False)


def press(sandbox: SandboxClient, action_id: str, value: str) -> None:
    """Press a button or choose in a menu, as soon as it is there."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            answer = sandbox.action(AGENT, action_id, value=value)
        except Refused:
            assert time.monotonic() < end, f"no {action_id} of {value} in view"
            time.sleep(0.05)
            continue
        assert answer["ok"], answer
        return


def open_modal(sandbox: SandboxClient, callback_id: str, has: str = "") -> dict:
    def seen(state: dict) -> dict | None:
        views = [v for v in state["views"] if v["callback_id"] == callback_id and has in json.dumps(v)]
        return views[-1] if views else None

    return sandbox.wait_for(AGENT, seen)


def sent(bot: Bot, sandbox: SandboxClient, text: str = "My invoice is wrong") -> dict:
    row = draft_for(bot, sandbox, text)
    press(sandbox, "accept", row["id"])
    bot.until(lambda: (d := store.decision(bot.db, row["id"])) and d.posted_ts)
    assert len(replies(sandbox, row["thread_ts"])) == 1
    return row


def draft_in(bot: Bot, sandbox: SandboxClient, thread_ts: str) -> dict:
    before = bot.newest()["id"]
    assert sandbox.shortcut(HELP, AGENT, thread_ts, "suggest_reply")["ok"]
    return bot.until(lambda: (r := bot.newest())["id"] != before and r["state"] == "shown" and r)


def example_in(bot: Bot, channel: str, text: str) -> str:
    made = store.request_suggestion(
        bot.db,
        request_key=f"example-{text}-{time.monotonic()}",
        task="reply",
        team_id="T1",
        channel_id=channel,
        thread_ts="1.0",
        requested_by=AGENT,
        request={},
    )
    prompt = [{"role": "user", "content": "Conversation:\nCustomer: hi"}]
    store.record_draft(bot.db, made.id, messages=prompt, draft=text, base="b", adapter="base")
    store.decide(bot.db, made.id, kind="accepted", text=text, reason=None, decided_by=AGENT)
    store.record_posted(bot.db, made.id, "2.0")
    return made.id


# Dismissed: why?


@pytest.mark.parametrize("reason", ["wrong_fact", "wrong_tone", "missing_step", "outdated", "not_needed"])
def test_one_click_says_why_a_draft_was_dismissed(bot, sandbox, model, reason):
    row = draft_for(bot, sandbox)
    press(sandbox, "dismiss", row["id"])
    last_ephemeral(sandbox, AGENT, "What was wrong with it?")
    assert store.decision(bot.db, row["id"]).reason is None
    press(sandbox, f"reason_{reason}", row["id"])
    last_ephemeral(sandbox, AGENT, f"Dismissed: {reason.replace('_', ' ')}. Thank you.")
    assert store.decision(bot.db, row["id"]).reason == reason
    assert "What was wrong" not in ephemerals(sandbox)


def test_another_reason_is_typed_and_an_empty_one_stays_in_its_form(bot, sandbox, model):
    row = draft_for(bot, sandbox)
    press(sandbox, "dismiss", row["id"])
    last_ephemeral(sandbox, AGENT, "What was wrong with it?")
    press(sandbox, "reason_other", row["id"])
    view_id = open_modal(sandbox, "dismiss_reason")["id"]
    answer = sandbox.submit(AGENT, view_id, {"reason": {"text": " \n"}})
    assert answer["errors"] == {"reason": "Write what was wrong, or press Cancel."}
    assert sandbox.submit(AGENT, view_id, {"reason": {"text": "wrong_fact"}})["ok"]
    last_ephemeral(sandbox, AGENT, "Dismissed: other. Thank you.")
    assert store.decision(bot.db, row["id"]).reason == "other: wrong_fact"


def test_the_first_reason_stays(bot, sandbox, model):
    row = draft_for(bot, sandbox)
    press(sandbox, "dismiss", row["id"])
    asked = last_ephemeral(sandbox, AGENT, "What was wrong with it?")
    store_replies.record_reason(bot.db, row["id"], "outdated")
    assert sandbox.action(AGENT, "reason_wrong_tone", value=row["id"], message_ts=asked["ts"])["ok"]
    last_ephemeral(sandbox, AGENT, "Dismissed: outdated. The first reason stays.")
    assert store.decision(bot.db, row["id"]).reason == "outdated"


def test_an_edit_may_say_what_was_wrong_and_a_wrong_fact_is_no_pair(bot, sandbox, model):
    sandbox.command(HELP, ADMIN, "/nightshift", "consent on")
    row = draft_for(bot, sandbox)
    view_id = open_editor(sandbox, row["id"])
    values = {"draft": {"text": "It costs 49 euros."}, "reason": {"reason": "wrong_fact"}}
    assert sandbox.submit(AGENT, view_id, values)["ok"]
    bot.until(lambda: len(replies(sandbox, row["thread_ts"])) == 1)
    decision = store.decision(bot.db, row["id"])
    assert (decision.kind, decision.reason) == ("edited", "wrong_fact")
    assert row["id"] not in [pair.id for pair in store.training_pairs(bot.db)]


# The thread has moved on


def test_an_accepted_draft_is_not_sent_when_the_thread_has_moved_on_until_the_agent_says_so(bot, sandbox, model):
    row = draft_for(bot, sandbox)
    sandbox.message(HELP, CUSTOMER, "Never mind, I found it.", row["thread_ts"])
    press(sandbox, "accept", row["id"])
    told = last_ephemeral(sandbox, AGENT, "1 message has come into the thread")
    assert len(replies(sandbox, row["thread_ts"])) == 1
    press(sandbox, "send_anyway", row["id"])
    bot.until(lambda: len(replies(sandbox, row["thread_ts"])) == 2)
    bot.until(lambda: "send_anyway" not in ephemerals(sandbox))
    assert told["ts"] in ephemerals(sandbox), "the confirmation stands in the question's place"


def test_an_edited_text_is_kept_and_sent_as_it_was_typed(bot, sandbox, model):
    row = draft_for(bot, sandbox)
    view_id = open_editor(sandbox, row["id"])
    sandbox.message(HELP, CUSTOMER, "One more thing.", row["thread_ts"])
    assert sandbox.submit(AGENT, view_id, {"draft": {"text": "Dear Carla, typed by hand."}})["ok"]
    last_ephemeral(sandbox, AGENT, "Dear Carla, typed by hand.")
    assert '"accept"' not in ephemerals(sandbox), "the question stands in the draft's place"
    press(sandbox, "send_anyway", row["id"])
    bot.until(lambda: len(replies(sandbox, row["thread_ts"])) == 2)
    assert replies(sandbox, row["thread_ts"])[-1]["text"] == "Dear Carla, typed by hand."


def test_a_refreshed_draft_has_read_the_news_and_the_old_text_stays_in_view(bot, sandbox, model):
    sandbox.command(HELP, ADMIN, "/nightshift", "consent on")
    row = draft_for(bot, sandbox)
    view_id = open_editor(sandbox, row["id"])
    sandbox.message(HELP, CUSTOMER, "One more thing.", row["thread_ts"])
    sandbox.submit(AGENT, view_id, {"draft": {"text": "Typed by hand."}})
    last_ephemeral(sandbox, AGENT, "1 message has come")
    press(sandbox, "refresh", row["id"])
    fresh = bot.until(lambda: (r := bot.newest())["id"] != row["id"] and r["state"] == "shown" and r)
    assert "One more thing." in model.asked[-1]["messages"][-1]["content"]
    last_ephemeral(sandbox, AGENT, "Not sent. A new draft follows.")
    assert "Typed by hand." in ephemerals(sandbox) and "send_anyway" not in ephemerals(sandbox)
    press(sandbox, "accept", fresh["id"])
    bot.until(lambda: store.unposted_decisions(bot.db) == [])
    assert len(replies(sandbox, row["thread_ts"])) == 2
    with store.immediate(bot.db):
        # Of every hundred threads 15 are held out, by chance; their drafts are no pairs.
        bot.db.execute("update threads set held_out = 0 where id = ?", [row["thread_id"]])
    pairs = [pair.id for pair in store.training_pairs(bot.db)]
    assert fresh["id"] in pairs and row["id"] not in pairs


def test_a_second_press_on_a_thread_that_moved_on_still_does_not_send(bot, sandbox, model):
    row = draft_for(bot, sandbox)
    button = last_ephemeral(sandbox, AGENT, row["id"])
    sandbox.message(HELP, "U0AGENT2", "I take this one.", row["thread_ts"])
    sandbox.fault(method="conversations.replies", delay_s=0.5, times=2)
    for _ in range(2):
        assert sandbox.action(AGENT, "accept", value=row["id"], message_ts=button["ts"])["ok"]
    last_ephemeral(sandbox, AGENT, "send_anyway")
    time.sleep(1.2)
    assert len(replies(sandbox, row["thread_ts"])) == 1


def test_of_two_drafts_for_one_thread_the_second_is_not_sent_unawares(bot, sandbox, model):
    row = draft_for(bot, sandbox)
    other = draft_in(bot, sandbox, row["thread_ts"])
    press(sandbox, "accept", row["id"])
    bot.until(lambda: len(replies(sandbox, row["thread_ts"])) == 1)
    press(sandbox, "accept", other["id"])
    last_ephemeral(sandbox, AGENT, "send_anyway")
    assert len(replies(sandbox, row["thread_ts"])) == 1


# Why this draft


def test_why_shows_what_stood_in_the_prompt_and_who_wrote_it(bot, sandbox, model, tmp_path):
    (tmp_path / "walrus.md").write_text("# Walrus care\n\nWash the walrus with warm water.\n")
    import_knowledge(bot.db, [tmp_path], progress=False)
    row = draft_for(bot, sandbox, "How do I wash a walrus?")
    press(sandbox, "why", row["id"])
    view = json.dumps(open_modal(sandbox, "why_draft", "warm water"))
    assert "[1] Walrus care" in view and "base model" in view
    assert store.decision(bot.db, row["id"]) is None


def test_an_example_from_a_channel_that_the_agent_is_not_in_is_not_shown(bot, sandbox, model):
    row = draft_for(bot, sandbox)
    secret, billing = example_in(bot, REVIEW, "A secret reply."), example_in(bot, "C0BILLING", "A billing reply.")
    with store.immediate(bot.db):
        for pair_id in (secret, billing):
            bot.db.execute(
                "insert into suggestion_sources (suggestion_id, pair_id) values (?, ?)", [row["id"], pair_id]
            )
    press(sandbox, "why", row["id"])
    view = json.dumps(open_modal(sandbox, "why_draft", "A billing reply."))
    assert "A secret reply." not in view and "1 more from channels that you are not in" in view


# Another one


@pytest.mark.parametrize("wish", list(WISHES))
def test_another_draft_is_asked_for_with_the_wish_and_the_earlier_one_in_its_prompt(bot, sandbox, model, wish):
    model.answer = lambda messages: "The first draft."
    row = draft_for(bot, sandbox)
    model.answer = lambda messages: "The second draft."
    press(sandbox, "rewrite", f"{wish}:{row['id']}")
    again = bot.until(lambda: (r := bot.newest())["id"] != row["id"] and r["state"] == "shown" and r)
    system, *_, user = model.asked[-1]["messages"]
    assert WISHES[wish] in system["content"]
    assert user["content"] == "Earlier draft: The first draft.\n\nConversation:\nCustomer: My invoice is wrong"
    assert json.loads(again["messages"]) == model.asked[-1]["messages"]
    assert (again["draft"], again["thread_ts"]) == ("The second draft.", row["thread_ts"])
    assert store.decision(bot.db, row["id"]) is None, "asking again decides nothing"
    last_ephemeral(sandbox, AGENT, "as you asked")
    assert "The first draft." in ephemerals(sandbox), "the earlier draft stays in view"
    assert (model.asked[-1]["temperature"] > 0) == (wish == "another")


def test_the_same_text_again_is_told(bot, sandbox, model):
    row = draft_for(bot, sandbox)
    press(sandbox, "rewrite", f"shorter:{row['id']}")
    last_ephemeral(sandbox, AGENT, "The model wrote the same again.")


def test_a_failed_rewrite_is_told_and_leaves_the_draft_where_it_was(bot, sandbox, model):
    row = draft_for(bot, sandbox)
    model.names = set()
    press(sandbox, "rewrite", f"shorter:{row['id']}")
    last_ephemeral(sandbox, AGENT, "serving up")
    model.names = {"base"}
    press(sandbox, "accept", row["id"])
    bot.until(lambda: len(replies(sandbox, row["thread_ts"])) == 1)


# Taken back


def test_a_sent_reply_is_taken_back_once_and_is_no_pair(bot, sandbox, model):
    sandbox.command(HELP, ADMIN, "/nightshift", "consent on")
    row = sent(bot, sandbox)

    def review() -> list[dict]:
        return [m for m in sandbox.channel(SUPERVISOR, REVIEW)["messages"] if row["id"] in json.dumps(m)]

    bot.until(review)
    press(sandbox, "take_back", row["id"])
    bot.until(lambda: replies(sandbox, row["thread_ts"]) == [])
    last_ephemeral(sandbox, AGENT, "Taken back")
    bot.until(lambda: not review())
    assert row["id"] not in [pair.id for pair in store.training_pairs(bot.db)]
    withdrawal = store_replies.withdrawal(bot.db, row["id"])
    assert (withdrawal.cause, withdrawal.withdrawn_by) == ("taken_back", AGENT) and withdrawal.deleted_at
    assert "We will look into it today." in ephemerals(sandbox), "the text is not lost"


def test_after_a_reply_was_taken_back_a_new_draft_can_be_asked_for(bot, sandbox, model):
    row = sent(bot, sandbox)
    press(sandbox, "take_back", row["id"])
    press(sandbox, "refresh", row["id"])
    fresh = bot.until(lambda: (r := bot.newest())["id"] != row["id"] and r["state"] == "shown" and r)
    assert "Agent:" not in model.asked[-1]["messages"][-1]["content"]
    press(sandbox, "accept", fresh["id"])
    bot.until(lambda: len(replies(sandbox, row["thread_ts"])) == 1)


def test_a_long_reply_is_taken_back_with_all_its_parts(bot, sandbox, model):
    row = draft_for(bot, sandbox)
    with store.immediate(bot.db):
        bot.db.execute("update suggestions set draft = ? where id = ?", ["long words " * 1500, row["id"]])
    press(sandbox, "accept", row["id"])
    bot.until(lambda: len(replies(sandbox, row["thread_ts"])) == 2)
    press(sandbox, "take_back", row["id"])
    bot.until(lambda: replies(sandbox, row["thread_ts"]) == [])


def test_what_was_sent_long_ago_stays_sent(bot, sandbox, model):
    row = sent(bot, sandbox)
    ts = replies(sandbox, row["thread_ts"])[0]["ts"]
    with store.immediate(bot.db):
        bot.db.execute("update decisions set posted_ts = ? where posted_ts = ?", [str(time.time() - 301), ts])
    press(sandbox, "take_back", row["id"])
    last_ephemeral(sandbox, AGENT, "more than 5 minutes ago")
    assert len(replies(sandbox, row["thread_ts"])) == 1
    assert store_replies.withdrawal(bot.db, row["id"]) is None


def test_slack_refused_nothing_around_a_draft(bot, sandbox, model):
    row = sent(bot, sandbox)
    press(sandbox, "take_back", row["id"])
    press(sandbox, "refresh", row["id"])
    fresh = bot.until(lambda: (r := bot.newest())["id"] != row["id"] and r["state"] == "shown" and r)
    press(sandbox, "why", fresh["id"])
    open_modal(sandbox, "why_draft", "base model")
    press(sandbox, "rewrite", f"warmer:{fresh['id']}")
    last_ephemeral(sandbox, AGENT, "the same again")
    press(sandbox, "dismiss", fresh["id"])
    last_ephemeral(sandbox, AGENT, "What was wrong")
    press(sandbox, "reason_outdated", fresh["id"])
    last_ephemeral(sandbox, AGENT, "Dismissed: outdated")
    assert sandbox.problems() == []
