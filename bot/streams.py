"""An answer that grows in Slack while the model writes it, and what becomes of it when that goes wrong.

A short answer is posted whole, by one call. A longer one is streamed: begun, appended to, and stopped with its notes
and metadata. Whatever happens in between, its message ends whole or with a sentence that says that it is not.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import aiohttp
from slack_sdk.errors import SlackApiError, SlackRequestError
from slack_sdk.web.async_chat_stream import AsyncChatStream
from sqlite_utils import Database

from bot import blocks_answers, harmless
from bot.blocks import Message, size
from bot.errors import SlackRefused
from bot.messages import ANSWER_EVENT, metadata
from bot.slack import Json
from bot.workspace import Workspace
from data import store_answers
from data.errors import DeskError
from data.models import Suggestion
from data.store_answers import Stream

log = logging.getLogger(__name__)

SLACK_ERRORS = (SlackApiError, SlackRequestError, aiohttp.ClientError, TimeoutError)
UNFINISHED = "I could not finish this answer, so please do not rely on it."
BUFFER = 256
"""Characters per call: chat.appendStream is limited to some hundred calls a minute in a workspace."""
LATE = timedelta(seconds=15)
"""How long after it was sent a call may still reach Slack, although whoever sent it is dead."""
CLOCKS_DIFFER = timedelta(minutes=1)
"""By how much Slack's clock, which a message's ts shows, may be behind ours."""


class AnswerStream:
    """Holds one answer's message: what was given to Slack of it, and whether Slack still takes more."""

    def __init__(self, db: Database, workspace: Workspace, suggestion: Suggestion, *, resumed: bool) -> None:
        self._db = db
        self._workspace = workspace
        self._suggestion = suggestion
        # A process that died may have begun this message: then it is written anew, once and whole.
        self._streams = not resumed
        self._resumed = resumed
        self._stream: AsyncChatStream | None = None
        self._given = ""
        self._newest = ""
        self._ended = False
        self._news = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None

    def show(self, text: str) -> None:
        """Take what may be shown so far. Never waits: a slow Slack must not hold up the model."""
        self._newest = text
        self._news.set()
        if self._writer is None and self._streams and text:
            self._writer = asyncio.create_task(self._write())

    async def close(self) -> None:
        """Write no more."""
        self._ended = True
        self._news.set()
        if self._writer is not None:
            await self._writer

    async def finish(self, messages: Sequence[Message]) -> Stream | None:
        """See to it that the whole answer stands in Slack, once. The first message is the streamed one's whole.

        Returned is a stream whose beginning may still be on its way to Slack: see `settle`.
        """
        await self.close()
        stream = store_answers.open_stream(self._db, self._suggestion.id)
        done = self._stream is not None and len(messages) == 1 and await self._stop(messages[0])
        if not done:
            ts = await begun(self._db, self._workspace, stream) if stream is not None else None
            if ts is not None and not await self._stands():
                await self._replace(ts, messages[0])
            await self._workspace.post_once(
                messages,
                channel_id=self._suggestion.channel_id,
                thread_ts=self._suggestion.thread_ts,
                event_type=ANSWER_EVENT,
                suggestion_id=self._suggestion.id,
                look=self._resumed or ts is not None,
            )
            if stream is not None and ts is None and may_come(stream):
                return stream
        store_answers.record_stream_end(self._db, self._suggestion.id)
        return None

    async def _write(self) -> None:
        while not self._ended:
            await self._news.wait()
            self._news.clear()
            try:
                await self._give(self._newest)
            except SLACK_ERRORS as error:
                # The model goes on, and `finish` puts the whole answer where this one stops.
                log.warning("stream of suggestion %s ended early: %s", self._suggestion.id, _reason(error))
                self._streams = False
                if isinstance(error, SlackApiError) and self._stream is not None and self._stream.ts is None:
                    # Slack said no to its beginning, so there is no message to come back to.
                    store_answers.record_stream_end(self._db, self._suggestion.id)
                return

    async def _give(self, text: str) -> None:
        markdown = harmless.safe_markdown(text)
        # After a cut the model begins anew: what it wrote the first time must come again before more is shown.
        if not markdown.startswith(self._given) or not blocks_answers.fits(markdown):
            return
        if size(markdown) < BUFFER and self._stream is None:
            return
        if self._stream is None:
            store_answers.expect_stream(self._db, self._suggestion)
            self._stream = await self._workspace.client.chat_stream(buffer_size=BUFFER, **self._where())
        more, self._given = markdown[len(self._given) :], markdown
        begins = self._stream.ts is None
        await self._stream.append(markdown_text=more)
        if begins and self._stream.ts is not None:
            store_answers.record_stream(self._db, self._suggestion.id, self._stream.ts)

    def _where(self) -> dict[str, str]:
        suggestion = self._suggestion
        where = {"channel": suggestion.channel_id, "thread_ts": suggestion.thread_ts or ""}
        if suggestion.channel_id.startswith("D"):
            return where
        team_id = suggestion.request.get("user_team") or suggestion.team_id
        return where | {"recipient_user_id": suggestion.requested_by, "recipient_team_id": team_id}

    async def _stop(self, message: Message) -> bool:
        """End the stream with the rest of the text. False: this stream cannot become the whole answer."""
        markdown, notes = blocks_answers.parts(message)
        if self._stream is None or not self._streams or not markdown.startswith(self._given):
            return False
        try:
            await self._stream.stop(
                markdown_text=markdown[len(self._given) :],
                blocks=notes,
                metadata=metadata(ANSWER_EVENT, self._suggestion.id, part=0),
            )
        except SLACK_ERRORS as error:
            log.warning("stream of suggestion %s not stopped: %s", self._suggestion.id, _reason(error))
            return False
        return True

    async def _stands(self) -> bool:
        parts = await self._workspace.posted_parts(
            self._suggestion.channel_id,
            self._suggestion.thread_ts,
            event_type=ANSWER_EVENT,
            suggestion_id=self._suggestion.id,
        )
        return 0 in parts

    async def _replace(self, ts: str, message: Message) -> None:
        await _end(self._workspace, self._suggestion.channel_id, ts)
        text, shown = message
        marked = metadata(ANSWER_EVENT, self._suggestion.id, part=0)
        await _update(self._workspace, self._suggestion.channel_id, ts, text, shown, marked=marked)


