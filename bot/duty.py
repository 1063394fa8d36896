"""The agent on duty: who gets a draft that nobody asked for.

Whoever wrote last in the thread, else in the channel, when Slack shows them as active; else whoever's turn it is
among those who are active. Nobody when all are away: Slack shows no ephemeral message to who is not there.
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence

from bot.desk import Desk
from bot.messages import REPLY_EVENT
from bot.slack import Json
from bot.workspace import Workspace
from data import store, store_proactive
from data.errors import DeskError

log = logging.getLogger(__name__)

SHIFT = 4 * 3600
"""Seconds for which who wrote in a channel counts as on duty there."""
RECENT = 50
"""Messages of a channel that are looked at for who wrote last."""
PATIENCE = 1.0
"""Seconds that asking who is active may take: a draft is of use while the customer waits."""
ASKED_AT_ONCE = 10
"""users.getPresence is limited to some 50 calls a minute, and mostly one of the first few is there."""


async def on_duty(desk: Desk, channel_id: str, agents: Sequence[str], *, answered_by: str) -> str | None:
    """One of these agents, or None. `answered_by` is who wrote last in the thread, empty when no agent did."""
    if answered_by in agents and await _active(desk.workspace, [answered_by]):
        return answered_by
    wrote_last = await _wrote_last(desk, channel_id, frozenset(agents))
    if wrote_last and wrote_last != answered_by and await _active(desk.workspace, [wrote_last]):
        return wrote_last
    active = await _active(desk.workspace, store_proactive.in_turn(desk.db, channel_id, agents))
    return active[0] if active else None


def last_answer(desk: Desk, messages: Iterable[Json], agents: frozenset[str]) -> tuple[str, str]:
    """(agent, ts) of the newest answer in a thread; empty texts when there is none."""
    newest = ("", "")
    for message in messages:
        metadata = message.get("metadata") or {}
        if message.get("user") in agents:
            newest = (message["user"], message["ts"])
        elif metadata.get("event_type") == REPLY_EVENT:
            decision = store.decision(desk.db, str(metadata["event_payload"].get("suggestion_id", "")))
            newest = (decision.decided_by if decision else "", message["ts"])
    return newest


async def _wrote_last(desk: Desk, channel_id: str, agents: frozenset[str]) -> str:
    """The agent who wrote last in this channel or in its newest thread that an agent is in; empty when none did."""
    messages = await desk.workspace.history(channel_id, most=RECENT, oldest=time.time() - SHIFT)
    writer, written = next(((m["user"], m["ts"]) for m in messages if m.get("user") in agents), ("", ""))
    # A reply that we posted for an agent is ours in Slack's list of who replied.
    ours = (await desk.workspace.identity()).user_id
    threads = [m for m in messages if (agents | {ours}) & frozenset(m.get("reply_users") or ())]
    newest = max(threads, key=lambda m: str(m.get("latest_reply", "")), default=None)
    if newest is None or str(newest.get("latest_reply", "")) < written:
        return writer
    answered_by, answered = last_answer(desk, await desk.workspace.replies(channel_id, newest["ts"]), agents)
    return answered_by if answered > written and answered_by in agents else writer


async def _active(workspace: Workspace, agents: Sequence[str]) -> list[str]:
    """The first of these agents whom Slack shows as active; all of those left when Slack does not say in time."""
    left = list(agents)
    try:
        async with asyncio.timeout(PATIENCE):
            while left:
                asked = left[:ASKED_AT_ONCE]
                found = await asyncio.gather(*map(workspace.is_active, asked))
                active = [agent for agent, is_so in zip(asked, found, strict=True) if is_so]
                if active:
                    return active
                left = left[ASKED_AT_ONCE:]
    except (TimeoutError, DeskError) as error:
        log.warning("who is active is not known: %s", type(error).__name__)
    return left
