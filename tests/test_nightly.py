"""The night from the store's pairs to a promotion, with a real vLLM; and every way in which it may end early."""

import asyncio
import json
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from bot_fixtures import ModelServer
from filelock import FileLock
from night_fixtures import finetune, import_tickets, killed_at, night, night_environment, small_dataset
from sandbox_fixtures import PATIENCE
from test_train import greedy

from data import store
from finetune import dataset as datasets
from finetune.evidence import Effect
from finetune.run_directory import LOSSES, REPORT
from finetune.verdict import Verdict, as_json
from serving import promotion
from serving.base import identify
from serving.engine import Engine

TICKETS = 240
"""So that a fifth of what is held out, the newest, is 16 threads: with 10 chance refuses a clean night now and then."""


@pytest.fixture
def environment(tmp_path, tiny_base):
    return night_environment(tmp_path, tiny_base)


@pytest.fixture
def served(tmp_path, tiny_base, vllm_server):
    return night_environment(tmp_path, tiny_base, vllm_server)


def test_a_night_with_too_few_pairs_is_done_and_says_skipped(environment, db):
    import_tickets(db, 10)
    done = night(environment)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["outcome"] == "skipped" and "needs 20 (MIN_PAIRS)" in document["reason"]
    (run,) = store.runs(db)
    assert (run.status, run.facts["outcome"], run.error) == ("done", "skipped", None)


def test_a_night_first_forgets_what_is_older_than_the_company_keeps(environment, db, tmp_path):
    import_tickets(db, 10)
    old = store.start_run(db, base="b")
    long_ago = store.iso(datetime.now(UTC) - timedelta(days=31))
    db.execute("update history_pairs set imported_at = ? where position = 0 and rowid <= 4", [long_ago])
    db.execute("update runs set created_at = ?, status = 'done' where id = ?", [long_ago, old])
    for text in ("dataset/train.jsonl", "report.md"):
        (tmp_path / "runs" / old / text).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "runs" / old / text).write_text("what a customer said")
    done = night(environment | {"RETAIN_DAYS": "30"})
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["outcome"] == "skipped"
    assert len(store.training_pairs(db)) == 6
    assert [path for path in (tmp_path / "runs" / old).rglob("*") if path.is_file()] == []


def test_a_dry_run_counts_and_changes_nothing(environment, db, tmp_path):
    import_tickets(db, TICKETS)
    done = night(environment, "--dry-run")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    held_out = len(store.held_out_threads(db))
    assert document["outcome"] == "would run"
    assert document["dataset"]["held_out"] == held_out
    assert document["plan"]["training_tokens"] > document["plan"]["scoring_tokens"] > 0
    assert store.runs(db) == [] and not (tmp_path / "runs").exists()


def test_without_a_server_the_night_ends_before_the_training(environment, db):
    import_tickets(db, TICKETS)
    done = night(environment)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("Nothing answers at LLM_BASE_URL")
    (run,) = store.runs(db)
    assert run.status == "failed" and run.error == done.stderr.splitlines()[-1]


def test_a_live_adapter_that_is_broken_on_the_disk_ends_the_night_at_once(environment, db, tmp_path, tiny_base):
    import_tickets(db, TICKETS)
    base = identify(str(tiny_base)).hash
    (tmp_path / "adapters" / "night-x").mkdir(parents=True)
    (tmp_path / "adapters" / "night-x" / "adapter_model.safetensors").write_bytes(b"cut short")
    store.record_adapter(
        db,
        name="night-x",
        run_id="r",
        base=base,
        path=str(tmp_path / "adapters" / "night-x"),
        sha256="a" * 64,
        pair_ids=[],
        config={},
    )
    store.append_promotion(db, task="reply", base=base, adapter="night-x", cause="manual", forced=True)
    done = night(environment)
    assert done.returncode == 1
    (run,) = store.runs(db)
    assert run.status == "failed" and run.error == done.stderr.splitlines()[-1]
    assert run.error.startswith("The live adapter night-x for the task reply is broken on the disk")
    assert "python -m serving rollback reply" in run.error


def test_two_nights_do_not_work_at_once(environment, db, tmp_path):
    (tmp_path / "runs").mkdir()
    with FileLock(tmp_path / "runs" / "night.lock"):
        done = night(environment)
    assert done.returncode == 1
    assert "Another night is at work" in done.stderr
    assert store.runs(db) == []


