"""The canary: what a night promotes drafts on its share of the threads, and goes when agents take its drafts less."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlite_utils import Database

from data import store, store_trials
from finetune import trial
from serving import promotion

THREADS = 60


@pytest.fixture
def promoted(db: Database, tmp_path: Path):
    """A function that puts night-two on trial after night-one, for a share of the threads."""
    for name in ("night-one", "night-two"):
        (tmp_path / name).mkdir()
        store.record_adapter(
            db, name=name, run_id=f"run-{name}", base="B", path=str(tmp_path / name), sha256=name, pair_ids=[],
            config={},
        )  # fmt: skip

    def put(share: float) -> store_trials.Trial:
        promotion.promote(db, "reply", "night-one", base="B", cause="manual", forced=True)
        report = store.record_gate_report(db, run_id="run-night-two", task="reply", passed=True, report={})
        trial.begin(db, "reply", "night-two", "B", report, share)
        return store_trials.open_trials(db)[0]

    return put


def decide(db: Database, adapter: str, kind: str, thread: str) -> None:
    key = f"{adapter} {kind} {thread} {store.new_id()}"
    made = store.request_suggestion(
        db, request_key=key, task="reply", team_id="T1", channel_id="C1", thread_ts=thread, requested_by="U1",
        request={},
    )  # fmt: skip
    store.record_draft(db, made.id, messages=[], draft="draft", base="B", adapter=adapter)
    store.record_shown(db, made.id)
    store.decide(db, made.id, kind=kind, text="text", reason=None, decided_by="U1")


def decided(db: Database, adapter: str, accepted: int, dismissed: int) -> None:
    with store.immediate(db):
        for number in range(accepted + dismissed):
            kind = "accepted" if number < accepted else "dismissed"
            decide(db, adapter, kind, f"{adapter}.{number}")


def test_a_thread_stays_with_the_adapter_that_its_hash_gave_it(db, promoted):
    on_trial = promoted(0.3)
    served = {n: promotion.adapter_for(db, "reply", "B", f"T1/C1/{n}") for n in range(1_000)}
    assert 0.25 < sum(name == "night-two" for name in served.values()) / 1_000 < 0.35
    assert set(served.values()) == {"night-one", "night-two"}
    assert all((served[n] == "night-two") == on_trial.drafts(f"T1/C1/{n}") for n in served)
    # Other tasks are on no trial, and the pointer is where it was put.
    assert promotion.adapter_for(db, "summary", "B", "T1/C1/1") == "base"
    assert promotion.live_adapter(db, "reply", "B") == "night-two"


def test_with_the_whole_share_every_thread_is_drafted_by_what_was_promoted(db, promoted):
    promoted(1.0)
    assert {promotion.adapter_for(db, "reply", "B", f"T1/C1/{n}") for n in range(300)} == {"night-two"}


def test_an_adapter_whose_drafts_are_taken_less_is_rolled_back_at_the_next_look(db, promoted):
    on_trial = promoted(0.5)
    decided(db, "night-one", 45, 15)
    decided(db, "night-two", 10, 50)
    (seen,) = trial.look(db)
    assert (seen.outcome, seen.served_by) == ("rolled_back", "night-one")
    assert "10 of 60 drafts" in trial.sentence(seen) and "night-one drafts from now on" in trial.sentence(seen)
    newest = store.promotions(db, "reply", "B")[-1]
    assert (newest.adapter, newest.cause) == ("night-one", "rollback")
    assert {promotion.adapter_for(db, "reply", "B", f"T1/C1/{n}") for n in range(100)} == {"night-one"}
    assert store_trials.outcome(db, on_trial.promotion_id) == "rolled_back" and trial.look(db) == []


def test_one_that_is_taken_as_before_stays_and_is_kept_after_a_fortnight(db, promoted):
    on_trial = promoted(0.5)
    decided(db, "night-one", 30, 10)
    decided(db, "night-two", 30, 10)
    assert [seen.outcome for seen in trial.look(db)] == ["open"]
    (seen,) = trial.look(db, at=datetime.now(UTC) + timedelta(days=15))
    assert seen.outcome == "kept" and store_trials.outcome(db, on_trial.promotion_id) == "kept"
    assert {promotion.adapter_for(db, "reply", "B", f"T1/C1/{n}") for n in range(100)} == {"night-two"}


def test_one_that_is_taken_far_more_is_kept_before(db, promoted):
    promoted(0.5)
    decided(db, "night-one", 10, 50)
    decided(db, "night-two", 45, 15)
    assert [seen.outcome for seen in trial.look(db)] == ["kept"]


def test_only_the_first_decision_on_a_thread_counts(db, promoted):
    on_trial = promoted(0.5)
    for kind in ("accepted", *["dismissed"] * 50):
        decide(db, "night-two", kind, "1.1")
    assert store_trials.acceptances(db, on_trial) == store_trials.Acceptances(1, 1, 0, 0)


def test_the_one_before_is_judged_by_its_last_month_where_it_has_no_share_left(db, promoted):
    promotion.promote(db, "reply", "night-one", base="B", cause="manual", forced=True)
    decided(db, "night-one", 3, 1)
    db.execute("update suggestions set created_at = ?", [store.iso(datetime.now(UTC) - timedelta(days=20))])
    on_trial = promoted(1.0)
    decided(db, "night-two", 2, 2)
    assert store_trials.acceptances(db, on_trial) == store_trials.Acceptances(2, 4, 3, 4)
    db.execute("update trials set share = 0.5")
    (on_trial,) = store_trials.open_trials(db)
    assert store_trials.acceptances(db, on_trial) == store_trials.Acceptances(2, 4, 0, 0)


def test_a_newer_promotion_ends_a_trial(db, promoted):
    promoted(0.5)
    promotion.promote(db, "reply", "base", base="B", cause="manual")
    assert store_trials.open_trials(db) == []
    assert promotion.adapter_for(db, "reply", "B", "T1/C1/1") == "base"


def test_the_command_says_what_it_saw(db, promoted, tmp_path, tiny_environment):
    command = [sys.executable, "-m", "finetune", "canary"]
    nothing = subprocess.run(command, env=tiny_environment, capture_output=True, text=True)
    assert (nothing.returncode, nothing.stdout) == (0, "No adapter is on trial.\n")
    promoted(1.0)
    decided(db, "night-one", 45, 15)
    decided(db, "night-two", 10, 50)
    told = subprocess.run([*command, "--json"], env=tiny_environment, capture_output=True, text=True)
    (seen,) = json.loads(told.stdout)["trials"]
    assert (seen["outcome"], seen["served_by"], seen["acceptances"]["decided"]) == ("rolled_back", "night-one", 60)
    assert promotion.live_adapter(db, "reply", "B") == "night-one"


@pytest.fixture
def tiny_environment(tmp_path: Path) -> dict[str, str]:
    from conftest import serving_environment

    return serving_environment(tmp_path, base_model="none", url="http://127.0.0.1:1/v1")
