"""Thumbs: a reaction on a posted reply, or a button under an answer, a summary or a review message, is a rating."""

import json
import logging
from functools import partial
from typing import Literal

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot import blocks, blocks_feedback, blocks_review, slack
from bot.desk import Desk
from bot.failing import insist
from bot.people import RATING_SECONDS
from bot.slack import Click, Json, Thumb
from data import store, store_supervision, store_waiting
from data.errors import DeskError, EmptyText, NotAllowed
from data.models import Rating, Role
from data.store_waiting import WaitingThumb

log = logging.getLogger(__name__)

PATIENCE = 60.0
"""Seconds that a thumb waits for a reply that is just being posted."""


def register_ratings(app: AsyncApp, desk: Desk) -> None:
    """Listen to the thumbs of the review messages and to the form after a bad one. Reactions are remembered first."""

    @app.action(blocks_feedback.RATE)
    async def rate_seen(ack: AsyncAck, body: Json) -> None:
        click = slack.click_of(body)
        suggestion_id, value, seen = blocks_feedback.thumb_in(click.value)
        await rate(desk, click, suggestion_id, value, seen_sha256=seen)
        await ack()
        await answer(click, suggestion_id, value)

    # The two buttons under a summary, and of review messages from before there were feedback buttons.
    @app.action("rate_up")
    async def rate_up(ack: AsyncAck, body: Json) -> None:
        await rate_unseen(ack, slack.click_of(body), 1)

    @app.action("rate_down")
    async def rate_down(ack: AsyncAck, body: Json) -> None:
        await rate_unseen(ack, slack.click_of(body), -1)

    async def rate_unseen(ack: AsyncAck, click: Click, value: Literal[-1, 1]) -> None:
        suggestion = store.suggestion(desk.db, click.suggestion_id)
        text = blocks_review.reviewed_text(suggestion, store.decision(desk.db, suggestion.id))
        await rate(desk, click, suggestion.id, value, seen_sha256=store.text_sha256(text))
        await ack()
        await answer(click, suggestion.id, value)

    async def answer(click: Click, suggestion_id: str, value: Literal[-1, 1]) -> None:
        if value == -1:
            await desk.workspace.open_modal(click.trigger_id, blocks_feedback.comment_modal(suggestion_id))
            return
        said = "Your 👍 is stored."
        to = slack.Address(click.channel_id, click.user_id, "", click.response_url)
        await desk.workspace.whisper([(said, blocks.text_sections(said))], to)

    async def is_thumb(body: Json) -> bool:
        return slack.thumb_of(body) is not None

    @app.event("reaction_added", matchers=[is_thumb])
    @app.event("reaction_removed", matchers=[is_thumb])
    async def reacted(body: Json) -> None:
        thumb = slack.thumb_of(body)
        if thumb is None:
            return
        await settle_thumbs(desk, thumb.channel_id)
        if thumb.value == -1 and not thumb.removed:
            await offer_to_say_why(thumb)

    async def offer_to_say_why(thumb: Thumb) -> None:
        # A reaction opens no form: only who presses a button may be shown one.
        suggestion = store.suggestion_at(desk.db, thumb.channel_id, thumb.message_ts)
        newest = newest_rating(desk, suggestion.id, thumb.user_id) if suggestion is not None else None
        if suggestion is None or newest is None or newest.value != -1:
            return
        if store.remember_request(desk.db, f"why/{thumb.key}"):
            to = slack.Address(thumb.channel_id, thumb.user_id, suggestion.thread_ts or "")
            await desk.workspace.whisper([blocks_feedback.offer_to_comment(suggestion.id)], to)

    @app.action("say_why")
    async def say_why(ack: AsyncAck, body: Json) -> None:
        await ack()
        click = slack.click_of(body)
        await _role(desk, click.user_id)
        await desk.workspace.open_modal(click.trigger_id, blocks_feedback.comment_modal(click.suggestion_id))

    @app.view("rating_comment")
    async def comment(ack: AsyncAck, body: Json, view: Json) -> None:
        user_id = body["user"]["id"]
        await _role(desk, user_id)
        text = view["state"]["values"]["comment"]["text"]["value"] or ""
        if not text.strip():
            raise EmptyText("Write what is wrong, or press Skip.")
        suggestion_id = json.loads(view["private_metadata"])["suggestion_id"]
        store_supervision.comment(
            desk.db, suggestion_id=suggestion_id, user_id=user_id, text=text.strip(), request_key=view["id"]
        )
        await ack()


