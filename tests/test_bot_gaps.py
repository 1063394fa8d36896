"""The queue of gaps in Slack: who sees it, what its buttons do, and that an answer reaches those who asked."""

import json
import time

import pytest
from bot_fixtures import Bot, last_ephemeral
from sandbox_fixtures import Refused, SandboxClient

from data import store, store_gaps, store_gathering, store_supervision, vectors
from data.articles import Article, put_article
from data.embedding import DEFAULT_MODEL
from data.search import search

pytest_plugins = ("bot_fixtures", "sandbox_fixtures")

CUSTOMER, AGENT, OTHER_AGENT = "U0CUSTOMER1", "U0AGENT1", "U0AGENT2"
SUPERVISOR, OTHER_SUPERVISOR, ADMIN = "U0SUPER1", "U0SUPER2", "U0ADMIN1"
HELP = "C0HELP"


@pytest.fixture(autouse=True)
def no_gaps_yet(bot: Bot) -> None:
    """The store of a module's tests is one."""
    for table in ("gap_events", "gap_examples", "gaps", "decisions", "suggestion_sources", "suggestions", "documents"):
        bot.db.execute(f"delete from {table}")


def home(sandbox: SandboxClient, user: str, has: str) -> dict:
    sandbox.home(user)
    return shown(sandbox, user, has)


def shown(sandbox: SandboxClient, user: str, has: str) -> dict:
    return sandbox.wait_for(user, lambda state: state["home"] and has in written(state["home"]) and state["home"])


def written(view: dict) -> str:
    return json.dumps(view["blocks"], ensure_ascii=False)


def ask(bot: Bot, sandbox: SandboxClient, question: str, user: str = AGENT, channel: str = HELP) -> str:
    """Ask something that the help centre does not have."""
    before = bot.count("suggestions")
    sandbox.command(channel, user, "/ask", question)
    # The first question after vectors were made waits for the bot to read their model.
    bot.until(lambda: bot.count("suggestions") == before + 1 and bot.newest()["state"] == "failed")
    return bot.newest()["id"]


def press(sandbox: SandboxClient, user: str, action_id: str, value: str | None = None) -> dict:
    view_id = sandbox.state(user)["home"]["id"]
    return sandbox.action(user, action_id, view_id=view_id, **({"value": value} if value else {}))


def answer_form(sandbox: SandboxClient, user: str = SUPERVISOR, has: str = "Answer it") -> dict:
    home(sandbox, user, has)
    press(sandbox, user, "answer_gap")
    return sandbox.wait_for(user, lambda state: state["views"] and state["views"][-1])


def entered(**more: str | None) -> dict:
    values = {"title": "Unicycles", "text": "We sell **no** unicycles. We mend them."} | more
    return {block: {"value": value} for block, value in values.items()}


def the_gap(bot: Bot) -> store_gaps.Gap:
    (gap_id,) = (row[0] for row in bot.db.execute("select id from gaps").fetchall())
    return store_gaps.gap(bot.db, gap_id)


def direct_messages(sandbox: SandboxClient, user: str) -> list[str]:
    return [json.dumps(m) for c in sandbox.state(user)["channels"] if c["is_im"] for m in c["messages"]]


def test_the_most_asked_stands_first_and_an_answer_is_found_at_once_and_told_once(bot, sandbox, model):
    ask(bot, sandbox, "Can I ride one in the rain?")
    ask(bot, sandbox, "Do you sell unicycles?")
    ask(bot, sandbox, "do you sell any unicycles", OTHER_AGENT)
    ask(bot, sandbox, "Do you sell a unicycle?")
    seen = written(home(sandbox, SUPERVISOR, "3 times"))
    assert seen.index("unicycle") < seen.index("in the rain") and "*Once*" in seen
    view = answer_form(sandbox)
    titles = [b["element"].get("initial_value") for b in view["blocks"] if b["block_id"] in ("title", "owner")]
    assert titles == ["Do you sell a unicycle?", "sofia"]
    assert sandbox.submit(SUPERVISOR, view["id"], entered(audience="customer_safe", stale_after="2999-01-31"))["ok"]
    seen = written(shown(sandbox, SUPERVISOR, "“Unicycles” is in the help centre"))
    assert "3 times" not in seen and "in the rain" in seen
    (found,) = search(bot.db, "unicycles", audience="customer_safe")
    source = store.source_of_document(bot.db, found.document_id)
    assert source is not None and (source.owner, source.stale_after) == ("sofia", "2999-01-31")
    for user in (AGENT, OTHER_AGENT):
        sandbox.wait_for(user, lambda s, user=user: "We sell" in "".join(direct_messages(sandbox, user)))
    time.sleep(0.3)
    (told,) = direct_messages(sandbox, AGENT)
    assert "The help centre has an answer now to" in told
    model.answer = lambda messages: "No. [1]"
    sandbox.command(HELP, AGENT, "/ask", "Do you sell unicycles?")
    assert "Unicycles" in json.dumps(last_ephemeral(sandbox, AGENT, "Sources:"))
    assert sandbox.problems() == []


