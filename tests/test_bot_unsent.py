"""A reply that Slack did not take or did not delete: it waits for its agent, and no other button sends it."""

import json

import pytest
from bot_fixtures import last_ephemeral
from test_bot_desk import draft_for, replies
from test_bot_home import home, shown, written
from test_bot_home import press as press_home
from test_bot_replies import press, sent

from data import store, store_replies

pytest_plugins = ("bot_fixtures", "sandbox_fixtures")

CUSTOMER, AGENT = "U0CUSTOMER1", "U0AGENT1"
HELP, DIRECT = "C0HELP", "D0AGENT1"


def copy_of(sandbox, suggestion_id: str) -> dict:
    """The draft once more, in the direct message, by the button of the Home tab."""
    home(sandbox, AGENT, suggestion_id)
    press_home(sandbox, AGENT, "show_draft", suggestion_id)
    shown(sandbox, AGENT, "The draft is in our direct message.")
    return sandbox.channel(AGENT, DIRECT)["messages"][-1]


def test_a_reply_that_could_not_be_sent_waits_on_the_home_tab_and_no_dismissal_sends_it(bot, sandbox, model):
    row = draft_for(bot, sandbox)
    copy = copy_of(sandbox, row["id"])
    sandbox.fault(method="chat.postMessage", error="is_archived")
    sandbox.action(AGENT, "accept", value=row["id"], channel=HELP)
    last_ephemeral(sandbox, AGENT, "is_archived")
    sandbox.action(AGENT, "dismiss", value=row["id"], channel=DIRECT, message_ts=copy["ts"])
    bot.until(lambda: "You chose to send this" in json.dumps(sandbox.channel(AGENT, DIRECT)["messages"]))
    assert replies(sandbox, row["thread_ts"]) == []
    assert row["id"] in written(home(sandbox, AGENT, "not sent yet"))
    again = copy_of(sandbox, row["id"])
    assert again["ts"] != copy["ts"]
    sandbox.action(AGENT, "send_anyway", value=row["id"], channel=DIRECT, message_ts=again["ts"])
    bot.until(lambda: len(replies(sandbox, row["thread_ts"])) == 1)


@pytest.mark.parametrize("has_moved_on", [True, False])
def test_an_agent_may_let_it_be_when_a_reply_was_not_sent(bot, sandbox, model, has_moved_on):
    row = draft_for(bot, sandbox)
    if has_moved_on:
        sandbox.message(HELP, CUSTOMER, "Never mind, I found it.", row["thread_ts"])
    else:
        sandbox.fault(method="chat.postMessage", error="is_archived")
    press(sandbox, "accept", row["id"])
    unsent = last_ephemeral(sandbox, AGENT, "do_not_send")
    press(sandbox, "do_not_send", row["id"])
    bot.until(lambda: store_replies.withdrawal(bot.db, row["id"]))
    assert last_ephemeral(sandbox, AGENT, "Not sent. Only you can see this.")["ts"] == unsent["ts"]
    assert store.unposted_decisions(bot.db) == store_replies.undeleted_withdrawals(bot.db) == []
    view = written(home(sandbox, AGENT, "*Reply* · not sent ·"))
    assert f'"value": "{row["id"]}"' not in view
    press(sandbox, "refresh", row["id"])
    bot.until(lambda: (r := bot.newest())["id"] != row["id"] and r["state"] == "shown")


def test_what_is_on_its_way_to_slack_cannot_be_held_back_any_more(bot, sandbox, model):
    row = draft_for(bot, sandbox)
    sandbox.fault(method="chat.postMessage", error="is_archived")
    press(sandbox, "accept", row["id"])
    unsent = last_ephemeral(sandbox, AGENT, "do_not_send")
    copy = copy_of(sandbox, row["id"])
    sandbox.fault(method="chat.postMessage", delay_s=2)
    sandbox.action(AGENT, "accept", value=row["id"], channel=HELP, message_ts=unsent["ts"])
    sandbox.action(AGENT, "do_not_send", value=row["id"], channel=DIRECT, message_ts=copy["ts"])
    last_ephemeral(sandbox, AGENT, "nothing to hold back")
    bot.until(lambda: store.decision(bot.db, row["id"]).posted_ts)
    assert store_replies.withdrawal(bot.db, row["id"]) is None
    assert len(replies(sandbox, row["thread_ts"])) == 1


def test_another_draft_asked_for_under_a_copy_comes_below_the_copy(bot, sandbox, model):
    ts = sandbox.message(HELP, CUSTOMER, "In a thread")["ts"]
    newest = sandbox.message(HELP, CUSTOMER, "More", ts)["ts"]
    assert sandbox.shortcut(HELP, AGENT, newest, "suggest_reply")["ok"]
    first = bot.until(lambda: (r := bot.newest())["thread_ts"] == ts and r["state"] == "shown" and r)["id"]
    copy = copy_of(sandbox, first)
    model.answer = lambda messages: "Shorter."
    sandbox.action(AGENT, "rewrite", value=f"shorter:{first}", channel=DIRECT, message_ts=copy["ts"])
    assert last_ephemeral(sandbox, AGENT, "as you asked")["channel"] == DIRECT


def test_a_reply_that_slack_does_not_delete_is_deleted_at_the_second_try_or_press(bot, sandbox, model):
    first, second = sent(bot, sandbox), sent(bot, sandbox)
    sandbox.fault(method="chat.delete", error="fatal_error")
    press(sandbox, "take_back", first["id"])
    bot.until(lambda: replies(sandbox, first["thread_ts"]) == [])
    bot.until(lambda: store_replies.undeleted_withdrawals(bot.db) == [])
    sandbox.fault(method="chat.delete", error="restricted_action")
    press(sandbox, "take_back", second["id"])
    last_ephemeral(sandbox, AGENT, "restricted_action")
    assert len(replies(sandbox, second["thread_ts"])) == 1
    press(sandbox, "take_back", second["id"])
    bot.until(lambda: replies(sandbox, second["thread_ts"]) == [])
    assert store.decision(bot.db, second["id"]).posted_ts
