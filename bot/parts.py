"""A conversation longer than the model's context → one summary: summarise the parts, then the summaries."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from bot import drafting
from bot.errors import ThreadTooLong, TooMuchToRead
from bot.provenance import unmentioned
from bot.sections import open_points
from data import prompts
from data.models import Example, Message, Turn
from serving.engine import Engine

SHORTEST_CUT = 200
"""Characters of one message that are not cut further: a context that does not hold them holds no summary."""

MOST_PARTS = 100
"""More would hold half of the engine's slots for longer than the person waits."""
CALLS_AT_ONCE = 4
"""Fewer than the engine's slots, so that a long summary leaves room for others' drafts."""
TOLD_HALFWAY = 4
"""So many parts take long enough for a second sign of life."""

T = TypeVar("T")
Progress = Callable[[str], Awaitable[None]]


@dataclass(frozen=True)
class Note:
    """The summary of one part, and every point that was open in it."""

    text: str
    open: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """The text, the prompt of the call that wrote it, and what the person should know about both."""

    messages: list[Message]
    text: str
    adapter: str
    examples: list[Example] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    cut: bool = False


@dataclass(frozen=True)
class Writer:
    """What every call to the model needs. `room` is for the prompt, in tokens; the answer's are set apart.

    `language` is the one that the person who asked reads, empty for the conversation's own.
    """

    engine: Engine
    slots: asyncio.Semaphore
    suggestion_id: str
    adapter: str
    room: int
    new_tokens: int
    language: str = ""
    at_once: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CALLS_AT_ONCE))

    async def fits(self, messages: Sequence[Message], *, room: int | None = None) -> bool:
        return await self.tokens(messages) <= (room or self.room)

    async def tokens(self, messages: Sequence[Message]) -> int:
        return await self.engine.count_tokens(prompts.summary_in(messages, self.language))

    async def write(self, messages: Sequence[Message]) -> Outcome:
        asked = prompts.summary_in(messages, self.language)
        async with self.at_once, self.slots:
            written = await drafting.write(
                self.engine, self.suggestion_id, asked, adapter=self.adapter, max_tokens=self.new_tokens
            )
        text, cut = drafting.said(written.completion.text), written.completion.finish_reason in drafting.CUT
        return Outcome(asked, text, written.adapter, remarks=written.remarks, cut=cut)


async def in_parts(writer: Writer, turns: Sequence[Turn], progress: Progress, *, kept: str = "") -> Outcome:
    """Summarise each part, then the summaries. What was open in any part is in the result or in its remarks."""
    parts = await _parts(writer, turns)
    count = len(parts)
    if count > MOST_PARTS:
        raise TooMuchToRead(count, MOST_PARTS)
    if count > 1:
        await progress(f"This is long, so I read it in {count} parts. The summary will appear below.")
    done = 0

    async def summary_of(part: Sequence[Turn]) -> Outcome:
        nonlocal done
        outcome = await writer.write(prompts.summary_messages(part))
        done += 1
        # A response_url works five times, and what it has shown stays: one sign of life on the way is enough.
        if count >= TOLD_HALFWAY and done == count // 2:
            await progress(f"{done} of {count} parts are read.")
        return outcome

    outcomes = await _all_or_none(map(summary_of, parts))
    notes = [Note(one.text, tuple(open_points(one.text))) for one in outcomes]
    carried = [point for note in notes for point in note.open]
    outcome = await writer.write(await _joining(writer, notes, kept))
    remarks = [f"It was too long to be read at once: read in {count} parts."] if count > 1 else []
    remarks += outcome.remarks
    ended_early = sum(one.cut for one in outcomes)
    if ended_early:
        remarks.append(f"What was noted of {ended_early} parts was cut before its end: something may be missing.")
    missing = unmentioned(carried, outcome.text)
    if missing:
        remarks.append("Also open in one of the parts, and perhaps settled since: " + " · ".join(missing))
    return replace(outcome, remarks=remarks)


async def _joining(writer: Writer, notes: list[Note], kept: str) -> list[Message]:
    """The prompt that joins all notes; where they do not fit, neighbours are joined first."""
    while True:
        for carry in (True, False):
            messages = prompts.summary_join_messages([_told(note, carry=carry) for note in notes], kept=kept)
            if await writer.fits(messages):
                return messages
        # Two neighbours alone are what joining neighbours would ask for again.
        if len(notes) < (2 if kept else 3):
            raise ThreadTooLong(await writer.tokens(messages), writer.room)
        pairs = [notes[n : n + 2] for n in range(0, len(notes), 2)]
        notes = await _all_or_none(_joined(writer, pair) for pair in pairs)


async def _joined(writer: Writer, notes: list[Note]) -> Note:
    if len(notes) == 1:
        return notes[0]
    outcome = await writer.write(await _joining(writer, notes, ""))
    return Note(outcome.text, tuple(point for note in notes for point in note.open))


def _told(note: Note, *, carry: bool) -> str:
    """A note as a part of the prompt, with what was open in it and did not come through an earlier joining."""
    lost = unmentioned(note.open, note.text) if carry else []
    return "\n".join([note.text, *(f"Open: {point}" for point in lost)])


async def _parts(writer: Writer, turns: Sequence[Turn]) -> list[Sequence[Turn]]:
    """The turns in as few parts as fit, roughly. Raises ThreadTooLong when not even a short message fits."""
    tokens = await writer.tokens(prompts.summary_messages(turns))
    if tokens <= writer.room:
        return [turns]
    if len(turns) == 1 and len(turns[0].text) <= SHORTEST_CUT:
        raise ThreadTooLong(tokens, writer.room)
    pieces = cut(turns, max(2, math.ceil(tokens / writer.room)))
    return [part for piece in pieces for part in await _parts(writer, piece)]


async def _all_or_none(work: Iterable[Coroutine[None, None, T]]) -> list[T]:
    """All results, in order. The first error ends what is still under way: nobody will read it."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()


def cut(turns: Sequence[Turn], pieces: int) -> list[list[Turn]]:
    """The turns in about so many parts of about the same length, none empty; a message longer than a part is cut.

    No word is lost. Pure.
    """
    share = max(1, math.ceil(sum(len(turn.text) for turn in turns) / pieces))
    parts: list[list[Turn]] = [[]]
    length = 0
    for turn in (short for whole in turns for short in _cut_turn(whole, share)):
        if parts[-1] and length + len(turn.text) > share:
            parts.append([])
            length = 0
        parts[-1].append(turn)
        length += len(turn.text)
    return parts


def _cut_turn(turn: Turn, longest: int) -> list[Turn]:
    found, rest = [], turn.text
    while len(rest) > longest:
        space = rest.rfind(" ", longest // 2, longest + 1)
        at = space if space > 0 else longest
        found.append(replace(turn, text=rest[:at].rstrip()))
        rest = rest[at:].lstrip()
    return [*found, replace(turn, text=rest)]
