"""Texts that people liked or disliked, as the preference stage learns from them. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Protocol

from data.models import Pair
from data.store_thumbs import RatedText
from finetune.filters import near_prompts, unusable
from finetune.weighing import AGENT_SHARE, THREAD_SHARE, capped

MIN_THUMBS = 500
LEAST_SHARE = 0.2
"""So many rated texts, and so great a share of each kind, as finetuning.md's recipe asks."""
SUPERVISORS_THUMB = 2
"""What a supervisor's thumb counts where an agent's counts 1: from there on a text has its whole weight."""


@dataclass(frozen=True)
class Thumb:
    """A rated text as the pair that it would be; `pair.weight` says how sure its raters are."""

    pair: Pair
    liked: bool


def of_ratings(rated: Iterable[RatedText]) -> tuple[list[Thumb], int]:
    """Texts by the sum of their thumbs, and how many say neither: as many up as down, or liked against a supervisor.

    That a supervisor's thumb down forbids imitation is the rule of the pairs, too, and so are the caps: of what is
    liked, and of what is disliked, one person's thumbs and one thread's texts have no greater share.
    """
    thumbs: list[Thumb] = []
    raters: dict[tuple[str, str], str | None] = {}
    neither = 0
    for one in rated:
        if one.net == 0 or (one.net > 0 and one.supervisors_down):
            neither += 1
            continue
        weight = min(1.0, abs(one.net) / SUPERVISORS_THUMB)
        pair = Pair(one.id, one.task, one.thread_id, one.messages, one.text, "suggestion", weight, one.created_at)
        thumbs.append(Thumb(pair, liked=one.net > 0))
        raters[one.id, one.text] = one.rater
    return [*_capped(thumbs, raters, liked=True), *_capped(thumbs, raters, liked=False)], neither


def _capped(thumbs: Sequence[Thumb], raters: Mapping[tuple[str, str], str | None], *, liked: bool) -> list[Thumb]:
    pairs = [thumb.pair for thumb in thumbs if thumb.liked == liked]
    pairs, _ = capped(pairs, lambda pair: pair.thread_id, THREAD_SHARE)
    pairs, _ = capped(pairs, lambda pair: raters[pair.id, pair.target], AGENT_SHARE)
    return [Thumb(pair, liked) for pair in pairs]


def usable(thumbs: Sequence[Thumb], validating: Set[str], held_out: Sequence[Pair]) -> tuple[list[Thumb], Counter[str]]:
    """Those that training may read, and how many others there are, by reason.

    `validating` are the threads that stop it early. What is disliked may be as short or as strange as it is.
    """
    near = near_prompts([thumb.pair for thumb in thumbs], held_out)
    kept, left_out = [], Counter[str]()
    for thumb, reason in zip(thumbs, unusable([thumb.pair for thumb in thumbs]), strict=True):
        if thumb.pair.thread_id in validating:
            left_out["in a thread that stops training early"] += 1
        elif thumb.pair.id in near:
            left_out["nearly the prompt of a held-out pair"] += 1
        elif not thumb.liked and thumb.pair.task == "answer":
            # Whoever marks an answer down mostly means its facts, and those come from the help centre.
            left_out["a disliked answer, whose facts may be what was wrong"] += 1
        elif thumb.liked and reason is not None:
            left_out[reason] += 1
        else:
            kept.append(thumb)
    return kept, left_out


class Liked(Protocol):
    """Anything that is liked or not."""

    @property
    def liked(self) -> bool: ...


def counts(thumbs: Iterable[Liked]) -> dict[str, int]:
    """How many are liked and how many are not."""
    found = Counter(thumb.liked for thumb in thumbs)
    return {"liked": found[True], "disliked": found[False]}


def sentence(liked: int, disliked: int) -> str:
    """The counts for a person, and whether the stage can learn from so few."""
    found = f"{liked + disliked} rated texts, {disliked} of them disliked"
    if enough(liked, disliked):
        return f"{found}: enough for KTO"
    return f"{found}: too few for KTO, which needs {MIN_THUMBS} and {LEAST_SHARE:.0%} of each kind"


def enough(liked: int, disliked: int) -> bool:
    """Whether KTO may learn from so many."""
    both = liked + disliked
    return both >= MIN_THUMBS and min(liked, disliked) >= LEAST_SHARE * both
