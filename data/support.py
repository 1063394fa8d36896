"""Does a passage say what a sentence says? Pure: by the words, numbers and names that they share.

A sentence's score is measured against the best few sentences of one passage. Whatever its score, a number, a name or
a "not" that the passage does not have there sinks it. How well the score agrees with people is measured by
`python -m data calibrate-support`, which writes the threshold into support.json.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from itertools import pairwise

from data.query import STOP_WORDS
from data.sentences import sentences_of

CALIBRATION = files("data") / "support.json"
THRESHOLD = float(json.loads(CALIBRATION.read_text())["threshold"])
"""A sentence with this score is supported."""

WINDOW = 4
"""Sentences of a passage that one sentence may be drawn from (human ratings, dev: 1 to all differ by .02 AUROC)."""
LONGEST_WEIGHT = 8
"""A word weighs as many as it has letters, up to this: as good as its rarity in a corpus, and needs none."""
ALIGNED = 0.5
"""The share of a sentence that one sentence of the passage must account for, to be said to deny it."""

_SILENT = STOP_WORDS | {"mine", "yours", "ours", "theirs"}
_WORD = re.compile(r"[^\W_]+(?:[.,'\u2019][^\W_]+)*")
_UNSPACED = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_ENDINGS = tuple(re.findall(r"\w+", "ingly edly ations ation ments ment ings ing ies ied es ed ly s e"))
_NOT = frozenset({"not", "no", "never", "cannot", "without", "nor", "neither", "none", "nothing"})
_CLAUSE_END = re.compile(r"[,;:.!?()\n]| but | and | or ", re.IGNORECASE)
_NAME = re.compile(r"(?<=[\w,;)] )\*{0,2}[A-Z][\w&-]*|\b[A-Z][A-Z0-9]+\b|\b[a-z]+[A-Z]\w*|https?://[^\s)>\]]+")
_NUMBER = re.compile(r"(?<![\w.])[$€£]?\d+(?:[.,:/]\d+)*%?")
_SMALL = {
    word: number
    for number, word in enumerate(
        re.findall(r"\w+", "two three four five six seven eight nine ten eleven twelve"), start=2
    )
}
_CITED = re.compile(r"\s?\[\d+\]")
_COUNTER = re.compile(r"^\W*(?:step\s+)?\d{1,2}\s*[.):]\s", re.IGNORECASE)
_OPPOSITES = [
    {"on", "off"}, {"before", "after"}, {"always", "never"}, {"more", "less", "fewer"}, {"first", "last"},
    {"enable", "disable"}, {"allow", "forbid", "deny", "prohibit"}, {"increase", "decrease", "reduce"},
    {"open", "close"}, {"include", "exclude"}, {"accept", "refuse", "reject"}, {"minimum", "maximum"},
    {"least", "most"}, {"free", "paid"}, {"above", "below", "under"}, {"safe", "unsafe"}, {"possible", "impossible"},
    {"start", "stop"}, {"add", "remove"}, {"required", "optional"}, {"left", "right"}, {"daily", "weekly", "monthly"},
    {"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"},
]  # fmt: skip


@dataclass(frozen=True)
class Support:
    """How well a passage bears a sentence out: `passage` is its number, from 1; None when there is none.

    `missing` are the numbers and names that it does not have, or what it says the other way round.
    """

    score: float
    passage: int | None
    missing: tuple[str, ...] = ()

    @property
    def is_enough(self) -> bool:
        """May the sentence be shown as this passage's?"""
        return self.passage is not None and not self.missing and self.score >= THRESHOLD


def support_of(sentence: str, passages: Sequence[str], *, preferred: int | None = None) -> Support:
    """The passage that bears the sentence out best. `preferred`: of those that do, this one where it is among them.

    A passage is a text, its title included.
    """
    said = plain(sentence)
    found = [_support(said, passage, number) for number, passage in enumerate(passages, start=1)]
    kept = [one for one in found if one.is_enough]
    for one in kept:
        if one.passage == preferred:
            return one
    return max(kept or found, key=lambda one: one.score, default=Support(0.0, None))


def plain(sentence: str) -> str:
    """A sentence without its citations, its number in a list and its marks."""
    return _COUNTER.sub("", _CITED.sub("", sentence)).replace("**", "").replace("`", "").strip()


def content_words(text: str) -> list[str]:
    """The words that carry meaning, without the ends that their forms differ by, in order."""
    found = []
    for word in _WORD.findall(text.replace("\u2019", "'")):
        if _UNSPACED.search(word):
            found += [word[n : n + 2] for n in range(max(1, len(word) - 1))]
        elif word.casefold() not in _SILENT and (len(word) > 1 or word.isdigit()):
            found.append(_stem(word.casefold()))
    return found


def covered(words: Sequence[str], by: frozenset[str]) -> float:
    """The share of the words, each weighing its length, that are among others; 1 when there are none."""
    whole = sum(_weight(word) for word in words)
    return sum(_weight(word) for word in words if word in by) / whole if whole else 1.0


def numbers_in(text: str) -> frozenset[str]:
    """The numbers in a text, however they are written: `1,000`, `1000` and `two`, which is `2`."""
    found = {_digits(one) for one in _NUMBER.findall(text)}
    return frozenset(found | {str(_SMALL[word]) for word in re.findall(r"[a-z]+", text.lower()) if word in _SMALL})


