"""The night as the demo watches it: `finetune nightly`, and a load on the engine while the pointer moves."""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlite_utils import Database

from bot.demo.processes import Children
from data import store
from data.errors import NightshiftError
from data.models import BASE, Message, Promotion
from serving import promotion
from serving.engine import Engine

log = logging.getLogger(__name__)

LOAD_WORKERS = 2
LOAD_TOKENS = 48
LOOK_AGAIN = 0.1
GOES_ON = 3.0
"""Seconds that the load goes on after the night."""


@dataclass(frozen=True)
class Asked:
    """One request of the load. `ended` is UTC, ISO 8601, as in the store."""

    adapter: str
    ended: str
    seconds: float
    lost: bool


@dataclass
class Night:
    """What the night left behind."""

    report: dict = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    promotion: Promotion | None = None

    def lost(self) -> int:
        return sum(each.lost for each in self.asked)

    def first_of_the_new(self) -> Asked | None:
        """The first request that the promoted adapter answered."""
        new = self.promotion.adapter if self.promotion else None
        return next((each for each in self.asked if each.adapter == new and not each.lost), None)

    def swap_seconds(self) -> float | None:
        """From the promotion's row to the end of the first whole answer by the new adapter."""
        first = self.first_of_the_new()
        if first is None or self.promotion is None:
            return None
        moved, answered = datetime.fromisoformat(self.promotion.created_at), datetime.fromisoformat(first.ended)
        return (answered - moved).total_seconds()


async def sleep_on_it(
    children: Children,
    db: Database,
    engine: Engine,
    *,
    base_hash: str,
    prompts: Sequence[list[Message]],
    watch: Callable[[bytes], None],
) -> Night:
    """Run the night to its end with the load around the swap. Raises ChildFailed when the night fails."""
    night = Night()
    ended = asyncio.Event()
    load = asyncio.gather(*(_ask(db, engine, base_hash, prompts, night, ended) for _ in range(LOAD_WORKERS)))
    try:
        stdout = await children.finish("nightly", "finetune", "nightly", "--json", watch=watch)
        night.report = json.loads(stdout)
        promoted = store.promotions(db, "reply", base_hash)
        night.promotion = promoted[-1] if promoted else None
        if night.promotion:
            await asyncio.sleep(GOES_ON)
        ended.set()
        await load
    finally:
        load.cancel()
        await asyncio.gather(load, return_exceptions=True)
    return night


async def _ask(
    db: Database,
    engine: Engine,
    base_hash: str,
    prompts: Sequence[list[Message]],
    night: Night,
    ended: asyncio.Event,
) -> None:
    """Ask for one completion after another by the live adapter, as the desk does, from the gate's verdict on."""
    # Not before: on two cores the load would slow the training down, and there is nothing to swap yet.
    while not any(store.gate_reports(db, run.id) for run in store.unfinished_runs(db)):
        if ended.is_set():
            return
        await asyncio.sleep(LOOK_AGAIN)
    while not ended.is_set():
        messages = prompts[len(night.asked) % len(prompts)]
        adapter = promotion.live_adapter(db, "reply", base_hash)
        began, lost = time.monotonic(), False
        try:
            await engine.complete(messages, model=adapter, max_tokens=LOAD_TOKENS)
        except NightshiftError as error:
            # A lost request is what the load counts.
            log.warning("lost a request to %s: %s", adapter, type(error).__name__)
            lost = True
        night.asked.append(Asked(adapter, datetime.now(UTC).isoformat(), time.monotonic() - began, lost))


def adapters_asked(night: Night) -> tuple[int, int]:
    """How many answers came from before and from after the swap."""
    new = night.promotion.adapter if night.promotion else BASE
    after = sum(each.adapter == new for each in night.asked)
    return len(night.asked) - after, after