async def settle(db: Database, workspace: Workspace, stream: Stream, *, whole: bool) -> None:
    """What becomes of a message that nobody writes any more, once it has surely come.

    `whole`: the whole answer stands in another message. A Slack that does not answer must not stop what comes after:
    that is logged, and a restart tries again.
    """
    if may_come(stream):
        age = datetime.now(UTC) - datetime.fromisoformat(stream.created_at)
        await asyncio.sleep(max(0.0, (LATE - age).total_seconds()))
    try:
        await (_delete if whole else break_off)(db, workspace, stream)
    except DeskError as error:
        log.error("half an answer of suggestion %s still stands: %s", stream.suggestion_id, error)


async def break_off(db: Database, workspace: Workspace, stream: Stream) -> bool:
    """Let a half-written message say that it will not be finished. False: it is not there yet, and may still come."""
    ts = await begun(db, workspace, stream)
    if ts is None and may_come(stream):
        return False
    if ts is not None:
        # A block, since words appended to the text could end up inside a code fence that was never closed.
        shown = blocks_answers.sentence(UNFINISHED)
        try:
            await workspace.call("chat.stopStream", channel=stream.channel_id, ts=ts, blocks=shown)
        except SlackRefused:
            # Slack ends a stream by itself after about five minutes; then only chat.update reaches the message.
            await _update(workspace, stream.channel_id, ts, UNFINISHED, shown)
    store_answers.record_stream_end(db, stream.suggestion_id)
    return True


async def break_off_or_log(db: Database, workspace: Workspace, stream: Stream) -> bool:
    """`break_off`, where the person who waits is told in any case. False: try again when it has surely come."""
    try:
        return await break_off(db, workspace, stream)
    except DeskError as error:
        log.error("half an answer of suggestion %s still stands: %s", stream.suggestion_id, error)
        return True


async def _delete(db: Database, workspace: Workspace, stream: Stream) -> None:
    ts = await begun(db, workspace, stream)
    if ts is not None:
        # Whether Slack deletes a message that is still being streamed is not certain; `begun` has ended it.
        try:
            await workspace.call("chat.delete", channel=stream.channel_id, ts=ts)
        except SlackRefused as error:
            if error.error != "message_not_found":
                raise
    store_answers.record_stream_end(db, stream.suggestion_id)


def may_come(stream: Stream) -> bool:
    """May its beginning still be on its way to Slack?"""
    return stream.ts is None and datetime.now(UTC) - datetime.fromisoformat(stream.created_at) < LATE


async def begun(db: Database, workspace: Workspace, stream: Stream) -> str | None:
    """The message of a stream, looked for in its thread when Slack's answer to its beginning was never read.

    Slack takes no metadata before the end of a stream, and all our other messages carry some. So a message of ours
    without any, from the time when the stream was begun, that no other row names, can only be this one; also when
    it cannot be stopped any more, because Slack has ended it. Of several, which takes two such deaths in one thread,
    the one that can still be stopped, then the one nearest in time.
    """
    if stream.ts is not None:
        return stream.ts
    began = datetime.fromisoformat(stream.created_at)
    our_bot_id = (await workspace.identity()).bot_id
    known = store_answers.known_streams(db, stream.channel_id)
    unmarked = [
        str(message["ts"])
        for message in await workspace.replies(stream.channel_id, stream.thread_ts)
        if message.get("bot_id") == our_bot_id
        and not message.get("metadata")
        and not message.get("subtype")
        and message["ts"] not in known
        and float(message["ts"]) >= (began - CLOCKS_DIFFER).timestamp()
    ]
    unmarked.sort(key=lambda ts: abs(float(ts) - began.timestamp()))
    for ts in unmarked:
        if await _end(workspace, stream.channel_id, ts):
            unmarked = [ts, *unmarked]
            break
    return next((ts for ts in unmarked if store_answers.record_stream(db, stream.suggestion_id, ts)), None)


async def _end(workspace: Workspace, channel_id: str, ts: str) -> bool:
    """Stop a stream as it is. False: it was none any more."""
    try:
        await workspace.call("chat.stopStream", channel=channel_id, ts=ts)
    except SlackRefused:
        return False
    return True


async def _update(
    workspace: Workspace, channel_id: str, ts: str, text: str, shown: list[Json], *, marked: Json | None = None
) -> None:
    clipped = blocks_answers.clipped(text)
    try:
        await workspace.call("chat.update", channel=channel_id, ts=ts, text=clipped, blocks=shown, metadata=marked)
    except SlackRefused as error:
        # Somebody deleted it meanwhile: then no half of it stands anywhere.
        if error.error != "message_not_found":
            raise


def _reason(error: Exception) -> str:
    return str(error.response["error"]) if isinstance(error, SlackApiError) else type(error).__name__
