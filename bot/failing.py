"""What goes wrong with a suggestion → a row, a line in the log, and one sentence for the person who waits."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    wait_chain,
    wait_fixed,
)

from bot import blocks, blocks_answers, blocks_replies, installations, streams
from bot.blocks import Message
from bot.desk import Desk, address_of
from bot.errors import NothingFound, SlackRefused, SlackUnreachable, ThreadMovedOn
from bot.slack import PROACTIVE, Address
from data import store, store_answers, store_replies
from data.errors import NightshiftError
from data.models import Suggestion

log = logging.getLogger(__name__)

TRY_AGAIN_AFTER = (1.0, 5.0, 25.0)
"""Seconds. What is wrong with Slack itself mostly passes in moments."""
PASSING = frozenset({"fatal_error", "internal_error", "service_unavailable", "request_timeout", "ratelimited"})
"""Slack's words for a refusal that says nothing about what was asked (docs.slack.dev, errors of every method)."""


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
    nearest = error.nearest if isinstance(error, NothingFound) else ()
    messages: list[Message] = [blocks_answers.refusal(sentence, nearest)]
    if decision is not None and (decision.posted_ts is not None or decision.kind == "dismissed"):
        # What was decided is done; only the agent's confirmation or the review message is missing.
        log.error("suggestion %s was %s, then failed: %s", suggestion.id, decision.kind, sentence)
        return
    log.warning("suggestion %s failed: %s", suggestion.id, type(error).__name__)
    half_written = store_answers.open_stream(desk.db, suggestion.id)
    if half_written is not None and not await streams.break_off_or_log(desk.db, desk.workspace, half_written):
        desk.in_background(streams.settle(desk.db, desk.workspace, half_written, whole=False))
    waits = decision is not None or suggestion.request.get("kind") != PROACTIVE
    withdrawn = store_replies.withdrawal(desk.db, suggestion.id) is not None
    unsent = decision is not None and decision.text is not None and suggestion.task == "reply" and not withdrawn
    if decision is not None and decision.text is not None and unsent:
        moved = isinstance(error, ThreadMovedOn)
        buttons = blocks_replies.moved_on(suggestion) if moved else blocks.send_again(suggestion)
        messages = blocks_replies.unsent(sentence, decision.text, buttons)
    to = told or address_of(suggestion)
    untold: BaseException | None = None
    if waits:
        say = partial(desk.workspace.whisper, messages, to, replace=told is not None)
        (untold,) = await asyncio.gather(insist(say), return_exceptions=True)
    # Only now: after a crash while it was being told, a restart takes it up again, and nobody waits for nothing.
    store.record_failure(desk.db, suggestion.id, sentence)
    if unsent:
        # Said once, and not tried again at every restart: the text came back with the button that sends it.
        store.remember_request(desk.db, unsent_key(suggestion.id))
    if untold is not None:
        raise untold


async def insist(say: Callable[[], Coroutine[None, None, None]]) -> None:
    """Say something, and again when Slack itself was out of order. Raises what it was at the last time."""
    tries = AsyncRetrying(
        retry=retry_if_exception(_passes),
        wait=wait_chain(*map(wait_fixed, TRY_AGAIN_AFTER)),
        stop=stop_after_attempt(1 + len(TRY_AGAIN_AFTER)),
        before_sleep=_log_again,
        reraise=True,
    )
    async for attempt in tries:
        with attempt:
            await say()


def _log_again(state: RetryCallState) -> None:
    log.warning("said again in %.0f s", state.upcoming_sleep)


def _passes(error: BaseException) -> bool:
    return isinstance(error, SlackUnreachable) or (isinstance(error, SlackRefused) and error.error in PASSING)


def unsent_key(suggestion_id: str) -> str:
    """The key under which the store remembers that an agent was told that a reply is not sent."""
    return f"unsent/{suggestion_id}"


def sentence_of(error: Exception, reference: str) -> str:
    """What a person is told. An unexpected error is a bug: its traceback goes to the log, its reference to them."""
    if isinstance(error, NightshiftError):
        return str(error)
    log.error("bug at %s", reference, exc_info=error)
    return f"Something went wrong on my side; it is in the log as {reference[:8]}. Please try again."
