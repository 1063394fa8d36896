"""kill -9 of the bot at every state of a suggestion, then a restart: nothing is lost and nothing happens twice."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from bot_fixtures import Bot, ModelServer, Wire, bot_environment, last_ephemeral, open_store
from sandbox_fixtures import PATIENCE, SandboxClient

from bot.failing import unsent_key
from data import store, store_desk, store_replies, store_waiting

pytest_plugins = ("bot_fixtures", "sandbox_fixtures")

CUSTOMER, AGENT, SUPERVISOR = "U0CUSTOMER1", "U0AGENT1", "U0SUPER1"
HELP, REVIEW = "C0HELP", "C0SUPERVISORS"
ARTICLE = "# Reset a password\n\nOpen Settings, then Security.\n"


@pytest.fixture(scope="module")
def wire_process(sandbox_process: SandboxClient) -> Iterator[Wire]:
    wire = Wire(sandbox_process.environment["SLACK_API_URL"])
    yield wire
    wire.close()


@pytest.fixture
def wire(wire_process: Wire) -> Wire:
    wire_process.mend()
    return wire_process


@pytest.fixture
def bot(sandbox: SandboxClient, model: ModelServer, wire: Wire, tmp_path: Path) -> Iterator[Bot]:
    environment = bot_environment(sandbox, model, tmp_path, SLACK_API_URL=f"{wire.url}/api/")
    bot = Bot(environment, open_store(tmp_path))
    bot.start()
    yield bot
    assert bot.stop() == 0
    bot.db.conn.close()


def restart(bot: Bot, wire: Wire) -> None:
    bot.kill()
    wire.mend()
    bot.start()


def ask(sandbox: SandboxClient) -> str:
    ts = sandbox.message(HELP, CUSTOMER, "My invoice is wrong")["ts"]
    assert sandbox.shortcut(HELP, AGENT, ts, "suggest_reply")["ok"]
    return ts


def shown(bot: Bot) -> dict:
    return bot.until(lambda: bot.count("suggestions") and (r := bot.newest())["state"] in ("shown", "failed") and r)


def posted(sandbox: SandboxClient, channel: str = HELP, user: str = SUPERVISOR) -> list[dict]:
    return [r for m in sandbox.channel(user, channel)["messages"] for r in (m, *m["replies"]) if r.get("bot_id")]


def drafts_seen(sandbox: SandboxClient, suggestion_id: str) -> int:
    return sum(suggestion_id in json.dumps(message) for message in sandbox.state(AGENT)["ephemerals"])


def kill_once_told(bot: Bot, wire: Wire, suggestion_id: str) -> None:
    """Kill only after the store knows that the agent was told: a kill before it rightly tells it again."""
    bot.until(lambda: store_desk.request_known(bot.db, unsent_key(suggestion_id)))
    restart(bot, wire)


def decide(bot: Bot, sandbox: SandboxClient) -> str:
    """Ask and accept; the suggestion's id."""
    ask(sandbox)
    suggestion_id = shown(bot)["id"]
    assert sandbox.action(AGENT, "accept", value=suggestion_id)["ok"]
    return suggestion_id


def expect_posted_once(bot: Bot, sandbox: SandboxClient, suggestion_id: str) -> None:
    decision = bot.until(lambda: (d := store.decision(bot.db, suggestion_id)) and d.posted_ts and d)
    (reply,) = posted(sandbox)
    assert reply["ts"] == decision.posted_ts
    bot.until(lambda: len(posted(sandbox, REVIEW)) == 1)
    assert bot.count("decisions") == 1
    assert store.unposted_decisions(bot.db) == []


def test_killed_while_the_model_writes(bot, sandbox, model, wire):
    model.flowing.clear()
    ask(sandbox)
    bot.until(lambda: model.asked)
    assert bot.newest()["state"] == "requested"
    bot.kill()
    model.flowing.set()
    bot.start()
    row = shown(bot)
    assert row["state"] == "shown" and bot.count("suggestions") == 1
    assert drafts_seen(sandbox, row["id"]) == 1


