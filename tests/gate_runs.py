"""Real adapters for the gate's measurements: `python tests/gate_runs.py FOLDER` makes gate_cases.json.gz anew.

The starter, trained by the shipped code on conversations that it has never seen: on some pairs, on the same ones with
another seed, and on twice as many. What lies in the folder already is not trained again.
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
from typing import NamedTuple

from backtest_conversations import conversations

from data import store
from data.history import import_history
from data.models import BASE, Pair
from data.prompts import asked_thread
from finetune import dataset as datasets
from finetune.chat import Tokens, encode
from finetune.filters import near_prompts
from finetune.pairs import Case, Dataset
from finetune.run_directory import ADAPTER, Recipe, read_recipe, recipe_for, write_recipe
from finetune.scored import distinct
from finetune.scoring import Stage
from finetune.settings import FinetuneSettings
from finetune.train import train
from serving.base import identify
from serving.settings import STARTER

CASES = Path(__file__).resolve().parent / "gate_cases.json.gz"
CORPORA = {"star": "bank-hotel", "dstc": "dstc11t5"}
RUNS = {"160": (160, 0), "160 again": (160, 1), "320": (320, 0)}
"""Pairs, and the training's seed."""
VALIDATION = 40
HELD_OUT_THREADS = 300
CASES_PER_THREAD = 3
"""Of a held-out thread, so many replies are measured."""
SETTINGS = FinetuneSettings(threads=1, max_length=512, _env_file=None)


def pairs_by_thread(corpus: str) -> list[list[Pair]]:
    """The pairs of every conversation, under the prompts that serving would have sent; shuffled once."""
    with tempfile.TemporaryDirectory() as folder, store.connect(Path(folder) / "gate.db") as db:
        file = Path(folder) / "conversations.jsonl"
        file.write_text("".join(json.dumps(one) + "\n" for one in conversations(CORPORA[corpus])), encoding="utf-8")
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


def make_run(folder: Path, threads: Sequence[list[Pair]], held_out: int, count: int, seed: int) -> Path:
    """Train on the first `count` pairs of threads that are not held out; returns the run's folder, made once."""
    if (folder / ADAPTER).is_dir():
        return folder
    learned: list[Pair] = []
    validating: list[Pair] = []
    asked = [pair for thread in threads[:held_out] for pair in thread]
    near = near_prompts([pair for thread in threads[held_out:] for pair in thread], asked)
    for thread in threads[held_out:]:
        # Whole threads, so that none stands on two sides.
        side = validating if len(validating) < VALIDATION else learned
        side += [pair for pair in thread if pair.id not in near]
        if len(learned) >= count:
            break
    built = Dataset(
        train=learned,
        validation=validating,
        held_out=[Case(pair, "history", pair.messages) for pair in asked],
        new_pairs=len(learned),
    )
    shutil.rmtree(folder, ignore_errors=True)
    datasets.freeze(built, folder)
    recipe = recipe_for(SETTINGS, identify(str(STARTER)))
    write_recipe(folder, replace(recipe, seed=seed))
    train(folder)
    return folder


class Measured(NamedTuple):
    """A contender of a run on its stage, and the held-out cases that are asked of it. `thread`: each case's place."""

    stage: Stage
    recipe: Recipe
    cases: list[Case]
    encoded: list[Tokens]
    thread: list[int]
    trained: list[str]


def measured(runs: Path, name: str) -> Measured:
    """Of a corpus's runs; the base is asked what the first one's adapter is."""
    run_dir = runs / (name if name in RUNS else next(iter(RUNS)))
    recipe, built = read_recipe(run_dir), datasets.load(run_dir)
    of_thread: dict[str, list[Case]] = {}
    for case in distinct(built.held_out):
        of_thread.setdefault(case.pair.thread_id, []).append(case)
    chosen = [thread[:CASES_PER_THREAD] for thread in of_thread.values()]
    cases = [case for thread in chosen for case in thread]
    stage = Stage(recipe.base, {name: run_dir / ADAPTER} if name != BASE else {})
    encoded = [
        encode(stage.tokenizer, one.pair.messages, one.pair.target, limit=recipe.max_length, ends=stage.ends)
        for one in cases
    ]
    places = [place for place, thread in enumerate(chosen) for _ in thread]
    trained = [text for pair in built.train for text in (pair.messages[-1]["content"], pair.target)]
    return Measured(stage, recipe, cases, encoded, places, trained)


def measure(runs: Path, name: str) -> dict[str, list]:
    """The nats of held-out targets under a contender, with their threads and tokens."""
    run = measured(runs, name)
    nats = run.stage.nats(name, run.encoded, tokens_per_pass=run.recipe.tokens_per_pass)
    return {
        "threads": run.thread,
        "tokens": [len(one.target) for one in run.encoded],
        "nats": [round(one, 3) for one in nats],
    }


def main(folder: Path) -> None:
    found = {}
    for corpus in CORPORA:
        threads = pairs_by_thread(corpus)
        for name, (count, seed) in RUNS.items():
            make_run(folder / corpus / name, threads, HELD_OUT_THREADS, count, seed)
            found[f"{corpus} {name}"] = measure(folder / corpus, name)
        found[f"{corpus} {BASE}"] = measure(folder / corpus, BASE)
    for name, one in found.items():
        print(f"{name}: {sum(one['nats']) / sum(one['tokens']):.3f} nats per token, {len(one['nats'])} cases")
    # Numbers only: the conversations stay where they are.
    CASES.write_bytes(gzip.compress(json.dumps(found).encode(), mtime=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
