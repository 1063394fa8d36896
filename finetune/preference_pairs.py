"""Freeze the real edits of a night: what was sent and the draft in whose place it was sent."""

from dataclasses import replace
from pathlib import Path

from sqlite_utils import Database

from data import store
from data.edits import TOUCH, distance
from data.masking import Masker, learn_pair, masked_pair
from data.models import Message, Pair
from finetune.dataset import Dataset
from finetune.run_directory import PREFERENCES, write_lines


def freeze_preferences(db: Database, dataset: Dataset, run_dir: Path) -> int:
    """Write the real edits among the training pairs into a run's frozen dataset. Returns how many there are.

    Only of pairs that SFT learns from: the split, consent and lineage of those hold here too.
    """
    learned = {pair.id: pair for pair in dataset.train}
    found = [
        _masked(learned[edit.id], edit.messages, edit.chosen, edit.rejected)
        for edit in store.preference_pairs(db)
        if edit.id in learned and distance(edit.rejected, edit.chosen) > TOUCH
    ]
    write_lines(run_dir / PREFERENCES, found)
    return len(found)


def _masked(pair: Pair, messages: list[Message], chosen: str, rejected: str) -> dict[str, object]:
    sides = [replace(pair, messages=messages, target=text) for text in (chosen, rejected)]
    masker = Masker(pair.thread_id)
    for side in sides:
        learn_pair(side, masker)
    kept, changed = (masked_pair(side, masker) for side in sides)
    return {"id": pair.id, "messages": kept.messages, "chosen": kept.target, "rejected": changed.target}