@pytest.mark.parametrize(("command", "named_by"), [(("nightly",), "RUNS_DIR"), (("dataset", "{file}/x"), "RUN_DIR")])
def test_a_folder_that_cannot_be_made_is_told_in_one_sentence(environment, tmp_path, command, named_by):
    (tmp_path / "file").touch()
    arguments = [one.format(file=tmp_path / "file") for one in command]
    own = environment | {"RUNS_DIR": str(tmp_path / "file" / "runs")}
    done = subprocess.run([sys.executable, "-m", "finetune", *arguments], env=own, capture_output=True, text=True)
    assert done.returncode == 1
    assert f"which {named_by} names, cannot be made" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_base_that_changed_under_the_server_is_refused(environment, db, tiny_base):
    base = identify(str(tiny_base))
    store.record_base(db, type(base)(hash="older", model=base.model, root=base.root))
    done = night(environment)
    assert done.returncode == 1
    assert "has changed since vLLM was started" in done.stderr


def test_a_night_makes_an_adapter_that_vllm_serves_as_transformers_would(served, db, tmp_path, tiny_base):
    import_tickets(db, TICKETS)
    done = night(served)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["outcome"] == "promoted" and document["promoted"] == ["reply"]
    name, base = document["adapter"], identify(str(tiny_base))
    assert promotion.live_adapter(db, "reply", base.hash) == name
    assert promotion.live_adapter(db, "summary", base.hash) == "base"
    (run,) = store.runs(db)
    reports = {report.task: report for report in store.gate_reports(db, run.id)}
    assert reports["reply"].passed and not reports["answer"].passed
    assert store.promotions(db, "reply", base.hash)[-1].gate_report_id == reports["reply"].id
    held_out = store.held_out_threads(db)
    trained = store.adapter_pairs(db, name)
    assert trained == {pair.id for pair in store.training_pairs(db) if pair.thread_id not in held_out}

    unseen = next(pair for pair in store.training_pairs(db) if pair.thread_id in held_out)
    expected = greedy(tiny_base, tmp_path / "runs" / run.id / "adapter", unseen.messages, 12)
    assert ask(served, unseen.messages, name, 12) == expected
    assert (Path(document["report"]).parent / "night.png").stat().st_size > 10_000
    report = Path(document["report"]).read_text()
    assert f"**{name}** now serves: reply." in report and "## Reply" in report

    again = night(served)
    assert json.loads(again.stdout)["outcome"] == "skipped"
    assert "new training pairs" in json.loads(again.stdout)["reason"]


def test_an_adapter_that_fails_its_gate_never_reaches_the_store(served, db, vllm_server):
    import_tickets(db, TICKETS)
    before = sorted(vllm_server.adapter_store.iterdir())
    # No evidence of so few threads is that strong.
    done = night(served | {"NIGHT_ALPHA": "0.00003"})
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["outcome"] == "kept"
    assert sorted(vllm_server.adapter_store.iterdir()) == before
    assert store.adapters(db) == []
    (run,) = store.runs(db)
    assert (run.status, run.facts["outcome"]) == ("done", "kept")
    assert not any(report.passed for report in store.gate_reports(db, run.id))


def test_a_training_that_fails_leaves_the_incumbent_and_its_reason(served, db):
    import_tickets(db, TICKETS)
    done = night(served | {"LEARNING_RATE": "1e30"})
    assert done.returncode == 1
    (run,) = store.runs(db)
    assert run.status == "failed" and "LEARNING_RATE" in run.error
    assert store.adapters(db) == []


def test_a_killed_night_is_marked_interrupted_and_the_next_one_finishes(served, db, tmp_path, tiny_base, vllm_server):
    import_tickets(db, TICKETS)
    before = set(vllm_server.adapter_store.iterdir())
    for step in ("run", "gate"):
        killed_at(step, served, db)
    assert [run.status for run in store.runs(db)] == ["failed", "gate"]
    done = night(served)
    assert done.returncode == 0, done.stderr
    first, second, third = store.runs(db)
    assert [first.status, second.status, third.status] == ["failed", "failed", "done"]
    assert "Interrupted" in first.error and "step run" in first.error and "step gate" in second.error
    name = json.loads(done.stdout)["adapter"]
    assert {path.name for path in set(vllm_server.adapter_store.iterdir()) - before} == {name}
    assert [p.adapter for p in store.promotions(db, "reply", identify(str(tiny_base)).hash)] == [name]


def test_what_a_killed_night_had_half_published_is_removed(environment, db, tmp_path):
    adapter_store = tmp_path / "adapters"
    whole, half, kept = (adapter_store / name for name in ("night-x", ".tmp-night-x", "night-y"))
    for directory in (whole, half, kept):
        directory.mkdir(parents=True)
    run_id = store.start_run(db, base="hash")
    store.update_run(db, run_id, status="publish", adapter="night-x")
    assert night(environment).returncode == 0
    assert "step publish" in store.run(db, run_id).error
    assert list(adapter_store.iterdir()) == [kept]


