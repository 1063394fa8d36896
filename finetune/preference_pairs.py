"""Freeze the real edits of a night: what was sent, and the draft in its place or an earlier one of the wrong tone."""

from pathlib import Path

from sqlite_utils import Database

from data import store, store_names
from data.edits import TOUCH, distance
from data.masking import learn_preference, masked_preference, maskers
from finetune.dataset import Dataset
from finetune.run_directory import PREFERENCES, write_lines


def freeze_preferences(db: Database, dataset: Dataset, run_dir: Path) -> int:
    """Write the real edits among the training pairs into a run's frozen dataset. Returns how many there are.

    Only where SFT learns what was sent: the split, consent and lineage of those pairs hold here too. It may have been
    sent from a later draft than the one that is not preferred.
    """
    trained = {pair.id for pair in dataset.train}
    # As they were sent: the dataset's are masked.
    learned = {(pair.thread_id, pair.task, pair.target) for pair in store.training_pairs(db) if pair.id in trained}
    edits = [
        edit
        for edit in store.preference_pairs(db)
        if (edit.thread_id, edit.task, edit.chosen) in learned and distance(edit.rejected, edit.chosen) > TOUCH
    ]
    masker_of = maskers((edit.thread_id for edit in edits), store_names.known_names(db))
    for edit in edits:
        learn_preference(edit, masker_of[edit.thread_id])
    masked = [masked_preference(edit, masker_of[edit.thread_id]) for edit in edits]
    parts = ("id", "thread_id", "messages", "chosen", "rejected")
    write_lines(run_dir / PREFERENCES, ({part: getattr(one, part) for part in parts} for one in masked))
    return len(masked)
