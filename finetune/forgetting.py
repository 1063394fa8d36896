"""What a night forgets first: texts older than RETAIN_DAYS, and adapters that learned from what was erased."""

import logging
from datetime import datetime
from pathlib import Path

from sqlite_utils import Database

from data import store, store_erasure
from data.export import EXPORTED
from data.models import pointer_name
from finetune.run_directory import DATASET, GATE, REPORT

log = logging.getLogger(__name__)


def forget(db: Database, runs_dir: Path, *, before: datetime) -> None:
    """Blank the store's texts from before a time, and remove the texts that older runs froze or quoted."""
    if blanked := store.purge(db, store.iso(before)):
        log.info("blanked the texts of %d rows: they are older than RETAIN_DAYS", blanked)
    for one in store_erasure.leave_erased(db):
        log.info(
            "the task %s is served by %s: what served it learned from a text that was erased",
            pointer_name(one.task, one.team),
            one.adapter,
        )
    for run in store.runs(db):
        if run.created_at < store.iso(before):
            folder = runs_dir / run.id
            # The dataset's manifest stays: it has ids and hashes only.
            frozen = (file for part in (DATASET, EXPORTED) for file in (folder / part).glob("*.jsonl"))
            for texts in (*frozen, folder / REPORT, folder / GATE):
                texts.unlink(missing_ok=True)
