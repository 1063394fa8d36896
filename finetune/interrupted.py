"""What a night leaves that was killed: a run without an end, a half published adapter, a report that is owed."""

import logging
import shutil
from pathlib import Path

from sqlite_utils import Database

from data import store
from data.models import Run

log = logging.getLogger(__name__)

INTERRUPTED = "Interrupted: the night's process ended while it was at the step {step}; nothing was promoted after that."


def owes_report(run: Run) -> bool:
    """Whether an unfinished run came to its outcome: then its report is all that it lacks."""
    # The promotion and its facts are one transaction.
    promoted = run.status == "promote" and ("promoted" in run.facts or "held" in run.facts)
    return promoted or run.status == "report"


def mark_interrupted(db: Database, adapter_store: Path) -> None:
    """Under the lock no other night is at work, so a run without an end was killed. What it half published goes."""
    published = {adapter.name for adapter in store.adapters(db)}
    for run in store.unfinished_runs(db):
        log.warning("run %s was interrupted at %s", run.id, run.status)
        name = run.facts.get("adapter")
        if name is not None and name not in published:
            # No row, so nobody was told its name: vLLM cannot have been asked for it.
            for left in (adapter_store / f".tmp-{name}", adapter_store / str(name)):
                shutil.rmtree(left, ignore_errors=True)
        store.update_run(db, run.id, status="failed", error=INTERRUPTED.format(step=run.status))