def test_the_report_of_a_night_that_was_killed_while_it_wrote_it_is_written_once(environment, db, tmp_path):
    import_tickets(db, TICKETS)
    server = ModelServer()
    # No evidence of so few threads is that strong: nothing passes, so no adapter has to be served.
    own = environment | {"LLM_BASE_URL": server.url + "/v1", "NIGHT_ALPHA": "0.00003"}
    killed_at("report", own, db, while_it_writes=REPORT)
    server.close()
    (run,) = store.runs(db)
    report = tmp_path / "runs" / run.id / "report.md"
    assert run.status == "report" and not report.exists()
    written = json.loads(finetune(own, "report").stdout)["reports"]
    assert [(one["run_id"], one["outcome"], one["report"]) for one in written] == [(run.id, "kept", str(report))]
    (told,) = store.runs(db)
    assert (told.status, told.facts["report"]) == ("done", str(report)) and "gate" in told.facts["seconds"]
    assert "No proof of a gain over the incumbent" in report.read_text() and "## Reply" in report.read_text()
    assert json.loads(finetune(own, "report").stdout) == {"reports": []}
    # Its pairs are used up, as those of any night that came to its verdict.
    assert "new training pairs" in json.loads(night(own).stdout)["reason"]


def test_a_night_that_was_killed_after_it_had_promoted_is_finished_by_the_next(environment, db, tmp_path):
    run_id = owing(db, tmp_path, status="promote")
    assert json.loads(night(environment).stdout)["outcome"] == "skipped"
    run = store.run(db, run_id)
    assert (run.status, run.facts["outcome"]) == ("done", "promoted")
    assert "**night-x** now serves: reply." in Path(str(run.facts["report"])).read_text()


def test_the_clock_writes_an_owed_report_as_soon_as_it_starts(environment, db, tmp_path):
    run_id = owing(db, tmp_path, status="report")
    with subprocess.Popen([sys.executable, "-m", "finetune", "clock"], env=environment) as clock:
        deadline = time.monotonic() + PATIENCE
        while store.run(db, run_id).status != "done":
            assert clock.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
        clock.terminate()
        assert clock.wait(timeout=PATIENCE) == 0


def test_a_report_that_cannot_be_written_any_more_ends_its_run_and_not_the_night(environment, db, tmp_path):
    run_id = owing(db, tmp_path, status="report")
    shutil.rmtree(tmp_path / "runs" / run_id)
    done = night(environment)
    assert done.returncode == 0 and json.loads(done.stdout)["outcome"] == "skipped"
    assert store.run(db, run_id).status == "failed" and "cannot be read" in store.run(db, run_id).error


def owing(db, tmp_path, *, status):
    """A run that had promoted when it was killed, as a night leaves it."""
    run_id = store.start_run(db, base="b" * 64)
    datasets.freeze(small_dataset(), tmp_path / "runs" / run_id)
    (tmp_path / "runs" / run_id / "adapter").mkdir()
    (tmp_path / "runs" / run_id / "adapter" / "nightshift.json").write_text('{"pairs": []}')
    (tmp_path / "runs" / run_id / LOSSES).write_text('{"update": 0, "validation_loss": 1.0}\n')
    gain = Effect(mean=0.2, low=0.1, high=0.3, p=0.0001, threads=120, tokens=4000)
    losses = {"candidate": 1.0, "incumbent": 1.2, "base": 1.2}
    found = Verdict("reply", True, "Better.", "base", 0.001, 120, 120, gain, gain, losses, differences=[0.1, 0.3])
    store.record_gate_report(db, run_id=run_id, task="reply", passed=True, report=as_json(found))
    store.update_run(db, run_id, status=status, adapter="night-x", promoted=["reply"])
    return run_id


def ask(environment, messages, model, max_tokens):
    async def answer():
        engine = Engine(environment["LLM_BASE_URL"])
        try:
            return (await engine.complete(messages, model=model, max_tokens=max_tokens, cut_loops=False)).text
        finally:
            await engine.close()

    return asyncio.run(answer())


@pytest.mark.parametrize("name, value", [("SCHEDULE", "25:00"), ("TIME_ZONE", "Mars/Olympus"), ("EPOCHS", "0")])
def test_a_wrong_setting_is_named(environment, name, value):
    done = night(environment | {name: value})
    assert done.returncode == 1
    assert done.stderr.startswith(name + " cannot be used")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("at_work", [False, True])
def test_the_clock_ends_cleanly_and_with_it_what_it_started(environment, number, at_work):
    command = [sys.executable, "-m", "finetune", "clock"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as clock:
        assert "nights start at 02:00 UTC" in clock.stderr.readline()
        started, deadline = [], time.monotonic() + PATIENCE
        while at_work and not (started := psutil.Process(clock.pid).children()):
            assert clock.poll() is None and time.monotonic() < deadline
        clock.send_signal(number)
        assert clock.wait(timeout=PATIENCE) == 0
        assert not any(child.is_running() for child in started)
