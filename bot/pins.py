"""Who pins a message is offered to save it as knowledge: one button, for their eyes only.

Quiet by design: only where an admin switched learning on, only for those who write for the help centre, and no word
when it cannot be done. Nobody waits for an offer, so a crash may lose one. A pin that is taken away is not listened to:
what was saved of it is no less true.
"""

import asyncio
import logging
from dataclasses import dataclass, replace

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot import blocks_articles, saving, slack
from bot.desk import Desk
from bot.errors import SlackRefused
from bot.slack import Json, key_of, reader, team_of
from data import store
from data.errors import DeskError

log = logging.getLogger(__name__)

READ_SECONDS = 1.0
"""That reading the message may take after a click, since a form opens within 3 seconds or never."""
PATIENCE = 30.0
"""Seconds that looking at the message may take: an offer that comes later is about something long past."""


@dataclass(frozen=True)
class Pin:
    """A message that somebody pinned."""

    key: str
    team_id: str
    channel_id: str
    message_ts: str
    user_id: str


def register(app: AsyncApp, desk: Desk) -> None:
    """Listen to pins, and to the button below the offer."""

    @app.event("pin_added")
    async def pinned(body: Json) -> None:
        pin = pin_of(body)
        if pin is not None:
            await offer(desk, pin)

    @app.action(blocks_articles.SAVE_PINNED)
    async def save_pinned(ack: AsyncAck, body: Json) -> None:
        await ack()
        click = slack.click_of(body)
        await saving.expect_writer(desk, click.user_id)
        try:
            async with asyncio.timeout(READ_SECONDS):
                message = await _read(desk, click.channel_id, click.value)
        except TimeoutError as error:
            raise DeskError("Slack did not hand over the message in time. Press the button again.") from error
        found = await saving.found_in(desk, message, team_id=team_of(body), channel_id=click.channel_id)
        await saving.open_form(desk, replace(found, response_url=click.response_url, is_offer=True), body)


@reader
def pin_of(body: Json) -> Pin | None:
    """The message in a `pin_added` event; None when something else was pinned."""
    event = body["event"]
    item = event["item"]
    if item.get("type") != "message":
        return None
    return Pin(key_of(body), team_of(body), event["channel_id"], item["message"]["ts"], event["user"])


async def offer(desk: Desk, pin: Pin) -> None:
    """Offer to save what was pinned, once for each event, to somebody who may."""
    consent = store.consent(desk.db, pin.channel_id)
    if consent is None or not consent.granted:
        return
    try:
        async with asyncio.timeout(PATIENCE):
            if not await saving.is_writer(desk, pin.user_id) or not store.remember_request(desk.db, pin.key):
                return
            message = await _read(desk, pin.channel_id, pin.message_ts)
            found = await saving.found_in(desk, message, team_id=pin.team_id, channel_id=pin.channel_id)
            known = store.source(desk.db, found.source)
            text, shown = blocks_articles.pin_offer(
                pin.message_ts,
                link=found.url,
                canvas=found.article.title if found.canvas else None,
                saved_as=known.title if known else None,
            )
            # A reply is pinned by somebody who looks at its thread. Where Slack shows nothing to them alone, no direct
            # message comes in its place: nobody asked for it.
            thread_ts = message.get("thread_ts")
            where = {"channel": pin.channel_id, "thread_ts": thread_ts if thread_ts != pin.message_ts else None}
            await desk.workspace.call("chat.postEphemeral", user=pin.user_id, **where, text=text, blocks=shown)
    except (TimeoutError, DeskError) as error:
        log.info("nothing offered for a pin in %s: %s", pin.channel_id, type(error).__name__)


async def _read(desk: Desk, channel_id: str, message_ts: str) -> Json:
    """The message as it stands now, with its thread. Raises SlackRefused, SlackUnreachable."""
    # Not the event's own: Slack does not say that it has the thread and the files.
    method = "conversations.replies"
    # Bounded: whether a reply's ts finds that reply alone or its whole thread, this finds it on the first page.
    span = {"oldest": message_ts, "latest": message_ts, "inclusive": True}
    answer = await desk.workspace.call(method, channel=channel_id, ts=message_ts, **span)
    found = next((message for message in answer["messages"] if message.get("ts") == message_ts), None)
    if found is None:
        raise SlackRefused(method, "message_not_found")
    return found
