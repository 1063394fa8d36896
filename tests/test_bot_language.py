"""An agent's language reaches what they read themselves: answers and summaries, wherever they ask for them."""

import pytest
from bot_fixtures import CONTEXT, Bot, tokens
from sandbox_fixtures import SandboxClient
from test_bot_answers import ARTICLE, finished
from test_bot_long_summaries import every_point_is_open, long_thread, summary_of

from data import store, store_preferences
from data.knowledge import import_knowledge
from data.preferences import Preferences

pytest_plugins = ("bot_fixtures", "sandbox_fixtures")

AGENT, OTHER, CUSTOMER = "U0AGENT1", "U0AGENT2", "U0CUSTOMER1"
HELP, DIRECT = "C0HELP", "D0AGENT1"
QUESTION = "how do I reset my password?"
IN_GERMAN = " Write in German, but keep these headings."


@pytest.fixture(scope="module", autouse=True)
def wishes(bot_process: Bot, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("help")
    (folder / "reset.md").write_text(ARTICLE)
    import_knowledge(bot_process.db, [folder], audience="customer_safe")
    store_preferences.set_preferences(bot_process.db, AGENT, Preferences(language="German"), request_key="german")


def systems(model) -> list[str]:
    """The system messages of every call."""
    return [asked["messages"][0]["content"] for asked in model.asked]


@pytest.mark.parametrize("channel", [HELP, DIRECT])
def test_an_answer_in_a_thread_or_direct_message_is_in_the_language_of_who_asked(bot, sandbox, model, channel):
    mention = "<@U0NIGHTSHIFT> " if channel == HELP else ""
    finished(bot, sandbox.message(channel, AGENT, mention + QUESTION)["ts"])
    finished(bot, sandbox.message(HELP, OTHER, f"<@U0NIGHTSHIFT> {QUESTION}")["ts"])
    german, plain = systems(model)
    assert german == plain + " Write in German."


def test_a_private_answer_is_in_the_language_of_who_asked(bot, sandbox, model):
    sandbox.command(HELP, AGENT, "/ask", QUESTION)
    bot.until(lambda: bot.newest()["state"] == "shown")
    assert systems(model)[0].endswith(" Write in German.")


def test_a_summary_is_in_the_language_of_who_asked_and_keeps_its_headings(bot, sandbox, model):
    ts = sandbox.message(HELP, CUSTOMER, "My invoice is wrong")["ts"]
    summary_of(bot, sandbox, ts)
    sandbox.shortcut(HELP, OTHER, ts, "summarize_thread")
    bot.until(lambda: len(model.asked) == 2)
    german, plain = systems(model)
    assert german == plain + IN_GERMAN and "Customer wants, Done, Open, Next step" in german


def test_every_part_of_a_long_summary_is_asked_for_in_it_and_counted_with_it(bot, sandbox, model):
    model.answer = every_point_is_open
    row = summary_of(bot, sandbox, long_thread(sandbox, 20))
    assert len(model.asked) > 4 and all(system.endswith(IN_GERMAN) for system in systems(model))
    assert all(tokens(asked["messages"]) + asked["max_tokens"] <= CONTEXT for asked in model.asked)
    assert model.refusals == [] and store.suggestion(bot.db, row["id"]).messages == model.asked[-1]["messages"]


def test_a_summary_that_goes_on_from_a_kept_one_is_asked_for_in_it_too(bot: Bot, sandbox: SandboxClient, model):
    model.answer = lambda messages: "Customer wants: help\nOpen: POINT0"
    ts = sandbox.message(HELP, CUSTOMER, "POINT0")["ts"]
    row = summary_of(bot, sandbox, ts)
    sandbox.action(AGENT, "accept", value=row["id"])
    bot.until(lambda: store.decision(bot.db, row["id"]))
    sandbox.message(HELP, CUSTOMER, "POINT1", ts)
    summary_of(bot, sandbox, ts)
    assert systems(model)[-1].startswith("Bring this summary") and systems(model)[-1].endswith(IN_GERMAN)
