"""Score passages for a question: its words by field, its pairs of words, what was said before, its meaning. Pure.

Scores are added, not ranks (see docs/search.md, which also says how the weights were measured).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]
LENGTH = 100
"""Words of a passage and its title that count as neither long nor short."""
APART = -1
"""Stands between title and text, and between passages: no pair of words goes across."""


@dataclass(frozen=True)
class Weights:
    """How much each part counts. The words of the question are 1."""

    saturation: float = 0.6
    """BM25's k1: how soon a word that comes again counts no more."""
    length: float = 0.3
    """BM25's b: how much a long passage pays for its length."""
    title: float = 3.0
    """A word of the title, against one of the text."""
    history: float = 0.1
    """A word of what was said before."""
    pairs: float = 1.2
    """Two words of the question that stand side by side in the passage as well."""
    cosine: float = 1.2
    """The cosine of question and passage."""


@dataclass(frozen=True)
class Asked:
    """A question as numbers of stems: the telling ones, all in order, and those said before; how rare each is."""

    telling: Sequence[int]
    in_order: Sequence[int]
    before: Sequence[int]
    rarity: Mapping[int, float]


@dataclass(frozen=True)
class Candidate:
    """A passage as numbers of stems."""

    title: Numbers
    text: Numbers


def rarity(passages_with: int, passages: int) -> float:
    """BM25's weight of a word: its inverse document frequency, never below 0 (Lucene's form)."""
    return float(np.log1p((passages - passages_with + 0.5) / (passages_with + 0.5)))


FEATURES = ("words", "history", "pairs", "cosine")


def features(
    asked: Asked, candidates: Sequence[Candidate], cosines: NDArray[np.floating], weights: Weights
) -> NDArray[np.float64]:
    """[candidates, FEATURES]; `cosines` [candidates] are those to the question, 0 where there is no vector.

    Words are shares of what a passage reaches with each word once, so that scores of two questions can be compared.
    """
    # Once each, and the telling ones first: a word that was said before and is asked again counts as asked.
    sought = list(dict.fromkeys([*asked.telling, *asked.before]))
    found = _frequencies(sought, candidates, weights.title)
    lengths = np.array([len(one.title) + len(one.text) for one in candidates], dtype=np.float64)
    norm = weights.saturation * (1 - weights.length + weights.length * lengths / LENGTH)
    strength = found * (weights.saturation + 1) / (found + norm[:, None])
    rare = np.array([asked.rarity.get(number, 0.0) for number in sought])
    places = {number: place for place, number in enumerate(sought)}
    telling = [places[number] for number in dict.fromkeys(asked.telling)]
    before = [places[number] for number in dict.fromkeys(asked.before)]
    within_reach = max(rare[telling].sum() * (weights.saturation + 1) / 2, 1e-9)
    return np.column_stack(
        [
            strength[:, telling] @ rare[telling] / within_reach,
            strength[:, before] @ rare[before] / within_reach,
            _pairs(asked, candidates) / within_reach,
            cosines,
        ]
    )


def added(found: NDArray[np.float64], weights: Weights) -> NDArray[np.float64]:
    """Features [candidates, FEATURES] as scores [candidates]: higher is better."""
    return found @ [1.0, weights.history, weights.pairs, weights.cosine]


def _frequencies(sought: Sequence[int], candidates: Sequence[Candidate], title_weight: float) -> NDArray[np.float64]:
    """[candidates, sought]: how often each stem stands in a passage; in its title, it counts `title_weight` times."""
    order = np.argsort(sought) if sought else np.zeros(0, np.int64)
    known = np.asarray(sought, dtype=np.int64)[order]
    total = np.zeros(len(candidates) * len(sought))
    for field, weight in (("title", title_weight), ("text", 1.0)):
        numbers, owners = _laid_out([getattr(one, field) for one in candidates])
        if not len(known) or not len(numbers):
            continue
        place = np.minimum(np.searchsorted(known, numbers), len(known) - 1)
        hit = known[place] == numbers
        cells = owners[hit] * len(sought) + order[place[hit]]
        total += weight * np.bincount(cells, minlength=len(total))
    return total.reshape(len(candidates), len(sought))


def _pairs(asked: Asked, candidates: Sequence[Candidate]) -> NDArray[np.float64]:
    """[candidates]: for each pair of neighbours in the question that are neighbours there, their mean rarity."""
    pairs = list(dict.fromkeys((a, b) for a, b in zip(asked.in_order, asked.in_order[1:], strict=False) if a != b))
    if not pairs:
        return np.zeros(len(candidates))
    apart = np.array([APART], dtype=np.int64)
    numbers, owners = _laid_out([np.concatenate([one.title, apart, one.text, apart]) for one in candidates])
    wanted = np.array([_code(np.int64(a), np.int64(b)) for a, b in pairs])
    worth = np.array([(asked.rarity.get(a, 0.0) + asked.rarity.get(b, 0.0)) / 2 for a, b in pairs])
    order = np.argsort(wanted)
    codes = _code(numbers[:-1], numbers[1:])
    place = np.minimum(np.searchsorted(wanted[order], codes), len(wanted) - 1)
    hit = wanted[order][place] == codes
    # Once for each passage, however often the pair stands there.
    seen = np.unique(owners[:-1][hit] * len(pairs) + order[place[hit]])
    return np.bincount(seen // len(pairs), weights=worth[seen % len(pairs)], minlength=len(candidates))


def _laid_out(texts: Sequence[Numbers]) -> tuple[Numbers, Numbers]:
    """All numbers in a row, and for each whose it is."""
    numbers = np.concatenate(texts) if texts else np.zeros(0, np.int64)
    return numbers, np.repeat(np.arange(len(texts)), [len(text) for text in texts])


def _code(first: Numbers, second: Numbers) -> Numbers:
    return first * 2**31 + second
