"""Stores, datasets and runs for the night's tests: small, and made through the store's own verbs."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from conftest import VllmServer, free_port, serving_environment
from sandbox_fixtures import PATIENCE
from sqlite_utils import Database

from data import store
from data.models import HistoryPair, Message, Pair, Task, Turn
from data.prompts import reply_messages
from data.store_backtest import set_salt
from finetune import dataset as datasets
from finetune.pairs import Case, Dataset
from finetune.run_directory import recipe_for, write_recipe
from finetune.settings import FinetuneSettings
from serving.base import identify

WRONG = ("invoice", "parcel", "refund", "bike", "order")
SMALL = FinetuneSettings(
    min_pairs=20,
    min_new_pairs=5,
    min_held_out_threads=4,
    generated_cases=4,
    threads=1,
    batch_sequences=8,
    epochs=2,
    max_length=256,
    learning_rate=5e-3,
    _env_file=None,
)

# So long and slowly, on pairs without a validation that could end it, that random weights learn to read their prompt,
# which they learn late, in float32 as in bfloat16.
LONG = SMALL.model_copy(update={"epochs": 8, "learning_rate": 2e-3})


def named(number: int) -> int:
    """The number that a ticket names. Those from 1000 on, which tests hold out, name every eleventh: numbers of the
    others' kind, for what random weights do with longer ones is chance, and differs from processor to processor."""
    return 11 * (number - 1000) if number >= 1000 else number + number // 10 + 1


def wrong(number: int) -> str:
    return WRONG[named(number) % len(WRONG)]


def asked(number: int) -> list[Message]:
    return reply_messages([Turn("customer", f"the {wrong(number)} number {named(number)} is wrong")])


def answered(number: int) -> str:
    return f"I am sorry. {wrong(number)} {named(number) % 7}."


def import_tickets(
    db: Database,
    count: int,
    *,
    first: int = 0,
    task: Task = "reply",
    team: str = "",
    answer: Callable[[int], str] = answered,
) -> None:
    """Closed tickets of one pair each; about a third of the first ones is held out, the same in every test."""
    if not db["threads"].count:
        set_salt(db, "tickets")
    with store.immediate(db):
        for number in range(first, first + count):
            pair = HistoryPair(0, task, asked(number), answer(number))
            created = f"2026-01-01T00:{number // 60 % 60:02}:{number % 60:02}.000000+00:00"
            store.record_history(db, f"history/{number}", team_id=team, created_at=created, pairs=[pair])


def pair(number: int, *, thread: str | None = None, target: str | None = None, weight: float = 1.0) -> Pair:
    return Pair(
        id=f"pair-{number}",
        task="reply",
        thread_id=thread or f"thread-{number}",
        messages=asked(number),
        target=target if target is not None else answered(number),
        source="history",
        weight=weight,
        created_at=f"2026-01-01T00:00:00.{number:06}+00:00",
    )


def small_dataset(train: int = 24, held_out: int = 6, validation: int = 4) -> Dataset:
    learned = [pair(number) for number in range(train)]
    scored = [pair(number) for number in range(1000, 1000 + held_out)]
    return Dataset(
        train=learned[validation:],
        validation=learned[:validation],
        held_out=[Case(one, "history", one.messages) for one in scored],
        new_pairs=train,
    )


def prepare_run(run_dir: Path, base: Path, dataset: Dataset, settings: FinetuneSettings = SMALL) -> Path:
    datasets.freeze(dataset, run_dir)
    write_recipe(run_dir, recipe_for(settings, identify(str(base))))
    return run_dir


def texts(pairs: Sequence[Pair]) -> list[str]:
    return [one.target for one in pairs]


def killed_at(step: str, environment: dict[str, str], db: Database, *, while_it_writes: str = "") -> None:
    """Start a night, and kill it in this step: in a short one, while it writes this file of the run's folder."""
    command = [sys.executable, "-m", "finetune", "nightly"]
    child = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 5 * PATIENCE

    def until(seen: Callable[[], bool]) -> None:
        while not seen():
            assert child.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)

    pipe = None
    if while_it_writes:
        until(lambda: bool(store.runs(db)))
        folder = Path(environment["RUNS_DIR"]) / store.runs(db)[-1].id
        until(folder.is_dir)
        # Whoever opens a pipe that nobody reads waits.
        pipe = folder / while_it_writes
        os.mkfifo(pipe)
    until(lambda: any(run.status == step for run in store.runs(db)))
    child.kill()
    child.wait()
    if pipe is not None:
        pipe.unlink()


SMALL_NIGHT = {
    "MIN_PAIRS": "20",
    "MIN_NEW_PAIRS": "5",
    "MIN_HELD_OUT_THREADS": "10",
    "NIGHT_ALPHA": "0.15",
    "GENERATED_CASES": "4",
    "CLOSED_BOOK_CASES": "4",
    "THREADS": "1",
    "BATCH_SEQUENCES": "8",
    "LEARNING_RATE": "0.005",
}


def night_environment(folder: Path, base: Path, vllm: VllmServer | None = None) -> dict[str, str]:
    """A night's environment, its files under a folder: beside a real vLLM, or where no server answers."""
    url = vllm.base_url if vllm else f"http://127.0.0.1:{free_port()}/v1"
    own = serving_environment(folder, base_model=base, url=url)
    served = {"ADAPTER_STORE": str(vllm.adapter_store)} if vllm else {}
    return own | SMALL_NIGHT | {"RUNS_DIR": str(folder / "runs")} | served


def night(environment, *arguments):
    return finetune(environment, "nightly", *arguments)


def finetune(environment, *arguments):
    command = [sys.executable, "-m", "finetune", *arguments, "--json"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
