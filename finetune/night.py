"""What a night notes about itself in its run: each step with its seconds, how it ended, and why when it failed."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlite_utils import Database

from data import store
from data.errors import NightshiftError
from data.models import Task

log = logging.getLogger(__name__)


@dataclass
class Night:
    """What a night did. `outcome` is promoted, kept (every incumbent serves on), exported (`exported` is the file for a
    hosted model's fine-tuning) or skipped, with a reason.
    """

    run_id: str
    outcome: str = "running"
    reason: str = ""
    adapter: str | None = None
    promoted: list[Task] = field(default_factory=list)
    held: str = ""
    verdicts: dict[Task, str] = field(default_factory=dict)
    exported: str | None = None
    report: str | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    team: str | None = None
    """Whose adapter it is about; None: everybody's."""
    teams: list["Night"] = field(default_factory=list)
    """What came after it for each team that has pairs enough for an adapter of its own."""


@contextmanager
def recorded(db: Database, night: Night) -> Iterator[None]:
    """Whatever ends the night early is written into its run before it goes on its way."""
    try:
        yield
    except BaseException as failure:
        expected = isinstance(failure, NightshiftError)
        error = str(failure) if expected else f"{type(failure).__name__}: {failure}".rstrip(": ")
        store.update_run(db, night.run_id, status="failed", error=error, seconds=night.seconds)
        raise


@contextmanager
def step(db: Database, night: Night, name: str, **facts: object) -> Iterator[None]:
    """Say, time and record one step of the night."""
    log.info("night %s%s: %s", night.run_id[:8], f", team {night.team}" if night.team else "", name)
    store.update_run(db, night.run_id, status=name, seconds=night.seconds, **facts)
    started = time.monotonic()
    yield
    night.seconds[name] = round(time.monotonic() - started, 2)


def done(db: Database, night: Night, **facts: object) -> Night:
    """Close the run."""
    store.update_run(
        db,
        night.run_id,
        status="done",
        outcome=night.outcome,
        reason=night.reason,
        report=night.report,
        seconds=night.seconds,
        **facts,
    )
    return night
