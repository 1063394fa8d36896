"""kill -9 of the bot while an answer is being streamed, then a restart: the answer stands once, whole or disowned."""

import json
import time

import pytest
from bot_fixtures import Bot
from sandbox_fixtures import PATIENCE
from test_bot_answers import (
    AGENT,
    ARTICLE,
    BEGUN,
    CUSTOMER,
    DIRECT,
    FIRST,
    HELP,
    LONG,
    ask,
    ask_directly,
    finished,
    hold,
    posted,
    shown_markdown,
    streaming,
)
from test_desk_crash import bot, restart, wire, wire_process

from bot.agent_view import SUMMARISE_THREAD
from bot.grounding import short
from bot.streams import UNFINISHED
from data import store
from data.knowledge import import_knowledge

pytest_plugins = ("bot_fixtures", "sandbox_fixtures")
__all__ = ["bot", "wire", "wire_process"]


@pytest.fixture(autouse=True)
def help_centre(bot: Bot, tmp_path) -> None:
    (tmp_path / "help").mkdir()
    (tmp_path / "help" / "reset.md").write_text(ARTICLE)
    import_knowledge(bot.db, [tmp_path / "help"], audience="customer_safe", progress=False)


def expect_whole_once(bot: Bot, sandbox, ts: str) -> None:
    row = finished(bot, ts)
    (answer,) = posted(sandbox)
    assert row["state"] == "shown" and shown_markdown(answer) == FIRST and answer["streaming"] is False
    assert answer["metadata"]["event_payload"]["suggestion_id"] == row["id"]
    assert "Answered by AI" in json.dumps(answer["blocks"])


def disowned(sandbox) -> list[int]:
    """How often each message of ours says that it is not whole."""
    return [json.dumps(message.get("blocks")).count(UNFINISHED) for message in posted(sandbox)]


def test_killed_in_mid_stream(bot, sandbox, model, wire):
    hold(model)
    ts = ask(sandbox)
    growing = streaming(bot, sandbox)
    bot.kill()
    model.flowing.set()
    bot.start()
    expect_whole_once(bot, sandbox, ts)
    assert posted(sandbox)[0]["ts"] == growing["ts"]


def test_killed_in_mid_stream_and_restarted_when_slack_has_ended_it(bot, sandbox, model, wire):
    hold(model)
    ts = ask(sandbox)
    streaming(bot, sandbox)
    bot.kill()
    sandbox.fault(expire_streams=True)
    model.flowing.set()
    bot.start()
    expect_whole_once(bot, sandbox, ts)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("method", ["chat.startStream", "chat.appendStream", "chat.stopStream"])
def test_killed_around_a_call_of_the_stream(bot, sandbox, model, wire, method, after):
    hold(model, after=BEGUN)
    wire.cut(method, after=after)
    ts = ask(sandbox)
    if method != "chat.startStream":
        streaming(bot, sandbox)
        model.holds_after = 200
    if method == "chat.stopStream":
        model.flowing.set()
    assert wire.reached.wait(PATIENCE)
    model.flowing.set()
    restart(bot, wire)
    expect_whole_once(bot, sandbox, ts)
    restart(bot, wire)
    expect_whole_once(bot, sandbox, ts)


def test_a_half_answer_that_nobody_waits_for_any_more_is_disowned_once(bot, sandbox, model, wire):
    hold(model)
    ts = ask(sandbox)
    streaming(bot, sandbox)
    bot.kill()
    model.flowing.set()
    with store.immediate(bot.db):
        bot.db.execute("update suggestions set created_at = '2026-01-01T00:00:00.000000+00:00'")
    bot.start()
    assert finished(bot, ts)["state"] == "failed"
    bot.until(lambda: disowned(sandbox) == [1])
    restart(bot, wire)
    assert disowned(sandbox) == [1]


def test_a_half_answer_that_slack_would_not_let_go_is_disowned_at_the_next_start(bot, sandbox, model, wire):
    hold(model)
    model.cuts_after = 100
    ts = ask(sandbox)
    streaming(bot, sandbox)
    sandbox.fault(method="chat.stopStream", error="internal_error")
    sandbox.fault(method="chat.update", error="internal_error")
    model.flowing.set()
    assert finished(bot, ts)["state"] == "failed"
    assert disowned(sandbox) == [0]
    restart(bot, wire)
    bot.until(lambda: disowned(sandbox) == [1])


