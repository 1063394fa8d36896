"""What every format is read into: blocks in Markdown, each under its headings. A reader fills one Page."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from data.models import Audience

Kind = Literal["text", "item", "table", "code"]
FENCE = re.compile(r"`{3,}")


class BadDocument(ValueError):
    """Why one file is no document. It never leaves the import."""


class NothingSaid(BadDocument):
    """The file can be read, and says nothing: it is but headings, menus, or lists of links to other pages."""


@dataclass(frozen=True)
class Block:
    """A paragraph, list item, table or piece of code as Markdown, and the headings above it, outermost first."""

    kind: Kind
    text: str
    headings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Upkeep:
    """Who answers for a source, who may read it, and until when it holds (a date, or days after its import)."""

    owner: str | None = None
    audience: Audience | None = None
    stale_after: date | int | None = None


@dataclass(frozen=True)
class Reading:
    """What a file says. `upkeep` is what it says of itself, `faults` which parts of it could not be read, and why."""

    title: str
    blocks: Sequence[Block]
    upkeep: Upkeep = Upkeep()
    url: str | None = None
    faults: dict[str, str] = field(default_factory=dict)


def name_set(written: str) -> frozenset[str]:
    """The names that stand in a text, spaces or lines between them."""
    return frozenset(written.split())


class Page:
    """Gathers blocks, and knows the headings, list items and parts that the next one stands in."""

    def __init__(self, headings: Sequence[str] = ()) -> None:
        self.blocks: list[Block] = []
        self._headings: list[tuple[int, str]] = [(0, heading) for heading in headings]
        self._parts: list[tuple[list[tuple[int, str]], int]] = []
        self._floor = len(self._headings)
        self._items: list[str] = []
        self._label = ""

    def heading(self, level: int, text: str) -> None:
        """From here on, blocks stand under this heading, and no longer under those of its level or below."""
        kept = [one for one in self._headings[self._floor :] if one[0] < level]
        self._headings[self._floor :] = [*kept, (level, text)]

    def open_part(self, name: str) -> None:
        """A part that can be closed again, such as a tab: its name stands above its blocks like a heading."""
        self._parts.append((list(self._headings), self._floor))
        if name:
            self._headings.append((0, name))
        self._floor = len(self._headings)

    def close_part(self) -> None:
        """After it, blocks stand under what stood above the part."""
        if self._parts:
            self._headings, self._floor = self._parts.pop()

    def open_item(self, marker: str) -> None:
        """The next block begins a list item, as `- ` or `3. `."""
        self._items.append(marker)

    def close_item(self) -> None:
        """The item is whole."""
        self._items.pop()

    def label(self, text: str) -> None:
        """The next block is a note of this kind, or has this title: it begins with it."""
        self._label = text

    def drop_label(self) -> str:
        """A label that no block has taken, which it does not have then."""
        label, self._label = self._label, ""
        return label

    def text(self, text: str) -> None:
        """A paragraph, or one of a list item."""
        text = text.strip()
        if not text:
            return
        label = self.drop_label()
        if label:
            text = f"{label}: {text}"
        if not self._items:
            self._add("text", text)
            return
        indent = "".join(" " * len(marker) for marker in self._items[:-1])
        first = indent + self._items[-1]
        self._items[-1] = " " * len(self._items[-1])
        self._add("item", first + text.replace("\n", f"\n{indent}{self._items[-1]}"))

    def code(self, code: str, language: str = "") -> None:
        """Code in a fence that nothing in it closes."""
        code = code.strip("\n").rstrip()
        if not code.strip():
            return
        self._say_label()
        fence = "`" * max(3, *(len(found) + 1 for found in FENCE.findall(code)), 3)
        self._add("code", f"{fence}{language}\n{code}\n{fence}")

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """A table; its first row is the header."""
        rows = [row for row in rows if any(cell.strip() for cell in row)]
        if not rows:
            return
        self._say_label()
        width = max(len(row) for row in rows)
        lines = [_row([*row, *[""] * (width - len(row))]) for row in rows]
        self._add("table", "\n".join([lines[0], _row(["---"] * width), *lines[1:]]))

    def has_blocks_since(self, count: int) -> bool:
        """Was a block added since there were so many?"""
        return len(self.blocks) > count

    def _say_label(self) -> None:
        label = self.drop_label()
        if label:
            self._add("text", f"{label}:")

    def _add(self, kind: Kind, text: str) -> None:
        self.blocks.append(Block(kind, text, tuple(heading for _, heading in self._headings if heading)))


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"
