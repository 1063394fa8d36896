"""What the demo prints: stages with their time, tables, texts side by side. Pure, but for `Stages`."""

import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

WIDTH = 118


class Stages:
    """Tells each stage as it starts and how long it took, and keeps the times for the end."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.took: dict[str, float] = {}

    def since_start(self) -> float:
        """Seconds since the demo started."""
        return time.monotonic() - self.started

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        print(f"\n[{self.since_start():5.0f} s] {title}", flush=True)
        began = time.monotonic()
        yield
        self.took[title] = time.monotonic() - began

    def say(self, text: str) -> None:
        print(f"          {text}", flush=True)

    def table(self) -> str:
        rows = [[title, f"{seconds:.1f} s"] for title, seconds in self.took.items()]
        return table(["stage", "time"], [*rows, ["all", f"{self.since_start():.1f} s"]])


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell; all but the first stand right."""
    widths = [max(len(row[at]) for row in [head, *rows]) for at in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        first, *others = (
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "  " + "   ".join([first, *others])

    rule = "  " + "   ".join("─" * width for width in widths)
    return "\n".join([line(head), rule, *(line(row) for row in rows)])


def side_by_side(asked: str, before: str, after: str) -> str:
    """What a customer wrote, and below it two drafts next to each other."""
    half = (WIDTH - 5) // 2
    left, right = _wrapped("BEFORE\n" + before, half), _wrapped("AFTER\n" + after, half)
    height = max(len(left), len(right))
    left += [""] * (height - len(left))
    right += [""] * (height - len(right))
    question = textwrap.fill(" ".join(asked.split()), WIDTH - 4, initial_indent="  > ", subsequent_indent="  > ")
    rows = [f"  {one.ljust(half)} │ {other}".rstrip() for one, other in zip(left, right, strict=True)]
    return "\n".join([question, *rows])


def share(kept: int, asked: int) -> str:
    """ "12 of 30"."""
    return f"{kept} of {asked}" if asked else "-"


def _wrapped(text: str, width: int) -> list[str]:
    return [piece for line in text.splitlines() for piece in textwrap.wrap(line, width) or [""]]
