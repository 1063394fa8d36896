"""One night: search → dataset → run → verify → gate → publish → warm → promote → report.

On a hosted model: search → dataset → export.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout
from sqlite_utils import Database

from data import store, store_supervision
from data.errors import NightError, NightRunning, NightshiftError
from data.models import BASE, TASKS, Base, Task
from data.settings import make_folder
from data.store_knowledge import sampled_chunks
from finetune import dataset as datasets
from finetune import trial
from finetune.child import train_in_a_process_of_its_own
from finetune.enough import last_learned, team_lines, teams_with_enough, too_little
from finetune.forgetting import forget
from finetune.hosted_night import export
from finetune.interrupted import mark_interrupted, owes_report
from finetune.night import Night, done, recorded, step
from finetune.pairs import Dataset
from finetune.run_directory import (
    ADAPTER,
    CANARY,
    GATE,
    MANIFEST,
    read_json,
    read_recipe,
    recipe_for,
    write_json,
    write_recipe,
)
from finetune.search_night import tune_search
from finetune.settings import FinetuneSettings
from serving import adapters, promotion
from serving.hosted import base_for, engine_for
from serving.settings import ServingSettings
from serving.verification import learned_rows

if TYPE_CHECKING:
    from finetune.verdict import Verdict

log = logging.getLogger(__name__)

KEPT = ("adapter", "promoted", "held", "seconds")
"""What a night notes about itself in its run while it is at work."""
PROBED_CHUNKS = 2_000
"""Chunks of the help centre among which facts for the closed-book probe are looked for."""
HELD = (
    "A supervisor holds promotions since {since} UTC, so the incumbent stays. {adapter} passed for {tasks} and can be "
    "promoted by hand: python -m serving promote."
)


def nightly(
    db: Database,
    settings: FinetuneSettings,
    serving: ServingSettings,
    environment: Mapping[str, str],
    *,
    retain: timedelta,
) -> Night:
    """Run one night to its end: an adapter for all, then one for each team that has pairs enough of its own. Whatever
    fails, the incumbents serve on, and the run's row says what happened.

    Texts older than `retain` are blanked first. Raises NightRunning when another night is at work, and every step's own
    errors; a team's are told in its own Night.
    """
    with the_only_night(settings.runs_dir):
        finish_reports(db, settings.runs_dir)
        mark_interrupted(db, serving.adapter_store)
        forget(db, settings.runs_dir, before=datetime.now(UTC) - retain)
        trial.look(db)
        base = identify_served(db, serving)
        night = learn(db, Night(store.start_run(db, base=base.hash)), settings, serving, environment, base)
        if night.outcome in ("promoted", "kept"):
            for team in teams_with_enough(db, settings):
                of_team = Night(store.start_run(db, base=base.hash, team=team, night=night.run_id), team=team)
                try:
                    learn(db, of_team, settings, serving, environment, base)
                except NightshiftError as error:
                    log.error("team %s is served what it was: %s", team, error)
                    of_team.outcome, of_team.reason = "failed", str(error)
                night.teams.append(of_team)
        return night


def learn(
    db: Database,
    night: Night,
    settings: FinetuneSettings,
    serving: ServingSettings,
    environment: Mapping[str, str],
    base: Base,
) -> Night:
    """One run from the store's pairs to a promotion: of everybody's pairs and for all, or of one team's and for it."""
    run_dir, team = settings.runs_dir / night.run_id, night.team
    with recorded(db, night):
        told = {}
        if team is None:
            with step(db, night, "search"):
                learned = tune_search(db, run_id=night.run_id)
                log.info("search: %s", learned.reason)
                told = {"search": learned.reason, "teams": team_lines(db, settings)}
        with step(db, night, "dataset", **told):
            known = last_learned(db, settings.runs_dir, base, team)
            dataset = datasets.build(db, known=known, replay_share=settings.replay_share, seed=settings.seed, team=team)
            if reason := too_little(dataset, settings, gated=not serving.hosted_model, team=team):
                night.outcome, night.reason = "skipped", reason
                return done(db, night, dataset=datasets.summary(dataset))
            datasets.freeze(dataset, run_dir)
            if not serving.hosted_model:
                write_recipe(run_dir, recipe_for(settings, base, team))
                adapters.expect_whole(db, base)
                root = asyncio.run(served_root(serving))
        if serving.hosted_model:
            with step(db, night, "export", dataset=datasets.summary(dataset)):
                export(db, night, dataset, run_dir, name=settings.export_format, model=serving.hosted_model)
            return done(db, night)
        with step(db, night, "run", dataset=datasets.summary(dataset)):
            # torch and PEFT take six seconds to import, which nobody need wait for after the training.
            Thread(target=import_module, args=("finetune.gate",)).start()
            train_in_a_process_of_its_own(run_dir, settings.cpu_threads, environment)
        with step(db, night, "verify"):
            adapters.verify(run_dir / ADAPTER, base, max_lora_rank=serving.max_lora_rank)
        with step(db, night, "gate"):
            verdicts = hold_gate_for(db, run_dir, settings)
            report_ids = record(db, night, verdicts)
        if passed := [verdict.task for verdict in verdicts if verdict.passed]:
            night.adapter = adapters.new_name(night.run_id)
            with step(db, night, "publish", adapter=night.adapter):
                publish(db, night, run_dir, base, serving, root)
            with step(db, night, "warm"):
                asyncio.run(warm(night, run_dir, serving))
            with step(db, night, "promote"):
                promote(db, night, passed, base, report_ids, share=settings.canary_share)
        with step(db, night, "report"):
            report(db, night, dataset, run_dir, verdicts)
        return done(db, night)


