"""A mention in a thread asks for a draft or a summary, for the eyes of who asks alone, or it asks a question."""

import json
from pathlib import Path

import pytest
from bot_fixtures import last_ephemeral
from test_bot_desk import AGENT, CUSTOMER, HELP
from test_bot_desk import replies as all_replies

from bot import mentions
from data.preferences import LANGUAGES

pytest_plugins = ("bot_fixtures", "sandbox_fixtures")


def replies(sandbox, thread_ts: str) -> list[dict]:
    return [reply for reply in all_replies(sandbox, thread_ts) if reply.get("bot_id")]


@pytest.mark.parametrize(
    ("text", "task"),
    [
        ("", "reply"),
        ("Draft a reply", "reply"),
        ("please suggest a reply to this customer.", "reply"),
        ("reply, please", "reply"),
        ("summarise", "summary"),
        ("Can you summarize this thread?", "summary"),
        ("how do I reply to a ticket?", None),
        ("draft picks of 2026", None),
        ("what is in the summary?", None),
    ],
)
def test_what_a_mention_asks_for(text, task):
    assert mentions.task_of(text) == task


IN_LANGUAGES = json.loads(Path(__file__).with_name("mentions.json").read_text(encoding="utf-8"))


def test_every_language_that_people_can_choose_has_words_and_is_tried():
    assert set(mentions.languages()) == set(LANGUAGES) - {"English"} == set(IN_LANGUAGES)


@pytest.mark.parametrize("language", IN_LANGUAGES)
def test_what_a_mention_asks_for_in_other_languages(language):
    for asks_for, texts in IN_LANGUAGES[language].items():
        wanted = None if asks_for == "neither" else asks_for
        assert {text: mentions.task_of(text) for text in texts} == dict.fromkeys(texts, wanted)


@pytest.mark.parametrize("said", ["draft a reply, please", "", "Bitte schreib mir eine Antwort an den Kunden!"])
def test_an_agent_who_mentions_the_bot_in_a_thread_gets_a_private_draft_and_sends_it(bot, sandbox, model, said):
    ts = sandbox.message(HELP, CUSTOMER, "My invoice is wrong")["ts"]
    sandbox.message(HELP, AGENT, f"<@U0NIGHTSHIFT> {said}".strip(), ts)
    shown = last_ephemeral(sandbox, AGENT, '"accept"')
    row = bot.until(lambda: (r := bot.newest())["state"] == "shown" and r)
    assert (row["task"], shown.get("thread_ts"), replies(sandbox, ts)) == ("reply", ts, [])
    assert "Nightshift" not in json.loads(row["messages"])[-1]["content"]
    sandbox.action(AGENT, "accept", value=row["id"])
    bot.until(lambda: [r["text"] for r in replies(sandbox, ts)] == [row["draft"]])


def test_a_mention_that_asks_for_a_summary_gets_one_in_private(bot, sandbox, model):
    ts = sandbox.message(HELP, CUSTOMER, "My invoice is wrong")["ts"]
    sandbox.message(HELP, AGENT, "<@U0NIGHTSHIFT> summarise this thread", ts)
    last_ephemeral(sandbox, AGENT, "Keep it")
    assert (bot.newest()["task"], replies(sandbox, ts)) == ("summary", [])


def test_a_customer_who_asks_for_a_draft_is_told_who_may(bot, sandbox, model):
    ts = sandbox.message(HELP, CUSTOMER, "My invoice is wrong")["ts"]
    sandbox.message(HELP, CUSTOMER, "<@U0NIGHTSHIFT> draft a reply", ts)
    last_ephemeral(sandbox, CUSTOMER, "Only support agents")