def test_killed_between_the_ack_and_the_first_question_to_slack(bot, sandbox, model, wire):
    wire.cut("conversations.replies", after=False)
    ask(sandbox)
    assert wire.reached.wait(PATIENCE)
    restart(bot, wire)
    assert shown(bot)["state"] == "shown"
    assert len(model.asked) == 1


def test_killed_while_slack_is_asked_who_put_a_thumb_on_a_reply_and_who_took_it_away(bot, sandbox, model, wire):
    suggestion_id = decide(bot, sandbox)
    expect_posted_once(bot, sandbox, suggestion_id)
    ts = posted(sandbox)[0]["ts"]
    wire.cut("users.info", after=False)
    sandbox.reaction(HELP, SUPERVISOR, ts, "-1")
    assert wire.reached.wait(PATIENCE)
    sandbox.reaction(HELP, SUPERVISOR, ts, "-1", remove=True)
    sandbox.reaction(HELP, SUPERVISOR, ts, "+1")
    bot.until(lambda: len(store_waiting.waiting_thumbs(bot.db)) == 3)
    assert store.ratings(bot.db, suggestion_id) == []
    restart(bot, wire)
    bot.until(lambda: [r.value for r in store.ratings(bot.db, suggestion_id)] == [1])
    values = bot.db.execute("select value from ratings order by rowid").fetchall()
    assert [value for (value,) in values] == [-1, 0, 1]
    assert store_waiting.waiting_thumbs(bot.db) == []


def test_after_a_restart_no_ack_waits_for_a_reply_that_slack_takes_slowly(bot, sandbox, model, wire):
    wire.cut("chat.postMessage", after=False)
    suggestion_id = decide(bot, sandbox)
    assert wire.reached.wait(PATIENCE)
    bot.kill()
    wire.mend()
    # Longer than Slack waits for an ack.
    sandbox.fault(method="conversations.replies", delay_s=5)
    bot.start()
    assert posted(sandbox) == []
    assert sandbox.command(HELP, AGENT, "/nightshift", "help")["ok"]
    expect_posted_once(bot, sandbox, suggestion_id)


def test_killed_while_an_agent_is_chosen_for_a_draft_that_nobody_asked_for(bot, sandbox, model, wire):
    sandbox.command(HELP, "U0ADMIN1", "/nightshift", "proactive on")
    last_ephemeral(sandbox, "U0ADMIN1", "at most 10 an hour")
    wire.cut("conversations.members", after=False)
    sandbox.message(HELP, CUSTOMER, "My invoice is wrong")
    assert wire.reached.wait(PATIENCE)
    assert bot.count("suggestions") == 0
    restart(bot, wire)
    row = shown(bot)
    assert (row["state"], row["requested_by"]) == ("shown", AGENT) and bot.count("suggestions") == 1
    last_ephemeral(sandbox, AGENT, "For: “My invoice is wrong”.")
    assert drafts_seen(sandbox, row["id"]) == 1
    assert store_waiting.waiting_questions(bot.db) == []


def test_killed_between_the_draft_and_its_showing(bot, sandbox, model, wire):
    model.flowing.clear()
    ask(sandbox)
    bot.until(lambda: model.asked)
    bot.kill()
    # What the bot would have written next, had it lived a moment longer.
    suggestion = store.unfinished_suggestions(bot.db)[0]
    prompt = model.asked[0]["messages"]
    store.record_draft(bot.db, suggestion.id, messages=prompt, draft="Drafted before.", base="b", adapter="base")
    bot.start()
    assert shown(bot)["state"] == "shown"
    last_ephemeral(sandbox, AGENT, "Drafted before.")
    assert drafts_seen(sandbox, suggestion.id) == 1 and len(model.asked) == 1


def test_killed_before_the_decided_reply_is_posted(bot, sandbox, model, wire):
    wire.cut("chat.postMessage", after=False)
    suggestion_id = decide(bot, sandbox)
    assert wire.reached.wait(PATIENCE)
    assert posted(sandbox) == []
    restart(bot, wire)
    expect_posted_once(bot, sandbox, suggestion_id)


