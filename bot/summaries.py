"""A summary, from what was said to what is shown: afresh, in parts when it is long, or going on from a kept one."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from sqlite_utils import Database

from bot import drafting, own_lines
from bot.access import sources_for
from bot.blocks import Message as Shown
from bot.blocks_summary import summary_messages
from bot.errors import SlackRefused, SlackUnreachable
from bot.parts import Outcome, Progress, Writer, in_parts
from bot.provenance import sources_of
from bot.reading import Reading, read
from bot.sections import lines_of, sections_of
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
        keeper, sources = await workspace.name(kept.kept_by), _sources(db, kept.text, reading, kept)
        with store.immediate(db):
            drafted = store_summaries.record_kept(db, suggestion.id, kept)
            _record_reading(db, suggestion.id, reading, sources, kept)
        return drafted, [*reading.remarks, f"Nothing new was said since: this is the summary that {keeper} kept."]
    adapter = promotion.adapter_for(db, "summary", base.hash, suggestion.thread_id or suggestion.id, suggestion.team_id)
    context = await engine.max_tokens()
    new_tokens = drafting.longest("summary", context)
    language = store_preferences.preferences(db, suggestion.requested_by).language
    writer = Writer(engine, slots, suggestion.id, adapter, context - new_tokens, new_tokens, language)
    remarks = list(reading.remarks)
    goes_on = kept is not None and await writer.fits(
        prompts.summary_update_messages(kept.text, []), room=writer.room // 2
    )
    if kept is not None and not goes_on:
        remarks.append("The summary that was kept is too long for the model to go on from, so this is a new one.")
    if kept is not None and goes_on:
        new = [turn for turn in reading.turns if (turn.ts or "") > kept.read_until]
        outcome = await _updated(writer, new, kept, progress)
        keeper = await workspace.name(kept.kept_by)
        messages = f"{len(new)} new message{'' if len(new) == 1 else 's'}"
        remarks.append(f"This goes on from the summary that {keeper} kept, with {messages}.")
    else:
        allowed = await sources_for(db, workspace, suggestion)
        examples = drafting.examples_for(db, suggestion, reading.turns, allowed) if adapter == BASE else []
        outcome = await _afresh(writer, reading.turns, examples, progress)
    known = "\n".join([kept.text if kept is not None else "", *(turn.text for turn in reading.turns)])
    text = without_foreign_links(HIDDEN.sub("", outcome.text), known)
    if kept is not None:
        edited = own_lines.keep(own_lines.agents_of(store_summaries.edits(db, kept.suggestion_id)), kept.text, text)
        text = edited.text
        remarks += [remark async for remark in _told(workspace, edited)]
    sources = _sources(db, text, reading, kept)
    with store.immediate(db):
        drafted = store.record_draft(
            db,
            suggestion.id,
            messages=outcome.messages,
            draft=text,
            base=base.hash,
            adapter=outcome.adapter,
            # Whoever erases a text must find the prompts and the drafts that it stands in.
            pair_ids=[example.pair_id for example in outcome.examples] + ([kept.suggestion_id] if kept else []),
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
    # Lines that came from what this agent or another wrote before, not those of the edit that is just being shown.
    earlier = [edit for edit in store_summaries.edits(db, suggestion.id) if edit.suggestion_id != suggestion.id]
    agents = own_lines.agents_of(earlier)
    authors = {line: by for line in shown if (by := agents.author(line)) is not None}
    names = {by: await workspace.name(by) for by in set(authors.values())}
    return summary_messages(
        text,
        {line: links[ts] for line, ts in sources.items() if ts in links},
        {line: names[by] for line, by in authors.items()},
    )


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


async def _told(workspace: Workspace, edited: own_lines.Kept) -> AsyncIterator[str]:
    """What our own code did to the model's draft, for its agents' sake."""
    if edited.put_back:
        names = await _names(workspace, edited.put_back)
        lines = "One line" if len(edited.put_back) == 1 else f"{len(edited.put_back)} lines"
        yield (
            f"{lines} of {names} that the new draft did not have {'is' if len(edited.put_back) == 1 else 'are'} kept "
            "word for word: press Edit to remove what no longer holds."
        )
    if edited.dropped:
        names = await _names(workspace, edited.dropped)
        yield f"Left out again, as {names} had deleted it: " + " · ".join(line for line, _ in edited.dropped)


async def _names(workspace: Workspace, lines: Sequence[tuple[str, str]]) -> str:
    return " and ".join([await workspace.name(by) for by in dict.fromkeys(by for _, by in lines)])


def _sources(db: Database, text: str, reading: Reading, kept: KeptSummary | None) -> dict[int, str]:
    """Line of a text → ts of its message; a line of the kept summary has the one that it had there."""
    sections = sections_of(text)
    found = sources_of(sections, reading.turns)
    had: dict[str, str] = {}
    if kept is not None:
        before = lines_of(sections_of(store.suggestion(db, kept.suggestion_id).draft or ""))
        earlier = store_summaries.source_lines(db, kept.suggestion_id)
        had = {own_lines.plain_line(before[n]): ts for n, ts in earlier.items() if n < len(before)}
    known = [
        had.get(own_lines.plain_line(line)) or (turn.ts if turn is not None else None)
        for line, turn in zip(lines_of(sections), found, strict=True)
    ]
    return {n: ts for n, ts in enumerate(known) if ts}


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
