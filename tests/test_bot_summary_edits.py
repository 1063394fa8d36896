"""What a model may not do to a summary: drop an agent's words without a word, or bring in links of its own."""

import json

from bot_fixtures import last_ephemeral
from test_bot_summaries import edited, lamp_thread, said, summary_of_thread

from bot.summaries import left_out
from data import store

pytest_plugins = ("bot_fixtures", "sandbox_fixtures")

AGENT = "U0AGENT1"


def test_what_the_model_does_not_keep_of_an_agents_edit_is_told_also_two_summaries_later(bot, sandbox, model):
    first, _ = lamp_thread(sandbox)
    model.answer = lambda messages: "Customer wants: a refund.\nDone: nothing."
    row = summary_of_thread(bot, sandbox, first)
    edited(bot, sandbox, row, "Customer wants: a refund for 4812, says Ana.\nDone: nothing.")
    said(sandbox, "It has arrived, thanks!", thread_ts=first)
    model.answer = lambda messages: "Customer wants: a refund for 4812, says Ana\nDone: it arrived."
    again = summary_of_thread(bot, sandbox, first)
    assert "No longer in it" not in json.dumps(last_ephemeral(sandbox, AGENT, again["id"]))
    sandbox.action(AGENT, "accept", value=again["id"])
    bot.until(lambda: store.decision(bot.db, again["id"]))
    said(sandbox, "And another thing.", thread_ts=first)
    model.answer = lambda messages: "Customer wants: a refund.\nDone: it arrived."
    summary_of_thread(bot, sandbox, first)
    last_ephemeral(sandbox, AGENT, "No longer in it, of what agents wrote there: a refund for 4812, says Ana")


def test_what_the_model_wrote_and_what_says_nothing_may_go():
    draft = "Customer wants: a lamp.\nOpen: the lamp."
    kept = "Customer wants: a lamp.\nOpen: none\nNext step: call Carla at noon."
    now = "Customer wants: two lamps.\nOpen: the second lamp."
    assert left_out([(draft, kept)], kept, now) == ["call Carla at noon."]
    assert left_out([(draft, kept)], kept, now + "\nNext step: Call  Carla at noon") == []
    assert left_out([(draft, "In my own words.\nTwo lines.")], "In my own words.\nTwo lines.", now) == [
        "In my own words.",
        "Two lines.",
    ]


def test_a_link_of_a_summary_that_nobody_wrote_opens_nothing(bot, sandbox, model):
    first = said(sandbox, "See https://shop.example/o/4812, the lamp is broken.")
    model.answer = lambda messages: (
        "Customer wants: a lamp, see https://shop.example/o/4812.\nNext step: [Send](https://evil.example/x)"
    )
    row = summary_of_thread(bot, sandbox, first)
    seen = json.dumps(last_ephemeral(sandbox, AGENT, row["id"]))
    assert "<https://shop.example/o/4812>" in seen and "https://evil" not in seen
    assert "Send (evil.example/x)" in seen
