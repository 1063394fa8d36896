"""Threads longer than the context are read in parts: nothing open is lost, and the person sees that it goes on."""

import json
import re
import time

from bot_fixtures import CONTEXT, Bot, last_ephemeral, tokens
from sandbox_fixtures import SandboxClient

from bot.working import STATUS_AFTER
from data import store

pytest_plugins = ("bot_fixtures", "sandbox_fixtures")

CUSTOMER, AGENT = "U0CUSTOMER1", "U0AGENT1"
HELP = "C0HELP"


def long_thread(sandbox: SandboxClient, messages: int, *, length: int = 300) -> str:
    """Each message names one point, POINT0, POINT1, …"""
    ts = sandbox.message(HELP, CUSTOMER, "POINT0 " + "z" * length)["ts"]
    for n in range(1, messages):
        sandbox.message(HELP, AGENT if n % 2 else CUSTOMER, f"POINT{n} " + "z" * length, ts)
    return ts


def points(text: str) -> list[str]:
    return list(dict.fromkeys(re.findall(r"POINT\d+", text)))


def every_point_is_open(messages: list[dict]) -> str:
    """A model that says of every point that it reads that it is open."""
    return "\n".join(
        ["Customer wants: help", "Done: nothing", *(f"Open: {point}" for point in points(messages[-1]["content"]))]
    )


def summary_of(bot: Bot, sandbox: SandboxClient, ts: str) -> dict:
    before = bot.newest()["id"] if bot.count("suggestions") else None
    assert sandbox.shortcut(HELP, AGENT, ts, "summarize_thread")["ok"]
    row = bot.until(lambda: (r := bot.newest())["id"] != before and r["state"] in ("shown", "failed") and r)
    assert row["state"] == "shown", row["error"]
    return row


def test_every_message_of_a_long_thread_is_read_and_every_open_point_comes_through(bot, sandbox, model):
    model.answer = every_point_is_open
    row = summary_of(bot, sandbox, long_thread(sandbox, 20))
    parts, final = [body["messages"] for body in model.asked[:-1]], model.asked[-1]["messages"]
    assert sorted(points(json.dumps(parts)), key=lambda p: int(p[5:])) == [f"POINT{n}" for n in range(20)]
    assert points(final[-1]["content"]) == [f"POINT{n}" for n in range(20)]
    assert points(row["draft"]) == [f"POINT{n}" for n in range(20)]
    assert model.refusals == []


def test_the_stored_prompt_is_that_of_the_call_that_wrote_the_draft(bot, sandbox, model):
    model.answer = every_point_is_open
    row = summary_of(bot, sandbox, long_thread(sandbox, 8))
    assert json.loads(row["messages"]) == model.asked[-1]["messages"]
    assert model.asked[-1]["messages"][0]["content"].startswith("Join these summaries")
    assert model.asked[-1]["messages"][-1]["content"].startswith("Part 1:\nCustomer wants: help\n")
    assert tokens(model.asked[-1]["messages"]) + model.asked[-1]["max_tokens"] <= CONTEXT


def test_the_person_is_told_in_how_many_parts_it_was_read(bot, sandbox, model):
    row = summary_of(bot, sandbox, long_thread(sandbox, 20))
    parts = len(model.asked) - 1
    assert parts >= 4
    last_ephemeral(sandbox, AGENT, f"This is long, so I read it in {parts} parts.")
    last_ephemeral(sandbox, AGENT, f"{parts // 2} of {parts} parts are read.")
    assert f"read in {parts} parts" in json.dumps(last_ephemeral(sandbox, AGENT, row["id"]))
    # The address of a response works five times.
    assert len(sandbox.state(AGENT)["ephemerals"]) <= 4
    assert sandbox.problems() == []


def test_a_person_who_waits_is_told_of_the_parts_alone(bot, sandbox, model):
    ts = long_thread(sandbox, 8)
    model.flowing.clear()
    assert sandbox.shortcut(HELP, AGENT, ts, "summarize_thread")["ok"]
    last_ephemeral(sandbox, AGENT, "so I read it in")
    time.sleep(STATUS_AFTER + 0.3)
    assert "Drafting" not in json.dumps(sandbox.state(AGENT)["ephemerals"])
    model.flowing.set()
    bot.until(lambda: bot.newest()["state"] == "shown")


def test_a_thread_that_fits_is_read_in_one_call(bot, sandbox, model):
    row = summary_of(bot, sandbox, long_thread(sandbox, 3))
    assert len(model.asked) == 1
    assert "parts" not in json.dumps(last_ephemeral(sandbox, AGENT, row["id"]))


