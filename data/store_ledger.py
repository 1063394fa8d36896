"""The ledger of nights: bases, runs, adapters, gate reports and promotions. Facts are appended; states are derived."""

import json
from collections.abc import Iterable
from typing import Any

from sqlite_utils import Database

from data.errors import UnknownAdapter, UnknownGateReport, UnknownRun
from data.models import Adapter, Base, Cause, GateReport, Promotion, Run, Task
from data.store_chain import link
from data.store_connection import clean, dumps, immediate, new_id, now, row, rows

FINISHED = ("done", "failed")
"""The states that a run ends in. Any other is the name of the step it is at."""


def record_base(db: Database, base: Base) -> None:
    """Note which base a model name means now; nothing is appended when it is known."""
    with immediate(db):
        if base_of_model(db, base.model) == base:
            return
        db.execute(
            "insert into bases (hash, model, root, created_at) values (?, ?, ?, ?)",
            [base.hash, base.model, base.root, now()],
        )


def base_of_model(db: Database, model: str) -> Base | None:
    """The base that this model name meant when it was last served."""
    found = row(db, "select hash, model, root from bases where model = ? order by id desc limit 1", [model])
    return Base(**found) if found else None


def start_run(db: Database, *, base: str, **facts: object) -> str:
    """Open a run on a base (its hash) and return the run's id. Its status is `running`."""
    run_id, time = new_id(), now()
    db.execute(
        "insert into runs (id, base, status, facts, created_at, updated_at) values (?, ?, 'running', ?, ?, ?)",
        [run_id, base, dumps(facts), time, time],
    )
    return run_id


def update_run(db: Database, run_id: str, *, status: str, error: str | None = None, **facts: object) -> None:
    """Set a run's status (a step's name, `done` or `failed`) and add facts to those it has."""
    with immediate(db):
        known = run(db, run_id).facts
        db.execute(
            "update runs set status = ?, error = ?, facts = ?, updated_at = ? where id = ?",
            [status, clean(error) if error is not None else None, dumps(known | facts), now(), run_id],
        )


def run(db: Database, run_id: str) -> Run:
    """One run; raises UnknownRun."""
    found = row(db, "select * from runs where id = ?", [run_id])
    if found is None:
        raise UnknownRun(run_id)
    return _run(found)


def runs(db: Database) -> list[Run]:
    """All runs, oldest first."""
    return [_run(found) for found in rows(db, "select * from runs order by created_at, rowid")]


def unfinished_runs(db: Database) -> list[Run]:
    """Runs that are neither done nor failed: one is at work, or was killed."""
    return [found for found in runs(db) if found.status not in FINISHED]


def record_adapter(
    db: Database,
    *,
    name: str,
    run_id: str,
    base: str,
    path: str,
    sha256: str,
    pair_ids: Iterable[str],
    config: dict[str, Any],
) -> None:
    """Append a published adapter and the pairs it learned from. A name is taken once; repeating it changes nothing."""
    with immediate(db):
        cursor = db.execute(
            """
            insert into adapters (name, run_id, base, path, sha256, config, created_at) values (?, ?, ?, ?, ?, ?, ?)
            on conflict (name) do nothing
            """,
            [name, run_id, base, path, sha256, dumps(config), now()],
        )
        if cursor.rowcount == 1:
            db.conn.executemany(
                "insert or ignore into adapter_pairs (adapter, pair_id) values (?, ?)",
                [(name, pair_id) for pair_id in pair_ids],
            )
            link(db, "adapter", name)


def adapter(db: Database, name: str) -> Adapter:
    """One adapter; raises UnknownAdapter."""
    found = row(db, "select * from adapters where name = ?", [name])
    if found is None:
        raise UnknownAdapter(name)
    return _adapter(found)


def adapters(db: Database) -> list[Adapter]:
    """All adapters, oldest first."""
    return [_adapter(found) for found in rows(db, "select * from adapters order by created_at, rowid")]


