"""Thumbs on posted replies and in the review channel become ratings, by people with a role."""

import json
import time

from bot_fixtures import Bot, last_ephemeral
from sandbox_fixtures import SandboxClient
from slack_sdk import WebClient

from data import store, store_supervision

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


def test_the_older_of_two_thumbs_counts_again_when_the_newer_is_taken_away(bot, sandbox, model):
    suggestion_id, ts = sent_reply(bot, sandbox)
    for name, value in (("+1", 1), ("-1", -1), ("+1::skin-tone-4", 1)):
        sandbox.reaction(HELP, SUPERVISOR, ts, name)
        bot.until(lambda value=value: newest(bot, suggestion_id) == {SUPERVISOR: ("supervisor", value)})
    for name, value in (("+1::skin-tone-4", -1), ("-1", 1), ("+1", 0)):
        sandbox.reaction(HELP, SUPERVISOR, ts, name, remove=True)
        bot.until(lambda value=value: newest(bot, suggestion_id) == {SUPERVISOR: ("supervisor", value)})


def test_customers_thumbs_and_other_emoji_are_no_ratings(bot, sandbox, model):
    suggestion_id, ts = sent_reply(bot, sandbox)
    sandbox.reaction(HELP, CUSTOMER, ts, "+1")
    sandbox.reaction(HELP, SUPERVISOR, ts, "eyes")
    sandbox.reaction(HELP, AGENT, ts, "+1")
    bot.until(lambda: newest(bot, suggestion_id) == {AGENT: ("agent", 1)})


def review_of(sandbox: SandboxClient, suggestion_id: str) -> tuple[dict, dict]:
    """(review message, its feedback buttons), once it is there."""

    def found(state: dict) -> tuple[dict, dict] | None:
        for message in (m for c in state["channels"] if c["id"] == REVIEW for m in c["messages"]):
            for block in message.get("blocks", []):
                if block["type"] == "context_actions" and suggestion_id in json.dumps(block):
                    return message, block["elements"][0]
        return None

    return sandbox.wait_for(SUPERVISOR, found)


def press(sandbox: SandboxClient, suggestion_id: str, side: str, user: str = SUPERVISOR) -> dict:
    message, feedback = review_of(sandbox, suggestion_id)
    value = feedback[f"{side}_button"]["value"]
    return sandbox.action(user, feedback["action_id"], value=value, message_ts=message["ts"])


def seen_hashes(bot: Bot, suggestion_id: str) -> list[str]:
    found = bot.db.execute("select seen_sha256 from ratings where suggestion_id = ? order by rowid", [suggestion_id])
    return [row[0] for row in found.fetchall()]


def test_supervisors_rate_in_a_channel_that_customers_do_not_see(bot, sandbox, model):
    suggestion_id, _ = sent_reply(bot, sandbox)
    review, _ = review_of(sandbox, suggestion_id)
    assert "ana sent this draft as it was. Drafted by AI (base model)." in json.dumps(review)
    assert "We will look into it today." in json.dumps(review)
    assert REVIEW not in [channel["id"] for channel in sandbox.state(CUSTOMER)["channels"]]
    assert press(sandbox, suggestion_id, "negative")["ok"]
    assert newest(bot, suggestion_id) == {SUPERVISOR: ("supervisor", -1)}
    press(sandbox, suggestion_id, "positive")
    last_ephemeral(sandbox, SUPERVISOR, "👍 is stored")
    assert newest(bot, suggestion_id) == {SUPERVISOR: ("supervisor", 1)}
    assert sandbox.problems() == []


def test_a_bad_rating_asks_what_is_wrong_and_keeps_the_answer_with_it(bot, sandbox, model):
    suggestion_id, _ = sent_reply(bot, sandbox)
    press(sandbox, suggestion_id, "negative")
    view = sandbox.wait_for(SUPERVISOR, lambda state: state["views"] and state["views"][-1])
    assert newest(bot, suggestion_id) == {SUPERVISOR: ("supervisor", -1)}
    refused = sandbox.submit(SUPERVISOR, view["id"], {"comment": {"text": "  "}})
    assert refused["errors"] == {"comment": "Write what is wrong, or press Skip."}
    assert sandbox.submit(SUPERVISOR, view["id"], {"comment": {"text": " Promises too much. "}})["ok"]
    assert store_supervision.comments(bot.db, suggestion_id) == [(SUPERVISOR, "Promises too much.")]
    press(sandbox, suggestion_id, "positive")
    assert store_supervision.comments(bot.db, suggestion_id) == []


