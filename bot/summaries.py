"""A summary, from what was said to what is shown: afresh, in parts when it is long, or going on from a kept one."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from sqlite_utils import Database

from bot import drafting
from bot.access import sources_for
from bot.blocks import Message as Shown
from bot.blocks_summary import summary_messages
from bot.errors import SlackRefused, SlackUnreachable
from bot.parts import Outcome, Progress, Writer, in_parts
from bot.provenance import sources_of
from bot.reading import Reading, read
from bot.sections import NOTHING, lines_of, sections_of
from bot.vetting import without_foreign_links
from bot.workspace import Workspace
from data import prompts, store, store_erasure, store_preferences, store_summaries
from data.fencing import HIDDEN
from data.models import BASE, Example, Suggestion, Turn
from data.store_summaries import KeptSummary
from serving import promotion
from serving.engine import Engine


async def draft(
    db: Database,
    engine: Engine,
    workspace: Workspace,
    suggestion: Suggestion,
    *,
    base_model: str,
    slots: asyncio.Semaphore,
    progress: Progress,
) -> tuple[Suggestion, list[str]]:
    """Read, summarise and store; returns the stored draft and remarks for the person who asked.

    Raises EmptyThread, NoBase, ThreadTooLong, and the engine's and Slack's errors.
    """
    reading = await read(workspace, suggestion)
    kept = await _kept(db, workspace, suggestion, reading)
    base = drafting.served_base(db, base_model)
    if kept is not None and kept.read_until >= reading.ends:
        keeper, sources = await workspace.name(kept.kept_by), _sources(kept.text, reading)
        with store.immediate(db):
            drafted = store_summaries.record_kept(db, suggestion.id, kept)
            _record_reading(db, suggestion.id, reading, sources, kept)
        return drafted, [*reading.remarks, f"Nothing new was said since: this is the summary that {keeper} kept."]
    adapter = promotion.adapter_for(db, "summary", base.hash, suggestion.thread_id or suggestion.id)
    context = await engine.max_tokens()
    new_tokens = drafting.longest("summary", context)
    language = store_preferences.preferences(db, suggestion.requested_by).language
    writer = Writer(engine, slots, suggestion.id, adapter, context - new_tokens, new_tokens, language)
    remarks = list(reading.remarks)
    if kept is not None and not await writer.fits(
        prompts.summary_update_messages(kept.text, []), room=writer.room // 2
    ):
        remarks.append("The summary that was kept is too long for the model to go on from, so this is a new one.")
        kept = None
    if kept is not None:
        new = [turn for turn in reading.turns if (turn.ts or "") > kept.read_until]
        outcome = await _updated(writer, new, kept, progress)
        keeper = await workspace.name(kept.kept_by)
        messages = f"{len(new)} new message{'' if len(new) == 1 else 's'}"
        remarks.append(f"This goes on from the summary that {keeper} kept, with {messages}.")
        if gone := left_out(store_summaries.edits(db, kept.suggestion_id), kept.text, outcome.text):
            remarks.append("No longer in it, of what agents wrote there: " + " · ".join(gone))
    else:
        allowed = await sources_for(db, workspace, suggestion)
        examples = drafting.examples_for(db, suggestion, reading.turns, allowed) if adapter == BASE else []
        outcome = await _afresh(writer, reading.turns, examples, progress)
    known = "\n".join([kept.text if kept is not None else "", *(turn.text for turn in reading.turns)])
    outcome = replace(outcome, text=without_foreign_links(HIDDEN.sub("", outcome.text), known))
    sources = _sources(outcome.text, reading)
    with store.immediate(db):
        drafted = store.record_draft(
            db,
            suggestion.id,
            messages=outcome.messages,
            draft=outcome.text,
            base=base.hash,
            adapter=outcome.adapter,
            # Whoever erases a text must find the prompts that it stands in.
            pair_ids=[kept.suggestion_id] if kept else [example.pair_id for example in outcome.examples],
        )
        _record_reading(db, suggestion.id, reading, sources, kept)
        store_erasure.record_people(db, suggestion.id, (turn.user_id for turn in reading.turns))
    return drafted, [*remarks, *outcome.remarks]


async def body(db: Database, workspace: Workspace, suggestion: Suggestion, text: str) -> list[Shown]:
    """A summary's text as sections whose lines link to their messages; empty when it has no such form.

    `text` may be an agent's edit: the lines that were left as drafted keep their links.
    """
    lines = lines_of(sections_of(suggestion.draft or ""))
    sources = {lines[n]: ts for n, ts in store_summaries.source_lines(db, suggestion.id).items() if n < len(lines)}
    shown = set(lines_of(sections_of(text)))
    wanted = sorted({ts for line, ts in sources.items() if line in shown})
    # A message that was deleted since has no address; its line is shown without one.
    found = await asyncio.gather(
        *(workspace.permalink(suggestion.channel_id, ts) for ts in wanted), return_exceptions=True
    )
    links = {}
    for ts, link in zip(wanted, found, strict=True):
        if isinstance(link, BaseException) and not isinstance(link, SlackRefused | SlackUnreachable):
            raise link
        if isinstance(link, str):
            links[ts] = link
    return summary_messages(text, {line: links[ts] for line, ts in sources.items() if ts in links})


# Going on from what an agent kept


async def _kept(db: Database, workspace: Workspace, suggestion: Suggestion, reading: Reading) -> KeptSummary | None:
    # An agent's own words may hold what is not for everybody in the channel.
    if await workspace.role(suggestion.requested_by) is None:
        return None
    kept = store_summaries.kept_summary(
        db,
        team_id=suggestion.team_id,
        channel_id=suggestion.channel_id,
        thread_ts=suggestion.thread_ts,
        span=reading.span,
    )
    # What was kept of another day, or of messages before the span, says nothing about this one.
    return kept if kept is not None and kept.read_until >= reading.begins else None


async def _updated(writer: Writer, new: Sequence[Turn], kept: KeptSummary, progress: Progress) -> Outcome:
    messages = prompts.summary_update_messages(kept.text, new)
    if await writer.fits(messages):
        return await writer.write(messages)
    return await in_parts(writer, new, progress, kept=kept.text)


def left_out(edits: Sequence[tuple[str, str]], kept: str, text: str) -> list[str]:
    """The lines of a kept summary that its agents wrote, and that the model did not keep word for word. Pure."""
    drafted = {_plain(line) for draft, _ in edits for line in _lines(draft)}
    own = {_plain(line) for _, said in edits for line in _lines(said)} - drafted - NOTHING
    now = _plain(text)
    return [line for line in _lines(kept) if _plain(line) in own and _plain(line) not in now]


def _lines(text: str) -> list[str]:
    return lines_of(sections_of(text)) or [line.strip() for line in text.splitlines() if line.strip()]


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(" .!")


def _sources(text: str, reading: Reading) -> dict[int, str]:
    found = sources_of(sections_of(text), reading.turns)
    return {n: turn.ts for n, turn in enumerate(found) if turn is not None and turn.ts}


def _record_reading(
    db: Database, suggestion_id: str, reading: Reading, sources: dict[int, str], kept: KeptSummary | None
) -> None:
    store_summaries.record_reading(
        db,
        suggestion_id,
        span=reading.span,
        read_until=reading.ends,
        sources=sources,
        thread_id=kept.thread_id if kept is not None else "",
    )


# Afresh, at once or in parts


async def _afresh(writer: Writer, turns: Sequence[Turn], examples: Sequence[Example], progress: Progress) -> Outcome:
    for count in range(len(examples), -1, -1):
        messages = prompts.summary_messages(turns, examples[:count])
        if await writer.fits(messages):
            return replace(await writer.write(messages), examples=list(examples[:count]))
    return await in_parts(writer, turns, progress)
