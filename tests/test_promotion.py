"""The pointer: promoted per task and base, past the gate by force alone, rolled back step by step."""

from pathlib import Path

import pytest
from sqlite_utils import Database

from data import store, store_chain, store_erasure, store_trials
from data.errors import BrokenAdapter, UnknownAdapter
from data.models import BASE, SHARED
from finetune import trial
from serving import promotion
from serving.adapters import sweep
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


def force_for(db: Database, name: str, team: str | None = None) -> None:
    promotion.promote(db, "reply", name, base="B", cause="manual", forced=True, team=team)


def served_to(db: Database) -> tuple[str, str, str]:
    """What serves a team with an adapter of its own, another team, and nobody's team."""
    return tuple(promotion.live_adapter(db, "reply", "B", team) for team in ("T1", "T2", ""))


def test_a_team_is_served_its_own_adapter_and_all_others_what_they_share(published: Database):
    db = published
    force_for(db, "one")
    force_for(db, "two", "T1")
    assert served_to(db) == ("two", "one", "one")
    force_for(db, "three")
    assert served_to(db) == ("two", "three", "three")
    assert promotion.live_tasks(db, "two", "B") == [] and promotion.live_tasks(db, "two", "B", "T1") == ["reply"]
    assert promotion.live_everywhere(db, "B")["reply", "T1"] == "two"
    assert promotion.live_adapter(db, "summary", "B", "T1") == BASE


def test_a_teams_rollback_leads_to_its_earlier_one_then_to_what_all_share(published: Database):
    db = published
    force_for(db, "one")
    force_for(db, "two", "T1")
    force_for(db, "three", "T1")
    assert [promotion.roll_back(db, "reply", "B", "T1") for _ in range(2)] == ["two", "one"]
    with pytest.raises(NothingToRollBack, match="team T1"):
        promotion.roll_back(db, "reply", "B", "T1")
    # What all share rolls back for this team, too.
    assert promotion.roll_back(db, "reply", "B") == BASE and served_to(db) == (BASE, BASE, BASE)


def test_a_team_is_given_again_what_all_share(published: Database):
    db = published
    force_for(db, "one")
    force_for(db, "one", "T1")
    force_for(db, "two")
    assert served_to(db) == ("one", "two", "two")
    promotion.promote(db, "reply", SHARED, base="B", cause="manual", team="T1")
    assert served_to(db) == ("two", "two", "two")
    assert promotion.roll_back(db, "reply", "B", "T1") == "one"


def test_a_gate_passed_on_one_teams_threads_is_no_pass_for_others(published: Database):
    db = published
    run = store.start_run(db, base="B", team="T1")
    path = store.adapter(db, "one").path
    store.record_adapter(db, name="own", run_id=run, base="B", path=path, sha256="o", pair_ids=[], config={})
    store.record_gate_report(db, run_id=run, task="reply", passed=True, report={})
    for team in (None, "T2"):
        with pytest.raises(GateNotPassed):
            promotion.promote(db, "reply", "own", base="B", cause="manual", team=team)
    promotion.promote(db, "reply", "own", base="B", cause="manual", team="T1")
    assert served_to(db) == ("own", BASE, BASE)


def test_a_trial_of_a_team_is_its_own(published: Database):
    db = published
    force_for(db, "one")
    run = store.start_run(db, base="B", team="T1")
    path = store.adapter(db, "one").path
    store.record_adapter(db, name="own", run_id=run, base="B", path=path, sha256="o", pair_ids=[], config={})
    report = store.record_gate_report(db, run_id=run, task="reply", passed=True, report={})
    trial.begin(db, "reply", "own", "B", report, 0.5, "T1")
    (on_trial,) = store_trials.open_trials(db)
    assert (on_trial.team, on_trial.incumbent) == ("T1", "one")
    of_team = {promotion.adapter_for(db, "reply", "B", f"T1/C/{n}", "T1") for n in range(50)}
    others = {promotion.adapter_for(db, "reply", "B", f"T2/C/{n}", "T2") for n in range(50)}
    assert (of_team, others) == ({"own", "one"}, {"one"})
    # What serves the threads that are left aside is what all share by then.
    force_for(db, "two")
    assert {promotion.adapter_for(db, "reply", "B", f"T1/C/{n}", "T1") for n in range(50)} == {"own", "two"}


def test_the_ledger_notices_a_promotion_that_was_given_to_another_team(published: Database):
    db = published
    force_for(db, "one")
    force_for(db, "two", "T1")
    assert not [line for line in store_chain.breaks(db) if "promotion" in line]
    for team in ("T2", None):
        db.execute("update promotions set team = ? where adapter = 'two'", [team])
        assert any("promotion 2 was changed" in line for line in store_chain.breaks(db))


def test_an_adapter_that_only_a_team_is_served_is_kept_until_its_texts_are_erased(published: Database, tmp_path: Path):
    db = published
    force_for(db, "one")
    force_for(db, "two", "T1")
    db.execute("update adapters set created_at = '2020-01-01'")
    db.execute("update promotions set created_at = '2020-01-01'")
    assert sorted(sweep(db, tmp_path)) == ["other", "three"]
    db.execute("insert into erasures (id, kind, counts, created_at) values ('e', 'thread', '{}', '2026-01-01')")
    db.execute("insert into erased_adapters (adapter, erasure_id) values ('two', 'e')")
    (made,) = store_erasure.leave_erased(db)
    assert (made.task, made.base, made.adapter, made.team) == ("reply", "B", SHARED, "T1")
    assert served_to(db) == ("one", "one", "one")
