"""From a shortcut to a posted reply, through Slack's own buttons and modals."""

import json
import time

import pytest
from bot_fixtures import Bot, last_ephemeral
from sandbox_fixtures import SandboxClient

from data import store, store_names

pytest_plugins = ("bot_fixtures", "sandbox_fixtures")

CUSTOMER, AGENT, OTHER_AGENT, ADMIN = "U0CUSTOMER1", "U0AGENT1", "U0AGENT2", "U0ADMIN1"
HELP = "C0HELP"


def draft_for(bot: Bot, sandbox: SandboxClient, text: str = "My invoice is wrong", agent: str = AGENT) -> dict:
    """A customer writes, an agent asks for a reply; the suggestion's row when the agent sees it."""
    ts = sandbox.message(HELP, CUSTOMER, text)["ts"]
    assert sandbox.shortcut(HELP, agent, ts, "suggest_reply")["ok"]
    row = bot.until(lambda: (r := bot.newest())["thread_ts"] == ts and r["state"] in ("shown", "failed") and r)
    assert row["state"] == "shown", row["error"]
    return row


def replies(sandbox: SandboxClient, thread_ts: str) -> list[dict]:
    messages = sandbox.channel(AGENT, HELP)["messages"]
    return next(m for m in messages if m["ts"] == thread_ts)["replies"]


def open_editor(sandbox: SandboxClient, suggestion_id: str) -> str:
    assert sandbox.action(AGENT, "edit", value=suggestion_id)["ok"]
    view = sandbox.wait_for(AGENT, lambda state: state["views"] and state["views"][-1])
    assert view["callback_id"] == "edit_draft"
    return view["id"]


def test_an_accepted_draft_is_posted_as_it_was(bot, sandbox, model):
    model.answer = lambda messages: "Sorry & thanks, <!channel> <@U0CUSTOMER1>."
    row = draft_for(bot, sandbox)
    assert row["draft"] == "Sorry & thanks, <!channel> <@U0CUSTOMER1>."
    seen = last_ephemeral(sandbox, AGENT, row["id"])
    assert "Drafted by AI (base model)" in json.dumps(seen)
    assert not [m for m in sandbox.state(CUSTOMER)["ephemerals"]]
    assert sandbox.action(AGENT, "accept", value=row["id"])["ok"]
    decision = bot.until(lambda: (d := store.decision(bot.db, row["id"])) and d.posted_ts and d)
    assert (decision.kind, decision.text, decision.decided_by) == ("accepted", row["draft"], AGENT)
    (reply,) = replies(sandbox, row["thread_ts"])
    assert reply["ts"] == decision.posted_ts
    assert reply["text"] == "Sorry &amp; thanks, &lt;!channel&gt; &lt;@U0CUSTOMER1&gt;."
    assert "Drafted by AI, sent by ana" in json.dumps(reply["blocks"])
    last_ephemeral(sandbox, AGENT, "Sent.")
    assert '"accept"' not in json.dumps(sandbox.state(AGENT)["ephemerals"])


def test_the_prompt_is_stored_exactly_as_it_was_sent(bot, sandbox, model):
    row = draft_for(bot, sandbox, "Where is <https://x.io|my parcel> & why?")
    assert json.loads(row["messages"]) == model.asked[-1]["messages"]
    assert "Customer: Where is" in model.asked[-1]["messages"][-1]["content"]
    assert (row["adapter"], row["base"]) == ("base", "b" * 64)


def test_people_mentioned_in_a_thread_have_names_in_the_prompt(bot, sandbox, model):
    draft_for(bot, sandbox, "Is <@U0AGENT2> in? Or <@U0GONE>?")
    assert model.asked[-1]["messages"][-1]["content"].endswith("Customer: Is @ben in? Or @someone?")
    assert {"ana", "ben"} <= store_names.known_names(bot.db)[store_names.EVERYWHERE], "known, so that they are masked"


def test_a_sent_reply_is_the_agents_turn_in_the_next_prompt(bot, sandbox, model):
    row = draft_for(bot, sandbox)
    sandbox.action(AGENT, "accept", value=row["id"])
    bot.until(lambda: len(replies(sandbox, row["thread_ts"])) == 1)
    sandbox.message(HELP, CUSTOMER, "And now?", row["thread_ts"])
    sandbox.shortcut(HELP, AGENT, row["thread_ts"], "suggest_reply")
    bot.until(lambda: len(model.asked) == 2)
    assert model.asked[-1]["messages"][-1]["content"].endswith(
        "Customer: My invoice is wrong\nAgent: We will look into it today.\nCustomer: And now?"
    )


