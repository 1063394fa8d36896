"""Which adapter serves which task: read the pointer, promote, roll back. Promotions are appended, never changed."""

from pathlib import Path

from sqlite_utils import Database

from data import store, store_erasure, store_ledger, store_trials
from data.errors import BrokenAdapter, ServingError, UnknownAdapter
from data.models import BASE, SHARED, TASKS, Adapter, Cause, Task
from serving.verification import fingerprint


class GateNotPassed(ServingError):
    """An adapter that no gate let pass is promoted only by force."""

    def __init__(self, name: str, task: Task) -> None:
        super().__init__(
            f"No gate has passed adapter {name} for the task {task}: let a night gate it, or promote it with --force."
        )


class NotWhatWasJudged(ServingError):
    """The files of an adapter are not those that its gate has judged."""

    def __init__(self, name: str, report_id: str) -> None:
        super().__init__(
            f"The files of adapter {name} are not those that passed the gate (report {report_id[:12]}): they were "
            "changed since; let a night train anew, or promote it with --force."
        )


class NothingToRollBack(ServingError):
    """No promotion is left to take back."""

    def __init__(self, task: Task, team: str | None = None) -> None:
        whose = f"team {team} has no adapter of its own for the task {task}"
        super().__init__(f"Nothing to roll back: {whose if team else f'{BASE} serves the task {task} already'}.")


class NothingToUndo(ServingError):
    """The newest promotion of a task is no rollback, or one that is too long ago."""

    def __init__(self, task: Task) -> None:
        super().__init__(f"Nothing to undo: the task {task} was not rolled back in the last minutes.")


def own_adapter(db: Database, task: Task, base: str, team: str | None) -> str | None:
    """What serves this team alone; None where it is served what all share, and for no team."""
    own = store.promotions(db, task, base, team) if team else []
    return own[-1].adapter if own and own[-1].adapter != SHARED else None


def live_adapter(db: Database, task: Task, base: str, team: str | None = None) -> str:
    """The adapter that serves a task on a base (its hash), for a team its own where it has one; `base` when none was
    promoted.
    """
    if own := own_adapter(db, task, base, team):
        return own
    promotions = store.promotions(db, task, base)
    return promotions[-1].adapter if promotions else BASE


def adapter_for(db: Database, task: Task, base: str, thread_id: str, team: str | None = None) -> str:
    """The adapter that drafts on one thread of a team: the live one; while that is on trial, the one before on the
    threads that are left to it.
    """
    whose = team if own_adapter(db, task, base, team) else None
    for trial in store_trials.open_trials(db):
        if (trial.task, trial.base, trial.team) == (task, base, whose) and not trial.drafts(thread_id):
            if whose and trial.incumbent not in store_ledger.standing(db, task, base, whose):
                # Before its first own adapter: what all share may have changed since.
                return live_adapter(db, task, base)
            erased = trial.incumbent in store_erasure.erased_adapters(db)
            return trial.adapter if erased else trial.incumbent
    return live_adapter(db, task, base, team)


def live_tasks(db: Database, name: str, base: str, team: str | None = None) -> list[Task]:
    """The tasks that an adapter serves on a base (its hash): for all, or for one team alone."""
    return [task for (task, whose), live in live_everywhere(db, base).items() if (whose, live) == (team, name)]


def live_everywhere(db: Database, base: str) -> dict[tuple[Task, str | None], str]:
    """Every pointer on a base (its hash): of each task for all (None), and for each team that has an adapter of its
    own.
    """
    pointers = {(task, None): live_adapter(db, task, base) for task in TASKS}
    for team in store_ledger.promoted_teams(db, base):
        pointers |= {(task, team): own for task in TASKS if (own := own_adapter(db, task, base, team))}
    return pointers


def promote(
    db: Database,
    task: Task,
    name: str,
    *,
    base: str,
    cause: Cause,
    gate_report_id: str | None = None,
    forced: bool = False,
    team: str | None = None,
) -> None:
    """Let an adapter serve a task on a base (its hash) from now on, for one team or for all. What serves already stays
    as it is. `shared` gives a team again what all share.

    Without `forced` the newest gate report of the adapter's run on this task must have passed, and the run must have
    learned from that team's pairs, or from everybody's where it is to serve all.
    Raises UnknownAdapter, BrokenAdapter, GateNotPassed, and NotWhatWasJudged where the adapter's files were changed
    since.
    """
    with store.immediate(db):
        if name == _pointer(db, task, base, team):
            return
        if name == SHARED and not team:
            raise UnknownAdapter(name, "only a team can be given what all share: name it with --team")
        if name not in (BASE, SHARED):
            adapter = _usable(db, name, base)
            report_id = gate_report_id or _passed_report(db, adapter, task)
            if report_id is not None:
                report = store.gate_report(db, report_id)
                passed = report.passed and report.task == task and report.run_id == adapter.run_id
                passed = passed and store_ledger.team_of_run(db, adapter.run_id) == team
                judged = report.report.get("candidate")
                # A report of an earlier version does not say what it judged.
                same = not judged or judged == fingerprint(Path(adapter.path))
                if passed and not same and not forced:
                    raise NotWhatWasJudged(name, report_id)
                report_id = report_id if passed and same else None
            if report_id is None and not forced:
                raise GateNotPassed(name, task)
            # Recorded as forced only where force was needed.
            gate_report_id, forced = report_id, report_id is None
        else:
            gate_report_id, forced = None, False
        store.append_promotion(
            db, task=task, base=base, adapter=name, cause=cause, gate_report_id=gate_report_id, forced=forced, team=team
        )


def roll_back(db: Database, task: Task, base: str, team: str | None = None) -> str:
    """Take back the newest promotion that was not taken back yet, of one team's or of those for all, and return what
    serves now. Before its first own adapter a team was served what all share.

    Raises NothingToRollBack.
    """
    with store.immediate(db):
        erased = store_erasure.erased_adapters(db)
        standing = [name for name in store_ledger.standing(db, task, base, team)[:-1] if name not in erased]
        earlier = [n for n in standing if n in (BASE, SHARED) or Path(store.adapter(db, n).path).is_dir()]
        target = earlier[-1] if earlier else SHARED if team else BASE
        if target == _pointer(db, task, base, team):
            raise NothingToRollBack(task, team)
        store.append_promotion(db, task=task, base=base, adapter=target, cause="rollback", team=team)
        return live_adapter(db, task, base, team)


def _pointer(db: Database, task: Task, base: str, team: str | None) -> str:
    return own_adapter(db, task, base, team) or SHARED if team else live_adapter(db, task, base)


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
