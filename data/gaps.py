"""Which of the things that are missing or wrong in the help centre are the same one? By words, and by meaning. Pure."""

import sqlite3
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data import query

ALIKE = 0.6
"""Share of the telling words of two texts that both have, from which on they ask for the same thing.

Of pairs of bank customers' questions (banking77, train, 1,500 of them) 80 % have one intent from here on; 63 % from .5.
"""
NEAR = 0.75
"""Mean cosine of a question's vector to those of one gap, from which on it asks for the same thing.

Of pairs of those 1,500 questions 81 % have one intent from here on, as many as by words. Gathered one after the other,
by words alone 7 % of the pairs with one intent came together, and 74 % of what came together was right; by meaning too,
15 % and 78 %. With the nearest question in place of the mean it was 18 % and 69 %: gaps grew into one another.
"""


@dataclass(frozen=True)
class Asked:
    """What stands behind a gap: the question, the draft that had it wrong, the question's vector [dimensions]."""

    question: str
    draft: str | None = None
    vector: NDArray[np.float32] | None = None


def same_as(new: Sequence[Asked], known: Sequence[Asked], homes: Sequence[Hashable]) -> list[int | None]:
    """For each new one, one among `known` and the new ones before it, counted through, that is the same gap, or None.

    `homes` tells the gap of each known one. By words the most alike one counts; where none is alike enough, the gap
    that is nearest in meaning, if it is near enough.
    """
    everything = [*known, *new]
    questions = stems([one.question for one in everything])
    drafts = stems([one.draft or "" for one in everything])
    at_home = list(homes)
    found: list[int | None] = []
    for number in range(len(known), len(everything)):
        likeness = [
            max(shared(questions[number], questions[other]), shared(drafts[number], drafts[other]))
            for other in range(number)
        ]
        best = max(range(number), key=likeness.__getitem__, default=None)
        if best is None or likeness[best] < ALIKE:
            best = _nearest(everything[: number + 1], at_home)
        found.append(best)
        at_home.append(at_home[best] if best is not None else ("new", number))
    return found


def _nearest(asked: Sequence[Asked], homes: Sequence[Hashable]) -> int | None:
    """The first of the gap whose questions are nearest to the last one asked; None when none is near enough."""
    *others, last = asked
    with_vectors = [place for place, one in enumerate(others) if one.vector is not None]
    if last.vector is None or not with_vectors:
        return None
    cosines: dict[Hashable, list[float]] = {}
    first: dict[Hashable, int] = {}
    for place, cosine in zip(
        with_vectors, np.stack([others[n].vector for n in with_vectors]) @ last.vector, strict=True
    ):
        cosines.setdefault(homes[place], []).append(float(cosine))
        first.setdefault(homes[place], place)
    best = max(cosines, key=lambda home: np.mean(cosines[home]))
    return first[best] if np.mean(cosines[best]) >= NEAR else None


def shared(one: frozenset[str], other: frozenset[str]) -> float:
    """The share of two texts' words that both have (Jaccard)."""
    return len(one & other) / len(one | other) if one and other else 0.0


def stems(texts: Sequence[str]) -> list[frozenset[str]]:
    """The telling words of each text, by their stems, as the search for passages has them."""
    made: list[set[str]] = [set() for _ in texts]
    memory = sqlite3.connect(":memory:")
    try:
        memory.execute("create virtual table said using fts5 (text, tokenize = 'porter unicode61 remove_diacritics 2')")
        memory.execute("create virtual table words using fts5vocab (said, 'instance')")
        rows = ((number, " ".join(query.terms(text))) for number, text in enumerate(texts))
        memory.executemany("insert into said (rowid, text) values (?, ?)", rows)
        for stem, number in memory.execute("select term, doc from words"):
            made[number].add(stem)
    finally:
        memory.close()
    return [frozenset(one) for one in made]
