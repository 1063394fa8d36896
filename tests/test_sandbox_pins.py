"""Pins in the sandbox: what Slack refuses is refused, and the app hears only of what it may and wants to."""

import asyncio

import pytest
from sandbox_app import AGENT, CUSTOMER, HELP, off_loop
from sandbox_fixtures import PATIENCE, Refused
from test_sandbox_rules import RANDOM, client

pytest_plugins = ["sandbox_fixtures", "sandbox_app"]
__all__ = ["client"]


def test_a_message_is_pinned_once_and_its_pin_taken_away_once(sandbox, client):
    ts = sandbox.message(HELP, CUSTOMER, "one")["ts"]
    sandbox.pin(HELP, AGENT, ts)
    with pytest.raises(Refused, match="already_pinned"):
        sandbox.pin(HELP, CUSTOMER, ts)
    found = client.conversations_history(channel=HELP)
    assert found["pin_count"] == 1 and found["messages"][0]["pinned_to"] == [HELP]
    sandbox.pin(HELP, CUSTOMER, ts, remove=True)
    with pytest.raises(Refused, match="no_pin"):
        sandbox.pin(HELP, AGENT, ts, remove=True)
    assert "pinned_to" not in client.conversations_history(channel=HELP)["messages"][0]


def test_only_a_message_that_is_there_can_be_pinned_by_who_sees_it(sandbox, client):
    own = client.chat_postMessage(channel=HELP, text="x")["ts"]
    sandbox.message(HELP, CUSTOMER, "a reply", own)
    client.chat_delete(channel=HELP, ts=own)
    shown = client.chat_postEphemeral(channel=HELP, user=AGENT, text="psst")["message_ts"]
    for ts in (own, shown, "1.1"):
        with pytest.raises(Refused, match="message_not_found"):
            sandbox.pin(HELP, AGENT, ts)
    with pytest.raises(Refused, match="not a member"):
        sandbox.pin("C0VIP", CUSTOMER, "1.1")


async def test_the_app_hears_of_a_pin_in_its_channels_when_its_scopes_and_subscriptions_say_so(sandbox, app):
    async def pin(channel, text, *, remove=False):
        ts = (await off_loop(sandbox.message, channel, CUSTOMER, text))["ts"]
        await off_loop(sandbox.pin, channel, AGENT, ts)
        if remove:
            await off_loop(sandbox.pin, channel, AGENT, ts, remove=True)
        return ts

    await off_loop(sandbox.fault, without_scopes=["pins:read"])
    await pin(HELP, "without the scope")
    await off_loop(sandbox.fault, without_scopes=[])
    await pin(RANDOM, "where the app is not")
    # The manifest does not subscribe to pins that are taken away.
    ts = await pin(HELP, "pinned", remove=True)
    last = (await off_loop(sandbox.message, HELP, CUSTOMER, "last"))["ts"]
    # Three messages, and the one pin.
    async with asyncio.timeout(PATIENCE):
        while len(app.seen) < 4 or last not in [body["event"].get("ts") for body in app.seen]:
            await asyncio.sleep(0.05)
    (event,) = [body["event"] for body in app.seen if body["event"]["type"].startswith("pin_")]
    assert (event["type"], event["user"], event["channel_id"], event["item_user"]) == (
        "pin_added", AGENT, HELP, CUSTOMER,
    )  # fmt: skip
    assert event["pinned_info"]["pinned_by"] == event["item"]["created_by"] == AGENT
    assert event["item"]["message"]["ts"] == ts and event["pin_count"] == 2
    assert f"/archives/{HELP}/p{ts.replace('.', '')}" in event["item"]["message"]["permalink"]
