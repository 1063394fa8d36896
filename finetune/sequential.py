"""Has the acceptance of an adapter's drafts fallen? An answer that stays right however often one looks. Pure.

Two streams of yes and no: the adapter on trial and the one that served before. For each rate p of a stream the mixture
martingale M(p) = B(yes + 1, no + 1) / (p^yes (1 - p)^no), with B the beta function, has a mean of one when p is true;
so has the product of two streams' martingales. The least product over all pairs of rates that a hypothesis allows is
therefore an e-process: when the hypothesis is true, it ever reaches 1 / level with a probability of at most `level`,
at whatever moment one stops and in whatever order the decisions came (Ville 1939; Robbins 1970; Grünwald, de Heide and
Koolen 2024).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaln, xlog1py, xlogy

MARGIN = 0.05
"""Acceptance that the adapter on trial may lose: five points."""
LEVEL = 0.01
"""Of rolling an adapter back that has lost no more than the margin, over the whole of its trial."""
BISECTIONS = 25

Outcome = Literal["open", "kept", "rolled_back"]


@dataclass(frozen=True)
class Evidence:
    """`against` and `in_favour` are e-values: how often better than fair a bet on that side has paid."""

    outcome: Outcome
    against: float
    in_favour: float


def judge(accepted: int, decided: int, accepted_before: int, decided_before: int) -> Evidence:
    """What the counts of both streams say so far: the adapter on trial, and the one before."""
    counts = (accepted, decided - accepted, accepted_before, decided_before - accepted_before)
    against, in_favour = (float(log_e(*counts, worse=side)) for side in (True, False))
    needed = -np.log(LEVEL)
    outcome: Outcome = "rolled_back" if against >= needed else "kept" if in_favour >= needed else "open"
    return Evidence(outcome, float(np.exp(min(against, 700.0))), float(np.exp(min(in_favour, 700.0))))


def log_e(
    yes: ArrayLike, no: ArrayLike, yes_before: ArrayLike, no_before: ArrayLike, *, worse: bool
) -> NDArray[np.float64]:
    """The logarithm of the e-value for "acceptance has fallen by more than MARGIN" (`worse`), or for the contrary.

    It is the least over the hypothesis that is to be rejected: rates p on trial and q before with p >= q - MARGIN when
    `worse` is to be shown, p <= q - MARGIN when not.
    """
    yes, no, yes_before, no_before = (np.asarray(some, dtype=np.float64) for some in (yes, no, yes_before, no_before))
    mixture = betaln(yes + 1, no + 1) + betaln(yes_before + 1, no_before + 1)
    # The likeliest rates of all; where the hypothesis does not allow them, the likeliest lie on its border p = q - m.
    rate, before = _share(yes, no), _share(yes_before, no_before)
    allowed = rate >= before - MARGIN if worse else rate <= before - MARGIN
    at_border = _likeliest_before(yes, no, yes_before, no_before)
    p, q = np.where(allowed, rate, at_border - MARGIN), np.where(allowed, before, at_border)
    return mixture - (xlogy(yes, p) + xlog1py(no, -p) + xlogy(yes_before, q) + xlog1py(no_before, -q))


def _share(yes: NDArray[np.float64], no: NDArray[np.float64]) -> NDArray[np.float64]:
    # A stream without a decision allows every rate: that of the other one is taken below.
    with np.errstate(invalid="ignore"):
        return np.where(yes + no > 0, yes / np.maximum(yes + no, 1), 0.5)


def _likeliest_before(
    yes: NDArray[np.float64], no: NDArray[np.float64], yes_before: NDArray[np.float64], no_before: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The q in [MARGIN, 1] at which both streams are likeliest together when p = q - MARGIN, by bisection.

    The logarithm of the likelihood is concave in q, so its slope falls from one end to the other.
    """
    low = np.full(np.broadcast(yes, no, yes_before, no_before).shape, MARGIN)
    high = np.ones_like(low)
    for _ in range(BISECTIONS):
        q = (low + high) / 2
        p = q - MARGIN
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = _over(yes, p) - _over(no, 1 - p) + _over(yes_before, q) - _over(no_before, 1 - q)
        low, high = np.where(slope > 0, q, low), np.where(slope > 0, high, q)
    return (low + high) / 2


def _over(count: NDArray[np.float64], share: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(count > 0, count / np.maximum(share, 1e-12), 0.0)
