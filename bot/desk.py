"""The agents' desk: a request becomes a draft, a draft a decision, a decision a posted reply.

A suggestion's row is the queue: `run` carries it from `requested` over `drafted` to `shown`, `post` carries a
decision to Slack, and resuming.py takes both up where a crash left them.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Coroutine

from sqlite_utils import Database

from bot import (
    beside,
    blocks,
    blocks_answers,
    blocks_feedback,
    blocks_replies,
    blocks_review,
    drafting,
    grounding,
    streams,
    summaries,
)
from bot.access import expect_allowed, sources_for
from bot.blocks import Message
from bot.errors import ThreadMovedOn
from bot.messages import REPLY_EVENT, REVIEW_EVENT
from bot.parts import Progress
from bot.slack import PROACTIVE, Address, Request
from bot.streams import AnswerStream
from bot.working import waited_for, working
from bot.workspace import Workspace
from data import store, store_answers, store_desk, store_erasure, store_names, store_replies
from data.errors import DeskError, EmptyText, EmptyThread
from data.models import Decision, Suggestion, Turn
from serving.engine import Engine

log = logging.getLogger(__name__)

ENGINE_SLOTS = 8
"""Completions asked for at once; vLLM batches them, and more would only time out in its queue."""
EARLIER_ANSWERS = 3
"""Questions of a thread that a follow-up is read with."""


class Desk:
    """Holds what the work needs, the slots of the engine, and one lock per channel that is posted to."""

    def __init__(
        self, db: Database, engine: Engine, workspace: Workspace, *, base_model: str, review_channel: str
    ) -> None:
        self.db = db
        self.engine = engine
        self.workspace = workspace
        self.base_model = base_model
        self.review_channel = review_channel
        self._slots = asyncio.Semaphore(ENGINE_SLOTS)
        self._posting: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.rating: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        """Held per channel by who makes ratings of the thumbs there, so that they count in their order."""
        self.being_posted: set[str] = set()
        """Suggestions whose replies are on their way to Slack: too late to let them be, too early to delete them."""
        self._background: set[asyncio.Task[None]] = set()
        self.telling = asyncio.Lock()
        """Held by who tells people that a gap is closed, so that nobody is told twice."""

    # From a request to a draft that is seen

    def remember(self, request: Request) -> Suggestion | None:
        """Store a request before it is acked. None: it came before."""
        return store.request_suggestion(
            self.db,
            request_key=request.key,
            task=request.task,
            team_id=request.team_id,
            channel_id=request.channel_id,
            thread_ts=request.thread_ts,
            requested_by=request.user_id,
            request=request.details,
        )

    def see_thread(self, team_id: str, channel_id: str, thread_ts: str) -> None:
        """Let the store decide, once and for good, whether this thread is held out."""
        store.see_thread(
            self.db,
            store.thread_id_of(team_id, channel_id, thread_ts),
            source="slack",
            team_id=team_id,
            channel_id=channel_id,
            thread_ts=thread_ts,
        )

    async def run(self, suggestion: Suggestion, *, resumed: bool = False) -> None:
        """Carry a suggestion to where it is shown. Raises what must be told to the person (see `fail`)."""
        if suggestion.request["kind"] in ("mention", "direct"):
            await self._answer(suggestion, resumed=resumed)
            return
        remarks: list[str] = []
        if suggestion.state == "requested":
            async with waited_for(self.workspace, suggestion, address_of(suggestion), resumed=resumed) as progress:
                await expect_allowed(self.db, self.workspace, suggestion)
                suggestion = await beside.in_its_thread(self.db, self.workspace, suggestion)
                if suggestion.task == "summary":
                    suggestion, remarks = await self._summarise(suggestion, progress)
                else:
                    suggestion, remarks = await self._draft(suggestion)
        await self._show(suggestion, remarks=remarks, look=resumed)
        store.record_shown(self.db, suggestion.id)

    async def _answer(self, suggestion: Suggestion, *, resumed: bool) -> None:
        """Answer where everybody in the thread sees it, and while it is being written."""
        remarks: list[str] = []
        stream = AnswerStream(self.db, self.workspace, suggestion, resumed=resumed)
        async with working(self.workspace, suggestion.channel_id, suggestion.thread_ts, "is looking it up…"):
            try:
                if suggestion.state == "requested":
                    await expect_allowed(self.db, self.workspace, suggestion)
                    suggestion, remarks = await self._draft(suggestion, show=stream.show)
            finally:
                await stream.close()
            titles = store_desk.source_titles(self.db, suggestion.id)
            rated = await self._is_rated(suggestion)
            below = blocks_answers.more(suggestion)
            below += blocks_feedback.under_answer(suggestion, suggestion.draft or "") if rated else []
            whole = blocks_answers.messages(suggestion, titles=titles, remarks=remarks, below=below)
            late = await stream.finish(whole)
        store.record_shown(self.db, suggestion.id)
        if late is not None:
            self.in_background(streams.settle(self.db, self.workspace, late, whole=True))

    async def _is_rated(self, suggestion: Suggestion) -> bool:
        """Does anybody who may rate read this answer? In a thread, who of its readers may is asked when they do."""
        if not suggestion.channel_id.startswith("D"):
            return True
        try:
            return await self.workspace.role(suggestion.requested_by) is not None
        except DeskError as error:
            # Slack does not say: no answer fails for want of its buttons.
            log.warning("no feedback buttons under suggestion %s: %s", suggestion.id, error)
            return False

    async def _draft(
        self, suggestion: Suggestion, *, show: Callable[[str], None] | None = None
    ) -> tuple[Suggestion, list[str]]:
        turns, said = await self._read(suggestion)
        if suggestion.request["kind"] == PROACTIVE and turns[-1].speaker == "agent":
            raise DeskError("An agent has answered in the meantime.")
        sources = await sources_for(self.db, self.workspace, suggestion)
        async with self._slots:
            draft = await drafting.draft(
                self.db, self.engine, suggestion, turns, sources=sources, base_model=self.base_model, show=show
            )
        with store.immediate(self.db):
            drafted = store.record_draft(
                self.db,
                suggestion.id,
                messages=draft.prompt.messages,
                draft=draft.text,
                base=draft.base,
                adapter=draft.adapter,
                pair_ids=[example.pair_id for example in draft.prompt.examples],
                chunk_ids=[passage.chunk_id for passage in draft.prompt.passages],
            )
            if turns[-1].ts is not None:
                store_replies.record_drafted_from(self.db, suggestion.id, turns[-1].ts, said)
            # So that they are masked before anything is learned from this thread.
            store_names.record_names(self.db, self.workspace.known_names())
            # And that they can be erased with it.
            store_erasure.record_people(self.db, suggestion.id, (turn.user_id for turn in turns))
        return drafted, draft.remarks

    async def _summarise(self, suggestion: Suggestion, progress: Progress) -> tuple[Suggestion, list[str]]:
        return await summaries.draft(
            self.db,
            self.engine,
            self.workspace,
            suggestion,
            base_model=self.base_model,
            slots=self._slots,
            progress=progress,
        )

    async def _read(self, suggestion: Suggestion) -> tuple[list[Turn], dict[str, str]]:
        """The turns to draft from, and what the customers said in them (see Workspace.read_thread)."""
        if suggestion.task == "answer":
            question = suggestion.request["text"].strip()
            if not question:
                raise EmptyText("Ask me a question, for example: how do I reset a password?")
            earlier = store_answers.earlier_turns(self.db, suggestion, limit=EARLIER_ANSWERS)
            return [*earlier, Turn("customer", question)], {}
        turns, said = await self.workspace.read_thread(suggestion.channel_id, suggestion.thread_ts or "")
        if not turns:
            raise EmptyThread("There is no text here that I could read, so there is nothing to draft from.")
        return turns, said

    async def _show(self, suggestion: Suggestion, *, remarks: list[str], look: bool) -> None:
        titles = store_desk.source_titles(self.db, suggestion.id)
        if suggestion.request["kind"] == PROACTIVE:
            remarks = [blocks_replies.unasked(suggestion.request["text"]), *remarks]
        deciding = await self.workspace.role(suggestion.requested_by) is not None
        body = await self.body(suggestion, suggestion.draft or "")
        below = blocks_feedback.under_answer(suggestion, suggestion.draft or "") if deciding else []
        shown = blocks.draft_messages(
            suggestion,
            titles=titles,
            remarks=remarks,
            buttons=deciding,
            body=body,
            below=[*blocks_answers.more(suggestion), *below],
        )
        if suggestion.request["kind"] == beside.KIND:
            await beside.show(self.workspace, suggestion, shown, address_of(suggestion), look=look)
            return
        await self.workspace.whisper(shown, address_of(suggestion))

    async def body(self, suggestion: Suggestion, text: str) -> list[Message]:
        """A text of this suggestion as its task shows it; empty where it is shown as it is."""
        if suggestion.task == "answer":
            return blocks.messages_of(grounding.short(text))
        if suggestion.task != "summary":
            return []
        return await summaries.body(self.db, self.workspace, suggestion, text)

    # From a decision to a reply that is posted

    async def post(self, suggestion: Suggestion, decision: Decision, *, look: bool, anyway: bool = False) -> bool:
        """Post the reply that was decided on, once. False: it was there already.

        `look`: an earlier try may have reached Slack, so look there first. `anyway`: the agent knows that the
        thread has moved on. Raises ThreadMovedOn.
        """
        channel_id = suggestion.channel_id
        # Held until the row is written: a reaction on the new message waits for it (see ratings).
        async with self._posting[channel_id]:
            newest = store.decision(self.db, suggestion.id)
            if newest is not None and newest.posted_ts is not None:
                return False
            if store_replies.withdrawal(self.db, suggestion.id) is not None:
                raise DeskError("This reply was taken back before it was sent.")
            self.being_posted.add(suggestion.id)
            try:
                if not anyway:
                    await self._expect_unmoved(suggestion)
                sender = await self.workspace.name(decision.decided_by)
                posted_ts = await self.workspace.post_once(
                    blocks.reply_messages(decision.text or "", sender=sender),
                    channel_id=channel_id,
                    thread_ts=suggestion.thread_ts,
                    event_type=REPLY_EVENT,
                    suggestion_id=suggestion.id,
                    look=look,
                )
                store.record_posted(self.db, suggestion.id, posted_ts)
            finally:
                self.being_posted.discard(suggestion.id)
        return True

    async def _expect_unmoved(self, suggestion: Suggestion) -> None:
        read = store_replies.drafted_from(self.db, suggestion.id)
        if read is None or suggestion.thread_ts is None:
            return
        news = await self.workspace.news(
            suggestion.channel_id, suggestion.thread_ts, since=read.newest_ts, knowing=read.said, but=suggestion.id
        )
        if any(news):
            raise ThreadMovedOn(*news)

    async def unpost(self, suggestion: Suggestion) -> None:
        """Delete a reply that was taken back, and what asks supervisors about it."""
        for channel_id, thread_ts, event_type in (
            (suggestion.channel_id, suggestion.thread_ts, REPLY_EVENT),
            (self.review_channel, None, REVIEW_EVENT),
        ):
            if not channel_id:
                continue
            # What is being posted there just now is waited for, and then found.
            async with self._posting[channel_id]:
                await self.workspace.delete_posted(
                    channel_id=channel_id, thread_ts=thread_ts, event_type=event_type, suggestion_id=suggestion.id
                )
        store_replies.record_deleted(self.db, suggestion.id)

    async def review(self, suggestion: Suggestion, *, look: bool) -> None:
        """Ask the supervisors for their thumbs on a reply that was posted or dismissed, once."""
        decision = store.decision(self.db, suggestion.id)
        seen_ts = decision and (suggestion.thread_ts if decision.kind == "dismissed" else decision.posted_ts)
        if not self.review_channel or suggestion.task != "reply" or decision is None or seen_ts is None:
            return
        if store_replies.withdrawal(self.db, suggestion.id) is not None:
            return
        sender = await self.workspace.name(decision.decided_by)
        link = await self.workspace.permalink(suggestion.channel_id, seen_ts)
        async with self._posting[self.review_channel]:
            if store_replies.withdrawal(self.db, suggestion.id) is not None:
                return
            await self.workspace.post_once(
                blocks_review.review_messages(suggestion, decision, sender=sender, link=link),
                channel_id=self.review_channel,
                thread_ts=None,
                event_type=REVIEW_EVENT,
                suggestion_id=suggestion.id,
                look=look,
            )
        store.remember_request(self.db, review_key(suggestion.id))

    async def settled(self, channel_id: str, *, seconds: float) -> None:
        """Wait, but not for long, until what is being posted in this channel is in the store."""
        lock = self._posting[channel_id]
        if not lock.locked():
            return
        try:
            async with asyncio.timeout(seconds), lock:
                pass
        except TimeoutError:
            log.warning("posting in %s takes long", channel_id)

    # Beside everything else

    def in_background(self, work: Coroutine[None, None, None]) -> None:
        """Begin this work and wait for nothing."""
        # Held until it is done: the event loop alone would let it be collected half done.
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._background.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("bug in the background", exc_info=task.exception())


def address_of(suggestion: Suggestion) -> Address:
    """Where the person who asked for a suggestion sees it."""
    request = suggestion.request
    return Address(
        channel_id=request.get("asked_in", suggestion.channel_id),
        user_id=suggestion.requested_by,
        thread_ts=request.get("shown_in", ""),
        response_url=request.get("response_url", ""),
    )


def review_key(suggestion_id: str) -> str:
    """The key under which the store remembers that supervisors were asked."""
    return f"review/{suggestion_id}"
