"""The Messages tab: prompts that fit the person, and work on what they look at beside it."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from bot_fixtures import Bot
from sandbox_fixtures import SandboxClient

from bot import agent_view
from data import store, store_viewed
from data.knowledge import import_knowledge
from data.store_viewed import Viewed

pytest_plugins = ("bot_fixtures", "sandbox_fixtures")

CUSTOMER, AGENT = "U0CUSTOMER1", "U0AGENT1"
HELP, DIRECT = "C0HELP", "D0AGENT1"


@pytest.fixture(scope="module", autouse=True)
def help_centre(bot_process: Bot, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("help")
    (folder / "reset.md").write_text("# Reset a password\n\nOpen Settings, choose Security.\n")
    import_knowledge(bot_process.db, [folder], progress=False)


@pytest.fixture(autouse=True)
def nobody_looks_anywhere(bot: Bot) -> None:
    bot.db.execute("delete from viewed")
    bot.db.conn.commit()


def offered(sandbox: SandboxClient, user: str = AGENT) -> list[str]:
    prompts = sandbox.channel(user, "D" + user[1:])["prompts"]
    return [prompt["message"] for prompt in prompts["prompts"]] if prompts else []


def said(sandbox: SandboxClient, ts: str, user: str = AGENT) -> dict:
    """What the app said under a direct message."""
    channel = "D" + user[1:]
    return sandbox.wait_for(
        user,
        lambda state: next(
            (r for c in state["channels"] if c["id"] == channel for m in c["messages"] if m["ts"] == ts
             for r in m["replies"] if r.get("bot_id")), None
        ),
    )  # fmt: skip


def thread_in_view(sandbox: SandboxClient, bot: Bot, user: str = AGENT) -> str:
    ts = sandbox.message(HELP, CUSTOMER, "My invoice is wrong")["ts"]
    sandbox.message(HELP, AGENT, "Which one?", ts)
    sandbox.context(user, HELP, ts)
    bot.until(lambda: store_viewed.viewed(bot.db, "T0SANDBOX", user) == Viewed(HELP, ts))
    return ts


def test_the_messages_tab_opens_with_what_the_help_centre_knows(bot, sandbox, model):
    sandbox.home(AGENT, tab="messages")
    bot.until(lambda: offered(sandbox))
    assert offered(sandbox) == ["What does the help centre say about “Reset a password”?"]
    ts = sandbox.message(DIRECT, AGENT, offered(sandbox)[0])["ts"]
    assert said(sandbox, ts)["text"] == "Open Settings, choose Security [1]."


def test_an_agent_is_offered_a_summary_and_a_reply_for_the_thread_in_view(bot, sandbox, model):
    thread_in_view(sandbox, bot)
    wanted = [agent_view.SUMMARISE_THREAD, agent_view.DRAFT_REPLY]
    bot.until(lambda: offered(sandbox)[:2] == wanted)
    sandbox.context(AGENT, HELP)
    bot.until(lambda: offered(sandbox)[0] == agent_view.SUMMARISE_CHANNEL)
    assert agent_view.DRAFT_REPLY not in offered(sandbox)
    sandbox.context(AGENT)
    bot.until(lambda: offered(sandbox)[0].startswith("What does"))
    assert sandbox.problems() == []


def test_a_customer_is_offered_no_reply(bot, sandbox, model):
    thread_in_view(sandbox, bot, CUSTOMER)
    bot.until(lambda: agent_view.SUMMARISE_THREAD in offered(sandbox, CUSTOMER))
    assert agent_view.DRAFT_REPLY not in offered(sandbox, CUSTOMER)
    ts = sandbox.message("D0CUSTOMER1", CUSTOMER, agent_view.DRAFT_REPLY)["ts"]
    assert "Only support agents" in said(sandbox, ts, CUSTOMER)["text"]
    assert model.asked == []


def test_the_thread_in_view_is_summarised_in_the_messages_tab(bot, sandbox, model):
    thread = thread_in_view(sandbox, bot)
    ts = sandbox.message(DIRECT, AGENT, "summarize the thread I am looking at.")["ts"]
    answer = said(sandbox, ts)
    assert (
        model.asked[-1]["messages"][-1]["content"] == "Conversation:\nCustomer: My invoice is wrong\nAgent: Which one?"
    )
    shown = json.dumps(answer["blocks"])
    assert f"archives/{HELP}/p{thread.replace('.', '')}" in shown and "We will look into it today." in shown
    row = bot.until(lambda: (r := bot.newest())["state"] == "shown" and r)
    assert (row["task"], row["channel_id"], row["thread_ts"]) == ("summary", HELP, thread)
    assert sandbox.problems() == []


def test_a_reply_in_view_stands_for_its_whole_thread_and_the_ack_does_not_wait_to_learn_which(bot, sandbox, model):
    thread = sandbox.message(HELP, CUSTOMER, "My invoice is wrong")["ts"]
    answered = sandbox.message(HELP, AGENT, "Which one?", thread)["ts"]
    sandbox.context(AGENT, HELP, answered)
    bot.until(lambda: store_viewed.viewed(bot.db, "T0SANDBOX", AGENT) == Viewed(HELP, answered))
    # Longer than Slack waits for an ack.
    sandbox.fault(method="conversations.replies", delay_s=3.5)
    said(sandbox, sandbox.message(DIRECT, AGENT, agent_view.SUMMARISE_THREAD)["ts"])
    assert model.asked[-1]["messages"][-1]["content"].endswith("Customer: My invoice is wrong\nAgent: Which one?")
    row = bot.until(lambda: (r := bot.newest())["state"] == "shown" and r)
    assert (row["thread_ts"], row["thread_id"]) == (thread, f"T0SANDBOX/{HELP}/{thread}")
    assert sandbox.problems() == []


def test_a_reply_in_view_is_drafted_sent_into_its_thread_and_confirmed_in_the_tab(bot, sandbox, model):
    thread = thread_in_view(sandbox, bot)
    ts = sandbox.message(DIRECT, AGENT, agent_view.DRAFT_REPLY)["ts"]
    draft = said(sandbox, ts)
    row = bot.until(lambda: (r := bot.newest())["state"] == "shown" and r)
    assert (row["task"], row["thread_ts"]) == ("reply", thread)
    assert sandbox.action(AGENT, "accept", value=row["id"], channel=DIRECT, message_ts=draft["ts"])["ok"]
    bot.until(lambda: (d := store.decision(bot.db, row["id"])) and d.posted_ts)
    root = next(m for m in sandbox.channel(CUSTOMER, HELP)["messages"] if m["ts"] == thread)
    assert root["replies"][-1]["text"] == "We will look into it today."
    bot.until(lambda: "Sent." in json.dumps(said(sandbox, ts)))


def test_another_draft_of_a_reply_in_view_comes_in_the_tab_too(bot, sandbox, model):
    thread = thread_in_view(sandbox, bot)
    ts = sandbox.message(DIRECT, AGENT, agent_view.DRAFT_REPLY)["ts"]
    draft = said(sandbox, ts)
    first = bot.until(lambda: (r := bot.newest())["state"] == "shown" and r)
    model.answer = lambda messages: "Today."
    pressed = sandbox.action(AGENT, "rewrite", value=f"shorter:{first['id']}", channel=DIRECT, message_ts=draft["ts"])
    assert pressed["ok"]
    second = bot.until(lambda: (r := bot.newest())["state"] == "shown" and r["id"] != first["id"] and r)
    assert (second["channel_id"], second["thread_ts"]) == (HELP, thread)
    under = next(m for m in sandbox.channel(AGENT, DIRECT)["messages"] if m["ts"] == ts)["replies"]
    shown = json.dumps(under[-1]["blocks"])
    assert "Shorter, as you asked." in shown and f"archives/{HELP}/p{thread.replace('.', '')}" in shown
    assert sandbox.problems() == []


def test_a_reply_looked_at_inside_a_thread_means_its_thread(bot, sandbox, model):
    root = sandbox.message(HELP, CUSTOMER, "My invoice is wrong")["ts"]
    inside = sandbox.message(HELP, AGENT, "Which one?", root)["ts"]
    sandbox.context(AGENT, HELP, inside)
    ts = sandbox.message(DIRECT, AGENT, agent_view.SUMMARISE_THREAD)["ts"]
    said(sandbox, ts)
    row = bot.until(lambda: (r := bot.newest())["state"] == "shown" and r)
    assert row["thread_ts"] == root


def test_the_channel_in_view_is_summarised(bot, sandbox, model):
    sandbox.message(HELP, CUSTOMER, "Anyone there?")
    sandbox.context(AGENT, HELP)
    ts = sandbox.message(DIRECT, AGENT, agent_view.SUMMARISE_CHANNEL)["ts"]
    assert f"<#{HELP}>" in json.dumps(said(sandbox, ts)["blocks"])
    assert "Anyone there?" in model.asked[-1]["messages"][-1]["content"]


def test_a_status_shows_while_the_thread_is_read(bot, sandbox, model):
    thread_in_view(sandbox, bot)
    model.flowing.clear()
    ts = sandbox.message(DIRECT, AGENT, agent_view.SUMMARISE_THREAD)["ts"]
    bot.until(lambda: sandbox.channel(AGENT, DIRECT)["status"].get(ts) == "is reading it…")
    model.flowing.set()
    said(sandbox, ts)
    bot.until(lambda: sandbox.channel(AGENT, DIRECT)["status"] == {})


def test_the_status_says_how_far_a_long_thread_is_read(bot, sandbox, model):
    thread = thread_in_view(sandbox, bot)
    for n in range(8):
        sandbox.message(HELP, CUSTOMER, f"message {n} " + "y " * 200, thread)
    model.flowing.clear()
    ts = sandbox.message(DIRECT, AGENT, agent_view.SUMMARISE_THREAD)["ts"]
    bot.until(lambda: "This is long" in sandbox.channel(AGENT, DIRECT)["status"].get(ts, ""))
    model.flowing.set()
    said(sandbox, ts)
    assert sandbox.state(AGENT)["ephemerals"] == []


@pytest.mark.parametrize(
    ("typed", "task"),
    [
        ("Please summarize this thread!", "summary"),
        ("summarise the thread I\u2019m looking at", "summary"),
        ("Draft a reply", "reply"),
        ("how do I draft a reply to this thread?", "answer"),
        ("summarise this thread about invoices", "answer"),
    ],
)
def test_the_prompts_may_be_typed_and_anything_else_is_a_question(bot, sandbox, model, typed, task):
    thread_in_view(sandbox, bot)
    ts = sandbox.message(DIRECT, AGENT, typed)["ts"]
    said(sandbox, ts)
    assert bot.newest()["task"] == task


@pytest.mark.parametrize("looked_at", ["", HELP])
def test_without_a_thread_in_view_the_person_is_told_to_open_one(bot, sandbox, model, looked_at):
    sandbox.context(AGENT, looked_at)
    ts = sandbox.message(DIRECT, AGENT, agent_view.DRAFT_REPLY)["ts"]
    assert "do not know which thread" in said(sandbox, ts)["text"]
    assert model.asked == []
    bot.until(lambda: bot.newest()["state"] == "failed")


def test_a_channel_that_one_only_looks_into_is_not_read_for_one(bot, sandbox, model):
    ts = sandbox.message("C0CONNECT", AGENT, "Between us")["ts"]
    sandbox.context(CUSTOMER, "C0CONNECT", ts)
    asked = sandbox.message("D0CUSTOMER1", CUSTOMER, agent_view.SUMMARISE_THREAD)["ts"]
    assert "You are not in the channel" in said(sandbox, asked, CUSTOMER)["text"]
    assert model.asked == []


def test_a_thread_where_the_bot_is_no_member_is_told(bot, sandbox, model):
    ts = sandbox.message("C0RANDOM", CUSTOMER, "Lunch?")["ts"]
    sandbox.context(AGENT, "C0RANDOM", ts)
    asked = sandbox.message(DIRECT, AGENT, agent_view.SUMMARISE_THREAD)["ts"]
    assert "/invite @Nightshift" in said(sandbox, asked)["text"]


def test_prompts_that_slack_refuses_trouble_nobody(bot, sandbox, model):
    sandbox.fault(method="assistant.threads.setSuggestedPrompts", error="unknown_method")
    sandbox.home(AGENT, tab="messages")
    bot.until(lambda: sandbox.problems())
    time.sleep(0.3)
    state = sandbox.state(AGENT)
    assert state["ephemerals"] == [] and sandbox.channel(AGENT, DIRECT)["messages"] == []


def test_an_older_event_that_comes_again_does_not_move_the_view_back(bot):
    new, old = Viewed(HELP, "2.0"), Viewed("C0BILLING", "1.0")
    store_viewed.record_viewed(bot.db, "T1", "U1", new, at=200.5)
    store_viewed.record_viewed(bot.db, "T1", "U1", old, at=100.0)
    assert store_viewed.viewed(bot.db, "T1", "U1") == new
    store_viewed.record_viewed(bot.db, "T1", "U1", None, at=time.time())
    assert store_viewed.viewed(bot.db, "T1", "U1") is None


def test_where_somebody_looked_long_ago_is_forgotten(bot):
    store_viewed.record_viewed(bot.db, "T1", "U1", Viewed(HELP, None), at=time.time() - 3600)
    store_viewed.record_viewed(bot.db, "T1", "U2", Viewed(HELP, None), at=time.time())
    store.purge(bot.db, store.iso(datetime.now(UTC) - timedelta(minutes=30)))
    assert store_viewed.viewed(bot.db, "T1", "U1") is None
    assert store_viewed.viewed(bot.db, "T1", "U2") == Viewed(HELP, None)


CHANNEL = {"type": "slack#/types/channel_id", "value": "C1", "team_id": "T1"}
MESSAGE = {"type": "slack#/types/message_context", "value": {"channel_id": "C2", "message_ts": "1.2"}}


@pytest.mark.parametrize(
    ("entities", "found"),
    [
        ([MESSAGE, CHANNEL], Viewed("C2", "1.2")),
        ([{"type": "slack#/types/canvas_id", "value": "F1"}, CHANNEL, MESSAGE], Viewed("C1", None)),
        ([{"type": "slack#/types/channel_id", "value": "D1"}], None),
        ([{"type": "slack#/types/message_context", "value": "1.2"}, {"type": "slack#/types/future", "value": 1}], None),
        (["x", None, {}], None),
        ("x", None),
        (None, None),
    ],
)
def test_the_first_channel_or_thread_of_the_context_counts(entities, found):
    assert agent_view.viewed_in({"entities": entities} if entities else None) == found


def test_the_viewer_is_found_where_slacks_example_has_them():
    bot, person = {"user_id": "UBOT", "is_bot": True}, {"user_id": "U1", "is_bot": False}
    assert agent_view.viewer({"event": {"user": "U2"}}) == "U2"
    assert agent_view.viewer({"event": {}, "authorizations": [bot, person]}) == "U1"
    assert agent_view.viewer({"event": {}, "authorizations": [bot]}) is None