def test_an_edited_reply_is_stored_and_posted_as_it_was_typed(bot, sandbox, model):
    row = draft_for(bot, sandbox)
    view_id = open_editor(sandbox, row["id"])
    text = "  Dear Carla,\n\nit is *paid* & <done>. "
    assert sandbox.submit(AGENT, view_id, {"draft": {"text": text}})["ok"]
    decision = bot.until(lambda: (d := store.decision(bot.db, row["id"])) and d.posted_ts and d)
    assert (decision.kind, decision.text) == ("edited", text)
    (reply,) = replies(sandbox, row["thread_ts"])
    assert reply["text"].strip() == "Dear Carla,\n\nit is *paid* &amp; &lt;done&gt;."
    assert not sandbox.state(AGENT)["views"]


def test_an_edit_that_changes_nothing_counts_as_accepted(bot, sandbox, model):
    row = draft_for(bot, sandbox)
    view_id = open_editor(sandbox, row["id"])
    assert sandbox.submit(AGENT, view_id, {"draft": {"text": row["draft"]}})["ok"]
    assert bot.until(lambda: store.decision(bot.db, row["id"])).kind == "accepted"


def test_a_form_sent_with_spaces_stays_open_with_a_sentence(bot, sandbox, model):
    row = draft_for(bot, sandbox)
    view_id = open_editor(sandbox, row["id"])
    answer = sandbox.submit(AGENT, view_id, {"draft": {"text": " \n "}})
    assert answer["errors"] == {"draft": "Write the text that should be sent, or press Cancel."}
    assert store.decision(bot.db, row["id"]) is None
    assert sandbox.state(AGENT)["views"]


def test_a_dismissed_draft_is_not_posted(bot, sandbox, model):
    row = draft_for(bot, sandbox)
    assert sandbox.action(AGENT, "dismiss", value=row["id"])["ok"]
    last_ephemeral(sandbox, AGENT, "Dismissed.")
    decision = store.decision(bot.db, row["id"])
    assert decision is not None and (decision.kind, decision.text) == ("dismissed", None)
    assert replies(sandbox, row["thread_ts"]) == []


def test_two_clicks_post_once(bot, sandbox, model):
    row = draft_for(bot, sandbox)
    button = last_ephemeral(sandbox, AGENT, row["id"])
    sandbox.fault(method="chat.postMessage", delay_s=0.5)
    for _ in range(3):
        assert sandbox.action(AGENT, "accept", value=row["id"], message_ts=button["ts"])["ok"]
    last_ephemeral(sandbox, AGENT, "already sent")
    assert len(replies(sandbox, row["thread_ts"])) == 1
    assert bot.db.execute("select count(*) from decisions where suggestion_id = ?", [row["id"]]).fetchone() == (1,)


def test_a_reply_that_slack_refuses_comes_back_with_its_button(bot, sandbox, model):
    row = draft_for(bot, sandbox)
    sandbox.fault(method="chat.postMessage", error="is_archived")
    sandbox.action(AGENT, "accept", value=row["id"])
    told = last_ephemeral(sandbox, AGENT, row["id"])
    bot.until(lambda: "is_archived" in json.dumps(sandbox.state(AGENT)["ephemerals"]))
    assert replies(sandbox, row["thread_ts"]) == []
    told = last_ephemeral(sandbox, AGENT, row["id"])
    assert sandbox.action(AGENT, "accept", value=row["id"], message_ts=told["ts"])["ok"]
    bot.until(lambda: len(replies(sandbox, row["thread_ts"])) == 1)


def test_a_rate_limit_is_waited_out(bot, sandbox, model):
    row = draft_for(bot, sandbox)
    sandbox.fault(method="chat.postMessage", error="ratelimited", retry_after=1)
    sandbox.action(AGENT, "accept", value=row["id"])
    bot.until(lambda: len(replies(sandbox, row["thread_ts"])) == 1)
    last_ephemeral(sandbox, AGENT, "Sent.")


