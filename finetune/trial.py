"""The canary: look at how agents take what was promoted, and roll it back when acceptance has fallen."""

import logging
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from sqlite_utils import Database

from data import store, store_trials
from data.models import Task, pointer_name
from data.store_trials import Acceptances, Trial
from finetune.sequential import Outcome, judge
from serving import promotion

log = logging.getLogger(__name__)

DAYS = timedelta(days=14)
"""An adapter that has not been rolled back by then is kept."""


@dataclass(frozen=True)
class Look:
    """What one look at a trial found. `served_by` is who drafts the task from now on."""

    task: Task
    adapter: str
    incumbent: str
    outcome: Outcome
    served_by: str
    acceptances: Acceptances
    against: float
    in_favour: float
    team: str | None = None
    """Whose adapter it is; None: everybody's."""


def begin(
    db: Database, task: Task, adapter: str, base: str, gate_report_id: str, share: float, team: str | None = None
) -> None:
    """Promote what the gate let pass, for one team or for all, and put it on trial for `share` of the threads."""
    with store.immediate(db):
        incumbent = promotion.live_adapter(db, task, base, team)
        promotion.promote(db, task, adapter, base=base, cause="gate", gate_report_id=gate_report_id, team=team)
        made = store.promotions(db, task, base, team)[-1]
        store_trials.begin_trial(db, made.id, incumbent=incumbent, share=share)


def look(db: Database, *, at: datetime | None = None) -> list[Look]:
    """Look at every open trial, and end those that are decided. One may look as often as one likes."""
    with store.immediate(db):
        return [_look(db, trial, at or datetime.now(UTC)) for trial in store_trials.open_trials(db)]


def _look(db: Database, trial: Trial, at: datetime) -> Look:
    counts = store_trials.acceptances(db, trial)
    found = judge(counts.accepted, counts.decided, counts.accepted_before, counts.decided_before)
    outcome, served_by = found.outcome, trial.adapter
    if outcome == "open" and at >= datetime.fromisoformat(trial.created_at) + DAYS:
        outcome = "kept"
    if outcome == "rolled_back":
        served_by = promotion.roll_back(db, trial.task, trial.base, trial.team)
        log.warning("%s is rolled back from %s to %s: acceptance has fallen", trial.task, trial.adapter, served_by)
    seen = Look(
        trial.task,
        trial.adapter,
        trial.incumbent,
        outcome,
        served_by,
        counts,
        found.against,
        found.in_favour,
        trial.team,
    )
    if outcome != "open":
        store_trials.end_trial(db, trial.promotion_id, outcome, asdict(seen))
    return seen


def sentence(seen: Look) -> str:
    """One look in words."""
    counts = seen.acceptances
    told = (
        f"{pointer_name(seen.task, seen.team)}: {seen.adapter} had {counts.accepted} of {counts.decided} drafts used "
        "as they were, "
        f"{seen.incumbent} {counts.accepted_before} of {counts.decided_before}"
    )
    return {
        "open": f"{told}; still on trial.",
        "kept": f"{told}; kept.",
        "rolled_back": f"{told}; rolled back, {seen.served_by} drafts from now on.",
    }[seen.outcome]
