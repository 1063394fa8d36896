"""Kinds of held-out cases that the gate asks more of than a gain over all."""

import numpy as np
import pytest
from night_fixtures import asked, pair

from finetune.dataset import Case
from finetune.scored import Misled, Scored, accepted_check, reading_check


def scored(candidate, incumbent, tokens=10):
    return Scored(Case(pair(1), "accepted", asked(1)), tokens, candidate, incumbent, incumbent)


def test_accepted_drafts_have_a_margin_because_the_incumbent_wrote_them():
    human = [scored(candidate=10.0, incumbent=20.0)]
    assert accepted_check([scored(candidate=6.0, incumbent=2.0)], human).passed
    assert not accepted_check([scored(candidate=15.0, incumbent=2.0)], human).passed


@pytest.mark.parametrize(
    ("own", "costs", "passes"),
    [(3.0, 0.5, True), (3.0, 0.3, False), (0.6, 0.4, True), (0.6, 0.2, False), (0.05, 0.03, True), (0.6, 0.0, False)],
)
def test_another_threads_prompt_must_cost_half_of_what_it_costs_the_incumbent_or_of_a_small_loss(own, costs, passes):
    spread = np.random.default_rng(1).normal(0, costs / 10, 60)
    misled = [Misled(f"t{n}", 1, own, own + costs + extra, 3.2, 4.1) for n, extra in enumerate(spread)]
    assert reading_check(misled).passed is passes
