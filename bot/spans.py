"""How much of a channel `/summarize` reads: what a person types → a span → moments in time. Pure."""

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta, timezone, tzinfo
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

Kind = Literal["last", "hours", "days", "today", "yesterday"]

MOST: dict[Kind, int] = {"last": 1000, "hours": 31 * 24, "days": 31, "today": 1, "yesterday": 1}
"""A month: older than that, a channel is many pages of conversations.history and no model reads them well."""

UNITS: dict[str, Kind] = {
    "h": "hours", "hour": "hours", "hours": "hours", "d": "days", "day": "days", "days": "days",
    "": "last", "message": "last", "messages": "last",
}  # fmt: skip


@dataclass(frozen=True)
class Span:
    """The newest `count` messages, hours or days; or a calendar day where the person lives."""

    kind: Kind
    count: int = 1

    @property
    def word(self) -> str:
        """One spelling for every way to type the same span."""
        if self.kind in ("today", "yesterday"):
            return self.kind
        return f"last {self.count}" if self.kind == "last" else f"{self.count}{self.kind[0]}"

    @property
    def is_day(self) -> bool:
        """Does it hang on where the person lives?"""
        return self.kind in ("today", "yesterday")


LATEST = Span("last", 50)
"""What `/summarize` alone reads."""


@dataclass(frozen=True)
class Window:
    """Seconds since 1970, both ends included. `latest` None: until now."""

    oldest: float
    latest: float | None = None


def parse_span(text: str) -> Span | None:
    """The span that somebody typed, None when it is none: `2d`, `12 hours`, `today`, `last 50`; nothing is `LATEST`."""
    words = " ".join(text.casefold().split())
    if not words:
        return LATEST
    if words == "today" or words == "yesterday":
        return Span(words)
    found = re.fullmatch(r"(last )?([0-9]{1,6}) ?([a-z]*)", words)
    if found is None or found[3] not in UNITS or not (found[1] or found[3]):
        return None
    kind, count = UNITS[found[3]], int(found[2])
    return Span(kind, count) if 1 <= count <= MOST[kind] else None


def window_of(span: Span, now: datetime) -> Window | None:
    """The moments of a span, for a person whose clock shows `now`; None when it counts messages, not time.

    A day begins at the person's midnight, and is 23 or 25 hours long where clocks change.
    """
    if span.kind == "last":
        return None
    if not span.is_day:
        return Window((now - timedelta(**{span.kind: span.count})).timestamp())
    midnight = _midnight(now, days_ago=0)
    return Window(midnight) if span.kind == "today" else Window(_midnight(now, days_ago=1), midnight - 1e-6)


def zone_of(name: str | None, offset: int | None) -> tzinfo:
    """A person's zone from users.info: `tz`, or by `tz_offset` seconds when this machine does not know the name."""
    try:
        return ZoneInfo(name or "")
    except (ZoneInfoNotFoundError, ValueError):
        return timezone(timedelta(seconds=offset or 0))


def _midnight(now: datetime, *, days_ago: int) -> float:
    return datetime.combine(now.date() - timedelta(days=days_ago), time.min, tzinfo=now.tzinfo).timestamp()