def test_only_agents_may_ask_for_a_reply(bot, sandbox, model):
    ts = sandbox.message(HELP, CUSTOMER, "Help")["ts"]
    assert sandbox.shortcut(HELP, "U0CUSTOMER2", ts, "suggest_reply")["ok"]
    last_ephemeral(sandbox, "U0CUSTOMER2", "Only support agents")
    bot.until(lambda: bot.newest()["state"] == "failed")
    assert model.asked == []


def test_where_the_bot_is_no_member_it_says_how_to_invite_it(bot, sandbox, model):
    ts = sandbox.message("C0RANDOM", CUSTOMER, "Help")["ts"]
    assert sandbox.shortcut("C0RANDOM", AGENT, ts, "suggest_reply")["ok"]
    last_ephemeral(sandbox, AGENT, "/invite @Nightshift")
    bot.until(lambda: bot.newest()["state"] == "failed")


def test_a_channel_shared_with_another_company_stays_closed_until_an_admin_opens_it(bot, sandbox, model):
    ts = sandbox.message("C0CONNECT", "U0CUSTOMER4", "Help")["ts"]
    sandbox.shortcut("C0CONNECT", AGENT, ts, "suggest_reply")
    last_ephemeral(sandbox, AGENT, "another company")
    assert model.asked == []
    sandbox.command("C0CONNECT", ADMIN, "/nightshift", "consent on")
    sandbox.shortcut("C0CONNECT", AGENT, ts, "suggest_reply")
    bot.until(lambda: bot.newest()["state"] == "shown")


def test_a_channel_that_becomes_shared_closes_with_the_next_message_in_it(bot, sandbox, model):
    ts = sandbox.message("C0BILLING", CUSTOMER, "Help")["ts"]
    sandbox.shortcut("C0BILLING", AGENT, ts, "suggest_reply")
    last_ephemeral(sandbox, AGENT, "We will look into it")
    sandbox.call("/sandbox/share", {"channel": "C0BILLING"})
    first = sandbox.message("C0BILLING", CUSTOMER, "Not asked about")["ts"]
    ts = sandbox.message("C0BILLING", CUSTOMER, "Anybody?", first)["ts"]
    bot.until(lambda: list(bot.db.query("select 1 from threads where thread_ts = ?", [first])))
    sandbox.shortcut("C0BILLING", AGENT, ts, "suggest_reply")
    last_ephemeral(sandbox, AGENT, "another company")
    assert len(model.asked) == 1


def test_an_unreachable_model_is_told_and_recorded(bot, sandbox, model):
    model.names = set()
    ts = sandbox.message(HELP, CUSTOMER, "Help")["ts"]
    sandbox.shortcut(HELP, AGENT, ts, "suggest_reply")
    told = last_ephemeral(sandbox, AGENT, "serving up")
    row = bot.until(lambda: (r := bot.newest())["state"] == "failed" and r)
    assert row["error"] == told["text"].replace("&amp;", "&")


def promote(bot, name):
    store.record_adapter(
        bot.db, name=name, run_id="r", base="b" * 64, path="p", sha256="s" * 64, pair_ids=[], config={}
    )
    store.append_promotion(bot.db, task="reply", base="b" * 64, adapter=name, cause="manual", forced=True)


def status(bot, sandbox):
    def told():
        every = [json.dumps(message) for message in sandbox.state(AGENT)["ephemerals"]]
        return [text for text in every if "Learning in this channel" in text]

    before = len(told())
    assert sandbox.command(HELP, AGENT, "/nightshift", "status")["ok"]
    return bot.until(lambda: told()[before:])[0]


@pytest.mark.parametrize(("broken", "says"), [(False, "was unavailable"), (True, "could not be read")])
def test_an_adapter_that_the_server_cannot_give_falls_back_to_base_and_says_so(bot, sandbox, model, broken, says):
    name = f"night-20261124-{'broken' if broken else 'absent'}"
    promote(bot, name)
    if broken:
        model.unreadable.add(name)
    try:
        assert "Not served" not in status(bot, sandbox)
        row = draft_for(bot, sandbox)
        assert row["adapter"] == "base"
        last_ephemeral(sandbox, AGENT, f"The adapter {name} {says}, so the base model wrote this.")
        assert f"Not served: {name}" in status(bot, sandbox)
        model.names, model.unreadable = {"base", name}, set()
        row = draft_for(bot, sandbox)
        assert row["adapter"] == name
        last_ephemeral(sandbox, AGENT, f"adapter {name}")
        assert "Not served" not in status(bot, sandbox)
    finally:
        store.append_promotion(bot.db, task="reply", base="b" * 64, adapter="base", cause="rollback")