def names_in(text: str) -> frozenset[str]:
    """What is spelled like a name within a sentence, abbreviations and addresses."""
    return frozenset(one.lstrip("*").rstrip(".,;:") for one in _NAME.findall(text))


def unfounded(sentence: str, sources: str) -> tuple[str, ...]:
    """The numbers and names of a sentence that stand nowhere in the sources."""
    return _absent(plain(sentence), sources)


# An answer that is being written is checked anew with every sentence.
@lru_cache(maxsize=4096)
def _support(said: str, passage: str, number: int) -> Support:
    words = content_words(said)
    if not words:
        return Support(0.0, None)
    split = _split(passage)
    best, score = 0, -1.0
    for start in range(max(1, len(split) - WINDOW + 1)):
        window = frozenset().union(*(one.words for one in split[start : start + WINDOW]))
        if (share := covered(words, window)) > score:
            best, score = start, share
    pairs = list(pairwise(words))
    known = _pairs(passage)
    together = sum(pair in known for pair in pairs) / len(pairs) if pairs else score
    missing = (*_absent(said, passage), *_displaced(said, split, best), *_denied(said, split))
    return Support((2 * score + together) / 3, number, missing)


@dataclass(frozen=True)
class _Sentence:
    text: str
    words: frozenset[str]


@lru_cache(maxsize=64)
def _split(passage: str) -> tuple[_Sentence, ...]:
    return tuple(_Sentence(one, frozenset(content_words(one))) for one in sentences_of(passage))


@lru_cache(maxsize=64)
def _pairs(passage: str) -> frozenset[tuple[str, str]]:
    words = content_words(passage)
    return frozenset([*pairwise(words), *zip(words, words[2:], strict=False)])


def _absent(said: str, passage: str) -> tuple[str, ...]:
    known = frozenset(content_words(passage)) | frozenset(_stem(w.casefold()) for w in _WORD.findall(passage))
    names = [n for n in names_in(said) if n.removesuffix("s") not in passage and not set(_every(n)) <= known]
    return (*sorted(numbers_in(said) - numbers_in(passage)), *sorted(names))


def _displaced(said: str, split: Sequence[_Sentence], best: int) -> tuple[str, ...]:
    """Numbers whose unit is another one in the passage: 14 hours, where it says 14 days."""
    near = " ".join(one.text for one in split[max(0, best - 1) : best + WINDOW + 1])
    known = measures_in(near) | measures_in(" ".join(one.text for one in split))
    units = {unit for _, unit in known}
    return tuple(f"{n} {u}" for n, u in sorted(measures_in(said)) if u in units | UNITS and (n, u) not in known)


UNITS = frozenset(
    re.findall(r"\w+", "second minut hour day week month year euro dollar pound percent kg km mm cm mb gb kb tb")
)


def measures_in(text: str) -> frozenset[tuple[str, str]]:
    """Each number in a text with the word after it, which mostly is its unit."""
    words = [SMALL_WORDS.get(w.casefold(), w) for w in re.findall(r"\d+(?:[.,]\d+)*|[^\W\d_]+", text)]
    return frozenset(
        (_digits(a), _stem(b.casefold())) for a, b in pairwise(words) if a[0].isdigit() and not b[0].isdigit()
    )


SMALL_WORDS = {word: str(number) for word, number in _SMALL.items()}
"""The words for small numbers: `ten` is `10`."""


def _denied(said: str, split: Sequence[_Sentence]) -> tuple[str, ...]:
    """What the nearest sentence of the passage says the other way round."""
    words = content_words(said)
    nearest = max(split, key=lambda one: covered(words, one.words), default=None)
    if nearest is None or covered(words, nearest.words) < ALIGNED:
        return ()
    here, there = set(_every(said)), set(_every(nearest.text))
    whole = {word for one in split for word in _every(one.text)}
    for opposites in _OPPOSITES:
        stems = {_stem(word) for word in opposites}
        mine, theirs = here & stems, there & stems
        if mine and theirs and not mine & theirs and not mine & whole:
            return tuple(sorted(mine))
    not_here, not_there = _negated(said), _negated(nearest.text)
    turned = (not_there & set(words)) - not_here | (not_here & nearest.words) - not_there
    return tuple(f"not {word}" for word in sorted(turned))


def _negated(text: str) -> frozenset[str]:
    """The words that a "not" stands before, up to the end of its clause, two at most."""
    found: set[str] = set()
    for clause in _CLAUSE_END.split(text.replace("\u2019", "'")):
        tokens = _WORD.findall(clause)
        for place, token in enumerate(tokens):
            if token.casefold() in _NOT or token.casefold().endswith("n't"):
                found |= set(content_words(" ".join(tokens[place + 1 :]))[:2])
    return frozenset(found - _NOT)


def _every(text: str) -> list[str]:
    return [_stem(word.casefold()) for word in _WORD.findall(text)]


def _digits(number: str) -> str:
    return re.sub(r"[,$€£](?=\d{3}\b|\d)", "", number).strip("$€£%.,:/-").lstrip("0") or "0"


def _weight(word: str) -> int:
    return min(len(word), LONGEST_WEIGHT)


def _stem(word: str) -> str:
    word = word.removesuffix("'s")
    if any(letter.isdigit() for letter in word):
        return word
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= (3 if ending == "s" else 4):
            return word.removesuffix(ending)
    return word
