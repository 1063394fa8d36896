"""The backtest's split by time: what a night learned from is over before what it is scored on, or there is an error."""

from dataclasses import replace

import pytest
from night_fixtures import pair, small_dataset
from test_backtest import conversation, written

from data.history import thread_of
from finetune import dataset as datasets
from finetune.backtest_parts import read_parts
from finetune.split_check import LeakedThreads
from finetune.unseen import LearnedFromLater, expect_unseen, threads_of


@pytest.fixture
def parts(tmp_path):
    file = tmp_path / "old.jsonl"
    return read_parts(written(file, *(conversation(n, closed_at=f"2026-01-{n + 1:02}") for n in range(25))), nights=2)


def threads(part) -> set[str]:
    return {thread_of(one.conversation) for one in part}


def test_what_was_said_before_may_be_learned_from(parts):
    first, second = parts.slices
    expect_unseen(threads(first), first, [*second, *parts.final])
    expect_unseen(threads([*first, *second]), [*first, *second], parts.final)
    expect_unseen(set(), first, parts.final)


def test_a_conversation_that_is_scored_and_was_learned_from_is_an_error(parts):
    first, second = parts.slices
    with pytest.raises(LeakedThreads, match=min(threads(parts.final))):
        expect_unseen(threads(first) | {min(threads(parts.final))}, first, [*second, *parts.final])


def test_one_that_nobody_had_played_yet_is_an_error(parts):
    first, second = parts.slices
    with pytest.raises(LearnedFromLater, match=min(threads(second))):
        expect_unseen(threads(first) | threads(second), first, parts.final)


def test_one_that_was_closed_after_those_that_are_scored_is_an_error(parts):
    first, second = parts.slices
    late = replace(first[0], conversation=replace(first[0].conversation, closed_at="2026-02-01T00:00:00.000000+00:00"))
    with pytest.raises(LearnedFromLater, match=thread_of(late.conversation)):
        expect_unseen(threads([late, *first[1:]]), [late, *first[1:]], [*second, *parts.final])


def test_without_closing_times_the_order_of_the_file_is_what_counts(tmp_path):
    parts = read_parts(written(tmp_path / "old.jsonl", *(conversation(n) for n in range(25))), nights=2)
    first, second = parts.slices
    expect_unseen(threads(first), first, [*second, *parts.final])
    with pytest.raises(LearnedFromLater):
        expect_unseen(threads(second), first, parts.final)


def test_every_side_of_a_frozen_dataset_counts(tmp_path):
    assert threads_of(tmp_path) == set()
    dataset = replace(small_dataset(train=6, held_out=2), validation=[pair(50)])
    datasets.freeze(dataset, tmp_path)
    sides = (dataset.train, dataset.validation, [case.pair for case in dataset.held_out])
    assert threads_of(tmp_path) == {one.thread_id for side in sides for one in side}
