"""Which of a channel's messages a span reads, in which order, and what it says that it did not read."""

import json

from bot_fixtures import last_ephemeral

from bot.reading import MOST_MESSAGES, MOST_THREADS, in_window
from bot.spans import Window

pytest_plugins = ("bot_fixtures", "sandbox_fixtures")

CUSTOMER, AGENT, HELP = "U0CUSTOMER1", "U0AGENT1", "C0HELP"


def message(ts: str, **more: object) -> dict:
    return {"ts": ts, "text": ts, **more}


def read(top: list[dict], replies: dict[str, list[dict]], window: Window | None) -> list[str]:
    return [one["ts"] for one in in_window(top, replies, window)]


def test_replies_stand_behind_their_threads_first_message():
    top = [message("9.0"), message("5.0"), message("1.0")]
    replies = {"1.0": [message("1.0"), message("6.0"), message("7.0")]}
    assert read(top, replies, None) == ["1.0", "6.0", "7.0", "5.0", "9.0"]


def test_both_ends_of_a_window_are_inside():
    top = [message(f"{n}.0") for n in range(6, 0, -1)]
    assert read(top, {}, Window(2.0, 4.0)) == ["2.0", "3.0", "4.0"]


def test_an_older_thread_comes_with_its_first_message_only_if_it_is_talked_in():
    top = [message("2.0"), message("1.0")]
    replies = {
        "1.0": [message("1.0"), message("3.0"), message("11.0")],
        "2.0": [message("2.0"), message("4.0"), message("25.0")],
    }
    assert read(top, replies, Window(10.0, 20.0)) == ["1.0", "11.0"]


def test_a_reply_that_was_also_sent_to_the_channel_is_read_once():
    top = [message("3.0", thread_ts="1.0", subtype="thread_broadcast"), message("2.0"), message("1.0")]
    replies = {"1.0": [message("1.0"), message("3.0")]}
    assert read(top, replies, None) == ["1.0", "3.0", "2.0"]
    assert read(top, {}, None) == ["1.0", "2.0", "3.0"]


def test_more_messages_than_are_read_are_told(bot, sandbox, model):
    for n in range(MOST_MESSAGES + 1):
        sandbox.message(HELP, CUSTOMER, f"m{n}")
    sandbox.command(HELP, AGENT, "/summarize", "1h")
    told = json.dumps(last_ephemeral(sandbox, AGENT, "There is more: only the newest 1,000 messages were read."))
    assert "Read: 1000 messages of the last 1 h." in told
    prompts = json.dumps([body["messages"] for body in model.asked])
    assert "Customer: m1\\" in prompts and "Customer: m0\\" not in prompts


def test_more_threads_than_are_read_are_told(bot, sandbox, model):
    for n in range(MOST_THREADS + 2):
        ts = sandbox.message(HELP, CUSTOMER, f"m{n}")["ts"]
        sandbox.message(HELP, AGENT, f"r{n}", ts)
    sandbox.command(HELP, AGENT, "/summarize", "1h")
    last_ephemeral(sandbox, AGENT, "The replies in 2 older threads were not read.")
    prompts = json.dumps([body["messages"] for body in model.asked])
    assert "Agent: r2\\" in prompts and "Agent: r1\\" not in prompts and "Customer: m1\\" in prompts