def test_who_asked_in_a_thread_is_told_there(bot, sandbox, model):
    ts = sandbox.message(HELP, AGENT, "<@U0NIGHTSHIFT> Do you sell unicycles?")["ts"]
    bot.until(lambda: bot.count("suggestions") == 1 and bot.newest()["state"] == "failed")
    view = answer_form(sandbox)
    sandbox.submit(SUPERVISOR, view["id"], entered(audience="customer_safe"))
    told = sandbox.wait_for(AGENT, lambda state: reply_with(state, ts, "The help centre has an answer now"))
    assert "We sell" not in told["text"] and "We sell no unicycles" in json.dumps(told["blocks"])
    assert direct_messages(sandbox, AGENT) == []
    bot.until(lambda: store_gaps.untold(bot.db) == [])
    assert sandbox.problems() == []


def test_who_asked_where_guests_read_along_is_told_alone_what_is_for_colleagues(bot, sandbox, model):
    ts = sandbox.message(HELP, AGENT, "<@U0NIGHTSHIFT> Do you sell unicycles?")["ts"]
    bot.until(lambda: bot.count("suggestions") == 1 and bot.newest()["state"] == "failed")
    view = answer_form(sandbox)
    sandbox.submit(SUPERVISOR, view["id"], entered())
    sandbox.wait_for(AGENT, lambda s: "We sell no unicycles" in "".join(direct_messages(sandbox, AGENT)))
    bot.until(lambda: store_gaps.untold(bot.db) == [])
    assert reply_with(sandbox.state(AGENT), ts, "The help centre has an answer now") is None


def reply_with(state: dict, ts: str, has: str) -> dict | None:
    replies = (r for c in state["channels"] for m in c["messages"] if m["ts"] == ts for r in m.get("replies", []))
    return next((reply for reply in replies if has in reply["text"]), None)


def test_what_colleagues_alone_may_read_is_not_told_to_a_guest(bot, sandbox, model):
    guest = "U0CUSTOMER5"
    ask(bot, sandbox, "Do you sell unicycles?", guest)
    view = answer_form(sandbox)
    sandbox.submit(SUPERVISOR, view["id"], entered(audience="internal"))
    bot.until(lambda: store_gaps.untold(bot.db) == [])
    assert not any("unicycles. We mend" in said for said in direct_messages(sandbox, guest))


def test_an_answer_that_was_not_told_before_a_crash_is_told_after_it(bot, sandbox, model):
    suggestion_id = ask(bot, sandbox, "Do you sell unicycles?")
    store_gathering.gather(bot.db)
    bot.kill()
    article = store_gaps.Article("Unicycles", "We sell none.")
    store_gaps.record_event(
        bot.db, the_gap(bot).id, kind="answered", decided_by=SUPERVISOR, request_key="V-crash", article=article
    )
    bot.start()
    sandbox.wait_for(AGENT, lambda state: "We sell none." in "".join(direct_messages(sandbox, AGENT)))
    bot.until(lambda: store_gaps.untold(bot.db) == [])
    bot.kill()
    bot.start()
    time.sleep(0.3)
    assert len(direct_messages(sandbox, AGENT)) == 1 and suggestion_id


