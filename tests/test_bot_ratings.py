"""Thumbs on posted replies and in the review channel become ratings, by people with a role."""

import json
import time

from bot_fixtures import Bot, last_ephemeral
from sandbox_fixtures import SandboxClient

from data import store

pytest_plugins = ("bot_fixtures", "sandbox_fixtures")

CUSTOMER, AGENT, SUPERVISOR = "U0CUSTOMER1", "U0AGENT1", "U0SUPER1"
HELP, REVIEW = "C0HELP", "C0SUPERVISORS"


def sent_reply(bot: Bot, sandbox: SandboxClient) -> tuple[str, str]:
    """(suggestion id, ts of the posted reply)."""
    ts = sandbox.message(HELP, CUSTOMER, "Help")["ts"]
    sandbox.shortcut(HELP, AGENT, ts, "suggest_reply")
    row = bot.until(lambda: (r := bot.newest())["thread_ts"] == ts and r["state"] == "shown" and r)
    sandbox.action(AGENT, "accept", value=row["id"])
    decision = bot.until(lambda: (d := store.decision(bot.db, row["id"])) and d.posted_ts and d)
    return row["id"], decision.posted_ts


def newest(bot: Bot, suggestion_id: str) -> dict[str, tuple[str, int]]:
    return {r.user_id: (r.role, r.value) for r in store.ratings(bot.db, suggestion_id)}


def test_a_reaction_is_a_rating_and_taking_it_back_takes_it_back(bot, sandbox, model):
    suggestion_id, ts = sent_reply(bot, sandbox)
    sandbox.reaction(HELP, SUPERVISOR, ts, "-1")
    bot.until(lambda: newest(bot, suggestion_id) == {SUPERVISOR: ("supervisor", -1)})
    sandbox.reaction(HELP, SUPERVISOR, ts, "-1", remove=True)
    bot.until(lambda: newest(bot, suggestion_id) == {SUPERVISOR: ("supervisor", 0)})


def test_the_newest_thumb_counts_and_outlives_the_removal_of_an_older_one(bot, sandbox, model):
    suggestion_id, ts = sent_reply(bot, sandbox)
    sandbox.reaction(HELP, SUPERVISOR, ts, "+1")
    bot.until(lambda: newest(bot, suggestion_id) == {SUPERVISOR: ("supervisor", 1)})
    sandbox.reaction(HELP, SUPERVISOR, ts, "-1")
    bot.until(lambda: newest(bot, suggestion_id) == {SUPERVISOR: ("supervisor", -1)})
    sandbox.reaction(HELP, SUPERVISOR, ts, "+1", remove=True)
    sandbox.reaction(HELP, AGENT, ts, "+1")
    bot.until(lambda: newest(bot, suggestion_id).get(AGENT) == ("agent", 1))
    assert newest(bot, suggestion_id)[SUPERVISOR] == ("supervisor", -1)


def test_customers_thumbs_and_other_emoji_are_no_ratings(bot, sandbox, model):
    suggestion_id, ts = sent_reply(bot, sandbox)
    sandbox.reaction(HELP, CUSTOMER, ts, "+1")
    sandbox.reaction(HELP, SUPERVISOR, ts, "eyes")
    sandbox.reaction(HELP, AGENT, ts, "+1")
    bot.until(lambda: newest(bot, suggestion_id) == {AGENT: ("agent", 1)})


def test_supervisors_rate_in_a_channel_that_customers_do_not_see(bot, sandbox, model):
    suggestion_id, _ = sent_reply(bot, sandbox)
    review = sandbox.wait_for(
        SUPERVISOR,
        lambda state: next(
            (
                m
                for c in state["channels"]
                if c["id"] == REVIEW
                for m in c["messages"]
                if suggestion_id in json.dumps(m)
            ),
            None,
        ),
    )
    assert "We will look into it today." in json.dumps(review)
    assert REVIEW not in [channel["id"] for channel in sandbox.state(CUSTOMER)["channels"]]
    assert sandbox.action(SUPERVISOR, "rate_down", value=suggestion_id, message_ts=review["ts"])["ok"]
    assert newest(bot, suggestion_id) == {SUPERVISOR: ("supervisor", -1)}
    last_ephemeral(sandbox, SUPERVISOR, "👎 is stored")
    sandbox.action(SUPERVISOR, "rate_up", value=suggestion_id, message_ts=review["ts"])
    assert newest(bot, suggestion_id) == {SUPERVISOR: ("supervisor", 1)}


def test_a_reaction_event_that_slack_repeats_is_one_row(bot, sandbox, model):
    suggestion_id, ts = sent_reply(bot, sandbox)
    sandbox.fault(drop_ack=1, retry_delays_s=[0.1, 0.1, 0.1])
    sandbox.reaction(HELP, SUPERVISOR, ts, "+1")
    bot.until(lambda: any(p["kind"] == "no_ack" for p in sandbox.problems()))
    time.sleep(0.5)
    rows = bot.db.execute("select count(*) from ratings where suggestion_id = ?", [suggestion_id]).fetchone()
    assert rows == (1,)