@pytest.mark.parametrize("after", [False, True])
def test_killed_around_showing_a_draft_beside_its_thread(bot, sandbox, model, wire, after):
    thread = sandbox.message(HELP, CUSTOMER, "My invoice is wrong")["ts"]
    sandbox.context(AGENT, HELP, thread)
    wire.cut("chat.postMessage", after=after)
    sandbox.message(DIRECT, AGENT, SUMMARISE_THREAD)
    assert wire.reached.wait(PATIENCE)
    restart(bot, wire)
    assert finished(bot, thread)["state"] == "shown"
    assert len(posted(sandbox, DIRECT)) == 1 and len(model.asked) == 1


@pytest.mark.parametrize("channel", [HELP, DIRECT])
def test_killed_before_the_streams_beginning_was_stored_and_restarted_when_slack_has_ended_it(
    bot, sandbox, model, wire, channel
):
    nothing_found = ask_directly(sandbox, "zebra crossing?")
    assert finished(bot, nothing_found)["state"] == "failed"
    hold(model)
    wire.cut("chat.startStream", after=True)
    # In the thread where a sentence of ours without an answer stands already.
    ts = ask(sandbox) if channel == HELP else ask_directly(sandbox, thread_ts=nothing_found)
    assert wire.reached.wait(PATIENCE)
    assert bot.db.execute("select count(*) from streams where ts is null").fetchone() == (1,)
    assert sandbox.fault(expire_streams=True)["expired"] == 1
    model.flowing.set()
    restart(bot, wire)
    if channel == HELP:
        expect_whole_once(bot, sandbox, ts)
        return
    row = finished(bot, nothing_found, nth=2)
    told, answer = posted(sandbox, DIRECT)
    assert "could not find this" in told["text"] and shown_markdown(answer) == FIRST
    assert answer["metadata"]["event_payload"]["suggestion_id"] == row["id"]


def settled(bot: Bot) -> None:
    """Nothing more of a stream can come. On a busy machine it may have come before the restart, which ends as well."""
    bot.until(lambda: bot.db.execute("select count(*) from streams where ended_at is null").fetchone() == (0,))


def answered_after_a_kill_while_slack_began(bot: Bot, sandbox, model, wire) -> str:
    """The question's ts. Slack took its time to begin the stream, and the bot was killed before it knew."""
    hold(model)
    sandbox.fault(method="chat.startStream", delay_s=4)
    ts = ask(sandbox)
    bot.until(lambda: bot.db.execute("select count(*) from streams").fetchone() == (1,))
    time.sleep(0.5)
    model.flowing.set()
    restart(bot, wire)
    finished(bot, ts)
    return ts


def test_a_stream_whose_beginning_reaches_slack_after_the_restart_is_deleted(bot, sandbox, model, wire):
    ts = answered_after_a_kill_while_slack_began(bot, sandbox, model, wire)
    settled(bot)
    expect_whole_once(bot, sandbox, ts)


def test_killed_again_before_a_late_beginning_came_the_next_start_deletes_it(bot, sandbox, model, wire):
    ts = answered_after_a_kill_while_slack_began(bot, sandbox, model, wire)
    bot.kill()
    time.sleep(4)
    bot.start()
    settled(bot)
    expect_whole_once(bot, sandbox, ts)


def test_two_answers_that_a_crash_cut_in_one_thread_stand_once_each(bot, sandbox, model, wire):
    ts = sandbox.message(HELP, CUSTOMER, "Hello")["ts"]
    other = LONG[LONG.index("Step 2") :]
    hold(model)
    model.answer = lambda messages: other if "battery" in messages[-1]["content"] else LONG
    wire.cut("chat.startStream", after=True)
    ask(sandbox, thread_ts=ts)
    assert wire.reached.wait(PATIENCE)
    wire.cut("chat.startStream", after=False)
    ask(sandbox, "how do I reset the password of my battery?", thread_ts=ts)
    assert wire.reached.wait(PATIENCE)
    assert bot.db.execute("select count(*) from streams where ts is null").fetchone() == (2,)
    sandbox.fault(expire_streams=True)
    # Both look for their message before either has found one.
    sandbox.fault(method="conversations.replies", delay_s=1, times=2)
    model.flowing.set()
    restart(bot, wire)
    for nth in (1, 2):
        assert finished(bot, ts, nth=nth)["state"] == "shown"
    assert sorted(shown_markdown(answer) for answer in posted(sandbox)) == sorted([FIRST, short(other)])
