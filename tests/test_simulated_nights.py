"""A short version of simulate_gate.py: the shipped gate on differences of real runs, over simulated nights."""

import numpy as np
import pytest
from gate_texts import read
from simulate_gate import (
    ALPHA,
    HOPELESS,
    LEAST_GAIN,
    null_nights,
    population,
    power,
    promoted_share,
    runs,
)
from simulate_texts import refused

from finetune.evidence import p_values

NIGHTS = 300


@pytest.fixture(scope="module")
def found():
    return runs()


def test_nights_without_a_gain_promote_next_to_nothing(found):
    for name, threads, draw in null_nights(found):
        if threads == 100 and "disaster" not in name:
            share, _, _ = promoted_share(draw, nights=NIGHTS, threads=threads)
            # Of 300 nights at .3 % one errs; more than six would come by chance once in 2,000 such tests.
            assert share <= 6 / NIGHTS, name


def test_a_gate_that_tested_each_task_at_the_usual_level_would_not_hold(found):
    """The simulation can fail: at .05 a night without a gain often promotes."""
    _, _, draw = next(iter(null_nights(found)))
    assert promoted_share(draw, nights=200, threads=100, alpha=0.05)[0] > 0.02


def test_a_truly_better_adapter_is_promoted(found):
    learned = population(found, "star 160", "star base")
    assert power(learned, 100, nights=200) >= 0.95
    assert power(learned.centred(LEAST_GAIN), 100, nights=200) <= 0.02


def test_nights_that_are_not_tested_any_further_could_not_have_passed(found):
    _, threads, draw = next(iter(null_nights(found)))
    gains = draw(np.random.default_rng(5), 300, threads)
    hopeless = gains[gains.mean(axis=1) * np.sqrt(threads) / gains.std(axis=1) < HOPELESS]
    assert len(hopeless) > 100 and p_values(hopeless).min() > 20 * ALPHA


def test_the_rules_on_texts_refuse_few_who_gained_and_those_who_lost():
    texts = read()
    for corpus in ("star", "dstc"):
        learned, base = texts[f"{corpus} 320"], texts[f"{corpus} base"]
        # .6 and 0 % of 1,000 nights.
        assert refused(learned, base, nights=60)[0] <= 0.1
        share, rules = refused(base, learned, nights=60)
        assert share >= 0.95 and rules["chrF"] >= 40