def test_a_bad_reaction_offers_to_say_why_to_who_has_a_role_and_only_once(bot, sandbox, model):
    suggestion_id, ts = sent_reply(bot, sandbox)
    review_of(sandbox, suggestion_id)
    sandbox.fault(drop_ack=1, drop_ack_of="reaction_added", retry_delays_s=[0.1, 0.1, 0.1])
    sandbox.reaction(HELP, SUPERVISOR, ts, "-1")
    sandbox.reaction(HELP, CUSTOMER, ts, "-1")
    offer = last_ephemeral(sandbox, SUPERVISOR, "say_why")
    sandbox.action(SUPERVISOR, "say_why", value=suggestion_id, message_ts=offer["ts"])
    view = sandbox.wait_for(SUPERVISOR, lambda state: state["views"] and state["views"][-1])
    assert sandbox.submit(SUPERVISOR, view["id"], {"comment": {"text": "Wrong tone."}})["ok"]
    assert store_supervision.comments(bot.db, suggestion_id) == [(SUPERVISOR, "Wrong tone.")]
    bot.until(lambda: any(p["kind"] == "no_ack" and p["what"] == "reaction_added" for p in sandbox.problems()))
    time.sleep(0.5)
    assert sum("say_why" in json.dumps(m) for m in sandbox.state(SUPERVISOR)["ephemerals"]) == 1
    assert sandbox.state(CUSTOMER)["ephemerals"] == []


def test_a_rating_knows_the_text_that_was_seen(bot, sandbox, model):
    suggestion_id, ts = sent_reply(bot, sandbox)
    press(sandbox, suggestion_id, "positive")
    sandbox.reaction(HELP, AGENT, ts, "+1")
    bot.until(lambda: AGENT in newest(bot, suggestion_id))
    assert seen_hashes(bot, suggestion_id) == [store.text_sha256("We will look into it today.")] * 2


def test_a_persons_button_and_reaction_are_one_rating_the_newest(bot, sandbox, model):
    suggestion_id, ts = sent_reply(bot, sandbox)
    press(sandbox, suggestion_id, "negative")
    press(sandbox, suggestion_id, "negative")
    sandbox.reaction(HELP, SUPERVISOR, ts, "+1")
    bot.until(lambda: newest(bot, suggestion_id) == {SUPERVISOR: ("supervisor", 1)})
    sandbox.reaction(HELP, SUPERVISOR, ts, "+1", remove=True)
    bot.until(lambda: newest(bot, suggestion_id) == {SUPERVISOR: ("supervisor", 0)})


def test_a_dismissed_draft_is_reviewed_and_never_shown_to_the_customer(bot, sandbox, model):
    model.answer = lambda messages: "Nobody sends this."
    ts = sandbox.message(HELP, CUSTOMER, "Help")["ts"]
    sandbox.shortcut(HELP, AGENT, ts, "suggest_reply")
    row = bot.until(lambda: (r := bot.newest())["thread_ts"] == ts and r["state"] == "shown" and r)
    sandbox.action(AGENT, "dismiss", value=row["id"])
    review, _ = review_of(sandbox, row["id"])
    assert "ana dismissed this draft. The customer never saw it." in json.dumps(review)
    assert "Nobody sends this." in json.dumps(review)
    press(sandbox, row["id"], "positive")
    assert newest(bot, row["id"]) == {SUPERVISOR: ("supervisor", 1)}
    assert seen_hashes(bot, row["id"]) == [store.text_sha256("Nobody sends this.")]
    assert "Nobody sends this." not in json.dumps(sandbox.state(CUSTOMER))


def test_a_member_of_the_review_channel_without_a_role_does_not_rate(bot, sandbox, model):
    suggestion_id, _ = sent_reply(bot, sandbox)
    press(sandbox, suggestion_id, "negative", user="U0ADMIN1")
    last_ephemeral(sandbox, "U0ADMIN1", "Only agents and supervisors rate what I write.")
    assert newest(bot, suggestion_id) == {}


def test_the_thumbs_of_an_older_review_message_still_work(bot, sandbox, model):
    suggestion_id, _ = sent_reply(bot, sandbox)
    buttons = [
        {"type": "button", "action_id": action, "value": suggestion_id, "text": {"type": "plain_text", "text": thumb}}
        for action, thumb in (("rate_up", "👍"), ("rate_down", "👎"))
    ]
    slack = WebClient(sandbox.environment["SLACK_BOT_TOKEN"], base_url=sandbox.environment["SLACK_API_URL"])
    slack.chat_postMessage(channel=REVIEW, text="older", blocks=[{"type": "actions", "elements": buttons}])
    assert sandbox.action(SUPERVISOR, "rate_down", value=suggestion_id)["ok"]
    sandbox.wait_for(SUPERVISOR, lambda state: state["views"])
    assert sandbox.action(SUPERVISOR, "rate_up", value=suggestion_id, channel=REVIEW)["ok"]
    last_ephemeral(sandbox, SUPERVISOR, "👍 is stored")
    assert newest(bot, suggestion_id) == {SUPERVISOR: ("supervisor", 1)}
    assert seen_hashes(bot, suggestion_id) == [store.text_sha256("We will look into it today.")] * 2


def test_a_reaction_event_that_slack_repeats_is_one_row(bot, sandbox, model):
    suggestion_id, ts = sent_reply(bot, sandbox)
    sandbox.fault(drop_ack=1, drop_ack_of="reaction_added", retry_delays_s=[0.1, 0.1, 0.1])
    sandbox.reaction(HELP, SUPERVISOR, ts, "+1")
    bot.until(lambda: any(p["kind"] == "no_ack" for p in sandbox.problems()))
    time.sleep(0.5)
    rows = bot.db.execute("select count(*) from ratings where suggestion_id = ?", [suggestion_id]).fetchone()
    assert rows == (1,)
