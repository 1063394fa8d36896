"""Feedback buttons under answers, wherever they are given: a rating in the person's own role, of the text they saw."""

import json

import pytest
from bot_fixtures import Bot, last_ephemeral
from sandbox_fixtures import SandboxClient
from test_bot_answers import ARTICLE, LONG, finished, posted

from data import store, store_supervision
from data.knowledge import import_knowledge

pytest_plugins = ("bot_fixtures", "sandbox_fixtures")

AGENT, CUSTOMER, SUPERVISOR = "U0AGENT1", "U0CUSTOMER1", "U0SUPER1"
HELP = "C0HELP"
QUESTION = "how do I reset my password?"


@pytest.fixture(scope="module", autouse=True)
def help_centre(bot_process: Bot, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("help")
    (folder / "reset.md").write_text(ARTICLE)
    import_knowledge(bot_process.db, [folder], audience="customer_safe")


def feedback_of(message: dict) -> dict:
    (block,) = [block for block in message["blocks"] if block["type"] == "context_actions"]
    return block["elements"][0]


def press(sandbox: SandboxClient, user: str, message: dict, side: str, **where: str) -> dict:
    feedback = feedback_of(message)
    value = feedback[f"{side}_button"]["value"]
    return sandbox.action(user, feedback["action_id"], value=value, message_ts=message["ts"], **where)


def rated(bot: Bot, suggestion_id: str) -> dict[str, tuple[str, int]]:
    return {r.user_id: (r.role, r.value) for r in store.ratings(bot.db, suggestion_id)}


@pytest.mark.parametrize("answer", ["Open Settings [1].", LONG])
def test_an_answer_in_a_thread_is_rated_by_who_reads_along_in_their_own_role(bot, sandbox, model, answer):
    model.answer = lambda messages: answer
    ts = sandbox.message(HELP, CUSTOMER, f"<@U0NIGHTSHIFT> {QUESTION}")["ts"]
    row = finished(bot, ts)
    (message,) = posted(sandbox)
    for user in (AGENT, SUPERVISOR):
        assert press(sandbox, user, message, "positive", channel=HELP)["ok"]
        last_ephemeral(sandbox, user, "👍 is stored")
    assert rated(bot, row["id"]) == {AGENT: ("agent", 1), SUPERVISOR: ("supervisor", 1)}
    seen = bot.db.execute("select distinct seen_sha256 from ratings where suggestion_id = ?", [row["id"]]).fetchall()
    assert seen == [(store.text_sha256(answer),)]
    press(sandbox, CUSTOMER, message, "negative", channel=HELP)
    last_ephemeral(sandbox, CUSTOMER, "Only agents and supervisors rate what I write.")
    assert CUSTOMER not in rated(bot, row["id"])
    assert sandbox.problems() == []


def test_a_bad_answer_in_a_direct_message_is_told_why(bot, sandbox, model):
    ts = sandbox.message("D0AGENT1", AGENT, QUESTION)["ts"]
    row = finished(bot, ts)
    (message,) = posted(sandbox, "D0AGENT1")
    press(sandbox, AGENT, message, "negative", channel="D0AGENT1")
    view = sandbox.wait_for(AGENT, lambda state: state["views"] and state["views"][-1])
    sandbox.submit(AGENT, view["id"], {"comment": {"text": "The link lives for an hour."}})
    assert rated(bot, row["id"]) == {AGENT: ("agent", -1)}
    assert store_supervision.comments(bot.db, row["id"]) == [(AGENT, "The link lives for an hour.")]


def test_who_may_not_rate_gets_no_feedback_buttons_where_nobody_else_reads(bot, sandbox, model):
    ts = sandbox.message("D0CUSTOMER1", CUSTOMER, QUESTION)["ts"]
    finished(bot, ts)
    (message,) = posted(sandbox, "D0CUSTOMER1", CUSTOMER)
    assert "feedback_buttons" not in json.dumps(message)
    sandbox.command(HELP, CUSTOMER, "/ask", QUESTION)
    seen = last_ephemeral(sandbox, CUSTOMER, "press Reset password")
    assert "feedback_buttons" not in json.dumps(seen)


def test_a_private_answer_is_rated_before_and_after_it_was_kept(bot, sandbox, model):
    sandbox.command(HELP, AGENT, "/ask", QUESTION)
    row = bot.until(lambda: (r := bot.newest())["requested_by"] == AGENT and r["state"] == "shown" and r)
    press(sandbox, AGENT, last_ephemeral(sandbox, AGENT, "feedback_buttons"), "positive")
    bot.until(lambda: rated(bot, row["id"]) == {AGENT: ("agent", 1)})
    sandbox.action(AGENT, "accept", value=row["id"])
    press(sandbox, AGENT, last_ephemeral(sandbox, AGENT, "Saved, thank you."), "negative")
    bot.until(lambda: rated(bot, row["id"]) == {AGENT: ("agent", -1)})


def test_who_asks_in_private_sees_at_once_what_was_asked_and_the_answer_below(bot, sandbox, model):
    model.flowing.clear()
    sandbox.command(HELP, AGENT, "/ask", f"{QUESTION} *now* <!here>")
    told = sandbox.state(AGENT)["ephemerals"]
    assert [m["blocks"][0]["elements"][0]["text"] for m in told] == [f"You asked: {QUESTION} *now* @here"]
    assert sandbox.state(CUSTOMER)["ephemerals"] == []
    model.flowing.set()
    last_ephemeral(sandbox, AGENT, "press Reset password")
    assert len(sandbox.state(AGENT)["ephemerals"]) == 2
    assert sandbox.problems() == []


def test_a_long_question_is_shown_again_in_part_and_searched_for_whole(bot, sandbox, model):
    sandbox.command(HELP, AGENT, "/ask", "reset password " * 60)
    told = last_ephemeral(sandbox, AGENT, "You asked:")
    assert len(told["blocks"][0]["elements"][0]["text"]) < 600
    bot.until(lambda: bot.newest()["state"] == "shown")
    assert model.asked[-1]["messages"][-1]["content"].count("reset password") == 60
