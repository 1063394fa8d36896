"""The lines of a summary that agents wrote or deleted, and how they outlive the model's next draft. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from bot.sections import HEADINGS, NOTHING, Section, sections_of
from data.store_summaries import SummaryEdit

Place = tuple[str, str]
"""(heading, line without its case and its full stop)."""


@dataclass(frozen=True)
class Agents:
    """What agents did to a summary and to those it goes on from: their own lines and the model's that they deleted.

    Each with the id of who did it last.
    """

    wrote: dict[Place, str]
    deleted: dict[Place, str]

    def author(self, line: str) -> str | None:
        """Who wrote a line with these words, under whatever heading; None: no agent did."""
        words = plain_line(line)
        return next((by for (_, own), by in self.wrote.items() if own == words), None)


@dataclass(frozen=True)
class Kept:
    """A draft in which the agents' lines stand. `put_back` are those that the model had dropped.

    `dropped` are lines of the model's that an agent had deleted before. Both as (line, who).
    """

    text: str
    put_back: list[tuple[str, str]] = field(default_factory=list)
    dropped: list[tuple[str, str]] = field(default_factory=list)


def agents_of(edits: Sequence[SummaryEdit]) -> Agents:
    """What the edits of a summary, oldest first, amount to."""
    wrote: dict[Place, str] = {}
    deleted: dict[Place, str] = {}
    for edit in edits:
        drafted, said = _places(edit.draft), _places(edit.text)
        if bool(sections_of(edit.draft)) != bool(sections_of(edit.text)):
            # Rewritten in another form: what is not there word for word was not deleted line by line.
            words = {line for _, line in drafted}
            wrote |= {place: edit.edited_by for place in said if place[1] not in words}
            continue
        for place in drafted - said:
            wrote.pop(place, None)
            deleted[place] = edit.edited_by
        for place in said:
            deleted.pop(place, None)
            if place not in drafted:
                wrote[place] = edit.edited_by
    return Agents(wrote, deleted)


def keep(agents: Agents, kept: str, draft: str) -> Kept:
    """The model's draft, with the agents' lines of the kept summary put back and what agents had deleted taken out.

    A line of theirs counts as there when a line of the draft has its words in a row. One that somebody took out of
    the kept summary since is not put back.
    """
    dropped: list[tuple[str, str]] = []
    left = []
    for section in _sections(draft):
        lines = []
        for line in section.lines:
            by = agents.deleted.get((section.heading, plain_line(line)))
            if by is None:
                lines.append(line)
            else:
                dropped.append((line, by))
        left.append((section.heading, lines))
    put_back = []
    for section in _sections(kept):
        before: list[str] = []
        for line in section.lines:
            by = agents.wrote.get((section.heading, plain_line(line)))
            if by is not None and not any(_says(other, line) for _, lines in left for other in lines):
                _insert(left, section.heading, line, before)
                put_back.append((line, by))
            before.append(line)
    if not put_back and not dropped:
        return Kept(draft)
    return Kept("\n".join(_written(heading, lines) for heading, lines in left), put_back, dropped)


def plain_line(text: str) -> str:
    """A line as it is compared with others."""
    return " ".join(text.casefold().split()).rstrip(" .!")


def _sections(text: str) -> list[Section]:
    # An agent may have written without headings, and a model does now and then.
    return sections_of(text) or [Section("", tuple(line.strip() for line in text.splitlines() if line.strip()))]


def _places(text: str) -> set[Place]:
    return {
        (section.heading, plain_line(line))
        for section in _sections(text)
        for line in section.lines
        if not _says_nothing(line)
    }


def _says_nothing(line: str) -> bool:
    return plain_line(line) in NOTHING


def _says(line: str, own: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(plain_line(own))}(?!\w)", plain_line(line)) is not None


def _insert(sections: list[tuple[str, list[str]]], heading: str, line: str, before: Sequence[str]) -> None:
    """Put a line under its heading, behind the nearest of those that stood before it."""
    lines = next((lines for name, lines in sections if name == heading), None)
    if lines is None:
        lines = []
        later = HEADINGS[HEADINGS.index(heading) + 1 :] if heading else HEADINGS
        at = next((n for n, (name, _) in enumerate(sections) if name in later), len(sections))
        sections.insert(at if heading else 0, (heading, lines))
    lines[:] = [one for one in lines if not _says_nothing(one)]
    known = [plain_line(one) for one in lines]
    at = next((known.index(plain_line(one)) + 1 for one in reversed(before) if plain_line(one) in known), 0)
    lines.insert(at, line)


def _written(heading: str, lines: Sequence[str]) -> str:
    if not heading:
        return "\n".join(lines)
    if len(lines) < 2:
        # Nothing under a heading is less than "none", which nobody said.
        return f"{heading}: {lines[0]}" if lines else f"{heading}:"
    return "\n".join([f"{heading}:", *(f"- {line}" for line in lines)])
