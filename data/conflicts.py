"""Do two passages say different numbers about the same thing? Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from data.sentences import sentences_of
from data.support import content_words, covered, measures_in

SAME = 0.6
"""The share of a sentence's words, numbers apart, that another must have to be about the same."""


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
            there = measures_in(other)
            for count, unit in sorted(here):
                others = sorted(n for n, u in there if u == unit)
                if others and count not in others:
                    found.append(
                        Conflict(_spelled(count, unit, sentence), number, _spelled(" or ".join(others), unit, other))
                    )
                    break
    return found


def _spelled(count: str, unit: str, sentence: str) -> str:
    word = next((word for word in re.findall(r"[^\W\d_]+", sentence) if [unit] == _stems(word)), unit)
    return f"{count} {word}"


def _stems(word: str) -> list[str]:
    return [u for _, u in measures_in(f"1 {word}")]
