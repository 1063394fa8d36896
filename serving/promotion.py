"""Which adapter serves which task: read the pointer, promote, roll back. Promotions are appended, never changed."""

from pathlib import Path

from sqlite_utils import Database

from data import store, store_erasure, store_ledger, store_trials
from data.errors import BrokenAdapter, ServingError, UnknownAdapter
from data.models import BASE, TASKS, Adapter, Cause, Task


class GateNotPassed(ServingError):
    """An adapter that no gate let pass is promoted only by force."""

    def __init__(self, name: str, task: Task) -> None:
        super().__init__(
            f"No gate has passed adapter {name} for the task {task}: let a night gate it, or promote it with --force."
        )


class NothingToRollBack(ServingError):
    """No promotion is left to take back."""

    def __init__(self, task: Task) -> None:
        super().__init__(f"Nothing to roll back: {BASE} serves the task {task} already.")


class NothingToUndo(ServingError):
    """The newest promotion of a task is no rollback, or one that is too long ago."""

    def __init__(self, task: Task) -> None:
        super().__init__(f"Nothing to undo: the task {task} was not rolled back in the last minutes.")


def live_adapter(db: Database, task: Task, base: str) -> str:
    """The adapter that serves a task on a base (its hash); `base` when none was promoted."""
    promotions = store.promotions(db, task, base)
    return promotions[-1].adapter if promotions else BASE


def adapter_for(db: Database, task: Task, base: str, thread_id: str) -> str:
    """The adapter that drafts on one thread: the live one; while that is on trial, the one before on the threads that
    are left to it.
    """
    for trial in store_trials.open_trials(db):
        if (trial.task, trial.base) == (task, base) and not trial.drafts(thread_id):
            erased = trial.incumbent in store_erasure.erased_adapters(db)
            return trial.adapter if erased else trial.incumbent
    return live_adapter(db, task, base)


def live_tasks(db: Database, name: str, base: str) -> list[Task]:
    """The tasks that an adapter serves on a base (its hash)."""
    return [task for task in TASKS if live_adapter(db, task, base) == name]


def promote(
    db: Database,
    task: Task,
    name: str,
    *,
    base: str,
    cause: Cause,
    gate_report_id: str | None = None,
    forced: bool = False,
) -> None:
    """Let an adapter serve a task on a base (its hash) from now on. What serves already stays as it is.

    Without `forced` the newest gate report of the adapter's run on this task must have passed.
    Raises UnknownAdapter, BrokenAdapter, GateNotPassed.
    """
    with store.immediate(db):
        if live_adapter(db, task, base) == name:
            return
        if name != BASE:
            adapter = _usable(db, name, base)
            report_id = gate_report_id or _passed_report(db, adapter, task)
            if report_id is not None:
                report = store.gate_report(db, report_id)
                passed = report.passed and report.task == task and report.run_id == adapter.run_id
                report_id = report_id if passed else None
            if report_id is None and not forced:
                raise GateNotPassed(name, task)
            # Recorded as forced only where force was needed.
            gate_report_id, forced = report_id, report_id is None
        else:
            gate_report_id, forced = None, False
        store.append_promotion(
            db, task=task, base=base, adapter=name, cause=cause, gate_report_id=gate_report_id, forced=forced
        )


def roll_back(db: Database, task: Task, base: str) -> str:
    """Take back the newest promotion that was not taken back yet, and return what serves now.

    Raises NothingToRollBack.
    """
    with store.immediate(db):
        erased = store_erasure.erased_adapters(db)
        standing = [name for name in store_ledger.standing(db, task, base)[:-1] if name not in erased]
        earlier = [name for name in standing if name == BASE or Path(store.adapter(db, name).path).is_dir()]
        target = earlier[-1] if earlier else BASE
        if target == live_adapter(db, task, base):
            raise NothingToRollBack(task)
        store.append_promotion(db, task=task, base=base, adapter=target, cause="rollback")
        return target


def rolled_back_from(db: Database, task: Task, base: str, *, since: str) -> str | None:
    """The adapter that the newest promotion rolled back from, if that was after a time (ISO text) and it can serve."""
    promotions = store.promotions(db, task, base)
    if len(promotions) < 2 or promotions[-1].cause != "rollback" or promotions[-1].created_at < since:
        return None
    name = promotions[-2].adapter
    try:
        return _usable(db, name, base).name if name != promotions[-1].adapter else None
    except ServingError:
        return None


def undo_roll_back(db: Database, task: Task, base: str, *, since: str) -> str:
    """Let serve again what was rolled back from after a time, and return its name. Raises NothingToUndo.

    The ledger has it as a promotion by hand behind the rollback, forced where the first one was.
    """
    with store.immediate(db):
        name = rolled_back_from(db, task, base, since=since)
        if name is None:
            raise NothingToUndo(task)
        promote(db, task, name, base=base, cause="manual", forced=True)
        return name


def _usable(db: Database, name: str, base: str) -> Adapter:
    adapter = store.adapter(db, name)
    if adapter.base != base:
        raise BrokenAdapter(f"Adapter {name} was trained on another base ({adapter.base[:12]}, not {base[:12]}).")
    if name in store_erasure.erased_adapters(db):
        raise BrokenAdapter(f"Adapter {name} learned from texts that were erased since: it may not serve any more.")
    if not Path(adapter.path).is_dir():
        raise UnknownAdapter(name, f"its directory {adapter.path} was removed")
    return adapter


def _passed_report(db: Database, adapter: Adapter, task: Task) -> str | None:
    reports = [report for report in store.gate_reports(db, adapter.run_id) if report.task == task]
    return reports[-1].id if reports and reports[-1].passed else None