def test_killed_after_posting_and_before_the_row(bot, sandbox, model, wire):
    wire.cut("chat.postMessage", after=True)
    suggestion_id = decide(bot, sandbox)
    assert wire.reached.wait(PATIENCE)
    decision = store.decision(bot.db, suggestion_id)
    assert len(posted(sandbox)) == 1 and decision is not None and decision.posted_ts is None
    restart(bot, wire)
    expect_posted_once(bot, sandbox, suggestion_id)


@pytest.mark.parametrize("after", [False, True])
def test_killed_between_the_parts_of_a_long_reply(bot, sandbox, model, wire, after):
    words = " ".join(f"w{n:03}" for n in range(150))
    long = "\n\n".join(f"Paragraph {n}: {words}" for n in range(30))
    model.answer = lambda messages: long
    wire.cut("chat.postMessage", nth=2, after=after)
    suggestion_id = decide(bot, sandbox)
    assert wire.reached.wait(PATIENCE)
    restart(bot, wire)
    bot.until(lambda: (d := store.decision(bot.db, suggestion_id)) and d.posted_ts)
    said = " ".join(message["text"] for message in posted(sandbox))
    assert len(posted(sandbox)) == 3
    assert said.split() == store.suggestion(bot.db, suggestion_id).draft.split()


@pytest.mark.parametrize("after", [False, True])
def test_killed_around_the_review_message(bot, sandbox, model, wire, after):
    wire.cut("chat.postMessage", nth=2, after=after)
    suggestion_id = decide(bot, sandbox)
    assert wire.reached.wait(PATIENCE)
    restart(bot, wire)
    expect_posted_once(bot, sandbox, suggestion_id)
    restart(bot, wire)
    expect_posted_once(bot, sandbox, suggestion_id)


@pytest.mark.parametrize("after", [False, True])
def test_killed_around_the_review_of_a_dismissed_draft(bot, sandbox, model, wire, after):
    ask(sandbox)
    suggestion_id = shown(bot)["id"]
    wire.cut("chat.postMessage", after=after)
    assert sandbox.action(AGENT, "dismiss", value=suggestion_id)["ok"]
    assert wire.reached.wait(PATIENCE)
    for _ in range(2):
        restart(bot, wire)
        bot.until(lambda: len(posted(sandbox, REVIEW)) == 1)
    assert posted(sandbox) == [] and bot.count("decisions") == 1


@pytest.mark.parametrize("after", [False, True])
def test_killed_around_a_public_answer(bot, sandbox, model, wire, after, tmp_path):
    from data.knowledge import import_knowledge

    (tmp_path / "help").mkdir()
    (tmp_path / "help" / "reset.md").write_text(ARTICLE)
    import_knowledge(bot.db, [tmp_path / "help"], audience="customer_safe", progress=False)
    wire.cut("chat.postMessage", after=after)
    sandbox.message(HELP, CUSTOMER, "<@U0NIGHTSHIFT> how do I reset my password?")
    assert wire.reached.wait(PATIENCE)
    assert bot.newest()["state"] == "drafted"
    restart(bot, wire)
    assert shown(bot)["state"] == "shown"
    assert len(posted(sandbox)) == 1 and len(model.asked) == 1


def test_a_request_that_nobody_waits_for_any_more_fails_honestly_once(bot, sandbox, model, wire):
    model.flowing.clear()
    ask(sandbox)
    bot.until(lambda: model.asked)
    bot.kill()
    model.flowing.set()
    with store.immediate(bot.db):
        bot.db.execute("update suggestions set created_at = '2026-01-01T00:00:00.000000+00:00'")
    bot.start()
    assert shown(bot)["state"] == "failed"
    told = last_ephemeral(sandbox, AGENT, "interrupted")
    restart(bot, wire)
    assert [m["ts"] for m in sandbox.state(AGENT)["ephemerals"] if "interrupted" in json.dumps(m)] == [told["ts"]]


