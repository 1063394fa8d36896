"""A real adapter for the gate's measurements: `python -m tests.gate_runs FOLDER` makes gate_cases.json.gz anew.

The starter, trained by the shipped code on STAR's bank and hotel conversations, which it has never seen.
"""

import gzip
import json
import random
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from data import store
from data.history import import_history
from data.models import BASE, Pair
from data.prompts import asked_thread
from finetune import dataset as datasets
from finetune.chat import encode
from finetune.dataset import Case, Dataset
from finetune.filters import near_prompts
from finetune.run_directory import ADAPTER, read_recipe, recipe_for, write_recipe
from finetune.scored import distinct
from finetune.scoring import Stage
from finetune.settings import FinetuneSettings
from finetune.train import train
from serving.base import identify
from serving.settings import STARTER

DIALOGUES = Path(__file__).resolve().parents[2] / "shared" / "data" / "dialogues"
CASES = Path(__file__).resolve().parent / "gate_cases.json.gz"
PAIRS, VALIDATION = 240, 40
HELD_OUT_THREADS = 240
THREADS, CASES_PER_THREAD = 120, 2
"""Of the held-out ones, so much is measured."""
SETTINGS = FinetuneSettings(threads=1, epochs=2, max_length=512, _env_file=None)


def conversations() -> list[dict]:
    """What `import-history` reads, in the file's order."""
    with gzip.open(DIALOGUES / "star.train.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [one for one in map(json.loads, lines) if one["domains"] in (["bank"], ["hotel"])]


def pairs_by_thread() -> list[list[Pair]]:
    """The pairs of every conversation, under the prompts that serving would have sent; shuffled once."""
    with tempfile.TemporaryDirectory() as folder, store.connect(Path(folder) / "gate.db") as db:
        file = Path(folder) / "conversations.jsonl"
        file.write_text("".join(json.dumps(one) + "\n" for one in conversations()), encoding="utf-8")
        import_history(db, file)
        threads: dict[str, list[Pair]] = {}
        for pair in store.training_pairs(db):
            # Conversations that begin alike are one.
            begin = asked_thread(pair.messages).split("\n")[1]
            thread = threads.setdefault(begin, [])
            thread.append(replace(pair, thread_id=thread[0].thread_id if thread else pair.thread_id))
    order = sorted(threads)
    random.Random(0).shuffle(order)
    return [threads[thread] for thread in order]


def make_run(folder: Path, threads: Sequence[list[Pair]], count: int) -> Path:
    """Train on the first `count` pairs that are not held out; returns the run's folder, which is made once."""
    if (folder / ADAPTER).is_dir():
        return folder
    held_out, rest = threads[:HELD_OUT_THREADS], threads[HELD_OUT_THREADS:]
    learned: list[Pair] = []
    validating: list[Pair] = []
    for thread in rest:
        # Whole threads, so that none stands on two sides.
        side = validating if len(validating) < VALIDATION else learned
        side += thread
        if len(learned) >= count:
            break
    asked = [pair for thread in held_out for pair in thread]
    near = near_prompts([*learned, *validating], asked)
    built = Dataset(
        train=[pair for pair in learned if pair.id not in near],
        validation=[pair for pair in validating if pair.id not in near],
        held_out=[Case(pair, "history", pair.messages) for pair in asked],
        new_pairs=len(learned),
    )
    shutil.rmtree(folder, ignore_errors=True)
    datasets.freeze(built, folder)
    write_recipe(folder, recipe_for(SETTINGS, identify(str(STARTER))))
    train(folder)
    return folder


def measure(run_dir: Path, name: str) -> dict[str, list]:
    """The nats of held-out targets under a contender, with their threads and tokens."""
    recipe, built = read_recipe(run_dir), datasets.load(run_dir)
    of_thread: dict[str, list[Case]] = {}
    for case in distinct(built.held_out):
        of_thread.setdefault(case.pair.thread_id, []).append(case)
    chosen = [thread[:CASES_PER_THREAD] for thread in list(of_thread.values())[:THREADS]]
    cases = [case for thread in chosen for case in thread]
    stage = Stage(recipe.base, {name: run_dir / ADAPTER} if name != BASE else {})
    encoded = [
        encode(stage.tokenizer, one.pair.messages, one.pair.target, limit=recipe.max_length, ends=stage.ends)
        for one in cases
    ]
    nats = stage.nats(name, encoded, tokens_per_pass=recipe.tokens_per_pass)
    return {
        "threads": [place for place, thread in enumerate(chosen) for _ in thread],
        "tokens": [len(one.target) for one in encoded],
        "nats": [round(one, 3) for one in nats],
    }


def main(folder: Path) -> None:
    run_dir = make_run(folder / "star" / str(PAIRS), pairs_by_thread(), PAIRS)
    found = {f"star {contender}": measure(run_dir, contender) for contender in (BASE, str(PAIRS))}
    # Numbers only: the conversations stay where they are.
    CASES.write_bytes(gzip.compress(json.dumps(found).encode(), mtime=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