def test_a_long_thread_loses_its_oldest_turns_and_says_so(bot, sandbox, model):
    ts = sandbox.message(HELP, CUSTOMER, "the oldest message " + "x" * 300)["ts"]
    for n in range(8):
        sandbox.message(HELP, CUSTOMER, f"message {n} " + "y" * 300, ts)
    sandbox.message(HELP, CUSTOMER, "the newest message", ts)
    sandbox.shortcut(HELP, AGENT, ts, "suggest_reply")
    last_ephemeral(sandbox, AGENT, "oldest messages did not fit")
    content = model.asked[-1]["messages"][-1]["content"]
    assert "the newest message" in content and "the oldest message" not in content
    assert model.refusals == []


def test_a_message_longer_than_the_context_is_told(bot, sandbox, model):
    ts = sandbox.message(HELP, CUSTOMER, "z" * 9000)["ts"]
    sandbox.shortcut(HELP, AGENT, ts, "suggest_reply")
    last_ephemeral(sandbox, AGENT, "newest message alone")
    bot.until(lambda: bot.newest()["state"] == "failed")


def test_accepted_examples_stand_in_the_prompt_while_there_is_no_adapter(bot, sandbox, model):
    sandbox.command(HELP, ADMIN, "/nightshift", "consent on")
    row = draft_for(bot, sandbox, "unicorn warranty please")
    sandbox.action(AGENT, "accept", value=row["id"])
    bot.until(lambda: (d := store.decision(bot.db, row["id"])) and d.posted_ts)
    held_out = store.held_out_threads(bot.db)
    draft_for(bot, sandbox, "unicorn warranty again")
    roles = [message["role"] for message in model.asked[-1]["messages"]]
    assert ("assistant" in roles) == (row["thread_id"] not in held_out)


def test_clicks_are_acked_while_a_hundred_drafts_are_in_flight(bot, sandbox, model):
    row = draft_for(bot, sandbox)
    ts = sandbox.message(HELP, CUSTOMER, "Busy day")["ts"]
    model.flowing.clear()
    asked = [sandbox.shortcut(HELP, AGENT, ts, "suggest_reply") for _ in range(100)]
    click = sandbox.action(AGENT, "accept", value=row["id"])
    # Within Slack's three seconds, while no draft ends at all; how fast an ack is, `make soak` measures.
    assert all(answer["ok"] for answer in (*asked, click))
    bot.until(lambda: len(replies(sandbox, row["thread_ts"])) == 1)
    model.flowing.set()
    bot.until(lambda: bot.db.execute("select count(*) from suggestions where state = 'requested'").fetchone() == (0,))


def test_slow_drafts_say_that_they_are_being_written(bot, sandbox, model):
    ts = sandbox.message(HELP, CUSTOMER, "Help")["ts"]
    model.flowing.clear()
    sandbox.shortcut(HELP, AGENT, ts, "suggest_reply")
    last_ephemeral(sandbox, AGENT, "Drafting…")
    model.flowing.set()
    bot.until(lambda: bot.newest()["state"] == "shown")


@pytest.mark.parametrize("known", ["accept", "dismiss"])
def test_a_button_of_an_unknown_suggestion_is_answered(bot, sandbox, model, known):
    row = draft_for(bot, sandbox)
    with store.immediate(bot.db):
        bot.db.execute("delete from suggestion_sources where suggestion_id = ?", [row["id"]])
        bot.db.execute("delete from suggestions where id = ?", [row["id"]])
    assert sandbox.action(AGENT, known, value=row["id"])["ok"]
    last_ephemeral(sandbox, AGENT, "There is no suggestion")


def test_slack_refused_nothing_that_the_bot_sent(bot, sandbox, model):
    row = draft_for(bot, sandbox)
    sandbox.action(AGENT, "accept", value=row["id"])
    bot.until(lambda: len(replies(sandbox, row["thread_ts"])) == 1)
    time.sleep(0.3)
    assert sandbox.problems() == []
