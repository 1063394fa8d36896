"""What a contender's texts and losses come to on old replies, with intervals. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import LCSseq, Levenshtein
from sacrebleu.metrics import CHRF

from finetune.evidence import Effect, effect

ACCEPTED = 0.8
"""The character edit similarity from which a draft counts as accepted."""
BESIDE = (0.7, 0.9)
"""Shown beside it: a laxer and a stricter agent."""
RESAMPLES = 10_000
_CHRF = CHRF()


class Interval(NamedTuple):
    """A mean with its interval of 95 %."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Reading:
    """One contender on the same cases as the others. `nats` are of what the human sent, `texts` its own drafts."""

    nats: list[float]
    texts: list[str]


@dataclass(frozen=True)
class Sent:
    """What humans sent: the cases' targets, by whose conversations intervals are clustered."""

    conversations: list[str]
    targets: list[str]
    tokens: list[int]

    def __len__(self) -> int:
        return len(self.targets)

    def only(self, places: Sequence[int]) -> "Sent":
        """Some of the cases."""
        return Sent(*([column[at] for at in places] for column in (self.conversations, self.targets, self.tokens)))


def only(reading: Reading, places: Sequence[int]) -> Reading:
    """A reading of some of the cases."""
    return Reading([reading.nats[at] for at in places], [reading.texts[at] for at in places])


def similarity(text: str, target: str) -> float:
    """1 minus the edits (insert, delete, replace one character) per character of the longer text."""
    return Levenshtein.normalized_similarity(text.strip(), target.strip())


def chrf(text: str, target: str) -> float:
    """chrF2 of one text, 0 to 100: Popović (2015), by sacrebleu."""
    return _CHRF.sentence_score(text, [target]).score


def rouge_l(text: str, target: str) -> float:
    """F1 of the longest common subsequence of words, 0 to 1: Lin (2004). Words are runs of letters and digits."""
    words, wanted = _words(text), _words(target)
    common = LCSseq.similarity(words, wanted)
    return 2 * common / (len(words) + len(wanted)) if common else 0.0


def measured(reading: Reading, sent: Sent) -> dict[str, object]:
    """Losses per token and per byte, chrF, ROUGE-L and simulated acceptance, each with its interval of 95 %."""
    likeness = [similarity(text, target) for text, target in zip(reading.texts, sent.targets, strict=True)]
    accepted = _mean([like >= ACCEPTED for like in likeness], sent)
    by_text = {
        "chrf": _mean([chrf(*both) for both in zip(reading.texts, sent.targets, strict=True)], sent),
        "rouge_l": _mean([rouge_l(*both) for both in zip(reading.texts, sent.targets, strict=True)], sent),
        "acceptance": accepted,
    }
    return {
        **losses(reading.nats, sent),
        **{key: value for name, found in by_text.items() for key, value in _with_interval(name, found).items()},
        "acceptance_at": {str(at): sum(like >= at for like in likeness) / len(likeness) for at in BESIDE},
        "similarity": sum(likeness) / len(likeness),
    }


def losses(nats: Sequence[float], sent: Sent) -> dict[str, object]:
    """Nats summed over tokens summed (end token included), and over bytes summed."""
    per_token = _ratio(nats, sent.tokens, sent.conversations)
    per_byte = _ratio(nats, [len(target.encode()) for target in sent.targets], sent.conversations)
    return _with_interval("loss", per_token) | _with_interval("loss_per_byte", per_byte)


def gain(before: Sequence[float], after: Sequence[float], sent: Sent) -> Effect:
    """Nats per token won, paired by case and clustered by conversation."""
    return _ratio([b - a for b, a in zip(before, after, strict=True)], sent.tokens, sent.conversations)


def _mean(values: Sequence[float], sent: Sent) -> Interval:
    """The percentile bootstrap's: a studentised one reaches from 0 to 1 where few drafts are accepted."""
    sums, counts = (
        _per_conversation(values, sent.conversations),
        _per_conversation([1] * len(values), sent.conversations),
    )
    drawn = np.random.default_rng(0).multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=RESAMPLES)
    low, high = np.quantile((drawn @ sums) / (drawn @ counts), (0.025, 0.975))
    return Interval(float(sums.sum() / counts.sum()), float(low), float(high))


def _ratio(above: Sequence[float], below: Sequence[float], conversations: Sequence[str]) -> Effect:
    """The studentised bootstrap's, as at the gate."""
    return effect(_per_conversation(above, conversations), _per_conversation(below, conversations))


def _per_conversation(values: Sequence[float], conversations: Sequence[str]) -> NDArray[np.float64]:
    _, places = np.unique(conversations, return_inverse=True)
    return np.bincount(places, np.asarray(values, dtype=np.float64))


def _with_interval(name: str, found: Effect | Interval) -> dict[str, object]:
    return {name: found.mean, f"{name}_ci": [found.low, found.high]}


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())
