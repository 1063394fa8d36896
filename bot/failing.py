"""What goes wrong with a suggestion → a row, a line in the log, and one sentence for the person who waits."""

import asyncio
import logging
from collections.abc import Coroutine

from bot import blocks, blocks_replies, installations, streams
from bot.blocks import Message
from bot.desk import Desk, address_of
from bot.errors import ThreadMovedOn
from bot.slack import PROACTIVE, Address
from data import store, store_answers
from data.errors import NightshiftError
from data.models import Suggestion

log = logging.getLogger(__name__)


async def or_fail(desk: Desk, suggestion: Suggestion, work: Coroutine[None, None, None]) -> None:
    """Do this work; when it fails, tell the person who waits for it."""
    # Bolt's error handler sees to the work that a listener does; this is the same for work without a listener.
    # Here and not inside the work, so that the failure is told in the same workspace.
    installations.enter_team(suggestion.team_id)
    (result,) = await asyncio.gather(work, return_exceptions=True)
    if isinstance(result, Exception):
        (result,) = await asyncio.gather(fail(desk, suggestion, result), return_exceptions=True)
    if isinstance(result, BaseException):
        log.error("suggestion %s: could not tell %s: %r", suggestion.id, suggestion.requested_by, result)


async def fail(desk: Desk, suggestion: Suggestion, error: Exception, *, told: Address | None = None) -> None:
    """Record that work on a suggestion failed, and tell the person who waits for it, in one sentence."""
    sentence = sentence_of(error, suggestion.id)
    suggestion = store.suggestion(desk.db, suggestion.id)
    decision = store.decision(desk.db, suggestion.id)
    messages: list[Message] = [(sentence, blocks.text_sections(sentence))]
    if decision is not None and (decision.posted_ts is not None or decision.kind == "dismissed"):
        # What was decided is done; only the agent's confirmation or the review message is missing.
        log.error("suggestion %s was %s, then failed: %s", suggestion.id, decision.kind, sentence)
        return
    log.warning("suggestion %s failed: %s", suggestion.id, type(error).__name__)
    half_written = store_answers.open_stream(desk.db, suggestion.id)
    if half_written is not None and not await streams.break_off_or_log(desk.db, desk.workspace, half_written):
        desk.in_background(streams.settle(desk.db, desk.workspace, half_written, whole=False))
    store.record_failure(desk.db, suggestion.id, sentence)
    if decision is None and suggestion.request.get("kind") == PROACTIVE:
        # Nobody waits for it.
        return
    if decision is not None and decision.text is not None and suggestion.task == "reply":
        # Said once, and not tried again at every restart: the text comes back with the button that sends it.
        store.remember_request(desk.db, unsent_key(suggestion.id))
        moved = isinstance(error, ThreadMovedOn)
        buttons = blocks_replies.moved_on(suggestion) if moved else blocks.send_again(suggestion)
        messages = blocks_replies.unsent(sentence, decision.text, buttons)
    await desk.workspace.whisper(messages, told or address_of(suggestion), replace=told is not None)


def unsent_key(suggestion_id: str) -> str:
    """The key under which the store remembers that an agent was told that a reply is not sent."""
    return f"unsent/{suggestion_id}"


def sentence_of(error: Exception, reference: str) -> str:
    """What a person is told. An unexpected error is a bug: its traceback goes to the log, its reference to them."""
    if isinstance(error, NightshiftError):
        return str(error)
    log.error("bug at %s", reference, exc_info=error)
    return f"Something went wrong on my side; it is in the log as {reference[:8]}. Please try again."
