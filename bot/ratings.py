"""Thumbs: a reaction on a posted reply, or a button in the supervisors' review message, becomes a rating."""

import logging
from typing import Literal

from bot.desk import Desk
from bot.slack import Click, Thumb
from data import store
from data.errors import NotAllowed

log = logging.getLogger(__name__)

PATIENCE = 1.5
"""Seconds that a thumb waits for a reply that is just being posted; the ack must come within 3."""


async def remember_thumb(desk: Desk, thumb: Thumb) -> None:
    """Store a thumb put on or taken off a posted reply, before the event is acked; roles are checked each time.

    Raises SlackUnreachable or SlackRefused when the role cannot be checked: unacked, Slack sends it again.
    """
    await desk.settled(thumb.channel_id, seconds=PATIENCE)
    suggestion = store.suggestion_at(desk.db, thumb.channel_id, thumb.message_ts)
    if suggestion is None:
        return
    role = await desk.workspace.role(thumb.user_id)
    if role is None:
        log.info("ignored a thumb of %s on suggestion %s: no role", thumb.user_id, suggestion.id)
        return
    if thumb.removed and newest_value(desk, suggestion.id, thumb.user_id) != thumb.value:
        # The other thumb was put on later, and it still stands.
        return
    store.rate(
        desk.db,
        suggestion_id=suggestion.id,
        user_id=thumb.user_id,
        role=role,
        value=0 if thumb.removed else thumb.value,
        request_key=thumb.key,
    )


async def rate(desk: Desk, click: Click, value: Literal[-1, 1]) -> str:
    """Store the thumb of a review message's button, and say so. Raises NotAllowed, UnknownSuggestion."""
    role = await desk.workspace.role(click.user_id)
    if role is None:
        raise NotAllowed("Only agents and supervisors rate replies. An admin can add you to SUPERVISORS.")
    suggestion = store.suggestion(desk.db, click.suggestion_id)
    store.rate(
        desk.db,
        suggestion_id=suggestion.id,
        user_id=click.user_id,
        role=role,
        value=value,
        request_key=click.trigger_id,
    )
    return f"Your {'👍' if value == 1 else '👎'} is stored."


def newest_value(desk: Desk, suggestion_id: str, user_id: str) -> int | None:
    """What this person's newest rating says, None when there is none."""
    return next((r.value for r in store.ratings(desk.db, suggestion_id) if r.user_id == user_id), None)
