"""/ask, /summarize, /nightshift, mentions and direct messages."""

import json
import time

import pytest
from bot_fixtures import Bot, last_ephemeral
from sandbox_fixtures import SandboxClient

from data import store
from data.knowledge import import_knowledge

pytest_plugins = ("bot_fixtures", "sandbox_fixtures")

CUSTOMER, AGENT, ADMIN = "U0CUSTOMER1", "U0AGENT1", "U0ADMIN1"
HELP = "C0HELP"
ARTICLE = "# Reset a password\n\nOpen Settings, choose Security, press Reset password. The link lives for 30 minutes.\n"

QUOTED = "Open Settings, choose Security, press Reset password [1]. The link lives for 30 minutes [1]."
"""What stands in the place of an answer that the article does not bear out."""


@pytest.fixture(scope="module", autouse=True)
def help_centre(bot_process: Bot, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("help")
    (folder / "reset.md").write_text(ARTICLE)
    import_knowledge(bot_process.db, [folder], audience="customer_safe", progress=False)


def finished(bot: Bot, task: str) -> dict:
    return bot.until(lambda: (r := bot.newest())["task"] == task and r["state"] in ("shown", "failed") and r)


def posted(sandbox: SandboxClient, channel: str, user: str) -> list[dict]:
    return [r for m in sandbox.channel(user, channel)["messages"] for r in (m, *m["replies"]) if r.get("bot_id")]


def test_ask_answers_privately_from_the_help_centre(bot, sandbox, model):
    model.answer = lambda messages: "Open Settings, then Security [1]. It is quick [2][7]."
    assert sandbox.command(HELP, AGENT, "/ask", "How do I reset my password?")["ok"]
    row = finished(bot, "answer")
    assert row["draft"] == "Open Settings, then Security [1]."
    seen = json.dumps(last_ephemeral(sandbox, AGENT, row["id"]), ensure_ascii=False)
    assert "[1] Reset a password" in seen and "[2]" not in seen
    assert "Question: How do I reset my password?" in model.asked[-1]["messages"][-1]["content"]
    assert posted(sandbox, HELP, AGENT) == []
    sources = bot.db.execute("select chunk_id from suggestion_sources where suggestion_id = ?", [row["id"]]).fetchall()
    assert len(sources) == 1


def test_a_question_that_the_help_centre_does_not_know_is_not_invented(bot, sandbox, model):
    assert sandbox.command(HELP, AGENT, "/ask", "zebra crossing?")["ok"]
    last_ephemeral(sandbox, AGENT, "I could not find this in the help centre.")
    assert model.asked == []


def test_ask_without_a_question_says_how_to_ask(bot, sandbox, model):
    before = bot.count("suggestions")
    sandbox.command(HELP, AGENT, "/ask", "")
    last_ephemeral(sandbox, AGENT, "Type a question after /ask")
    assert bot.count("suggestions") == before


def test_a_customer_who_asks_gets_no_button_but_the_one_that_shows_the_sources(bot, sandbox, model):
    sandbox.command(HELP, CUSTOMER, "/ask", "reset password")
    finished(bot, "answer")
    seen = last_ephemeral(sandbox, CUSTOMER, "press Reset password")
    actions = [element for block in seen["blocks"] if block["type"] == "actions" for element in block["elements"]]
    assert [element["action_id"] for element in actions] == ["more"]


def test_an_answer_that_an_agent_keeps_is_a_decision_that_posts_nothing(bot, sandbox, model):
    sandbox.command(HELP, AGENT, "/ask", "reset password")
    row = finished(bot, "answer")
    sandbox.action(AGENT, "accept", value=row["id"])
    last_ephemeral(sandbox, AGENT, "Saved, thank you.")
    decision = store.decision(bot.db, row["id"])
    assert decision is not None and (decision.kind, decision.posted_ts) == ("accepted", None)
    assert posted(sandbox, HELP, AGENT) == []
    assert store.unposted_decisions(bot.db) == []


def test_summarize_reads_the_channel_oldest_first(bot, sandbox, model):
    sandbox.message(HELP, CUSTOMER, "First")
    sandbox.message(HELP, AGENT, "Second")
    assert sandbox.command(HELP, AGENT, "/summarize")["ok"]
    row = finished(bot, "summary")
    assert row["state"] == "shown"
    assert model.asked[-1]["messages"][-1]["content"] == "Conversation:\nCustomer: First\nAgent: Second"
    last_ephemeral(sandbox, AGENT, row["id"])


def test_summarize_takes_a_link_to_a_thread(bot, sandbox, model):
    ts = sandbox.message(HELP, CUSTOMER, "In the thread")["ts"]
    sandbox.message(HELP, AGENT, "An answer", ts)
    sandbox.message(HELP, CUSTOMER, "Elsewhere")
    link = next(m for m in sandbox.channel(AGENT, HELP)["messages"] if m["ts"] == ts)["permalink"]
    sandbox.command("C0BILLING", AGENT, "/summarize", link)
    row = finished(bot, "summary")
    assert row["thread_ts"] == ts
    assert "Elsewhere" not in model.asked[-1]["messages"][-1]["content"]
    assert last_ephemeral(sandbox, AGENT, row["id"])["channel"] == "C0BILLING"


def test_a_thread_of_a_channel_that_one_is_not_in_is_not_summarised(bot, sandbox, model):
    ts = sandbox.message("C0SUPERVISORS", "U0SUPER1", "Secret plans")["ts"]
    link = f"https://nightshift-sandbox.slack.com/archives/C0SUPERVISORS/p{ts.replace('.', '')}"
    assert sandbox.command(HELP, AGENT, "/summarize", link)["ok"]
    last_ephemeral(sandbox, AGENT, "You are not in the channel")
    assert model.asked == []


def test_the_shortcut_summarises_its_thread(bot, sandbox, model):
    ts = sandbox.message(HELP, CUSTOMER, "My parcel is lost")["ts"]
    sandbox.shortcut(HELP, AGENT, ts, "summarize_thread")
    row = finished(bot, "summary")
    assert (row["state"], row["thread_ts"]) == ("shown", ts)


def test_an_empty_channel_is_told(bot, sandbox, model):
    sandbox.command("C0BILLING", AGENT, "/summarize")
    last_ephemeral(sandbox, AGENT, "nothing to draft from")
    bot.until(lambda: bot.newest()["state"] == "failed")


def test_a_mention_is_answered_in_its_thread(bot, sandbox, model):
    ts = sandbox.message(HELP, CUSTOMER, "<@U0NIGHTSHIFT> how do I reset my password?")["ts"]
    row = finished(bot, "answer")
    assert (row["state"], row["thread_ts"]) == ("shown", ts)
    (answer,) = bot.until(lambda: posted(sandbox, HELP, CUSTOMER))
    assert answer["thread_ts"] == ts and answer["text"] == QUOTED
    assert "Answered by AI" in json.dumps(answer["blocks"])


def test_a_direct_message_is_answered(bot, sandbox, model):
    sandbox.message("D0AGENT1", AGENT, "how do I reset my password?")
    assert finished(bot, "answer")["state"] == "shown"
    assert bot.until(lambda: posted(sandbox, "D0AGENT1", AGENT))[0]["text"] == QUOTED


def test_only_an_admin_switches_consent(bot, sandbox, model):
    sandbox.command(HELP, AGENT, "/nightshift", "consent on")
    last_ephemeral(sandbox, AGENT, "Only admins")
    assert store.consent(bot.db, HELP) is None
    sandbox.command(HELP, ADMIN, "/nightshift", "consent on")
    last_ephemeral(sandbox, ADMIN, "From now on I learn")
    consent = store.consent(bot.db, HELP)
    assert consent is not None and consent.granted and consent.granted_by == ADMIN
    sandbox.command(HELP, ADMIN, "/nightshift", "status")
    last_ephemeral(sandbox, ADMIN, "Learning in this channel: on since")
    sandbox.command(HELP, ADMIN, "/nightshift", "consent off")
    last_ephemeral(sandbox, ADMIN, "no longer learn")
    consent = store.consent(bot.db, HELP)
    assert consent is not None and not consent.granted


def test_no_pair_without_consent(bot, sandbox, model):
    sandbox.command("C0BILLING", ADMIN, "/nightshift", "consent off")
    ts = sandbox.message("C0BILLING", CUSTOMER, "Help")["ts"]
    sandbox.shortcut("C0BILLING", AGENT, ts, "suggest_reply")
    row = finished(bot, "reply")
    sandbox.action(AGENT, "accept", value=row["id"])
    bot.until(lambda: (d := store.decision(bot.db, row["id"])) and d.posted_ts)
    assert row["id"] not in [pair.id for pair in store.training_pairs(bot.db)]
    sandbox.command("C0BILLING", ADMIN, "/nightshift", "consent on")
    (pair,) = [pair for pair in store.training_pairs(bot.db) if pair.id == row["id"]]
    assert (pair.target, pair.messages) == (row["draft"], json.loads(row["messages"]))


def test_status_and_help_answer_everybody(bot, sandbox, model):
    sandbox.command(HELP, CUSTOMER, "/nightshift", "status")
    last_ephemeral(sandbox, CUSTOMER, "Model server: answers")
    sandbox.command(HELP, CUSTOMER, "/nightshift", "what?")
    last_ephemeral(sandbox, CUSTOMER, "/nightshift consent on")


def test_a_repeated_event_is_answered_once(bot, sandbox, model):
    # A mention comes as two events; the acks of both are lost, so both come again.
    sandbox.fault(drop_ack=2, retry_delays_s=[0.1, 0.1, 0.1])
    before = bot.count("suggestions")
    sandbox.message(HELP, CUSTOMER, "<@U0NIGHTSHIFT> reset password?")
    bot.until(lambda: sum(p["kind"] == "no_ack" for p in sandbox.problems()) >= 2)
    time.sleep(0.5)
    assert finished(bot, "answer")["state"] == "shown"
    assert bot.count("suggestions") == before + 1
    assert len(posted(sandbox, HELP, CUSTOMER)) == 1
