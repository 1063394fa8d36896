"""A small real Bolt app for the sandbox's tests, connected over Socket Mode: the fixture `app`.

PYTEST_DONT_REWRITE: test modules import from here before pytest takes it as a plugin.
"""

import asyncio
import logging
import time

import pytest_asyncio
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

HELP, AGENT, CUSTOMER = "C0HELP", "U0AGENT1", "U0CUSTOMER1"


def plain(text):
    return {"type": "plain_text", "text": text}


def edit_modal(draft):
    element = {"type": "plain_text_input", "action_id": "text", "multiline": True, "initial_value": draft}
    return {
        "type": "modal",
        "callback_id": "edit_draft",
        "title": plain("Edit"),
        "submit": plain("Send"),
        "blocks": [{"type": "input", "block_id": "draft", "label": plain("Reply"), "element": element}],
    }


def draft_blocks():
    button = {"type": "button", "action_id": "accept", "value": "s1", "text": plain("Accept")}
    return [{"type": "actions", "block_id": "decide", "elements": [button]}]


class SmallApp:
    """A small app that does what the real one does, and keeps what it was sent."""

    def __init__(self, environment):
        client = AsyncWebClient(environment["SLACK_BOT_TOKEN"], base_url=environment["SLACK_API_URL"])
        logger = logging.getLogger("sandbox-test-app")
        logger.setLevel(logging.CRITICAL)
        self.bolt = AsyncApp(client=client, signing_secret=environment["SLACK_SIGNING_SECRET"], logger=logger)
        self.client, self.seen, self.headers, self.delay = client, [], [], 0.0
        self.bolt.command("/ask")(self.ask)
        self.bolt.shortcut("suggest_reply")(self.suggest)
        self.bolt.view("edit_draft")(self.submitted)
        self.bolt.action("accept")(self.accepted)
        for event in (
            "message",
            "app_mention",
            "reaction_added",
            "app_home_opened",
            "app_context_changed",
            "member_joined_channel",
            "pin_added",
            "pin_removed",
        ):
            self.bolt.event(event)(self.event)

    async def ask(self, ack, command, respond):
        # Blocks the loop, as a model called here would; Bolt sends no ack at all for a listener that only waits.
        time.sleep(self.delay)
        self.seen.append(command)
        await ack("on it")

    async def suggest(self, ack, shortcut, client, respond):
        await ack()
        self.seen.append(shortcut)
        await client.views_open(trigger_id=shortcut["trigger_id"], view=edit_modal("Hello"))
        await respond("a draft", blocks=draft_blocks())

    async def submitted(self, ack, view, body):
        self.seen.append(body)
        if view["state"]["values"]["draft"]["text"]["value"] == "rude":
            await ack(response_action="errors", errors={"draft": "Be kind."})
        else:
            await ack()

    async def accepted(self, ack, body, respond):
        await ack()
        self.seen.append(body)
        await respond("sent", replace_original=True)

    async def event(self, body, req):
        self.seen.append(body)
        self.headers.append(req.headers)


@pytest_asyncio.fixture
async def app(sandbox):
    app = SmallApp(sandbox.environment)
    handler = AsyncSocketModeHandler(app.bolt, sandbox.environment["SLACK_APP_TOKEN"], ping_interval=1)
    await handler.connect_async()
    yield app
    await handler.close_async()


async def off_loop(call, *args, **kwargs):
    """The control API is called from another thread, since the app runs in this one."""
    return await asyncio.to_thread(call, *args, **kwargs)
