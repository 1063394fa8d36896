"""Do two passages say different numbers about the same thing? Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from data.sentences import sentences_of
from data.support import UNITS, content_words, covered, measures_in

SAME = 0.6
"""The share of a sentence's words, numbers apart, that another must have to be about the same."""

# What is old in one article and new in another is one thing of which two numbers are told.
_TIMES = frozenset(content_words("old new current former previous earlier updated latest"))


@dataclass(frozen=True)
class Conflict:
    """What one passage says and what another says instead: `5 days` and `14 days`."""

    says: str
    other: int
    other_says: str


def conflicts(sentence: str, passages: Sequence[str], *, but: int) -> list[Conflict]:
    """Where passages (numbered from 1) other than `but`, which bears the sentence out, give another number for it."""
    here = measures_in(sentence)
    words = [word for word in content_words(sentence) if not any(letter.isdigit() for letter in word)]
    if not here or len(words) < 2:
        return []
    found = []
    for number, passage in enumerate(passages, start=1):
        if number == but:
            continue
        for other in sentences_of(passage):
            if covered(words, frozenset(content_words(other))) < SAME:
                continue
            if _of_two_things(sentence, other) or _of_two_things(_title(passages[but - 1]), _title(passage)):
                continue
            there = measures_in(other)
            for count, unit in sorted(here):
                others = sorted(n for n, u in there if u == unit)
                # Of a list of prices, a sentence about one of them has one.
                if others and not {(n, unit) for n in others} & here:
                    found.append(
                        Conflict(_spelled(count, unit, sentence), number, _spelled(" or ".join(others), unit, other))
                    )
                    break
    return found


def _of_two_things(one: str, another: str) -> bool:
    """Do they tell two things of a kind apart: "the basic plan" and "the team plan", "City costs" and "Tour costs"?"""
    here, there = content_words(one), content_words(another)
    other_kinds = [(kind, word) for kind, word in pairwise(there) if kind not in here and kind not in _TIMES]
    return any(
        kind not in there and kind not in _TIMES and any(word == shared for _, shared in other_kinds)
        for kind, word in pairwise(here)
        if word not in UNITS
    )


def _title(passage: str) -> str:
    return passage.split("\n", 1)[0]


def _spelled(count: str, unit: str, sentence: str) -> str:
    word = next((word for word in re.findall(r"[^\W\d_]+", sentence) if [unit] == _stems(word)), unit)
    return f"{count} {word}"


def _stems(word: str) -> list[str]:
    return [u for _, u in measures_in(f"1 {word}")]