@contextmanager
def the_only_night(runs_dir: Path) -> Iterator[None]:
    """One night at a time, by a lock that the kernel drops with its process. Raises NightRunning."""
    make_folder(runs_dir, named_by="RUNS_DIR")
    lock = FileLock(runs_dir / "night.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise NightRunning(
            f"Another night is at work ({lock.lock_file} is locked): wait until it has ended."
        ) from error
    try:
        yield
    finally:
        lock.release()


def identify_served(db: Database, serving: ServingSettings) -> Base:
    """The base on the disk; raises NightError when vLLM was started with another under the same name."""
    base = base_for(serving)
    served = store.base_of_model(db, base.model)
    if served is not None and served.hash != base.hash:
        raise NightError(
            f"The base model {base.model} has changed since vLLM was started: restart `python -m serving up`, "
            "then run the night again."
        )
    return base


async def served_root(serving: ServingSettings) -> str:
    """What vLLM calls its base. Asked before the training, so that a night without a server ends at once."""
    engine = engine_for(serving)
    try:
        return await engine.root()
    finally:
        await engine.close()


def hold_gate_for(db: Database, run_dir: Path, settings: FinetuneSettings) -> "list[Verdict]":
    """Judge a run's adapter against what serves now, and write gate.json. Stores and promotes nothing."""
    # Here and not above: a skipped night need not wait for torch.
    from finetune import closed_book
    from finetune.gate import Contender, Rules, hold_gate
    from finetune.verdict import as_json

    recipe, dataset = read_recipe(run_dir), datasets.load(run_dir)
    incumbents = {}
    for task in TASKS:
        name = promotion.live_adapter(db, task, recipe.base.hash, recipe.team)
        incumbents[task] = Contender(name, None if name == BASE else Path(store.adapter(db, name).path))
    probes = closed_book.probes(sampled_chunks(db, limit=PROBED_CHUNKS), limit=settings.closed_book_cases)
    rules = Rules(settings.night_alpha, settings.min_held_out_threads, settings.generated_cases, probes)
    verdicts = hold_gate(dataset, recipe, run_dir / ADAPTER, incumbents, rules)
    write_json(run_dir / GATE, {verdict.task: as_json(verdict) for verdict in verdicts})
    return verdicts


