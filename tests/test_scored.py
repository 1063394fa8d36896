"""Kinds of held-out cases that the gate asks more of than a gain over all."""

from night_fixtures import asked, pair

from finetune.pairs import Case
from finetune.scored import Scored, accepted_check


def scored(candidate, incumbent, tokens=10):
    return Scored(Case(pair(1), "accepted", asked(1)), tokens, candidate, incumbent, incumbent)


def test_accepted_drafts_have_a_margin_because_the_incumbent_wrote_them():
    human = [scored(candidate=10.0, incumbent=20.0)]
    assert accepted_check([scored(candidate=6.0, incumbent=2.0)], human).passed
    assert not accepted_check([scored(candidate=15.0, incumbent=2.0)], human).passed
