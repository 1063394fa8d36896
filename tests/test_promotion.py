"""The pointer: promoted per task and base, past the gate by force alone, rolled back step by step."""

from pathlib import Path

import pytest
from sqlite_utils import Database

from data import store
from data.errors import BrokenAdapter, UnknownAdapter
from serving import promotion
from serving.promotion import GateNotPassed, NothingToRollBack


@pytest.fixture
def published(db: Database, tmp_path: Path) -> Database:
    """Three adapters of base B and one of base C, each of a run of its own."""
    for name, base in {"one": "B", "two": "B", "three": "B", "other": "C"}.items():
        (tmp_path / name).mkdir()
        store.record_adapter(
            db,
            name=name,
            run_id=f"run-{name}",
            base=base,
            path=str(tmp_path / name),
            sha256=name,
            pair_ids=[],
            config={},
        )
    return db


def force(db: Database, *names: str) -> None:
    for name in names:
        promotion.promote(db, "reply", name, base="B", cause="manual", forced=True)


def live(db: Database) -> str:
    return promotion.live_adapter(db, "reply", "B")


def test_base_serves_until_something_is_promoted(published: Database):
    assert live(published) == "base"
    force(published, "one")
    assert live(published) == "one"
    assert promotion.live_adapter(published, "summary", "B") == "base"
    assert promotion.live_tasks(published, "one", "B") == ["reply"]


def test_promotions_of_another_base_do_not_count(published: Database):
    promotion.promote(published, "reply", "other", base="C", cause="manual", forced=True)
    assert live(published) == "base"
    with pytest.raises(BrokenAdapter, match="another base"):
        force(published, "other")
    with pytest.raises(NothingToRollBack):
        promotion.roll_back(published, "reply", "B")


def test_an_unknown_or_removed_adapter_is_not_promoted(published: Database, tmp_path: Path):
    with pytest.raises(UnknownAdapter):
        force(published, "four")
    (tmp_path / "one").rmdir()
    with pytest.raises(UnknownAdapter, match="removed"):
        force(published, "one")


def test_promoting_past_the_gate_needs_force_and_is_recorded_as_forced(published: Database):
    store.record_gate_report(published, run_id="run-one", task="reply", passed=False, report={})
    store.record_gate_report(published, run_id="run-one", task="summary", passed=True, report={})
    with pytest.raises(GateNotPassed, match="--force"):
        promotion.promote(published, "reply", "one", base="B", cause="manual")
    assert live(published) == "base"
    force(published, "one")
    assert [p.forced for p in store.promotions(published, "reply", "B")] == [True]


def test_a_passed_gate_report_of_the_same_run_and_task_opens_the_way(published: Database):
    report = store.record_gate_report(published, run_id="run-one", task="reply", passed=True, report={})
    with pytest.raises(GateNotPassed):
        promotion.promote(published, "reply", "two", base="B", cause="gate", gate_report_id=report)
    with pytest.raises(GateNotPassed):
        promotion.promote(published, "summary", "one", base="B", cause="gate", gate_report_id=report)
    promotion.promote(published, "reply", "one", base="B", cause="gate", gate_report_id=report)
    promotion.promote(published, "reply", "one", base="B", cause="gate", gate_report_id=report)
    (row,) = store.promotions(published, "reply", "B")
    assert (row.adapter, row.cause, row.gate_report_id, row.forced) == ("one", "gate", report, False)


def test_a_manual_promotion_of_what_the_gate_passed_is_not_forced(published: Database):
    report = store.record_gate_report(published, run_id="run-one", task="reply", passed=True, report={})
    promotion.promote(published, "reply", "one", base="B", cause="manual", forced=True)
    (row,) = store.promotions(published, "reply", "B")
    assert (row.gate_report_id, row.forced) == (report, False)


def test_rollback_goes_back_step_by_step_and_ends_at_base(published: Database):
    force(published, "one", "two", "three")
    assert [promotion.roll_back(published, "reply", "B") for _ in range(3)] == ["two", "one", "base"]
    with pytest.raises(NothingToRollBack):
        promotion.roll_back(published, "reply", "B")
    assert [p.cause for p in store.promotions(published, "reply", "B")][-3:] == ["rollback"] * 3


def test_what_was_rolled_back_from_is_not_returned_to(published: Database):
    force(published, "one", "two")
    assert promotion.roll_back(published, "reply", "B") == "one"
    force(published, "three")
    assert promotion.roll_back(published, "reply", "B") == "one"
    assert promotion.roll_back(published, "reply", "B") == "base"


def test_what_was_promoted_again_counts_again(published: Database):
    force(published, "one", "two")
    promotion.roll_back(published, "reply", "B")
    force(published, "two", "three")
    assert promotion.roll_back(published, "reply", "B") == "two"


def test_base_can_be_promoted_without_a_gate_and_rolled_back_from(published: Database):
    force(published, "one")
    promotion.promote(published, "reply", "base", base="B", cause="manual")
    assert live(published) == "base"
    assert promotion.roll_back(published, "reply", "B") == "one"


def test_a_base_that_was_promoted_is_the_end_of_rolling_back(published: Database):
    force(published, "one", "base", "one")
    assert promotion.roll_back(published, "reply", "B") == "base"
    rows = len(store.promotions(published, "reply", "B"))
    with pytest.raises(NothingToRollBack):
        promotion.roll_back(published, "reply", "B")
    assert len(store.promotions(published, "reply", "B")) == rows


def test_rollback_passes_over_an_adapter_whose_directory_was_removed(published: Database, tmp_path: Path):
    force(published, "one", "two", "three")
    (tmp_path / "two").rmdir()
    assert promotion.roll_back(published, "reply", "B") == "one"
