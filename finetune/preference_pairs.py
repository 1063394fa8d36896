"""Freeze the real edits of a night: what was sent and the draft in whose place it was sent."""

from pathlib import Path

from sqlite_utils import Database

from data import store, store_names
from data.edits import TOUCH, distance
from data.masking import learn_preference, masked_preference, maskers
from finetune.dataset import Dataset
from finetune.run_directory import PREFERENCES, write_lines


def freeze_preferences(db: Database, dataset: Dataset, run_dir: Path) -> int:
    """Write the real edits among the training pairs into a run's frozen dataset. Returns how many there are.

    Only of pairs that SFT learns from: the split, consent and lineage of those hold here too.
    """
    learned = {pair.id for pair in dataset.train}
    edits = [
        edit
        for edit in store.preference_pairs(db)
        if edit.id in learned and distance(edit.rejected, edit.chosen) > TOUCH
    ]
    masker_of = maskers((edit.thread_id for edit in edits), store_names.known_names(db))
    for edit in edits:
        learn_preference(edit, masker_of[edit.thread_id])
    masked = [masked_preference(edit, masker_of[edit.thread_id]) for edit in edits]
    sides = ("id", "messages", "chosen", "rejected")
    write_lines(run_dir / PREFERENCES, ({side: getattr(one, side) for side in sides} for one in masked))
    return len(masked)