def remember_thumb(desk: Desk, thumb: Thumb, *, team_id: str) -> None:
    """Store a thumb put on or taken off a posted reply, before the event is acked."""
    posted = store.suggestion_at(desk.db, thumb.channel_id, thumb.message_ts)
    if posted is None and not store_waiting.may_be_posting(desk.db, thumb.channel_id):
        return
    store_waiting.remember_thumb(
        desk.db,
        request_key=thumb.key,
        team_id=team_id,
        channel_id=thumb.channel_id,
        message_ts=thumb.message_ts,
        user_id=thumb.user_id,
        value=thumb.value,
        removed=thumb.removed,
        reaction=thumb.reaction,
        event_ts=thumb.event_ts,
    )


async def settle_thumbs(desk: Desk, channel_id: str) -> None:
    """After the ack: make ratings of the thumbs that wait in a channel, in their order. Roles are checked each time.

    Where Slack does not say who somebody is, that one and all after it go on waiting: for the next, or for a restart.
    """
    async with desk.rating[channel_id]:
        for thumb in store_waiting.waiting_thumbs(desk.db, channel_id):
            await desk.settled(channel_id, seconds=PATIENCE)
            try:
                await insist(partial(_settle, desk, thumb))
            except DeskError as error:
                log.error("the thumb of %s on %s waits: %s", thumb.user_id, thumb.message_ts, error)
                return


async def _settle(desk: Desk, thumb: WaitingThumb) -> None:
    suggestion = store.suggestion_at(desk.db, thumb.channel_id, thumb.message_ts)
    role = await desk.workspace.role(thumb.user_id, believed=RATING_SECONDS) if suggestion is not None else None
    with store.immediate(desk.db):
        store_waiting.forget_thumb(desk.db, thumb.request_key)
        if suggestion is None:
            return
        value = store_waiting.stand(desk.db, thumb)
        before = newest_rating(desk, suggestion.id, thumb.user_id)
        if role is None and thumb.removed and before is not None:
            # Whoever has no role any more may still take back what was said with one.
            role, value = before.role, 0 if value is not None else None
        if role is None:
            log.info("ignored a thumb of %s on suggestion %s: no role", thumb.user_id, suggestion.id)
            return
        if thumb.removed and (before is None or before.value != thumb.value):
            # What this person said later still stands.
            return
        if value is None or (not thumb.removed and value != thumb.value):
            # Slack tells of it late: something newer stands, or it was taken away since.
            return
        text = blocks_review.reviewed_text(suggestion, store.decision(desk.db, suggestion.id))
        store.rate(
            desk.db,
            suggestion_id=suggestion.id,
            user_id=thumb.user_id,
            role=role,
            value=value,
            request_key=thumb.request_key,
            seen_sha256=store.text_sha256(text),
        )


async def rate(desk: Desk, click: Click, suggestion_id: str, value: Literal[-1, 1], *, seen_sha256: str) -> None:
    """Store the thumb of a button. Raises NotAllowed, UnknownSuggestion."""
    store.rate(
        desk.db,
        suggestion_id=suggestion_id,
        user_id=click.user_id,
        role=await _role(desk, click.user_id),
        value=value,
        request_key=click.trigger_id,
        seen_sha256=seen_sha256,
    )


def newest_rating(desk: Desk, suggestion_id: str, user_id: str) -> Rating | None:
    """This person's newest rating."""
    return next((one for one in store.ratings(desk.db, suggestion_id) if one.user_id == user_id), None)


async def _role(desk: Desk, user_id: str) -> Role:
    role = await desk.workspace.role(user_id, believed=RATING_SECONDS)
    if role is None:
        raise NotAllowed("Only agents and supervisors rate what I write. An admin can add you to SUPERVISORS.")
    return role
