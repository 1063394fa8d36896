"""The real edits of a night: what was sent, and the draft in its place or an earlier one of the wrong tone."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from sqlite_utils import Database

from data import store, store_names
from data.edits import TOUCH, distance
from data.masking import learn_preference, masked_preference, maskers
from data.models import Pair, PreferencePair
from finetune.filters import near_prompts
from finetune.split_check import chosen_pair, without_held_out_examples


def real_edits(db: Database, train: Iterable[Pair], held_out: Sequence[Pair], *, until: str) -> list[PreferencePair]:
    """The edits until a time whose sent text is among the training pairs, masked, with no prompt that the gate asks.

    Only where SFT learns what was sent: the split, consent and lineage of those pairs hold here too. It may have been
    sent from a later draft than the one that is not preferred.
    """
    trained = {pair.id for pair in train}
    # As they were sent: the dataset's are masked.
    learned = {(pair.thread_id, pair.task, pair.target) for pair in store.training_pairs(db) if pair.id in trained}
    edits = [
        edit
        for edit in store.preference_pairs(db)
        if edit.created_at <= until
        and (edit.thread_id, edit.task, edit.chosen) in learned
        and distance(edit.rejected, edit.chosen) > TOUCH
    ]
    masker_of = maskers((edit.thread_id for edit in edits), store_names.known_names(db))
    for edit in edits:
        learn_preference(edit, masker_of[edit.thread_id])
    masked = [masked_preference(edit, masker_of[edit.thread_id]) for edit in edits]
    prompts = without_held_out_examples(map(chosen_pair, masked), held_out)
    near = near_prompts(prompts, held_out)
    return [
        replace(one, messages=prompt.messages)
        for one, prompt in zip(masked, prompts, strict=True)
        if one.id not in near
    ]
