"""Drafts that nobody asked for: where an admin switched them on, for one agent, and quietly."""

import json
import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from bot_fixtures import Bot, last_ephemeral
from sandbox_fixtures import SandboxClient

from data import store, store_preferences, store_proactive, store_waiting
from data.preferences import Preferences

pytest_plugins = ("bot_fixtures", "sandbox_fixtures")

CUSTOMER, ADMIN = "U0CUSTOMER1", "U0ADMIN1"
AGENTS = ("U0AGENT1", "U0AGENT2", "U0AGENT3", "U0AGENT4")
HELP = "C0HELP"


@pytest.fixture(autouse=True)
def nothing_drafted_yet(bot_process: Bot) -> None:
    with store.immediate(bot_process.db):
        bot_process.db.execute("delete from proactive_switches")
        bot_process.db.execute("delete from preferences")
        bot_process.db.execute("update suggestions set request = '{}'")


def switch_on(sandbox: SandboxClient) -> None:
    sandbox.command(HELP, ADMIN, "/nightshift", "proactive on")
    last_ephemeral(sandbox, ADMIN, "at most 10 an hour")


def unasked(bot: Bot) -> list[dict]:
    return list(bot.db.query(f"select * {store_proactive.UNASKED} order by created_at, rowid"))


def drafts(bot: Bot, count: int) -> list[dict]:
    """The unasked drafts, when so many are on somebody's screen."""
    return bot.until(lambda: (found := unasked(bot)) and [r["state"] for r in found] == ["shown"] * count and found)


def test_one_agent_sees_a_private_draft_and_sends_it(bot, sandbox, model):
    switch_on(sandbox)
    ts = sandbox.message(HELP, CUSTOMER, "My parcel & <b> is lost")["ts"]
    (row,) = drafts(bot, 1)
    assert (row["requested_by"], row["thread_ts"], row["task"]) == (AGENTS[0], ts, "reply")
    seen = last_ephemeral(sandbox, AGENTS[0], row["id"])
    assert "For: “My parcel & <b> is lost”." in json.dumps(seen, ensure_ascii=False)
    for user in (*AGENTS[1:], CUSTOMER):
        assert row["id"] not in json.dumps(sandbox.state(user)["ephemerals"])
    assert sandbox.action(AGENTS[0], "accept", value=row["id"])["ok"]
    decision = bot.until(lambda: (d := store.decision(bot.db, row["id"])) and d.posted_ts and d)
    assert decision.decided_by == AGENTS[0]
    assert sandbox.problems() == []


def test_a_customers_message_is_acked_at_once_however_long_slack_takes_to_say_who_is_there(bot, sandbox, model):
    switch_on(sandbox)
    # Longer than Slack waits for an ack.
    sandbox.fault(method="conversations.members", delay_s=3.5)
    sandbox.message(HELP, CUSTOMER, "Help")
    assert drafts(bot, 1)[0]["requested_by"] == AGENTS[0]
    assert sandbox.problems() == []
    assert store_waiting.waiting_questions(bot.db) == []


def test_messages_that_come_at_once_in_one_thread_get_one_draft(bot, sandbox, model):
    switch_on(sandbox)
    sandbox.fault(method="conversations.members", delay_s=0.5, times=3)
    ts = sandbox.message(HELP, CUSTOMER, "Help")["ts"]
    for _ in range(2):
        sandbox.message(HELP, CUSTOMER, "and another thing", ts)
    drafts(bot, 1)
    bot.until(lambda: store_waiting.waiting_questions(bot.db) == [])
    assert len(unasked(bot)) == 1


def test_it_is_off_until_an_admin_switches_it_on_and_again_after_off(bot, sandbox, model):
    sandbox.message(HELP, CUSTOMER, "Help")
    sandbox.command(HELP, AGENTS[0], "/nightshift", "proactive on")
    last_ephemeral(sandbox, AGENTS[0], "Only admins")
    sandbox.message(HELP, CUSTOMER, "Help")
    switch_on(sandbox)
    sandbox.command(HELP, ADMIN, "/nightshift", "status")
    last_ephemeral(sandbox, ADMIN, "Drafts without being asked: on since")
    sandbox.command(HELP, ADMIN, "/nightshift", "proactive off")
    last_ephemeral(sandbox, ADMIN, "only when I am asked")
    sandbox.message(HELP, CUSTOMER, "Help")
    sandbox.message("C0BILLING", CUSTOMER, "Help")
    time.sleep(0.5)
    assert unasked(bot) == [] and model.asked == []


def test_agents_take_turns(bot, sandbox, model):
    switch_on(sandbox)
    for n in range(5):
        sandbox.message(HELP, CUSTOMER, f"Question {n}")
        drafts(bot, n + 1)
    assert [row["requested_by"] for row in unasked(bot)] == [*AGENTS, AGENTS[0]]


def quiet_now(bot: Bot, agent: str, zone: str) -> None:
    """Give this agent quiet hours from an hour ago to an hour from now, as a clock in the zone reads them."""
    here = datetime.now(ZoneInfo(zone))
    begin, end = (f"{here + timedelta(hours=hours):%H:%M}" for hours in (-1, 1))
    wishes = Preferences(quiet_from=begin, quiet_until=end)
    store_preferences.set_preferences(bot.db, agent, wishes, request_key=f"quiet-{agent}-{datetime.now(UTC)}")


def test_an_agent_gets_no_draft_unasked_in_the_quiet_hours_of_their_own_clock(bot, sandbox, model):
    switch_on(sandbox)
    for agent in AGENTS:
        # In Auckland, where only the last one is.
        quiet_now(bot, agent, "Pacific/Auckland")
    for n in range(4):
        sandbox.message(HELP, CUSTOMER, f"Question {n}")
        drafts(bot, n + 1)
    assert [row["requested_by"] for row in unasked(bot)] == [*AGENTS[:3], AGENTS[0]]


