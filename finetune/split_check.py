"""That no split of a night's dataset leaks, by thread, by prompt or by time: checked whenever one is built or read."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from data.errors import NightError
from data.models import Pair, PreferencePair
from data.prompts import examples_in, without_examples
from finetune.filters import near_prompts
from finetune.pairs import Dataset


class Leak(NightError):
    """The split of a dataset does not hold."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}: nothing was trained or promoted; check what wrote it.")


class LeakedThreads(Leak):
    """A thread stands on both sides of a split."""

    def __init__(self, threads: Iterable[str]) -> None:
        found = sorted(threads)
        super().__init__(f"{len(found)} held-out threads are in the training data, {found[0]} among them")


class LeakedPrompts(Leak):
    """A prompt that the gate asks is trained on, word for word or nearly so."""

    def __init__(self, pairs: Iterable[str]) -> None:
        found = sorted(pairs)
        super().__init__(
            f"The prompts of {len(found)} training pairs repeat or nearly repeat held-out ones, {found[0]} among them"
        )


class LeakedExamples(Leak):
    """The prompt of a held-out case shows an example from a held-out thread: its own, or another's."""

    def __init__(self, pair: str, example: str, thread: str) -> None:
        super().__init__(
            f"The held-out pair {pair} would be asked with the example {example} of the held-out thread {thread}"
        )


class DatedAhead(Leak):
    """Something was decided after the moment at which the dataset was frozen."""

    def __init__(self, pair: str, created_at: str, frozen_at: str) -> None:
        super().__init__(f"The pair {pair} is dated {created_at}, after the dataset was frozen at {frozen_at}")


def check_split(dataset: Dataset, *, frozen_at: str) -> None:
    """Raise LeakedThreads, LeakedPrompts, LeakedExamples or DatedAhead where the split of a dataset does not hold.

    Threads are held out by a hash, so many a training pair is newer than a case that the gate scores. That leaks
    nothing as long as all contenders know the same: a case's prompt may show the base any example that the candidate
    could learn from, also one decided after the case, for the base would show it from tomorrow on; to allow it older
    ones only would let the candidate alone know the newer ones, and count that as its gain. No side may know anything
    of a held-out thread, and nothing may be newer than the freezing (a time in ISO 8601, UTC, as the store writes it):
    what is dated ahead would be the newest of all, by which ages and the gate's newest threads are told. That nights
    are scored on later conversations only is asked by a backtest, see unseen.py.
    """
    held_out = [case.pair for case in dataset.held_out]
    trained = [*dataset.train, *(thumb.pair for thumb in dataset.thumbs), *map(chosen_pair, dataset.preferences)]
    learned = [*trained, *dataset.validation]
    _check_threads(dataset, trained)
    shown = [example for pair in learned for example in shown_in(pair)]
    if near := near_prompts([*learned, *shown], held_out):
        raise LeakedPrompts(near)
    scored = {pair.thread_id for pair in held_out}
    for case in dataset.held_out:
        for example in case.examples:
            if example.thread_id in scored:
                raise LeakedExamples(case.pair.id, example.pair_id, example.thread_id)
    dated = [(pair.id, pair.created_at) for pair in (*learned, *held_out)]
    dated += [(example.pair_id, example.created_at) for case in dataset.held_out for example in case.examples]
    for pair_id, created_at in dated:
        if created_at > frozen_at:
            raise DatedAhead(pair_id, created_at, frozen_at)


def chosen_pair(preference: PreferencePair) -> Pair:
    """A preference as the pair that its chosen text makes."""
    one = preference
    return Pair(one.id, one.task, one.thread_id, one.messages, one.chosen, "suggestion", 1.0, one.created_at)


def shown_in(pair: Pair) -> Iterator[Pair]:
    """The examples in a pair's prompt, each as a pair of the same id."""
    for asked, answered in examples_in(pair.messages):
        yield replace(pair, messages=[pair.messages[0], asked], target=answered["content"])


def without_held_out_examples(pairs: Iterable[Pair], held_out: Iterable[Pair]) -> list[Pair]:
    """The pairs, without examples where one repeats or nearly repeats a prompt that the gate asks."""
    found = list(pairs)
    near = near_prompts([example for pair in found for example in shown_in(pair)], held_out)
    return [replace(pair, messages=without_examples(pair.messages)) if pair.id in near else pair for pair in found]


def _check_threads(dataset: Dataset, trained: Iterable[Pair]) -> None:
    learned = {pair.thread_id for pair in trained}
    validating = {pair.thread_id for pair in dataset.validation}
    scored = {case.pair.thread_id for case in dataset.held_out}
    if leaked := (learned | validating) & scored or learned & validating:
        raise LeakedThreads(leaked)
