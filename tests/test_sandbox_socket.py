"""A real Bolt app on a real web socket: envelopes, acks, modals, retries, and what happens when an ack is late."""

import asyncio
import logging
import time

import pytest
import pytest_asyncio
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

pytest_plugins = ["sandbox_fixtures"]

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


class Bot:
    """A small app that does what the real one does, and keeps what it was sent."""

    def __init__(self, environment):
        client = AsyncWebClient(environment["SLACK_BOT_TOKEN"], base_url=environment["SLACK_API_URL"])
        logger = logging.getLogger("sandbox-test-app")
        logger.setLevel(logging.CRITICAL)
        self.app = AsyncApp(client=client, signing_secret=environment["SLACK_SIGNING_SECRET"], logger=logger)
        self.client, self.seen, self.headers, self.delay = client, [], [], 0.0
        self.app.command("/ask")(self.ask)
        self.app.shortcut("suggest_reply")(self.suggest)
        self.app.view("edit_draft")(self.submitted)
        self.app.action("accept")(self.accepted)
        for event in ("message", "app_mention", "reaction_added", "app_home_opened", "member_joined_channel"):
            self.app.event(event)(self.event)

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
async def bot(sandbox):
    bot = Bot(sandbox.environment)
    handler = AsyncSocketModeHandler(bot.app, sandbox.environment["SLACK_APP_TOKEN"], ping_interval=0.2)
    await handler.connect_async()
    yield bot
    await handler.close_async()


async def off_loop(call, *args, **kwargs):
    """The control API is called from another thread, since the app runs in this one."""
    return await asyncio.to_thread(call, *args, **kwargs)


async def test_a_command_is_acked_with_a_text_that_only_the_asker_sees(sandbox, bot):
    answer = await off_loop(sandbox.command, HELP, AGENT, "/ask", "a & b")
    assert answer["ok"] and answer["ack_ms"] < 3000 and answer["response"] == {"text": "on it"}
    assert bot.seen[0]["text"] == "a &amp; b" and bot.seen[0]["channel_id"] == HELP
    assert "thread_ts" not in bot.seen[0]
    assert [m["text"] for m in (await off_loop(sandbox.state, AGENT))["ephemerals"]] == ["on it"]


async def test_a_shortcut_opens_a_modal_and_the_modal_is_sent(sandbox, bot):
    posted = await off_loop(sandbox.message, HELP, CUSTOMER, "My invoice is wrong")
    assert (await off_loop(sandbox.shortcut, HELP, AGENT, posted["ts"], "suggest_reply"))["ok"]
    view = await off_loop(sandbox.wait_for, AGENT, lambda state: state["views"] and state["views"][0])
    payload = next(seen for seen in bot.seen if seen["type"] == "message_action")
    assert payload["message"]["text"] == "My invoice is wrong" and payload["channel"]["id"] == HELP
    empty = await off_loop(sandbox.submit, AGENT, view["id"], {"draft": {"text": ""}})
    assert empty["errors"] == {"draft": "Please complete this required field."}
    rude = await off_loop(sandbox.submit, AGENT, view["id"], {"draft": {"text": "rude"}})
    assert rude["errors"] == {"draft": "Be kind."}
    sent = await off_loop(sandbox.submit, AGENT, view["id"], {"draft": {"text": "Sorry & thanks"}})
    assert sent["ok"] and (await off_loop(sandbox.state, AGENT))["views"] == []
    assert bot.seen[-1]["view"]["state"]["values"]["draft"]["text"]["value"] == "Sorry & thanks"
    assert await off_loop(sandbox.problems) == []


async def test_a_click_in_an_ephemeral_replaces_it_through_its_response_url(sandbox, bot):
    await bot.client.chat_postEphemeral(channel=HELP, user=AGENT, text="draft", blocks=draft_blocks())
    assert (await off_loop(sandbox.action, AGENT, "accept", value="s1"))["ok"]
    payload = bot.seen[0]
    assert payload["container"]["is_ephemeral"] and "message" not in payload and payload["state"] == {"values": {}}
    (shown,) = await off_loop(sandbox.wait_for, AGENT, lambda s: [m for m in s["ephemerals"] if m["text"] == "sent"])
    assert "blocks" not in shown