def test_a_wrong_fact_shows_the_draft_and_what_was_sent_in_its_place_and_tells_the_agent(bot, sandbox, model):
    model.answer = lambda messages: "The warranty is ten years."
    ts = sandbox.message(HELP, CUSTOMER, "How long is the warranty?")["ts"]
    sandbox.shortcut(HELP, AGENT, ts, "suggest_reply")
    row = bot.until(lambda: (r := bot.newest())["thread_ts"] == ts and r["state"] == "shown" and r)
    last_ephemeral(sandbox, AGENT, row["id"])
    sandbox.action(AGENT, "edit", value=row["id"])
    form = sandbox.wait_for(AGENT, lambda state: state["views"] and state["views"][-1])
    values = {"draft": {"text": "It is five years."}, "reason": {"reason": "wrong_fact"}}
    assert sandbox.submit(AGENT, form["id"], values)["ok"]
    bot.until(lambda: (d := store.decision(bot.db, row["id"])) and d.posted_ts)
    seen = written(home(sandbox, SUPERVISOR, "Wrong fact in a draft"))
    assert "The warranty is ten years." in seen and "|Open the thread>" in seen
    view = answer_form(sandbox)
    assert "It is five years." in json.dumps(view) and "How long is the warranty?" in json.dumps(view)
    sandbox.submit(SUPERVISOR, view["id"], entered(title="Warranty", text="Five years."))
    sandbox.wait_for(AGENT, lambda state: "stands right in the help centre" in "".join(direct_messages(sandbox, AGENT)))
    assert sandbox.channel(CUSTOMER, HELP)["messages"][-1]["replies"][-1]["text"] == "It is five years."


def test_a_form_without_a_title_or_with_a_day_that_has_passed_stays_open(bot, sandbox, model):
    ask(bot, sandbox, "Do you sell unicycles?")
    view = answer_form(sandbox)
    refused = sandbox.submit(SUPERVISOR, view["id"], entered(title="  ", stale_after="2020-01-01"))
    assert refused["errors"] == {
        "title": "Give it a title that says what it answers.",
        "stale_after": "This day has passed: nothing would be found.",
    }
    assert the_gap(bot).state == "open" and bot.count("documents") == 0


def test_two_who_answer_at_once_lose_no_text_and_publish_one_article(bot, sandbox, model):
    ask(bot, sandbox, "Do you sell unicycles?")
    first, second = answer_form(sandbox), answer_form(sandbox, OTHER_SUPERVISOR)
    assert sandbox.submit(SUPERVISOR, first["id"], entered(text="First."))["ok"]
    late = sandbox.submit(OTHER_SUPERVISOR, second["id"], entered(text="Second."))
    assert "closed in the meantime" in json.dumps(late["errors"])
    assert [passage.text for passage in search(bot.db, "unicycles")] == ["First."]


def test_a_gap_is_taken_given_away_and_answered_by_the_agent_who_has_it_now(bot, sandbox, model):
    ask(bot, sandbox, "Do you sell unicycles?", OTHER_AGENT)
    home(sandbox, SUPERVISOR, "take_gap")
    press(sandbox, SUPERVISOR, "take_gap")
    assert "sofia looks after it" in written(shown(sandbox, SUPERVISOR, "The gap is yours."))
    press(sandbox, SUPERVISOR, "assign_gap", AGENT)
    assert "ana looks after it" in written(shown(sandbox, SUPERVISOR, "new owner"))
    (told,) = sandbox.wait_for(AGENT, lambda state: direct_messages(sandbox, AGENT))
    assert "sofia asks you to close a gap" in told and "Do you sell unicycles?" in told
    seen = written(home(sandbox, AGENT, "wait for you"))
    assert "Do you sell unicycles?" in seen and "Worst rated" not in seen
    view = answer_form(sandbox, AGENT)
    assert sandbox.submit(AGENT, view["id"], entered())["ok"]
    bot.until(lambda: the_gap(bot).state == "answered")
    assert "wait for you" not in written(shown(sandbox, AGENT, "is in the help centre"))


def test_a_customer_can_be_given_no_gap(bot, sandbox, model):
    ask(bot, sandbox, "Do you sell unicycles?")
    home(sandbox, SUPERVISOR, "assign_gap")
    press(sandbox, SUPERVISOR, "assign_gap", CUSTOMER)
    told = sandbox.wait_for(SUPERVISOR, lambda state: direct_messages(sandbox, SUPERVISOR))
    assert "Only agents, supervisors and admins can look after a gap" in told[0]
    assert the_gap(bot).assigned_to is None


def test_what_is_not_needed_asks_for_nobody_again_until_it_is_opened_again(bot, sandbox, model):
    ask(bot, sandbox, "Do you sell unicycles?")
    home(sandbox, SUPERVISOR, "dismiss_gap")
    press(sandbox, SUPERVISOR, "dismiss_gap")
    shown(sandbox, SUPERVISOR, "Not needed: the same question")
    ask(bot, sandbox, "Do you sell a unicycle?")
    assert "take_gap" not in written(home(sandbox, SUPERVISOR, "_Not needed_"))
    press(sandbox, SUPERVISOR, "reopen_gap")
    assert "2 times" in written(shown(sandbox, SUPERVISOR, "The gap is open again."))
    assert direct_messages(sandbox, AGENT) == []


