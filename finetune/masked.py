"""A night's texts without personal data, before any of them is frozen."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from data.masking import learn_pair, masked_messages, masked_pair, maskers
from data.models import Pair
from finetune.pairs import Case
from finetune.thumbs import Thumb


def masked_texts(
    pairs: Sequence[Pair], cases: Sequence[Case], thumbs: Sequence[Thumb], names: Mapping[str, frozenset[str]]
) -> tuple[list[Pair], list[Case], list[Thumb], Counter[str]]:
    """All without personal data, alike within each thread; and how many values of each kind were found."""
    every = [*pairs, *(thumb.pair for thumb in thumbs)]
    masker_of = maskers((pair.thread_id for pair in every), names)
    for pair in every:
        learn_pair(pair, masker_of[pair.thread_id])
    for case in cases:
        learn_pair(replace(case.pair, messages=case.base_messages), masker_of[case.pair.thread_id])
    masked_cases = [
        replace(
            case,
            pair=masked_pair(case.pair, masker_of[case.pair.thread_id]),
            base_messages=masked_messages(case.base_messages, masker_of[case.pair.thread_id]),
        )
        for case in cases
    ]
    masked: Counter[str] = Counter()
    for masker in masker_of.values():
        masked += masker.masked
    found = [masked_pair(pair, masker_of[pair.thread_id]) for pair in every]
    rated = [replace(thumb, pair=pair) for thumb, pair in zip(thumbs, found[len(pairs) :], strict=True)]
    return found[: len(pairs)], masked_cases, rated, masked
