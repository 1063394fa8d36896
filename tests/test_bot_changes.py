"""A customer edits or deletes what a draft was written from."""

from bot_fixtures import last_ephemeral
from sandbox_fixtures import SandboxClient
from test_bot_desk import draft_for, replies
from test_bot_replies import AGENT, CUSTOMER, HELP, ephemerals, press

pytest_plugins = ("bot_fixtures", "sandbox_fixtures")


def change(sandbox: SandboxClient, deed: str, ts: str, **more: str) -> None:
    """The customer edits or deletes a message, or Slack unfurls it."""
    assert sandbox.call(f"/sandbox/{deed}", {"channel": HELP, "user": CUSTOMER, "message_ts": ts, **more})["ok"]


def test_a_message_edited_or_deleted_since_is_told_before_sending_and_a_refreshed_draft_has_read_it(
    bot, sandbox, model
):
    first = sandbox.message(HELP, CUSTOMER, "My bill is 40 euros, see https://shop.example/bill")["ts"]
    second = sandbox.message(HELP, CUSTOMER, "No, wait.", first)["ts"]
    sandbox.shortcut(HELP, AGENT, first, "suggest_reply")
    row = bot.until(
        lambda: bot.count("suggestions") and (r := bot.newest())["thread_ts"] == first and r["state"] == "shown" and r
    )
    change(sandbox, "unfurl", first)
    change(sandbox, "change", first, text="My bill is 4000 euros")
    change(sandbox, "delete", second)
    press(sandbox, "accept", row["id"])
    last_ephemeral(
        sandbox,
        AGENT,
        "Not sent: 1 message was edited and 1 message was deleted since this was drafted. Read on, then choose.",
    )
    assert replies(sandbox, first) == []
    press(sandbox, "refresh", row["id"])
    fresh = bot.until(lambda: (r := bot.newest())["id"] != row["id"] and r["state"] == "shown" and r)
    assert "My bill is 4000 euros" in model.asked[-1]["messages"][-1]["content"]
    change(sandbox, "unfurl", first)
    press(sandbox, "accept", fresh["id"])
    bot.until(lambda: len(replies(sandbox, first)) == 1)


def test_a_thread_that_its_customer_deleted_gets_no_reply(bot, sandbox, model):
    row = draft_for(bot, sandbox)
    change(sandbox, "delete", row["thread_ts"])
    press(sandbox, "accept", row["id"])
    last_ephemeral(sandbox, AGENT, "That thread is not there any more (thread_not_found).")
    assert row["draft"] in ephemerals(sandbox), "the text is not lost"
