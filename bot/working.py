"""Say that the bot is at work, for as long as it is."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from slack_sdk.errors import SlackApiError

from bot import beside
from bot.parts import Progress
from bot.slack import Address
from bot.workspace import Workspace
from data.models import Suggestion

log = logging.getLogger(__name__)

STATUS_AFTER = 2.0
"""Seconds after which a person who waits for a draft is told that it is being written."""
RENEWED_AFTER = 100.0
"""Seconds. Slack takes a status away after two minutes."""


@asynccontextmanager
async def working(workspace: Workspace, channel_id: str, thread_ts: str | None, status: str) -> AsyncIterator[Progress]:
    """Show `status`, as in "Nightshift is looking it up…", until the work is done, also when it fails.

    What it yields says, behind the status, how far the work has come.
    """
    ended, said = asyncio.Event(), [status]

    async def progress(sentence: str) -> None:
        said[0] = f"{status} {sentence}"
        await _set(workspace, channel_id, thread_ts, said[0])

    async def keep_shown() -> None:
        while not ended.is_set():
            await _set(workspace, channel_id, thread_ts, said[0])
            try:
                async with asyncio.timeout(RENEWED_AFTER):
                    await ended.wait()
            except TimeoutError:
                continue

    shown = asyncio.create_task(keep_shown())
    try:
        yield progress
    finally:
        ended.set()
        await shown
        await _set(workspace, channel_id, thread_ts, "")


@asynccontextmanager
async def waited_for(
    workspace: Workspace, suggestion: Suggestion, to: Address, *, resumed: bool
) -> AsyncIterator[Progress]:
    """Tell the one person who waits for a draft that it is being written, and how far that has come."""
    if suggestion.request["kind"] == beside.KIND:
        async with working(workspace, to.channel_id, to.thread_ts, "is reading it…") as progress:
            yield progress
        return
    if suggestion.task == "answer" or resumed:
        # Said at once, in the ack (listeners.py); or before the restart, and a response_url works five times only.
        yield _nothing_to_tell
        return
    waiting = asyncio.create_task(_say_that_it_takes_long(workspace, to))

    async def told(sentence: str) -> None:
        # It says more than that it takes long.
        waiting.cancel()
        await workspace.status(sentence, to)

    try:
        yield told
    finally:
        waiting.cancel()


async def _nothing_to_tell(sentence: str) -> None:
    """They know."""


async def _say_that_it_takes_long(workspace: Workspace, to: Address) -> None:
    # What a command's or shortcut's response_url showed can never be replaced (bolt-python issue 1268), so a
    # status that most people would see for a second only would stay and be noise.
    await asyncio.sleep(STATUS_AFTER)
    await workspace.status("Drafting… it will appear below.", to)


async def _set(workspace: Workspace, channel_id: str, thread_ts: str | None, status: str) -> None:
    try:
        # The client's method and not `call`, which leaves out what is empty: an empty status takes the old one away.
        await workspace.client.assistant_threads_setStatus(
            channel_id=channel_id, thread_ts=thread_ts or "", status=status
        )
    except (SlackApiError, aiohttp.ClientError, TimeoutError) as error:
        # A status is a nicety: no answer fails for want of it.
        log.warning("status in %s not set: %s", channel_id, type(error).__name__)
