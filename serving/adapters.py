"""The adapter store: publish under new names, warm, adopt from elsewhere, sweep what serves no longer."""

import hashlib
import json
import logging
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import TypedDict

from sqlite_utils import Database

from data import store, store_erasure, store_ledger
from data.errors import BrokenAdapter
from data.models import BASE, TASKS, Base, Message
from serving import promotion
from serving.engine import Engine
from serving.verification import CONFIG, MANIFEST, WEIGHTS, learned_rows, read_json, require, verify, weights_hash

log = logging.getLogger(__name__)

CANARY = "canary.json"
PUBLISHED = (CONFIG, WEIGHTS, MANIFEST, CANARY)
KEEP_DAYS = 30
"""An adapter that has served nothing for so long is removed at the next start of vLLM."""


class Canary(TypedDict):
    """A known completion, greedy in transformers, made by the trainer."""

    messages: list[Message]
    text: str
    max_tokens: int


def publish(
    db: Database,
    directory: Path,
    *,
    name: str,
    base: Base,
    store_dir: Path,
    root: str,
    run_id: str,
    pair_ids: Iterable[str],
) -> Path:
    """Copy a verified adapter to where vLLM pulls it from, and record it. Repeating it after a crash finishes it.

    `root` is the base's name as vLLM reports it: vLLM serves only adapters that name exactly this string.
    Raises BrokenAdapter when the name is taken by other weights.
    """
    if not re.fullmatch("[a-z0-9][a-z0-9-]*", name) or name == BASE:
        raise BrokenAdapter(f"{name} is no name for an adapter: use a-z, 0-9 and -.")
    target = store_dir.resolve() / name
    sha256 = weights_hash(directory)
    if not target.exists():
        _place(directory, target, root)
    elif weights_hash(target) != sha256:
        raise BrokenAdapter(f"The name {name} is taken by another adapter: names are never reused, choose a new one.")
    store.record_adapter(
        db,
        name=name,
        run_id=run_id,
        base=base.hash,
        path=str(target),
        sha256=sha256,
        pair_ids=pair_ids,
        config=read_json(target, CONFIG),
    )
    return target


def expect_whole(db: Database, base: Base) -> None:
    """Raise BrokenAdapter when the weights of a live adapter are not those that were published."""
    for (task, team), name in promotion.live_everywhere(db, base.hash).items():
        if name == BASE:
            continue
        published = store.adapter(db, name)
        weights = Path(published.path) / WEIGHTS
        if not weights.is_file() or weights_hash(weights.parent) != published.sha256:
            raise BrokenAdapter(
                f"The live adapter {name} for the task {task} is broken on the disk ({weights}): roll back with "
                f"`python -m serving rollback {task}{f' --team {team}' if team else ''}`, then run the night again."
            )


def new_name(run_id: str) -> str:
    """A name for a run's adapter, such as night-20261124-1a2b3c. The same run on the same day gives the same one."""
    return f"night-{datetime.now(UTC):%Y%m%d}-{hashlib.sha256(run_id.encode()).hexdigest()[:6]}"


async def warm(engines: Sequence[Engine], name: str, canary: Canary) -> float:
    """Ask every replica for one known completion and return the seconds it took; raises BrokenAdapter for another.

    Raises the engine's errors too. The first request makes vLLM read the adapter, so later ones find it loaded.
    """
    started = time.monotonic()
    for engine in engines:
        asked = time.monotonic()
        # As it comes: training wrote it to its end, whatever it says.
        completion = await engine.complete(
            canary["messages"], model=name, max_tokens=canary["max_tokens"], cut_loops=False
        )
        log.info("warmed %s at %s in %.2f s", name, engine.base_url, time.monotonic() - asked)
        if completion.text != canary["text"]:
            raise BrokenAdapter(
                f"vLLM at {engine.base_url} with adapter {name} does not write what training wrote: do not promote it."
            )
    return time.monotonic() - started


def adopt(
    db: Database, directory: Path, *, base: Base, store_dir: Path, root: str, max_lora_rank: int
) -> tuple[str, Canary]:
    """Verify and publish an adapter from elsewhere under a new name; returns it with the canary to warm it by."""
    verify(directory, base, max_lora_rank=max_lora_rank)
    canary = read_json(directory, CANARY)
    require(directory, {"messages", "text", "max_tokens"} <= canary.keys(), f"{CANARY} is not whole")
    learned = learned_rows(read_json(directory, MANIFEST))
    sha256 = weights_hash(directory)
    # The same weights keep their run, and with it their gate reports.
    known = [adapter.run_id for adapter in store.adapters(db) if adapter.sha256 == sha256]
    name = f"adopted-{datetime.now(UTC):%Y%m%d}-{secrets.token_hex(3)}"
    publish(
        db,
        directory,
        name=name,
        base=base,
        store_dir=store_dir,
        root=root,
        run_id=known[0] if known else f"adopted-{sha256[:12]}",
        pair_ids=[one["id"] for one in learned],
    )
    return name, Canary(messages=canary["messages"], text=canary["text"], max_tokens=canary["max_tokens"])


def sweep(db: Database, store_dir: Path, *, keep: timedelta = timedelta(days=KEEP_DAYS)) -> list[str]:
    """Remove recorded adapters that have served nothing for `keep`, and half copies; returns the names.

    Only safe before vLLM starts: a running one that is asked for a removed adapter dies.
    """
    kept = _kept_names(db, store.iso(datetime.now(UTC) - keep))
    retired = [Path(adapter.path) for adapter in store.adapters(db) if adapter.name not in kept]
    # A half copy that is young may be a night's at work.
    halves = [half for half in store_dir.resolve().glob(".tmp-*") if time.time() - half.stat().st_mtime > 24 * 3600]
    removed = [path for path in (*retired, *halves) if path.parent == store_dir.resolve() and path.is_dir()]
    for path in removed:
        shutil.rmtree(path)
    return [path.name for path in removed]


def _kept_names(db: Database, since: str) -> set[str]:
    names = {adapter.name for adapter in store.adapters(db) if adapter.created_at >= since}
    for base in {adapter.base for adapter in store.adapters(db)}:
        for task, team in product(TASKS, (None, *store_ledger.promoted_teams(db, base))):
            promotions = store.promotions(db, task, base, team)
            # Each served until the next one came; the last one still does.
            ends = [*(later.created_at for later in promotions[1:]), store.now()]
            names |= {p.adapter for p, end in zip(promotions, ends, strict=False) if end >= since}
    # What learned from an erased text goes as soon as it serves nothing.
    bases = {one.base for one in store.adapters(db)}
    live = {name for base in bases for name in promotion.live_everywhere(db, base).values()}
    return names - (store_erasure.erased_adapters(db) - live)


def _place(directory: Path, target: Path, root: str) -> None:
    """Copy beside, then rename: vLLM sees a whole adapter or none, also after a power cut."""
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".tmp-{target.name}")
    if beside.exists():
        shutil.rmtree(beside)
    beside.mkdir()
    for name in PUBLISHED:
        if (directory / name).is_file():
            shutil.copyfile(directory / name, beside / name)
    config = read_json(beside, CONFIG) | {"base_model_name_or_path": root, "inference_mode": True}
    (beside / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    for path in (*beside.iterdir(), beside):
        _fsync(path)
    beside.rename(target)
    _fsync(target.parent)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
