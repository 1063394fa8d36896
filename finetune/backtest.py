"""Play a company's old conversations, night after night, and say what it would have gained: `backtest FILE`.

Each night learns, by the night's own code, from all conversations before it. What would then have been served is
scored on a fixed final part that no night learns from and, beside it, on the next slice: the day that follows.
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import torch
from filelock import FileLock, Timeout
from sqlite_utils import Database

from data import store
from data.errors import BrokenAdapter, NightRunning, TrainingFailed
from data.history import history_pairs, remember, time_of
from data.models import BASE, Base, Message
from data.settings import make_folder
from data.store_backtest import set_salt
from finetune import backtest_cases as scoring
from finetune.backtest_cases import Asked
from finetune.backtest_metrics import Reading, gain, losses, measured, only
from finetune.backtest_parts import Old, Parts, read_parts
from finetune.nightly import Night, nightly
from finetune.own_server import own_server
from finetune.run_directory import ADAPTER, read_json, write_json
from finetune.scoring import Stage
from finetune.settings import FinetuneSettings
from finetune.unseen import expect_unseen, threads_of
from serving import promotion
from serving.base import identify
from serving.settings import ServingSettings

log = logging.getLogger(__name__)

RESULT = "result.json"
FEWSHOT, SERVED, CANDIDATE = "fewshot", "served", "candidate"
FOREVER = timedelta(days=36500)
"""Conversations that are years old are what a backtest is for: none is blanked before it is learned."""


@dataclass(frozen=True)
class Wanted:
    """What to play. `cases` bounds the replies scored in each part, `by` names a key of turns to report apart by."""

    file: Path
    nights: int
    cases: int
    by: str | None = None


@dataclass(frozen=True)
class Stalls:
    """Where a backtest works: a store, an adapter store and runs of its own, so that the team's are not touched."""

    folder: Path

    @property
    def database(self) -> Path:
        return self.folder / "work" / "nightshift.db"

    @property
    def adapter_store(self) -> Path:
        return self.folder / "work" / "adapters"

    @property
    def runs(self) -> Path:
        return self.folder / "work" / "runs"

    def night(self, number: int) -> Path:
        """What a night that is scored came to."""
        return self.folder / "work" / f"night-{number}.json"

    def slept(self, number: int) -> Path:
        """What a night did, before it is scored."""
        return self.folder / "work" / f"slept-{number}.json"


@dataclass(frozen=True)
class Scene:
    """What stays the same from night to night."""

    db: Database
    base: Base
    settings: FinetuneSettings
    serving: ServingSettings
    wanted: Wanted


def backtest(
    wanted: Wanted,
    settings: FinetuneSettings,
    serving: ServingSettings,
    environment: Mapping[str, str],
    *,
    root: Path,
) -> dict:
    """Play the file in a folder below `root` and return the document that design.md fixes. An interrupted one goes on.

    Raises BadFile, TooFewConversations, CannotServe, NightRunning, and the night's own errors.
    """
    started = monotonic()
    torch.set_num_threads(settings.cpu_threads)
    base = identify(serving.base_model)
    parts = read_parts(wanted.file, nights=wanted.nights, by=wanted.by)
    stalls = Stalls(root / name_of(wanted, settings, base))
    with the_only_one(stalls):
        db = store.connect(stalls.database)
        if not store.held_out_threads(db) and not stalls.night(1).exists():
            set_salt(db, "backtest")
        with own_server(serving, stalls.database, stalls.adapter_store, environment, stalls.folder / "vllm.log") as own:
            scene = Scene(db, base, settings.model_copy(update={"runs_dir": stalls.runs}), own, wanted)
            nights = play(scene, parts, stalls, environment)
        document = {
            "file": wanted.file.name,
            "base": base.hash,
            "conversations": sum(map(len, parts.slices)) + len(parts.final),
            "final_conversations": len(parts.final),
            "skipped": parts.skipped,
            "repeated": parts.repeated,
            "nights": nights,
            "seconds": round(monotonic() - started, 1),
            "folder": str(stalls.folder),
        }
        write_json(stalls.folder / RESULT, document)
        db.conn.close()
        # The company's texts do not stay where no erasure and no RETAIN_DAYS would find them.
        shutil.rmtree(stalls.folder / "work")
    return document


def play(scene: Scene, parts: Parts, stalls: Stalls, environment: Mapping[str, str]) -> list[dict]:
    """Night after night; those that an interrupted backtest had finished are read.

    Raises LeakedThreads and LearnedFromLater where a night knew what it is scored on, or what came later.
    """
    began = monotonic()
    nights: list[dict] = []
    known: dict[str, Reading] = {}
    played = 0
    for number, learned in enumerate(parts.slices, start=1):
        if stalls.night(number).exists():
            nights.append(read_json(stalls.night(number)))
            continue
        log.info("backtest: night %d of %d, %d conversations before it", number, len(parts.slices), len(learned))
        learn(scene.db, learned)
        if not stalls.slept(number).exists():
            write_json(stalls.slept(number), asdict(sleep_through(scene, environment)))
        night = Night(**read_json(stalls.slept(number)))
        following = parts.slices[number] if number < len(parts.slices) else parts.final
        before = [one for slice_ in parts.slices[:number] for one in slice_]
        expect_unseen(threads_of(scene.settings.runs_dir / night.run_id), before, [*following, *parts.final])
        nights.append({"night": number, **report_night(scene, night, parts.final, following, known)})
        write_json(stalls.night(number), nights[-1])
        played += 1
        left = (monotonic() - began) / played * (len(parts.slices) - number)
        log.info("backtest: night %d is scored; about %.0f min left", number, left / 60)
    return nights


