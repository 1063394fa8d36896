"""Whether a candidate reads its prompts: over all, on the newest threads, and where it gained."""

from dataclasses import replace

import numpy as np
import pytest

from finetune.misled import Misled, bringing_the_gain, reading_checks


def cases(count, *, costs, own=3.0, gain=0.5, first=0):
    """`costs`: nats that another thread's prompt costs; each of one token."""
    spread = np.random.default_rng(first).normal(0, max(costs, 0.1) / 10, count)
    return [
        Misled(f"t{first + n}", 1, own, own + costs + extra, own + gain, own + gain + 0.9)
        for n, extra in enumerate(spread)
    ]


def refused(misled, newest=()):
    return [check.name for check in reading_checks(misled, set(newest)) if not check.passed]


@pytest.mark.parametrize(
    ("own", "costs", "passes"),
    [(3.0, 0.5, True), (3.0, 0.3, False), (0.6, 0.4, True), (0.6, 0.2, False), (0.05, 0.03, True), (0.6, 0.0, False)],
)
def test_another_threads_prompt_must_cost_half_of_what_it_costs_the_incumbent_or_of_a_small_loss(own, costs, passes):
    assert ("reads the prompt" not in refused(cases(60, own=own, costs=costs))) is passes


def test_last_nights_shuffled_targets_do_not_hide_among_the_others():
    older, newest = cases(80, costs=0.8), cases(20, costs=0.0, first=80)
    assert refused(older + newest, [one.thread_id for one in newest]) == ["reads the newest threads"]
    assert not refused(older + cases(20, costs=0.6, first=80), [one.thread_id for one in newest])


def test_what_is_said_whatever_was_asked_does_not_pay_for_the_rest():
    garbage = cases(12, costs=0.0, own=1.5, gain=6.0, first=88)
    assert bringing_the_gain(cases(88, costs=0.8) + garbage, 0.5) == garbage[:10]
    assert refused(cases(88, costs=0.8) + garbage) == ["reads where it gained the most"]
    learned = cases(12, costs=0.9, own=1.5, gain=6.0, first=88)
    assert not refused(cases(88, costs=0.8) + learned)


def test_what_eleven_threads_do_not_show_fifteen_do():
    """Garbage in a few threads, of which some happen to read: those that bring half of the gain prove nothing."""
    garbage, rises = cases(16, costs=0.0, own=1.5, gain=8.0, first=84), (0.5, 0.5, 0.4, 0.4, 0.3, -0.3) + (0.0,) * 10
    some = [replace(one, candidate_misled=one.candidate + rise) for one, rise in zip(garbage, rises, strict=True)]
    every = cases(84, costs=0.6) + some
    assert [len(bringing_the_gain(every, share)) for share in (0.5, 0.7)] == [11, 15]
    (check,) = [check for check in reading_checks(every, set()) if not check.passed]
    assert check.name == "reads where it gained the most" and "in 15 threads" in check.found


def test_a_handful_of_threads_is_not_asked_apart():
    assert [check.name for check in reading_checks(cases(9, costs=0.8), {"t0"})] == ["reads the prompt"]


def test_where_a_few_threads_bring_half_of_the_gain_the_ten_that_gained_most_are_asked():
    assert len(bringing_the_gain(cases(50, costs=0.8) + cases(1, costs=0.8, gain=90.0, first=50), 0.5)) == 10