def test_killed_while_a_failure_is_told_it_is_told_after_the_restart(bot, sandbox, model, wire):
    wire.cut("chat.postMessage", after=False)
    ts = sandbox.message("D0AGENT1", AGENT, "zzyzx quux?")["ts"]
    assert wire.reached.wait(PATIENCE)
    restart(bot, wire)
    assert shown(bot)["state"] == "failed"
    (asked,) = (m for m in sandbox.channel(AGENT, "D0AGENT1")["messages"] if m["ts"] == ts)
    assert ["could not find this" in reply["text"] for reply in asked["replies"]] == [True]


def test_an_old_reply_is_not_sent_behind_the_agents_back_but_offered_once(bot, sandbox, model, wire):
    wire.cut("chat.postMessage", after=False)
    suggestion_id = decide(bot, sandbox)
    assert wire.reached.wait(PATIENCE)
    bot.kill()
    wire.mend()
    with store.immediate(bot.db):
        bot.db.execute("update decisions set created_at = '2026-01-01T00:00:00.000000+00:00'")
    bot.start()
    last_ephemeral(sandbox, AGENT, "was not sent")
    assert posted(sandbox) == []
    kill_once_told(bot, wire, suggestion_id)
    assert sum("was not sent" in json.dumps(m) for m in sandbox.state(AGENT)["ephemerals"]) == 1
    assert sandbox.action(AGENT, "accept", value=suggestion_id)["ok"]
    bot.until(lambda: len(posted(sandbox)) == 1)


def test_a_reply_is_not_sent_after_a_restart_when_the_thread_has_moved_on_meanwhile(bot, sandbox, model, wire):
    wire.cut("chat.postMessage", after=False)
    suggestion_id = decide(bot, sandbox)
    assert wire.reached.wait(PATIENCE)
    bot.kill()
    wire.mend()
    thread_ts = store.suggestion(bot.db, suggestion_id).thread_ts
    sandbox.message(HELP, CUSTOMER, "Never mind.", thread_ts)
    bot.start()
    last_ephemeral(sandbox, AGENT, "send_anyway")
    kill_once_told(bot, wire, suggestion_id)
    assert posted(sandbox) == []
    assert sum("send_anyway" in json.dumps(m) for m in sandbox.state(AGENT)["ephemerals"]) == 1
    assert sandbox.action(AGENT, "send_anyway", value=suggestion_id)["ok"]
    expect_posted_once(bot, sandbox, suggestion_id)


@pytest.mark.parametrize("after", [False, True])
def test_killed_around_the_deletion_of_a_reply_taken_back(bot, sandbox, model, wire, after):
    suggestion_id = decide(bot, sandbox)
    expect_posted_once(bot, sandbox, suggestion_id)
    last_ephemeral(sandbox, AGENT, "Take it back")
    wire.cut("chat.delete", after=after)
    assert sandbox.action(AGENT, "take_back", value=suggestion_id)["ok"]
    assert wire.reached.wait(PATIENCE)
    assert len(posted(sandbox)) == (0 if after else 1)
    restart(bot, wire)
    bot.until(lambda: store_replies.undeleted_withdrawals(bot.db) == [])
    assert posted(sandbox) == []
    bot.until(lambda: posted(sandbox, REVIEW) == [])


def test_a_summary_that_was_drafted_and_not_shown_is_shown_with_its_links(bot, sandbox, model, wire):
    ts = sandbox.message(HELP, CUSTOMER, "My invoice 77 is wrong")["ts"]
    model.answer = lambda messages: "Customer wants: invoice 77 put right\nDone: nothing"
    wire.cut("chat.getPermalink", after=False)
    assert sandbox.shortcut(HELP, AGENT, ts, "summarize_thread")["ok"]
    assert wire.reached.wait(PATIENCE)
    assert bot.newest()["state"] == "drafted"
    restart(bot, wire)
    row = shown(bot)
    assert row["state"] == "shown" and len(model.asked) == 1
    assert f"p{ts.replace('.', '')}|→\u00a0message>" in json.dumps(
        last_ephemeral(sandbox, AGENT, row["id"]), ensure_ascii=False
    )
