"""Decisions → acceptance by task, channel and adapter over time. Pure."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from data.models import DecisionKind
from data.store_supervision import Decided

DAYS = 14
BARS = "▁▂▃▄▅▆▇█"
NO_BAR = "·"


@dataclass(frozen=True)
class Acceptance:
    """One row: how often its drafts were used as they were, changed, or dismissed; and day by day, oldest first."""

    name: str
    kinds: dict[DecisionKind, int]
    days: tuple[tuple[int, int], ...]
    """(accepted, decided) of each day."""

    @property
    def decided(self) -> int:
        """All decisions of the row."""
        return sum(self.kinds.values())


def acceptance_by(
    name: Callable[[Decided], str], decisions: Iterable[Decided], *, today: date, days: int = DAYS
) -> list[Acceptance]:
    """A row for each name, the one with the most decisions first."""
    first = today - timedelta(days=days - 1)
    kinds: defaultdict[str, dict[DecisionKind, int]] = defaultdict(lambda: {"accepted": 0, "edited": 0, "dismissed": 0})
    by_day: defaultdict[str, list[list[int]]] = defaultdict(lambda: [[0, 0] for _ in range(days)])
    for found in decisions:
        place = (date.fromisoformat(found.day) - first).days
        if not 0 <= place < days:
            continue
        kinds[name(found)][found.kind] += found.count
        accepted, decided = by_day[name(found)][place]
        by_day[name(found)][place] = [accepted + found.count * (found.kind == "accepted"), decided + found.count]
    rows = [Acceptance(one, kinds[one], tuple((a, d) for a, d in by_day[one])) for one in kinds]
    return sorted(rows, key=lambda row: (-row.decided, row.name))


def bars(days: Sequence[tuple[int, int]]) -> str:
    """A chart in characters: a bar of each day's share of drafts used as they were, a dot for a day without any."""
    return "".join(
        BARS[min(len(BARS) - 1, accepted * len(BARS) // decided)] if decided else NO_BAR for accepted, decided in days
    )


def shares(row: Acceptance) -> str:
    """A row's numbers in words."""
    words = {"accepted": "as drafted", "edited": "edited", "dismissed": "dismissed"}
    parts = [f"{row.kinds[kind] / row.decided:.0%} {words[kind]}" for kind in ("accepted", "edited", "dismissed")]
    return f"{row.decided} {'draft' if row.decided == 1 else 'drafts'}: " + ", ".join(parts)