def test_a_follow_up_goes_to_another_agent_in_the_quiet_hours_of_the_one_who_answered(bot, sandbox, model):
    switch_on(sandbox)
    ts = sandbox.message(HELP, CUSTOMER, "Help")["ts"]
    drafts(bot, 1)
    sandbox.message(HELP, AGENTS[2], "Which one?", ts)
    quiet_now(bot, AGENTS[2], "Europe/London")
    sandbox.message(HELP, CUSTOMER, "The red one", ts)
    assert drafts(bot, 2)[-1]["requested_by"] == AGENTS[1]


def test_nobody_gets_a_draft_when_all_agents_have_quiet_hours(bot, sandbox, model):
    switch_on(sandbox)
    for agent in AGENTS:
        quiet_now(bot, agent, "Pacific/Auckland" if agent == AGENTS[3] else "Europe/London")
    sandbox.message(HELP, CUSTOMER, "Help")
    time.sleep(0.5)
    assert unasked(bot) == [] and model.asked == []


def test_a_follow_up_goes_to_the_agent_who_answered(bot, sandbox, model):
    switch_on(sandbox)
    ts = sandbox.message(HELP, CUSTOMER, "Help")["ts"]
    drafts(bot, 1)
    sandbox.message(HELP, AGENTS[2], "Which one?", ts)
    sandbox.message(HELP, CUSTOMER, "The red one", ts)
    assert drafts(bot, 2)[-1]["requested_by"] == AGENTS[2]


def test_a_follow_up_to_a_reply_that_we_posted_goes_to_its_sender(bot, sandbox, model):
    switch_on(sandbox)
    sandbox.message("C0BILLING", CUSTOMER, "elsewhere")
    ts = sandbox.message(HELP, CUSTOMER, "Help")["ts"]
    drafts(bot, 1)
    sandbox.shortcut(HELP, AGENTS[3], ts, "suggest_reply")
    row = bot.until(lambda: (r := bot.newest())["requested_by"] == AGENTS[3] and r["state"] == "shown" and r)
    sandbox.action(AGENTS[3], "accept", value=row["id"])
    bot.until(lambda: (d := store.decision(bot.db, row["id"])) and d.posted_ts)
    sandbox.message(HELP, CUSTOMER, "Thank you, but when?", ts)
    assert drafts(bot, 2)[-1]["requested_by"] == AGENTS[3]


def test_one_draft_for_each_turn_of_the_customers(bot, sandbox, model):
    switch_on(sandbox)
    ts = sandbox.message(HELP, CUSTOMER, "Help")["ts"]
    drafts(bot, 1)
    for _ in range(3):
        sandbox.message(HELP, CUSTOMER, "and another thing", ts)
    time.sleep(0.5)
    assert len(unasked(bot)) == 1


def test_agents_supervisors_bots_and_mentions_of_the_bot_are_no_questions(bot, sandbox, model):
    switch_on(sandbox)
    sandbox.message(HELP, AGENTS[1], "Lunch?")
    sandbox.message(HELP, "U0SUPER1", "Lunch!")
    sandbox.message(HELP, CUSTOMER, "<@U0NIGHTSHIFT> hello?")
    time.sleep(0.5)
    assert unasked(bot) == []


def test_the_budget_of_an_hour_is_kept(bot, sandbox, model):
    switch_on(sandbox)
    for n in range(12):
        sandbox.message(HELP, CUSTOMER, f"Question {n}")
    drafts(bot, 10)
    time.sleep(0.5)
    assert len(unasked(bot)) == 10


def test_a_repeated_event_drafts_once(bot, sandbox, model):
    switch_on(sandbox)
    sandbox.fault(drop_ack=1, drop_ack_of="message", retry_delays_s=[0.1, 0.1, 0.1])
    sandbox.message(HELP, CUSTOMER, "Help")
    bot.until(lambda: any(p["kind"] == "no_ack" for p in sandbox.problems()))
    drafts(bot, 1)
    time.sleep(0.5)
    assert len(unasked(bot)) == 1 and len(model.asked) == 1


def test_what_fails_unasked_is_not_told(bot, sandbox, model):
    switch_on(sandbox)
    model.names = set()
    sandbox.message(HELP, CUSTOMER, "Help")
    bot.until(lambda: (found := unasked(bot)) and found[0]["state"] == "failed")
    assert [m for user in AGENTS for m in sandbox.state(user)["ephemerals"]] == []


def test_a_customer_is_not_drafted_for_when_an_agent_was_faster(bot, sandbox, model):
    switch_on(sandbox)
    sandbox.fault(method="conversations.info", delay_s=1)
    sandbox.fault(method="conversations.replies", delay_s=0.5)
    ts = sandbox.message(HELP, CUSTOMER, "Help")["ts"]
    sandbox.message(HELP, AGENTS[1], "On it.", ts)
    bot.until(lambda: (found := unasked(bot)) and found[0]["state"] == "failed")
    assert model.asked == []


def test_in_a_channel_shared_with_another_company_consent_is_needed_too(bot, sandbox, model):
    sandbox.command("C0CONNECT", ADMIN, "/nightshift", "proactive on")
    last_ephemeral(sandbox, ADMIN, "at most 10 an hour")
    sandbox.message("C0CONNECT", "U0CUSTOMER4", "Help")
    bot.until(lambda: (found := unasked(bot)) and found[0]["state"] == "failed")
    assert model.asked == []