def test_an_open_point_that_the_last_call_drops_is_told(bot, sandbox, model):
    def forgetful(messages: list[dict]) -> str:
        if messages[0]["content"].startswith("Join"):
            return "Customer wants: help\nDone: nothing\nOpen: POINT1\nNext step: none"
        return every_point_is_open(messages)

    model.answer = forgetful
    row = summary_of(bot, sandbox, long_thread(sandbox, 6))
    seen = json.dumps(last_ephemeral(sandbox, AGENT, row["id"]))
    told = seen[seen.index("Also open in one of the parts") :]
    assert points(told) == [f"POINT{n}" for n in range(6) if n != 1]


def test_summaries_of_parts_that_do_not_fit_together_are_joined_in_steps(bot, sandbox, model):
    def wordy(messages: list[dict]) -> str:
        # As long as an answer may be; joined, it forgets what was open.
        joined = messages[0]["content"].startswith("Join")
        still = "" if joined else "\n".join(f"Open: {point}" for point in points(messages[-1]["content"]))
        wanted = "".join(f"w{n:03}" for n in range(110))
        return f"Customer wants: {wanted}\nDone: nothing\n{still}"

    model.answer = wordy
    row = summary_of(bot, sandbox, long_thread(sandbox, 24))
    joins = [body for body in model.asked if body["messages"][0]["content"].startswith("Join")]
    assert len(joins) > 1
    assert model.refusals == []
    seen = json.dumps(last_ephemeral(sandbox, AGENT, row["id"]))
    assert sorted(points(seen), key=lambda p: int(p[5:])) == [f"POINT{n}" for n in range(24)]


def test_one_message_longer_than_the_context_is_summarised_too(bot, sandbox, model):
    ts = sandbox.message(HELP, CUSTOMER, "POINT0 " + "log line " * 600 + "POINT1")["ts"]
    model.answer = every_point_is_open
    row = summary_of(bot, sandbox, ts)
    assert points(row["draft"]) == ["POINT0", "POINT1"]


def test_a_kept_summary_goes_on_from_many_new_messages(bot, sandbox, model):
    ts = sandbox.message(HELP, CUSTOMER, "POINT99")["ts"]
    model.answer = every_point_is_open
    row = summary_of(bot, sandbox, ts)
    sandbox.action(AGENT, "accept", value=row["id"])
    bot.until(lambda: store.decision(bot.db, row["id"]))
    for n in range(8):
        sandbox.message(HELP, CUSTOMER, f"POINT{n} " + "z" * 300, ts)
    again = summary_of(bot, sandbox, ts)
    final = model.asked[-1]["messages"]
    assert final[0]["content"].startswith("Bring this summary of a support thread up to date")
    assert final[-1]["content"].startswith(
        "Summary so far:\nCustomer wants: help\nDone: nothing\nOpen: POINT99\n\nPart 1:"
    )
    assert points(again["draft"]) == ["POINT99", *(f"POINT{n}" for n in range(8))]


def test_more_than_anybody_waits_for_is_refused_in_one_sentence(bot, sandbox, model):
    ts = sandbox.message(HELP, CUSTOMER, "Hello")["ts"]
    for _ in range(5):
        sandbox.message(HELP, CUSTOMER, "log " * 9_500, ts)
    assert sandbox.shortcut(HELP, AGENT, ts, "summarize_thread")["ok"]
    last_ephemeral(sandbox, AGENT, "This is too much to read")
    assert model.asked == []
    bot.until(lambda: bot.newest()["state"] == "failed")


def test_a_reply_still_leaves_out_the_oldest_messages(bot, sandbox, model):
    ts = long_thread(sandbox, 12)
    sandbox.shortcut(HELP, AGENT, ts, "suggest_reply")
    last_ephemeral(sandbox, AGENT, "oldest messages did not fit")
    assert len(model.asked) == 1


def test_a_part_that_fails_fails_the_summary_honestly(bot, sandbox, model):
    def silent_once(messages: list[dict]) -> str:
        return "" if "POINT3" in messages[-1]["content"] else "Done: x"

    model.answer = silent_once
    assert sandbox.shortcut(HELP, AGENT, long_thread(sandbox, 10), "summarize_thread")["ok"]
    last_ephemeral(sandbox, AGENT, "The model wrote nothing. Please try again.")
    bot.until(lambda: bot.newest()["state"] == "failed")