def test_opening_an_answered_gap_again_takes_its_article_back_and_keeps_the_text_for_the_next(bot, sandbox, model):
    ask(bot, sandbox, "Do you sell unicycles?")
    view = answer_form(sandbox)
    sandbox.submit(SUPERVISOR, view["id"], entered(stale_after="2999-01-31"))
    shown(sandbox, SUPERVISOR, "_Answered_")
    press(sandbox, SUPERVISOR, "reopen_gap")
    shown(sandbox, SUPERVISOR, "The gap is open again.")
    assert search(bot.db, "unicycles") == []
    view = answer_form(sandbox)
    fields = {b["block_id"]: b["element"] for b in view["blocks"] if b["type"] == "input"}
    assert fields["text"]["initial_value"] == "We sell **no** unicycles. We mend them."
    assert fields["stale_after"]["initial_date"] == "2999-01-31"
    sandbox.submit(SUPERVISOR, view["id"], {})
    bot.until(lambda: the_gap(bot).state == "answered")
    assert len(search(bot.db, "unicycles")) == 1
    bot.until(lambda: store_gaps.untold(bot.db) == [])
    assert len(direct_messages(sandbox, AGENT)) == 1


def test_nightshift_gaps_lists_the_queue_for_supervisors_and_their_own_for_agents(bot, sandbox, model):
    ask(bot, sandbox, "Do you sell unicycles?", OTHER_AGENT)
    sandbox.command(HELP, SUPERVISOR, "/nightshift", "gaps")
    assert "Do you sell unicycles?" in json.dumps(last_ephemeral(sandbox, SUPERVISOR, "Gaps in the help centre"))
    sandbox.command(HELP, AGENT, "/nightshift", "gaps")
    last_ephemeral(sandbox, AGENT, "No question went unanswered")
    store_gaps.record_event(
        bot.db, the_gap(bot).id, kind="assigned", decided_by=SUPERVISOR, owner=AGENT, request_key="given"
    )
    sandbox.command(HELP, AGENT, "/nightshift", "gaps")
    assert "Do you sell unicycles?" in json.dumps(last_ephemeral(sandbox, AGENT, "Gaps in the help centre"))
    sandbox.command(HELP, CUSTOMER, "/nightshift", "gaps")
    last_ephemeral(sandbox, CUSTOMER, "Only support agents can do this")


def test_an_agent_has_no_buttons_for_gaps_that_are_not_theirs(bot, sandbox, model):
    ask(bot, sandbox, "Do you sell unicycles?")
    assert "Gaps in" not in written(home(sandbox, AGENT, "Your drafts"))
    for action_id in ("answer_gap", "take_gap", "dismiss_gap", "assign_gap", "reopen_gap"):
        with pytest.raises(Refused):
            press(sandbox, AGENT, action_id)


def test_the_log_has_no_word_of_a_question_or_an_article(bot, sandbox, model, tmp_path):
    bot.kill()
    bot.log = tmp_path / "bot.log"
    bot.start()
    ask(bot, sandbox, "Do you sell unicycles?")
    sandbox.fault(method="chat.postMessage", error="channel_not_found", times=1)
    view = answer_form(sandbox)
    sandbox.submit(SUPERVISOR, view["id"], entered())
    bot.until(lambda: store_gaps.untold(bot.db) == [])
    assert "nobody told that gap" in bot.log.read_text() and "unicycle" not in bot.log.read_text().lower()
    bot.kill()
    bot.log = None
    bot.start()


def test_admins_see_the_queue_too(bot, sandbox, model):
    ask(bot, sandbox, "Do you sell unicycles?")
    assert "answer_gap" in written(home(sandbox, ADMIN, "Do you sell unicycles?"))
    assert store_supervision.hold(bot.db) is None


def test_what_is_asked_in_quite_other_words_is_one_gap_once_the_help_centre_has_vectors(bot, sandbox, model):
    put_article(bot.db, "slack:gap/other", Article("Delivery", "Parcels arrive within three days."))
    vectors.embed_passages(bot.db, DEFAULT_MODEL)
    ask(bot, sandbox, "How do I get my money back?")
    ask(bot, sandbox, "How can I have my money refunded?")
    ask(bot, sandbox, "Can I ride a unicycle in the rain?")
    home(sandbox, SUPERVISOR, "unicycle in the rain")
    assert [gap.count for gap in store_gaps.open_gaps(bot.db, limit=9)] == [2, 1]
