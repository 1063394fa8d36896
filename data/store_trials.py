"""Trials of promoted adapters: who drafts on which thread meanwhile, and what agents decided about both."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlite_utils import Database

from data.models import Task
from data.store_connection import dumps, iso, now, row, rows

DAYS_BEFORE = 30
"""Where every thread is drafted by the adapter on trial, what agents decided about the one before in so many days."""


@dataclass(frozen=True)
class Trial:
    """An open trial. `share` of the threads is drafted by `adapter`, the others by `incumbent`."""

    promotion_id: int
    task: Task
    base: str
    adapter: str
    incumbent: str
    share: float
    created_at: str
    team: str | None = None
    """Whose threads it drafts on; None: all but those of teams with an adapter of their own."""

    def drafts(self, thread_id: str) -> bool:
        """Whether the adapter on trial drafts on a thread: the same answer whenever it is asked."""
        digest = hashlib.sha256(f"{self.promotion_id} {thread_id}".encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(digest[:8], "big") / 2**64 < self.share


@dataclass(frozen=True)
class Acceptances:
    """Drafts used as they were, of those decided on: of the adapter on trial, and of the one before."""

    accepted: int
    decided: int
    accepted_before: int
    decided_before: int


def begin_trial(db: Database, promotion_id: int, *, incumbent: str, share: float) -> None:
    """Put a promotion on trial."""
    db.execute(
        "insert into trials (promotion_id, incumbent, share, created_at) values (?, ?, ?, ?)",
        [promotion_id, incumbent, share, now()],
    )


def open_trials(db: Database) -> list[Trial]:
    """The trials of promotions that still are the pointer and have no outcome, oldest first."""
    found = rows(
        db,
        """
        select t.promotion_id, p.task, p.base, p.adapter, t.incumbent, t.share, t.created_at, p.team
        from trials t join promotions p on p.id = t.promotion_id
        where p.id = (
            select max(id) from promotions newer
            where newer.task = p.task and newer.base = p.base and newer.team is p.team
        )
          and t.promotion_id not in (select promotion_id from trial_outcomes)
        order by t.promotion_id
        """,
    )
    return [Trial(**one) for one in found]


def acceptances(db: Database, trial: Trial) -> Acceptances:
    """The first decision on each thread counts, as those on one thread hang together; none that was withdrawn."""
    began = datetime.fromisoformat(trial.created_at)
    since = iso(began - timedelta(days=DAYS_BEFORE)) if trial.share == 1 else trial.created_at
    found = rows(
        db,
        """
        select adapter, sum(kind = 'accepted') as accepted, count(*) as decided from (
            select s.adapter, d.kind, row_number() over (
                partition by s.adapter, coalesce(s.thread_id, s.id) order by d.created_at, d.rowid
            ) as place
            from decisions d join suggestions s on s.id = d.suggestion_id
            where s.task = :task and s.base = :base and (:team is null or s.team_id = :team)
              and (s.adapter = :adapter and s.created_at >= :began or s.adapter = :incumbent and s.created_at >= :since)
              and s.id not in (select suggestion_id from withdrawals)
        )
        where place = 1 group by adapter
        """,
        {
            "task": trial.task,
            "base": trial.base,
            "adapter": trial.adapter,
            "incumbent": trial.incumbent,
            "began": trial.created_at,
            "since": since,
            "team": trial.team,
        },
    )
    by_adapter = {one["adapter"]: (one["accepted"], one["decided"]) for one in found}
    return Acceptances(*by_adapter.get(trial.adapter, (0, 0)), *by_adapter.get(trial.incumbent, (0, 0)))


def end_trial(db: Database, promotion_id: int, outcome: Literal["kept", "rolled_back"], report: dict[str, Any]) -> None:
    """Append what a trial came to."""
    db.execute(
        "insert into trial_outcomes (promotion_id, outcome, report, created_at) values (?, ?, ?, ?)",
        [promotion_id, outcome, dumps(report), now()],
    )


def outcome(db: Database, promotion_id: int) -> str | None:
    """What a trial came to; None while it is open and where there was none."""
    found = row(db, "select outcome from trial_outcomes where promotion_id = ?", [promotion_id])
    return str(found["outcome"]) if found else None
