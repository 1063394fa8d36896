"""Measure the check of data/support.py against people's ratings, and find the threshold at which it agrees with them.

People rate whole answers, from 1 to 4, for how faithful they are to their passages. The check speaks about sentences:
an answer's score is the mean of its sentences' scores, and what a threshold does to it is the share of its sentences
that are kept.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from data import agreement
from data.errors import BadFile
from data.jsonlines import objects_with
from data.sentences import sentences_of
from data.support import Support, support_of

FAITHFUL = 3.0
"""The mean rating from which on people call an answer faithful."""
THRESHOLDS = [n / 100 for n in range(20, 81, 5)]
AS_GOOD = 0.01
"""Thresholds whose AUROC differs by less do equally well."""


@dataclass(frozen=True)
class _Rated:
    group: str
    supports: Sequence[Support]
    ratings: Sequence[float]

    @property
    def rating(self) -> float:
        return sum(self.ratings) / len(self.ratings)

    @property
    def score(self) -> float:
        return sum(one.score for one in self.supports) / len(self.supports)

    def kept(self, threshold: float) -> float:
        """The share of the sentences that stay."""
        stay = sum(one.passage is not None and not one.missing and one.score >= threshold for one in self.supports)
        return stay / len(self.supports)


def calibrate_support(ratings: Path, *, progress: bool = False) -> dict[str, float]:
    """Agreement with the ratings, and the threshold, which is the strictest of those that do as well as the best.

    `kappa` is by cross-validation: threshold and cut are chosen on nine tenths of the questions, and judged on the
    others. Raises BadFile naming the first line that cannot be used.
    """
    cases = _cases(ratings, progress=progress)
    is_faithful = [case.rating >= FAITHFUL for case in cases]
    if len(set(is_faithful)) < 2:
        raise BadFile(f"{ratings} needs answers that people found faithful and others that they did not.")
    threshold = _threshold(cases)
    fold = agreement.folds([case.group for case in cases])
    judged: dict[int, bool] = {}
    for held in sorted(set(fold)):
        seen = [case for case, one in zip(cases, fold, strict=True) if one != held]
        at = _threshold(seen)
        shares = [case.kept(at) for case in seen]
        said = [case.rating >= FAITHFUL for case in seen]
        cut = agreement.most(
            sorted(set(shares)),
            lambda value, shares=shares, said=said: agreement.kappa([share >= value for share in shares], said),
        )
        judged |= {n: cases[n].kept(at) >= cut for n, one in enumerate(fold) if one == held}
    one_out = [
        (one, (sum(case.ratings) - one) / (len(case.ratings) - 1))
        for case in cases
        if len(case.ratings) > 1
        for one in case.ratings
    ]
    kept = [case.kept(threshold) for case in cases]
    return {
        "answers": len(cases),
        "unfaithful": is_faithful.count(False),
        "threshold": threshold,
        "auroc": agreement.auroc([case.score for case in cases], is_faithful),
        "auroc_kept": agreement.auroc(kept, is_faithful),
        "spearman": agreement.spearman([case.score for case in cases], [case.rating for case in cases]),
        "spearman_of_people": agreement.spearman(*zip(*one_out, strict=True)) if one_out else float("nan"),
        "kappa": agreement.kappa([judged[n] for n in range(len(cases))], is_faithful),
        "sentences_kept_of_faithful": _mean(share for share, so in zip(kept, is_faithful, strict=True) if so),
        "sentences_kept_of_unfaithful": _mean(share for share, so in zip(kept, is_faithful, strict=True) if not so),
    }


def write_threshold(measured: dict[str, float], path: Path) -> None:
    """Put the threshold where the check reads it, with the figures that it was chosen by."""
    kept = {name: round(value, 3) if isinstance(value, float) else value for name, value in measured.items()}
    path.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


def _threshold(cases: Sequence[_Rated]) -> float:
    said = [case.rating >= FAITHFUL for case in cases]
    found = {at: agreement.auroc([case.kept(at) for case in cases], said) for at in THRESHOLDS}
    # A sentence that is shown and not supported does more harm than one that is left out.
    return max(at for at, value in found.items() if value >= max(found.values()) - AS_GOOD)


def _cases(path: Path, *, progress: bool) -> list[_Rated]:
    cases = []
    read = objects_with(path, ("contexts", "human", "response"))
    for number, value in enumerate(tqdm(read, unit="answer", disable=None if progress else True), start=1):
        try:
            passages = [str(one["text"]) for one in value["contexts"]]
            ratings = [float(one) for one in value["human"]["faithfulness"]]
            sentences = sentences_of(str(value["response"]))
        except (KeyError, TypeError, ValueError) as error:
            raise BadFile(
                f"{path}: answer {number} needs contexts with a text each, and ratings in human.faithfulness."
            ) from error
        if ratings and sentences:
            supports = [support_of(sentence, passages) for sentence in sentences]
            cases.append(_Rated(str(value.get("task_id") or number), supports, ratings))
    return cases


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found) if found else float("nan")
