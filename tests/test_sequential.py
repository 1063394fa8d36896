"""The canary's test: its error rate stays, however often one looks."""

import numpy as np
import pytest

from finetune.sequential import LEVEL, MARGIN, judge, log_e

RUNS, DECISIONS = 1_000, 300


def ever(rate, before, *, share=0.5, worse=True, seed=11):
    """The share of runs that ever reach their verdict, looked at after every decision, and when half of them have."""
    random = np.random.default_rng(seed)
    on_trial = random.random((RUNS, DECISIONS)) < share
    accepted = random.random((RUNS, DECISIONS)) < np.where(on_trial, rate, before)
    counts = [(on_trial & accepted), (on_trial & ~accepted), (~on_trial & accepted), (~on_trial & ~accepted)]
    reached = log_e(*(np.cumsum(some, axis=1) for some in counts), worse=worse) >= -np.log(LEVEL)
    return reached.any(axis=1).mean(), np.median(np.where(reached.any(axis=1), reached.argmax(axis=1), DECISIONS))


@pytest.mark.parametrize("before", [0.1, 0.5, 0.9])
def test_an_adapter_that_lost_no_more_than_the_margin_is_seldom_rolled_back_however_often_one_looks(before):
    # 1,000 runs with 300 looks each; more than 20 of them would come by chance at the level once in 500 such tests.
    assert ever(before - MARGIN, before)[0] <= 0.02
    assert ever(before, before, share=0.2)[0] <= 0.02


def test_looking_after_every_decision_would_deceive_a_test_for_one_look():
    """What the plain z-test at the same level does: the reason for this file."""
    random = np.random.default_rng(3)
    on_trial, before = (np.cumsum(random.random((RUNS, DECISIONS)) < rate, axis=1) for rate in (0.45, 0.5))
    n = np.arange(1, DECISIONS + 1)
    p, q = on_trial / n, before / n
    z = (p - q + MARGIN) / np.sqrt(np.maximum((p * (1 - p) + q * (1 - q)) / n, 1e-9))
    assert (z[:, 20:] < -2.326).any(axis=1).mean() > 5 * LEVEL


def test_a_clear_loss_is_rolled_back_and_a_gain_is_kept():
    rolled_back, after = ever(0.15, 0.65)
    assert rolled_back > 0.98 and after < 120
    kept, _ = ever(0.9, 0.5, worse=False)
    assert kept > 0.9


def test_no_decision_says_nothing_and_one_says_little():
    assert judge(0, 0, 0, 0).outcome == "open"
    assert judge(0, 5, 0, 0).outcome == "open" and judge(0, 0, 500, 500).outcome == "open"
    assert judge(5, 100, 95, 100).outcome == "rolled_back"
    assert judge(95, 100, 5, 100).outcome == "kept"


def test_evidence_is_the_same_in_whatever_order_the_counts_came():
    found = judge(25, 100, 75, 100)
    assert found.against == pytest.approx(float(np.exp(log_e(25, 75, 75, 25, worse=True))))
    assert found.outcome == "rolled_back" and found.in_favour < 1