def adapter_pairs(db: Database, name: str) -> set[str]:
    """The ids of the pairs that an adapter learned from."""
    return {found["pair_id"] for found in rows(db, "select pair_id from adapter_pairs where adapter = ?", [name])}


def record_gate_report(db: Database, *, run_id: str, task: Task, passed: bool, report: dict[str, Any]) -> str:
    """Append a gate's verdict, passed or not, and return its id."""
    report_id = new_id()
    with immediate(db):
        db.execute(
            "insert into gate_reports (id, run_id, task, passed, report, created_at) values (?, ?, ?, ?, ?, ?)",
            [report_id, run_id, task, passed, dumps(report), now()],
        )
        link(db, "gate_report", report_id)
    return report_id


def gate_report(db: Database, report_id: str) -> GateReport:
    """One gate report; raises UnknownGateReport."""
    found = row(db, "select * from gate_reports where id = ?", [report_id])
    if found is None:
        raise UnknownGateReport(report_id)
    return _gate_report(found)


def gate_reports(db: Database, run_id: str) -> list[GateReport]:
    """A run's gate reports, oldest first."""
    found = rows(db, "select * from gate_reports where run_id = ? order by created_at, rowid", [run_id])
    return [_gate_report(one) for one in found]


def append_promotion(
    db: Database,
    *,
    task: Task,
    base: str,
    adapter: str,
    cause: Cause,
    gate_report_id: str | None = None,
    forced: bool = False,
    team: str | None = None,
) -> Promotion:
    """Move the pointer: from now on `adapter` serves this task on this base (a hash), for one team or for all."""
    with immediate(db):
        db.execute(
            """
            insert into promotions (task, base, adapter, cause, gate_report_id, forced, created_at, team)
            values (?, ?, ?, ?, ?, ?, ?, ?)
            """,
            [task, base, adapter, cause, gate_report_id, forced, now(), team],
        )
        promoted = promotions(db, task, base, team)[-1]
        link(db, "promotion", promoted.id)
        return promoted


def promotions(db: Database, task: Task, base: str, team: str | None = None) -> list[Promotion]:
    """The promotions of a task on a base (its hash), of all or of one team, oldest first: the last is the pointer."""
    select = "select * from promotions where task = ? and base = ? and team is ? order by id"
    found = rows(db, select, [task, base, team])
    return [Promotion(**(one | {"forced": bool(one["forced"])})) for one in found]


def promoted_teams(db: Database, base: str) -> list[str]:
    """The teams for which something was ever promoted on a base (its hash)."""
    select = "select distinct team from promotions where base = ? and team is not null order by team"
    return [one["team"] for one in rows(db, select, [base])]


def team_of_run(db: Database, run_id: str) -> str | None:
    """The team whose pairs a run learned from; None for everybody's, and for a run that is not known."""
    found = row(db, "select facts ->> 'team' as team from runs where id = ?", [run_id])
    return found["team"] if found else None


def standing(db: Database, task: Task, base: str, team: str | None = None) -> list[str]:
    """The adapters promoted and not rolled back from, oldest first; the last one serves."""
    stands: list[str] = []
    for promotion in promotions(db, task, base, team):
        if promotion.cause != "rollback":
            stands = [*(name for name in stands if name != promotion.adapter), promotion.adapter]
            continue
        # What stood above the target is rolled back from.
        kept = stands.index(promotion.adapter) + 1 if promotion.adapter in stands else 0
        stands = stands[:kept]
    return stands


def _run(found: dict[str, Any]) -> Run:
    return Run(**(found | {"facts": json.loads(found["facts"])}))


def _adapter(found: dict[str, Any]) -> Adapter:
    return Adapter(**(found | {"config": json.loads(found["config"])}))


def _gate_report(found: dict[str, Any]) -> GateReport:
    return GateReport(**(found | {"passed": bool(found["passed"]), "report": json.loads(found["report"])}))
