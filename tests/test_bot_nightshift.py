"""/nightshift: who consented, and what the newest night changed."""

import json

from bot_fixtures import BASE, Bot, last_ephemeral
from sandbox_fixtures import SandboxClient

from data import store, store_supervision

pytest_plugins = ("bot_fixtures", "sandbox_fixtures")

CUSTOMER, AGENT, SUPERVISOR, ADMIN = "U0CUSTOMER1", "U0AGENT1", "U0SUPER1", "U0ADMIN1"
HELP, BILLING = "C0HELP", "C0BILLING"


def told(sandbox: SandboxClient, user: str, words: str, has: str, channel: str = HELP) -> str:
    """What /nightshift answers this person, once it has `has` in it."""
    assert sandbox.command(channel, user, "/nightshift", words)["ok"]
    return json.dumps(last_ephemeral(sandbox, user, has), ensure_ascii=False)


def test_before_the_first_night_the_report_says_so(bot, sandbox, model):
    told(sandbox, AGENT, "report", "No night has been run yet.")


def test_consent_says_who_switched_it_and_when(bot, sandbox, model):
    told(sandbox, AGENT, "consent", "Learning in this channel is off: nobody has switched it on.")
    told(sandbox, ADMIN, "consent on", "From now on I learn")
    day = store.consent(bot.db, HELP).created_at[:10]
    told(sandbox, CUSTOMER, "consent", f"Learning in this channel is on since {day}, switched on by priya.")
    told(sandbox, ADMIN, "consent off", "no longer learn")
    told(sandbox, AGENT, "status", f"Learning in this channel: off since {day}, switched off by priya")
    told(sandbox, AGENT, "consent", "nobody has switched it on", channel=BILLING)


def test_who_switches_something_on_where_the_bot_cannot_work_yet_is_told_what_is_missing(bot, sandbox, model):
    for words in ("consent on", "proactive on"):
        assert "From now on" in told(sandbox, ADMIN, words, "/invite @Nightshift", "C0RANDOM")
    told(sandbox, ADMIN, "proactive on", "keep out of it until an admin types /nightshift consent on", "C0CONNECT")
    told(sandbox, ADMIN, "consent on", "on customer-safe articles only", "C0CONNECT")
    seen = told(sandbox, ADMIN, "consent on", "From now on I learn", HELP)
    sandbox.fault(method="conversations.info", error="fatal_error", times=9)
    assert "invite" not in seen + told(sandbox, ADMIN, "proactive on", "From now on one agent", HELP)


def test_a_word_is_known_with_the_capital_that_a_phone_begins_with(bot, sandbox, model):
    told(sandbox, AGENT, "Status", "Learning in this channel")
    told(sandbox, ADMIN, "Consent ON", "From now on I learn")


def test_a_hold_stands_in_the_status(bot, sandbox, model):
    store_supervision.set_hold(bot.db, held=True, decided_by=SUPERVISOR, request_key="held")
    told(sandbox, AGENT, "status", "Promotions: held by sofia since ")
    store_supervision.set_hold(bot.db, held=False, decided_by=SUPERVISOR, request_key="free")
    assert "Promotions" not in told(sandbox, ADMIN, "status", "Learning in this channel")


def test_the_report_has_texts_for_supervisors_and_numbers_for_agents(bot, sandbox, model):
    pair = accepted(bot, sandbox)
    night(bot, pair)
    for user in (SUPERVISOR, ADMIN):
        seen = told(sandbox, user, "report", "Newest night")
        assert "was promoted and wrote replies from then on" in seen
        assert "> We will look into it today." in seen and "|Open the thread>" in seen
    seen = told(sandbox, AGENT, "report", "Newest night")
    assert "2.50 nats per token before (base), 2.10 after" in seen and "worse on 1." in seen
    assert "We will look into it" not in seen
    told(sandbox, CUSTOMER, "report", "Only support agents can do this.")
    assert "Newest night" not in json.dumps(sandbox.state(CUSTOMER))


def test_unknown_words_get_help(bot, sandbox, model):
    for words in ("", "help", "promote everything"):
        assert "/nightshift report" in told(sandbox, AGENT, words, "/nightshift status")


def accepted(bot: Bot, sandbox: SandboxClient) -> str:
    ts = sandbox.message(HELP, CUSTOMER, "Help")["ts"]
    sandbox.shortcut(HELP, AGENT, ts, "suggest_reply")
    row = bot.until(lambda: (r := bot.newest())["thread_ts"] == ts and r["state"] == "shown" and r)
    sandbox.action(AGENT, "accept", value=row["id"])
    bot.until(lambda: (d := store.decision(bot.db, row["id"])) and d.posted_ts)
    bot.until(lambda: last_ephemeral(sandbox, AGENT, "Sent."))
    return row["id"]


def night(bot: Bot, pair_id: str) -> None:
    run_id = store.start_run(bot.db, base=BASE.hash)
    report = {
        "reason": "Better than the incumbent by 0.400 nats per token.", "incumbent": "base", "threads": 110,
        "cases": 120, "losses": {"candidate": 2.1, "incumbent": 2.5, "base": 2.5}, "wins": 0.71,
        "worse": [{"pair_id": pair_id, "thread_id": "t", "nats_per_token": -0.4}],
    }  # fmt: skip
    store.record_gate_report(bot.db, run_id=run_id, task="reply", passed=True, report=report)
    store.update_run(bot.db, run_id, status="done", outcome="promoted", promoted=["reply"], adapter="night-x")
