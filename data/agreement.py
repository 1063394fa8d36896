"""How well a score agrees with people, in figures that need no model of either. Pure."""

from collections.abc import Callable, Hashable, Sequence
from itertools import groupby


def auroc(scores: Sequence[float], is_so: Sequence[bool]) -> float:
    """How often one that is so scores higher than one that is not; ties count half. NaN when one kind is missing."""
    ranks = _ranks(scores)
    positives = sum(is_so)
    negatives = len(is_so) - positives
    if not positives or not negatives:
        return float("nan")
    total = sum(rank for rank, so in zip(ranks, is_so, strict=True) if so)
    return (total - positives * (positives + 1) / 2) / (positives * negatives)


def spearman(one: Sequence[float], other: Sequence[float]) -> float:
    """The correlation of the ranks, ties at their mean rank. NaN when one side never differs."""
    a, b = _ranks(one), _ranks(other)
    mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
    spread = (sum((x - mean_a) ** 2 for x in a) * sum((y - mean_b) ** 2 for y in b)) ** 0.5
    shared = sum((x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True))
    return shared / spread if spread else float("nan")


def kappa(one: Sequence[bool], other: Sequence[bool]) -> float:
    """Cohen's kappa of two who said yes or no to the same cases."""
    count = len(one)
    agreed = sum(a == b for a, b in zip(one, other, strict=True)) / count
    yes = sum(one) * sum(other) / count**2
    no = (count - sum(one)) * (count - sum(other)) / count**2
    chance = yes + no
    return (agreed - chance) / (1 - chance) if chance < 1 else float("nan")


def folds(groups: Sequence[Hashable], count: int = 10) -> list[int]:
    """The fold of each case: cases of one group are in one fold, in the order in which the groups come."""
    order = {group: n for n, group in enumerate(dict.fromkeys(groups))}
    return [order[group] % count for group in groups]


def most(values: Sequence[float], good: Callable[[float], float]) -> float:
    """The value that is best; of equals, the greatest."""
    return max(sorted(values, reverse=True), key=good)


def _ranks(values: Sequence[float]) -> list[float]:
    order = sorted(range(len(values)), key=lambda place: values[place])
    ranks = [0.0] * len(values)
    before = 0
    for _, tied in groupby(order, key=lambda place: values[place]):
        places = list(tied)
        for place in places:
            ranks[place] = before + (len(places) + 1) / 2
        before += len(places)
    return ranks