async def test_a_response_url_takes_five_posts(sandbox, bot):
    await off_loop(sandbox.command, HELP, AGENT, "/ask", "x")
    webhook = AsyncWebhookClient(bot.seen[0]["response_url"])
    codes = [(await webhook.send(text=str(n))).status_code for n in range(6)]
    assert codes == [200] * 5 + [404]
    assert (await off_loop(sandbox.problems))[-1]["error"] == "used_url"


async def test_a_trigger_id_works_once(sandbox, bot):
    answer = await off_loop(sandbox.command, HELP, AGENT, "/ask", "x")
    await bot.client.views_open(trigger_id=answer["trigger_id"], view=edit_modal("x"))
    with pytest.raises(Exception, match="exchanged_trigger_id"):
        await bot.client.views_open(trigger_id=answer["trigger_id"], view=edit_modal("x"))


async def test_an_unacked_event_comes_again_with_the_same_event_id(sandbox, bot):
    await off_loop(sandbox.fault, retry_delays_s=[0, 0, 0], drop_ack=1)
    await off_loop(sandbox.message, HELP, CUSTOMER, "hello?")
    await off_loop(sandbox.wait_for, AGENT, lambda s: s["problems"])
    while len(bot.seen) < 2:
        await asyncio.sleep(0.05)
    assert len({body["event_id"] for body in bot.seen}) == 1
    assert bot.headers[1]["x-slack-retry-num"] == ["1"]
    assert bot.headers[1]["x-slack-retry-reason"] == ["timeout"]


async def test_a_late_ack_is_told_and_its_trigger_id_has_expired(sandbox, bot):
    bot.delay = 3.3
    answer = await off_loop(sandbox.command, HELP, AGENT, "/ask", "slow")
    assert (answer["ok"], answer["error"]) == (False, "operation_timeout")
    with pytest.raises(Exception, match="expired_trigger_id"):
        await bot.client.views_open(trigger_id=answer["trigger_id"], view=edit_modal("x"))
    problem = await off_loop(
        sandbox.wait_for, AGENT, lambda s: next((p for p in s["problems"] if p["kind"] == "late_ack"), None)
    )
    assert problem["ack_ms"] > 3000
    assert (await off_loop(sandbox.state, AGENT))["ephemerals"] == []


async def test_the_app_comes_back_after_a_disconnect(sandbox, bot):
    assert (await off_loop(sandbox.fault, disconnect=True))["disconnected"] == 1
    await off_loop(sandbox.wait_for, AGENT, lambda s: s["connected"] == 1)
    assert (await off_loop(sandbox.command, HELP, AGENT, "/ask", "again"))["ok"]


async def test_events_reach_the_app_where_it_is_a_member(sandbox, bot):
    posted = await off_loop(sandbox.message, HELP, CUSTOMER, "hi <@U0NIGHTSHIFT>")
    await off_loop(sandbox.message, "C0RANDOM", AGENT, "not for the app <@U0NIGHTSHIFT>")
    await off_loop(sandbox.message, "D0AGENT1", AGENT, "just us")
    await off_loop(sandbox.reaction, HELP, "U0SUPER1", posted["ts"], "thumbsup")
    await off_loop(sandbox.home, AGENT)
    while len(bot.seen) < 5:
        await asyncio.sleep(0.05)
    kinds = [(body["event"]["type"], body["event"].get("channel_type")) for body in bot.seen]
    assert sorted(kinds, key=str) == sorted(
        [("message", "channel"), ("app_mention", None), ("message", "im"), ("reaction_added", None),
         ("app_home_opened", None)],
        key=str,
    )  # fmt: skip
    added = next(body["event"] for body in bot.seen if body["event"]["type"] == "reaction_added")
    assert added["reaction"] == "+1" and added["item"] == {"type": "message", "channel": HELP, "ts": posted["ts"]}
    assert all(body["event_id"] and body["authorizations"] and body["team_id"] for body in bot.seen)


async def test_nobody_answers_while_no_app_is_connected(sandbox):
    answer = await off_loop(sandbox.command, HELP, AGENT, "/ask", "anyone?")
    assert (answer["ok"], answer["error"]) == (False, "dispatch_failed")
