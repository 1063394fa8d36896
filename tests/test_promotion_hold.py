"""A supervisor holds promotions: the night that passes its gate then promotes nothing, and says so."""

from pathlib import Path

import pytest
from sqlite_utils import Database

from data import store, store_supervision
from data.models import Base
from finetune import nightly
from finetune.pairs import Dataset
from finetune.report import report_lines
from serving import promotion

BASE = Base(hash="B", model="tests/base", root="tests/base")


@pytest.fixture
def night(db: Database, tmp_path: Path) -> nightly.Night:
    """A night whose adapter is published and passed for replies."""
    night = nightly.Night(store.start_run(db, base=BASE.hash), adapter="night-one")
    (tmp_path / "night-one").mkdir()
    store.record_adapter(
        db, name="night-one", run_id=night.run_id, base="B", path=str(tmp_path / "night-one"), sha256="s", pair_ids=[],
        config={},
    )  # fmt: skip
    return night


def passed(db: Database, night: nightly.Night) -> dict:
    return {"reply": store.record_gate_report(db, run_id=night.run_id, task="reply", passed=True, report={})}


def hold(db: Database, *, held: bool, key: str) -> None:
    assert store_supervision.set_hold(db, held=held, decided_by="U0SUPER1", request_key=key)


def test_a_held_night_keeps_the_incumbent_and_says_how_to_promote(db: Database, night: nightly.Night):
    hold(db, held=True, key="1")
    nightly.promote(db, night, ["reply"], BASE, passed(db, night))
    assert promotion.live_adapter(db, "reply", "B") == "base"
    assert night.promoted == [] and "python -m serving promote" in night.held
    facts = store.run(db, night.run_id).facts
    assert facts["held"] == night.held and "promoted" not in facts
    dataset = Dataset(train=[], validation=[], held_out=[], new_pairs=0)
    lines = report_lines(store.run(db, night.run_id), dataset, [], [], night.promoted, night.adapter, held=night.held)
    assert night.held in lines


def test_what_passed_in_a_held_night_is_promoted_by_hand_without_force(db: Database, night: nightly.Night):
    hold(db, held=True, key="1")
    nightly.promote(db, night, ["reply"], BASE, passed(db, night))
    promotion.promote(db, "reply", "night-one", base="B", cause="manual")
    (made,) = store.promotions(db, "reply", "B")
    assert (made.adapter, made.forced) == ("night-one", False)


def test_a_hold_that_was_taken_back_holds_nothing(db: Database, night: nightly.Night):
    hold(db, held=True, key="1")
    hold(db, held=False, key="2")
    nightly.promote(db, night, ["reply"], BASE, passed(db, night))
    assert promotion.live_adapter(db, "reply", "B") == "night-one"
    assert night.promoted == ["reply"] and night.held == ""


def test_a_press_that_slack_repeats_is_one_row(db: Database):
    hold(db, held=True, key="1")
    hold(db, held=False, key="2")
    assert not store_supervision.set_hold(db, held=True, decided_by="U0SUPER1", request_key="1")
    assert store_supervision.hold(db) is None
    assert db.execute("select count(*) from promotion_holds").fetchone() == (2,)