def learn(db: Database, conversations: list[Old]) -> None:
    """Import what was said until the night, as `import-history` does."""
    now = datetime.now(UTC)
    with store.immediate(db):
        for place, one in enumerate(conversations):
            # What is scored is the adapter that all share.
            told = replace(one.conversation, team="")
            remember(db, told, list(history_pairs(db, told)), time=time_of(told, now, place))


def sleep_through(scene: Scene, environment: Mapping[str, str]) -> Night:
    """The night's own code. One whose training fails changes nothing, as in life: the incumbent serves on."""
    try:
        return nightly(scene.db, scene.settings, scene.serving, environment, retain=FOREVER)
    except (TrainingFailed, BrokenAdapter) as failure:
        log.warning("the night failed: %s", failure)
        return Night(store.runs(scene.db)[-1].id, "failed", str(failure))


def report_night(scene: Scene, night: Night, final: list[Old], following: list[Old], known: dict[str, Reading]) -> dict:
    """One night in the words of design.md, on the final part; the next slice in the same words beside it.

    `known` keeps what base and adapters make of the final part, which is the same every night.
    """
    run = store.run(scene.db, night.run_id)
    live = promotion.live_adapter(scene.db, "reply", scene.base.hash)
    adapters = {SERVED: Path(store.adapter(scene.db, live).path)} if live != BASE else {}
    candidate = scene.settings.runs_dir / night.run_id / ADAPTER
    if candidate.is_dir() and night.outcome != "failed":
        adapters[CANDIDATE] = candidate
    stage = Stage(scene.base, adapters)
    tries = CANDIDATE in adapters
    found = scored(scene, stage, live, final, known, tries=tries)
    beside = found if following is final else scored(scene, stage, live, following, {}, tries=tries)
    dataset = run.facts.get("dataset", {})
    return {
        "pairs": dataset.get("train", 0) + dataset.get("validation", 0),
        **found,
        "promoted": night.adapter if "reply" in night.promoted else None,
        "served": live,
        "outcome": night.outcome,
        "reason": night.reason,
        "next_slice": beside,
        "seconds": night.seconds,
    }


def scored(scene: Scene, stage: Stage, live: str, part: list[Old], known: dict[str, Reading], *, tries: bool) -> dict:
    """Every contender on the replies of a part. Without an adapter the desk serves the base with examples.

    `known`: readings of this very part; new ones are added. `tries`: whether the stage has tonight's candidate.
    """
    asked = scoring.cases(scene.db, stage, part, most=scene.wanted.cases)
    size = scene.settings.tokens_per_pass

    def read(name: str, served: str, prompts: list[list[Message]]) -> Reading:
        return scoring.read(stage, scene.serving, name, served, prompts, asked, tokens_per_pass=size)

    bare, retrieved = scoring.plain(asked), scoring.with_retrieved(scene.db, asked)
    if BASE not in known:
        known[BASE] = read(BASE, BASE, bare)
    if live not in known:
        known[live] = read(SERVED, live, bare)
    fewshot = read(BASE, BASE, retrieved)
    readings = {BASE: known[BASE], FEWSHOT: fewshot, SERVED: fewshot if live == BASE else known[live]}
    tried = scoring.read_nats(stage, CANDIDATE, bare, asked, tokens_per_pass=size) if tries else None
    document = in_words(readings, tried, asked)
    kinds = sorted({one.kind for one in asked} - {""})
    if kinds:
        places = {kind: [at for at, one in enumerate(asked) if one.kind == kind] for kind in kinds}
        document["by"] = {kind: in_words(*_only(readings, tried, asked, places[kind])) for kind in kinds}
    return document


def in_words(readings: Mapping[str, Reading], tried: list[float] | None, asked: list[Asked]) -> dict:
    """The readings as the fields of a night. Pure."""
    sent = scoring.sent(asked)
    document: dict[str, object] = {"cases": len(asked), **measured(readings[SERVED], sent)}
    for name in (BASE, FEWSHOT):
        document |= {f"{name}_{key}": value for key, value in measured(readings[name], sent).items()}
    document["candidate_loss"] = None if tried is None else losses(tried, sent)["loss"]
    document["candidate_loss_ci"] = None if tried is None else losses(tried, sent)["loss_ci"]
    to_beat = min((BASE, FEWSHOT), key=lambda name: sum(readings[name].nats))
    won = gain(readings[to_beat].nats, readings[SERVED].nats, sent)
    return document | {"to_beat": to_beat, "gain": won.mean, "gain_ci": [won.low, won.high]}


def _only(
    readings: Mapping[str, Reading], tried: list[float] | None, asked: list[Asked], places: list[int]
) -> tuple[dict[str, Reading], list[float] | None, list[Asked]]:
    return (
        {name: only(reading, places) for name, reading in readings.items()},
        None if tried is None else [tried[at] for at in places],
        [asked[at] for at in places],
    )


def name_of(wanted: Wanted, settings: FinetuneSettings, base: Base) -> str:
    """The same for the same file, base and settings, so that an interrupted backtest finds its nights again."""
    told = [
        hashlib.sha256(wanted.file.read_bytes()).hexdigest(),
        [wanted.nights, wanted.cases, wanted.by],
        settings.model_dump(mode="json"),
        base.hash,
    ]
    return f"{wanted.file.name.split('.')[0]}-{hashlib.sha256(json.dumps(told).encode()).hexdigest()[:8]}"


@contextmanager
def the_only_one(stalls: Stalls) -> Iterator[None]:
    """One backtest at a time in a folder. Raises NightRunning."""
    make_folder(stalls.database.parent, named_by="--folder")
    lock = FileLock(stalls.folder / "backtest.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise NightRunning(f"The same backtest is at work ({lock.lock_file} is locked): wait for it.") from error
    try:
        yield
    finally:
        lock.release()
