"""The model's summary → sections with lines, and what they say is still open. Pure.

The prompt asks for `Customer wants: …`, `Done: …`, `Open: …` and `Next step: …` (data/prompts.py); models answer with
bullets, bold headings, other orders and a polite first line too, and all of it is read.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

HEADINGS = ("Customer wants", "Done", "Open", "Next step")
WANTS, DONE, OPEN, NEXT = HEADINGS

_SPELLINGS = {
    "customer wants": "Customer wants", "what the customer wants": "Customer wants", "customer want": "Customer wants",
    "the customer wants": "Customer wants", "customers want": "Customer wants",
    "done": "Done", "what was done": "Done", "what has been done": "Done",
    "open": "Open", "what is open": "Open", "still open": "Open", "open points": "Open", "open questions": "Open",
    "next step": "Next step", "next steps": "Next step", "the next step": "Next step",
}  # fmt: skip
_NAMES = "|".join(sorted(map(re.escape, _SPELLINGS), key=len, reverse=True))
# `Done: …`, `**Done:** …`, `- Done: …`, `## Done`, `1. *Done*: …`; a bare word is a heading only with its marks.
_HEADING = re.compile(
    rf"^\s*(?:[-*•]\s+|\d+[.)]\s+)?(?P<marks>\#{{1,6}}\s*|[*_]{{1,3}})?(?P<name>{_NAMES})"
    rf"(?P<colon>\s*[*_]{{0,3}}\s*[:\uff1a]\s*[*_]{{0,3}}|\s*[*_]{{1,3}}\s*$|\s*$)(?P<rest>.*)$",
    re.IGNORECASE,
)
_INLINE = re.compile(rf"(?<=[.!?;])\s+(?=(?:[*_]{{1,3}})?(?:{_NAMES})\s*[*_]{{0,3}}:)", re.IGNORECASE)
_BULLET = re.compile(r"^\s*(?:[-*•\u2013]\s+|\d+[.)]\s+)")
NOTHING = frozenset({"none", "nothing", "nothing open", "nothing is open", "no open points", "n/a", "no", "-", "—", ""})
"""What a line under a heading says when nothing is to be said."""


@dataclass(frozen=True)
class Section:
    """One heading and its lines, without bullets. An empty heading holds what stood before the first one."""

    heading: str
    lines: tuple[str, ...]


def sections_of(text: str) -> list[Section]:
    """The sections of a summary in the order of the text, no word lost; empty when the text is not in this form.

    It is in this form when at least two of the headings are there.
    """
    found = _read(text)
    if len({section.heading for section in found} - {""}) < 2:
        # All on one line: `Customer wants: a refund. Done: nothing. Open: …`
        found = _read(_INLINE.sub("\n", text))
    return found if len({section.heading for section in found} - {""}) >= 2 else []


def lines_of(sections: Iterable[Section]) -> list[str]:
    """All lines, in order."""
    return [line for section in sections for line in section.lines]


def open_points(text: str) -> list[str]:
    """What a summary says is open, without its `none`."""
    return [
        line
        for section in sections_of(text)
        if section.heading == OPEN
        for line in section.lines
        if line.casefold().strip(" .!") not in NOTHING
    ]


def _read(text: str) -> list[Section]:
    found: list[tuple[str, list[str]]] = [("", [])]
    for line in text.splitlines():
        heading = _HEADING.match(line)
        if heading and (heading["marks"] or heading["colon"].strip(" *_")):
            found.append((_SPELLINGS[heading["name"].casefold()], _lines([heading["rest"]])))
        else:
            found[-1][1].extend(_lines([line]))
    return [Section(heading, tuple(lines)) for heading, lines in found if heading or lines]


def _lines(lines: Sequence[str]) -> list[str]:
    return [bare for line in lines if (bare := _BULLET.sub("", line).strip())]