def record(db: Database, night: Night, verdicts: "Sequence[Verdict]") -> dict[Task, str]:
    """Append every verdict, passed or not, and return the reports' ids."""
    from finetune.verdict import as_json

    for verdict in verdicts:
        log.info("gate, %s: %s", verdict.task, verdict.reason)
    night.verdicts = {verdict.task: verdict.reason for verdict in verdicts}
    with store.immediate(db):
        report_ids = {
            v.task: store.record_gate_report(db, run_id=night.run_id, task=v.task, passed=v.passed, report=as_json(v))
            for v in verdicts
        }
        for verdict in verdicts:
            texts = [(case.pair_id, case.before, case.after) for case in verdict.written]
            store_supervision.record_written(db, report_ids[verdict.task], texts)
    return report_ids


def publish(db: Database, night: Night, run_dir: Path, base: Base, serving: ServingSettings, root: str) -> None:
    """Put the adapter where vLLM pulls it from, under a name that was never used."""
    adapters.publish(
        db,
        run_dir / ADAPTER,
        name=str(night.adapter),
        base=base,
        store_dir=serving.adapter_store,
        root=root,
        run_id=night.run_id,
        pair_ids=[one["id"] for one in learned_rows(read_json(run_dir / ADAPTER / MANIFEST))],
    )


async def warm(night: Night, run_dir: Path, serving: ServingSettings) -> None:
    """vLLM must write what transformers wrote, before the pointer moves."""
    canary = read_json(run_dir / ADAPTER / CANARY)
    known = adapters.Canary(messages=canary["messages"], text=canary["text"], max_tokens=canary["max_tokens"])
    engine = engine_for(serving)
    try:
        await adapters.warm([engine], str(night.adapter), known)
    finally:
        await engine.close()


def promote(
    db: Database,
    night: Night,
    passed: Sequence[Task],
    base: Base,
    report_ids: Mapping[Task, str],
    *,
    share: float = 1.0,
) -> None:
    """Promote every task that passed, all or none, on trial for `share` of the threads; none while that is held."""
    with store.immediate(db):
        if hold := store_supervision.hold(db):
            night.held = HELD.format(adapter=night.adapter, tasks=", ".join(passed), since=hold.created_at[:16])
            store.update_run(db, night.run_id, status="promote", held=night.held)
            return
        for task in passed:
            trial.begin(db, task, str(night.adapter), base.hash, report_ids[task], share, night.team)
        store.update_run(db, night.run_id, status="promote", promoted=list(passed))
    night.promoted = list(passed)


def report(db: Database, night: Night, dataset: Dataset, run_dir: Path, verdicts: "Sequence[Verdict]") -> None:
    """Write the morning's report."""
    from finetune.report import write_report

    night.outcome = "promoted" if night.promoted else "kept"
    night.reason = " ".join([*([night.held] if night.held else []), *(f"{v.task}: {v.reason}" for v in verdicts)])
    run = store.run(db, night.run_id)
    night.report = str(write_report(run_dir, run, dataset, verdicts, night.promoted, night.adapter, held=night.held))


def finish_reports(db: Database, runs_dir: Path) -> list[Night]:
    """Write, from the store, the reports of nights that were killed while they wrote them. Only under the lock."""
    finished = []
    for run in filter(owes_report, store.unfinished_runs(db)):
        # Here and not above: almost always there is nothing to write.
        from finetune.verdict import from_json

        log.warning("run %s was killed before it had written its report: writing it now", run.id)
        kept = {name: run.facts[name] for name in KEPT if name in run.facts}
        night = Night(run.id, team=run.facts.get("team"), **kept)
        verdicts = [from_json(found.report) for found in store.gate_reports(db, run.id)]
        try:
            with recorded(db, night):
                report(db, night, datasets.load(runs_dir / run.id), runs_dir / run.id, verdicts)
                finished.append(done(db, night))
        except NightshiftError as error:
            # Its run says so, and tonight is another night.
            log.error("the report of run %s cannot be written: %s", run.id, error)
    return finished
