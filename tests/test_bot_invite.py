"""A message shortcut fires everywhere, also where the bot is no member: the person is told how to go on."""

import asyncio

import pytest
from bot_fixtures import last_ephemeral

from bot.errors import NotInChannel
from bot.settings import BotSettings
from bot.slack import Address
from bot.web_client import web_client
from bot.workspace import Workspace

pytest_plugins = ("bot_fixtures", "sandbox_fixtures")

AGENT = "U0AGENT1"


def test_a_question_in_a_private_channel_without_the_bot_says_why_it_is_not_answered_and_where_it_is(
    bot, sandbox, model
):
    assert sandbox.command("C0VIP", AGENT, "/ask", "how do I reset my password?")["ok"]
    told = last_ephemeral(sandbox, AGENT, "I am not in this private channel and cannot see whether people of another")
    assert told["channel"] == "C0VIP" and model.asked == []
    assert sandbox.command("C0RANDOM", AGENT, "/ask", "how do I reset my password?")["ok"]
    bot.until(lambda: bot.newest()["channel_id"] == "C0RANDOM" and bot.newest()["state"] in ("shown", "failed"))
    assert "not in this" not in str(bot.newest()["error"]), "a public one says what it is without us"


@pytest.mark.parametrize("channel", ["C0RANDOM", "C0VIP"])
@pytest.mark.parametrize("shortcut", ["suggest_reply", "summarize_thread"])
def test_a_shortcut_where_the_bot_is_no_member_says_how_to_invite_it(bot, sandbox, model, channel, shortcut):
    ts = sandbox.message(channel, AGENT, "Help")["ts"]
    assert sandbox.shortcut(channel, AGENT, ts, shortcut)["ok"]
    told = last_ephemeral(sandbox, AGENT, "/invite @Nightshift")
    assert told["channel"] == channel and model.asked == []
    assert all(problem["expected"] for problem in sandbox.problems())


def test_once_invited_it_drafts(bot, sandbox, model):
    ts = sandbox.message("C0VIP", AGENT, "Help")["ts"]
    sandbox.shortcut("C0VIP", AGENT, ts, "suggest_reply")
    last_ephemeral(sandbox, AGENT, "/invite @Nightshift")
    sandbox.command("C0VIP", AGENT, "/invite", "@Nightshift")
    sandbox.shortcut("C0VIP", AGENT, ts, "suggest_reply")
    last_ephemeral(sandbox, AGENT, "We will look into it today.")


@pytest.mark.parametrize("channel", ["C0RANDOM", "C0VIP"])
def test_without_a_response_url_it_is_told_in_the_direct_message(sandbox, channel, db):
    async def whisper() -> None:
        settings = BotSettings(
            _env_file=None, slack_bot_token="xoxb-sandbox", slack_api_url=sandbox.environment["SLACK_API_URL"]
        )
        await Workspace(web_client(settings, db), settings).whisper([("Invite me.", [])], Address(channel, AGENT))

    asyncio.run(whisper())
    assert [m["text"] for m in sandbox.channel(AGENT, "D0AGENT1")["messages"]] == ["Invite me."]
    assert sandbox.state(AGENT)["ephemerals"] == []


def test_a_direct_message_between_people_is_told_as_such():
    assert "/invite" in str(NotInChannel("conversations.replies", "channel_not_found", "C1"))
    assert "direct message between people" in str(NotInChannel("conversations.replies", "channel_not_found", "D1"))


@pytest.mark.parametrize(
    ("channel", "told"),
    [
        ("C0VIP", "That link leads to a channel that I am not in: type /invite @Nightshift there"),
        ("C0RANDOM", "That link leads to a channel that I am not in: type /invite @Nightshift there"),
        ("C0SUPERVISORS", "You are not in the channel of that thread, so I cannot read it for you: join it"),
        ("D0AGENT2", "That link leads to somebody else's direct message with me"),
        ("D0BETWEEN", "That link leads to a direct message between people"),
    ],
)
def test_a_link_to_what_one_of_us_cannot_see_says_which_it_is_and_what_to_do(bot, sandbox, model, channel, told):
    link = f"https://nightshift-sandbox.slack.com/archives/{channel}/p1700000000000100"
    assert sandbox.command("C0HELP", AGENT, "/summarize", link)["ok"]
    last_ephemeral(sandbox, AGENT, told)
    assert model.asked == []
