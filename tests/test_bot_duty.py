"""Who is on duty: whoever wrote last and is there, else whoever is there and whose turn it is."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from bot_fixtures import Bot, ModelServer, bot_environment, last_ephemeral, open_store
from sandbox_fixtures import SandboxClient
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from test_bot_proactive import AGENTS, CUSTOMER, HELP, drafts, quiet_now, switch_on, unasked

from data import store

pytest_plugins = ("bot_fixtures", "sandbox_fixtures")

LATE_TS = 6 * 3600


@pytest.fixture
def bot(sandbox: SandboxClient, model: ModelServer, tmp_path: Path) -> Iterator[Bot]:
    """A bot of its own for each test, since it believes for a minute what Slack said of who is active."""
    bot = Bot(bot_environment(sandbox, model, tmp_path), open_store(tmp_path))
    bot.start()
    yield bot
    assert bot.stop() == 0
    bot.db.conn.close()


def agent_asked_for(bot: Bot, sandbox: SandboxClient, *, nth: int = 1, thread_ts: str | None = None) -> str:
    """Who gets the draft when a customer writes."""
    sandbox.message(HELP, CUSTOMER, f"My parcel {nth} is lost", thread_ts)
    return drafts(bot, nth)[-1]["requested_by"]


def test_who_wrote_last_in_the_channel_is_on_duty(bot, sandbox, model):
    switch_on(sandbox)
    sandbox.message(HELP, AGENTS[1], "Good morning!")
    sandbox.message(HELP, AGENTS[2], "I take the morning.")
    assert [agent_asked_for(bot, sandbox, nth=n) for n in (1, 2)] == [AGENTS[2], AGENTS[2]]


def test_who_wrote_in_the_channels_newest_thread_is_too(bot, sandbox, model):
    switch_on(sandbox)
    ts = sandbox.message(HELP, CUSTOMER, "Where are you?")["ts"]
    drafts(bot, 1)
    sandbox.message(HELP, AGENTS[1], "Lunch at noon.")
    sandbox.message(HELP, AGENTS[3], "In Hove.", ts)
    assert agent_asked_for(bot, sandbox, nth=2) == AGENTS[3]


def test_who_sent_the_newest_draft_is_too(bot, sandbox, model):
    switch_on(sandbox)
    ts = sandbox.message(HELP, CUSTOMER, "Where are you?")["ts"]
    drafts(bot, 1)
    sandbox.shortcut(HELP, AGENTS[2], ts, "suggest_reply")
    row = bot.until(lambda: (r := bot.newest())["requested_by"] == AGENTS[2] and r["state"] == "shown" and r)
    sandbox.action(AGENTS[2], "accept", value=row["id"])
    bot.until(lambda: (d := store.decision(bot.db, row["id"])) and d.posted_ts)
    assert agent_asked_for(bot, sandbox, nth=2) == AGENTS[2]


def test_who_wrote_a_shift_ago_is_not(bot, sandbox, model):
    switch_on(sandbox)
    sandbox.call("/sandbox/message", {"channel": HELP, "user": AGENTS[2], "text": "Good night!", "ago_s": LATE_TS})
    assert agent_asked_for(bot, sandbox) == AGENTS[0]


def test_who_is_away_is_passed_over_for_who_is_there(bot, sandbox, model):
    switch_on(sandbox)
    sandbox.message(HELP, AGENTS[2], "Back at four.")
    for agent in (AGENTS[2], AGENTS[0]):
        sandbox.presence(agent, "away")
    assert agent_asked_for(bot, sandbox) == AGENTS[1]


def test_the_agent_of_a_thread_who_is_away_is_followed_by_who_wrote_in_the_channel(bot, sandbox, model):
    switch_on(sandbox)
    sandbox.presence(AGENTS[3], "away")
    ts = sandbox.message(HELP, CUSTOMER, "Help")["ts"]
    drafts(bot, 1)
    sandbox.message(HELP, AGENTS[3], "Which one?", ts)
    sandbox.message(HELP, AGENTS[2], "I take over.")
    assert agent_asked_for(bot, sandbox, nth=2, thread_ts=ts) == AGENTS[2]


def test_who_wrote_last_but_has_quiet_hours_is_passed_over(bot, sandbox, model):
    switch_on(sandbox)
    sandbox.message(HELP, AGENTS[2], "Good night!")
    quiet_now(bot, AGENTS[2], "Europe/London")
    assert agent_asked_for(bot, sandbox) == AGENTS[0]


def test_nobody_gets_a_draft_when_all_are_away(bot, sandbox, model):
    switch_on(sandbox)
    for agent in AGENTS:
        sandbox.presence(agent, "away")
    for supervisor in ("U0SUPER1", "U0SUPER2"):
        sandbox.presence(supervisor, "away")
    sandbox.message(HELP, CUSTOMER, "Help")
    time.sleep(0.7)
    assert unasked(bot) == [] and model.asked == []


@pytest.mark.parametrize("fault", [{"error": "missing_scope"}, {"delay_s": 3}, {"error": "ratelimited"}])
def test_when_slack_does_not_say_who_is_active_turns_are_taken_as_if_all_were(bot, sandbox, model, fault):
    switch_on(sandbox)
    sandbox.presence(AGENTS[0], "away")
    sandbox.fault(method="users.getPresence", times=9, **{"retry_after": 30, **fault})
    assert agent_asked_for(bot, sandbox) == AGENTS[0]
    last_ephemeral(sandbox, AGENTS[0], unasked(bot)[0]["id"])


def test_the_sandbox_knows_who_is_active_and_slacks_limit(sandbox):
    client = WebClient(sandbox.environment["SLACK_BOT_TOKEN"], base_url=sandbox.environment["SLACK_API_URL"])
    sandbox.presence(AGENTS[0], "away")
    assert [client.users_getPresence(user=agent)["presence"] for agent in AGENTS[:2]] == ["away", "active"]
    assert sandbox.state(AGENTS[0])["presence"] == "away"
    with pytest.raises(SlackApiError, match="user_not_found"):
        client.users_getPresence(user="U0NOBODY")
    for _ in range(47):
        client.users_getPresence(user=AGENTS[1])
    with pytest.raises(SlackApiError, match="ratelimited") as refused:
        client.users_getPresence(user=AGENTS[1])
    assert refused.value.response.headers["Retry-After"] == "10"
