"""What a summary reads: one thread, or a span of a channel with the replies in its threads."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bot.slack import Json
from bot.spans import LATEST, Span, Window, parse_span, window_of
from bot.workspace import Workspace
from data.errors import EmptyThread
from data.models import Suggestion, Turn

LOOK_BACK = 7 * 24 * 3600
"""Seconds before a span in which a thread may have begun that is still talked in. Slack lists no threads by their
newest reply, so the channel is read from here on."""
MOST_MESSAGES = 1000
MOST_THREADS = 100
"""Each thread is a call of its own, and Slack allows about 50 of them a minute."""
AT_ONCE = 4


@dataclass(frozen=True)
class Reading:
    """Turns, oldest first, each thread's replies behind its first message. `remarks` are for the person who asked."""

    turns: list[Turn]
    span: str = ""
    """The span's word; empty for a thread."""
    begins: str = ""
    """The ts at which the span begins; empty for a thread, which is read from its first message on."""
    remarks: list[str] = field(default_factory=list)

    @property
    def ends(self) -> str:
        """The ts of the newest message read."""
        return max(turn.ts or "" for turn in self.turns)


async def read(workspace: Workspace, suggestion: Suggestion) -> Reading:
    """Everything that the person asked a summary of. Raises EmptyThread when nobody said anything there."""
    if suggestion.thread_ts is not None:
        reading = Reading(await workspace.thread(suggestion.channel_id, suggestion.thread_ts))
    else:
        span = parse_span(suggestion.request.get("text", "")) or LATEST
        reading = await _read_span(workspace, suggestion, span)
    if not reading.turns:
        raise EmptyThread("There is no text here that I could read, so there is nothing to draft from.")
    return reading


async def _read_span(workspace: Workspace, suggestion: Suggestion, span: Span) -> Reading:
    # The clock of the request, not of a restart that finishes it.
    now = datetime.fromisoformat(suggestion.created_at).astimezone(UTC)
    if span.is_day:
        now = now.astimezone(await workspace.time_zone(suggestion.requested_by))
    window, channel_id = window_of(span, now), suggestion.channel_id
    if window is None:
        top, cut = await workspace.history(channel_id, most=span.count), False
    else:
        since = window.oldest - LOOK_BACK
        top = await workspace.history(channel_id, most=MOST_MESSAGES, oldest=since, latest=window.latest)
        cut = len(top) == MOST_MESSAGES and min(_at(message) for message in top) > window.oldest
    threads = [message for message in top if _is_talked_in(message, window)]
    read = sorted(threads, key=lambda message: str(message["latest_reply"]), reverse=True)[:MOST_THREADS]
    slots = asyncio.Semaphore(AT_ONCE)

    async def replies(ts: str) -> tuple[str, list[Json]]:
        async with slots:
            return ts, await workspace.replies(channel_id, ts)

    replied = dict(await asyncio.gather(*(replies(message["ts"]) for message in read)))
    turns = await workspace.turns(in_window(top, replied, window))
    remarks = [_described(span, turns)]
    if cut:
        remarks.append(f"There is more: only the newest {MOST_MESSAGES:,} messages were read.")
    if len(threads) > len(read):
        remarks.append(f"The replies in {len(threads) - len(read)} older threads were not read.")
    begins = f"{window.oldest:.6f}" if window else min((message["ts"] for message in top), default="")
    return Reading(turns, span.word, begins, remarks)


def in_window(top: Iterable[Json], replies: dict[str, list[Json]], window: Window | None) -> list[Json]:
    """The channel's messages, oldest first, each once, replies behind their thread's first message. Pure.

    A thread that began before the window and is talked in inside it comes with its first message.
    """
    found: dict[str, Json] = {}
    for message in sorted(top, key=_at):
        inside = [reply for reply in replies.get(message["ts"], [])[1:] if _is_inside(reply, window)]
        if inside or _is_inside(message, window):
            for one in (message, *inside):
                found.setdefault(one["ts"], one)
    return list(found.values())


def _is_talked_in(message: Json, window: Window | None) -> bool:
    if not message.get("reply_count") or not message.get("latest_reply"):
        return False
    return window is None or float(message["latest_reply"]) >= window.oldest


def _is_inside(message: Json, window: Window | None) -> bool:
    return window is None or window.oldest <= _at(message) <= (window.latest or float("inf"))


def _at(message: Json) -> float:
    return float(message["ts"])


def _described(span: Span, turns: list[Turn]) -> str:
    messages = f"{len(turns)} message{'' if len(turns) == 1 else 's'}"
    if span.kind == "last":
        return f"Read: {messages}: the channel's newest {span.count}, with the replies in their threads."
    when = {"hours": f"the last {span.count} h", "days": f"the last {span.count} d"}.get(span.kind, span.kind)
    return f"Read: {messages} of {when}."
