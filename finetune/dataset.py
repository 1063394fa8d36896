"""Freeze the store's pairs into a run's files: what is trained on, what stops it early, what the gate scores."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from data import store, store_circumstances, store_names, store_pairs, store_thumbs
from data.errors import BadFile
from data.models import TASKS, Message, Pair, PreferencePair
from data.prompts import asked_thread, with_examples, without_examples
from finetune import curation
from finetune.filters import near_prompts, prompt_key, unusable, without_near_duplicates, without_templates
from finetune.masked import masked_texts
from finetune.pairs import SIDES, Case, Dataset, Shown
from finetune.preference_pairs import real_edits
from finetune.run_directory import DATASET, file_hash, pair_hash, read_json, read_lines, write_json, write_lines
from finetune.split_check import check_split, without_held_out_examples
from finetune.thumbs import Thumb, counts, of_ratings, sentence, usable
from finetune.weighing import weigh

VALIDATION_SHARE = 0.05
MAX_VALIDATION_PAIRS = 80
"""Validation runs eight times in a night; more pairs would cost more than they tell."""
EXAMPLES = 2
"""As many as the desk puts into a prompt of the base."""


def build(
    db: Database,
    *,
    known: set[str] = frozenset(),
    replay_share: float = 0.0,
    seed: int = 0,
    team: str | None = None,
) -> Dataset:
    """Read, mask and split the store's pairs, or one team's. `known` are the pairs of the last finished run: the
    others are new, and weigh no more than leaves `replay_share` of the whole to the known ones.

    Raises what check_split does when the split does not hold.
    """
    now, every = store.now(), {pair.id: pair for pair in store.training_pairs(db)}
    # After the pairs: of what is imported meanwhile none can pass as not held out.
    held_out_threads = store.held_out_threads(db)
    theirs = store_pairs.team_threads(db, team) if team else None
    found = [pair for pair in every.values() if theirs is None or pair.thread_id in theirs]
    ahead = sum(pair.created_at > now for pair in found)
    found = [pair for pair in found if pair.created_at <= now]
    cases = [_case(db, pair, every, now) for pair in found if pair.thread_id in held_out_threads]
    rated, neither = of_ratings(
        one
        for one in store_thumbs.rated_texts(db)
        if one.thread_id not in held_out_threads
        and one.created_at <= now
        and (theirs is None or one.thread_id in theirs)
    )
    pairs, cases, rated, masked = masked_texts(found, cases, rated, store_names.known_names(db))
    split = split_pairs(pairs, held_out_threads, seed=seed)
    validating = {p.thread_id for p in split.validation}
    held_out = [case.pair for case in cases]
    thumbs, left_out = usable(rated, validating, held_out)
    texts = without_held_out_examples((thumb.pair for thumb in thumbs), held_out)
    left_out["neither liked nor disliked"] = neither
    circumstances = store_circumstances.circumstances(db)
    weighed = weigh(
        split.train, circumstances, store_circumstances.manners(db), earlier=known, earlier_share=replay_share
    )
    learned = (*split.train, *split.validation)
    dataset = replace(
        split,
        train=weighed.pairs,
        held_out=cases,
        new_pairs=sum(p.id not in known for p in learned),
        curation=curation.told(db, weighed, circumstances, masked, known) | {"thumbs_left_out": dict(+left_out)},
        agents=dict(Counter(circumstances[p.id].decided_by for p in learned if p.id in circumstances)),
        thumbs=[replace(thumb, pair=pair) for thumb, pair in zip(thumbs, texts, strict=True)],
        preferences=real_edits(db, split.train, held_out, until=now),
        dropped=split.dropped | ({"dated in the future": ahead} if ahead else {}),
    )
    check_split(dataset, frozen_at=now)
    return dataset


def split_pairs(pairs: Sequence[Pair], held_out_threads: set[str], *, seed: int = 0) -> Dataset:
    """The trainable pairs without repetitions and without prompts that the gate will ask. Pure; no held-out cases.

    Of equal or nearly equal prompt and target the heaviest and then the newest stays. Examples stay in the prompt of
    every second pair only, so that the adapter works with and without them.
    """
    held_out = [p for p in pairs if p.thread_id in held_out_threads]
    others = [p for p in pairs if p.thread_id not in held_out_threads]
    asked_at_the_gate = {prompt_key(p) for p in held_out}
    nearly_asked = near_prompts(others, held_out)
    dropped: Counter[str] = Counter()
    kept: dict[tuple[str, str], Pair] = {}
    others.sort(key=lambda p: (p.weight, p.created_at, p.id), reverse=True)
    for pair, reason in zip(others, unusable(others), strict=True):
        key = (prompt_key(pair), pair.target.strip())
        if key[0] in asked_at_the_gate:
            dropped["prompt of a held-out pair"] += 1
        elif pair.id in nearly_asked:
            dropped["nearly the prompt of a held-out pair"] += 1
        elif key in kept:
            dropped["repeated"] += 1
        elif reason is not None:
            dropped[reason] += 1
        else:
            kept[key] = pair
    usable, nearly = without_near_duplicates(kept.values())
    usable, spam = without_templates(usable)
    dropped += Counter({"nearly repeated": nearly, "template repeated too often": spam})
    halved = [_half_without_examples(p, seed) for p in sorted(usable, key=lambda p: (p.created_at, p.id))]
    trainable = without_held_out_examples(halved, held_out)
    validating = _validation_threads(trainable, seed)
    return Dataset(
        train=[p for p in trainable if p.thread_id not in validating],
        validation=[p for p in trainable if p.thread_id in validating],
        held_out=[],
        dropped=dict(dropped),
    )


def summary(dataset: Dataset) -> dict:
    """The dataset in numbers, per task and together."""
    per_task = {
        task: {
            "train": sum(p.task == task for p in dataset.train),
            "validation": sum(p.task == task for p in dataset.validation),
            "held_out": sum(c.pair.task == task for c in dataset.held_out),
            "held_out_threads": len({c.pair.thread_id for c in dataset.held_out if c.pair.task == task}),
        }
        for task in TASKS
    }
    return {
        "train": len(dataset.train),
        "validation": len(dataset.validation),
        "held_out": len(dataset.held_out),
        "new_pairs": dataset.new_pairs,
        "dropped": dataset.dropped,
        "tasks": per_task,
        "thumbs": counts(dataset.thumbs),
        "curation": dataset.curation,
    }


def lines(dataset: Dataset) -> list[str]:
    """The same for a person."""
    return [
        f"{len(dataset.train)} to train, {len(dataset.validation)} to stop early, {len(dataset.held_out)} held out",
        *(f"left out: {count:,} {reason}" for reason, count in sorted(dataset.dropped.items())),
        *([sentence(**counts(dataset.thumbs))] if dataset.thumbs else []),
        *curation.lines(dataset.curation),
    ]


def freeze(dataset: Dataset, run_dir: Path) -> None:
    """Write the dataset and its manifest into a run's folder. The manifest comes last: with it, all is there.

    Raises BadFile when the folder holds one already.
    """
    directory = run_dir / DATASET
    if (directory / "manifest.json").exists():
        raise BadFile(f"{run_dir} holds a frozen dataset already: name a new folder.")
    directory.mkdir(parents=True, exist_ok=True)
    files = {side: directory / f"{side}.jsonl" for side in SIDES}
    for side, file in files.items():
        write_lines(file, map(asdict, getattr(dataset, side)))
    manifest = summary(dataset) | {
        "created_at": store.now(),
        "agents": dataset.agents,
        "pairs": {p.id: pair_hash(p) for p in (*dataset.train, *dataset.validation)},
        "held_out_pairs": {c.pair.id: pair_hash(c.pair) for c in dataset.held_out},
        "sha256": {file.name: file_hash(file) for file in files.values()},
    }
    write_json(directory / "manifest.json", manifest)


def load(run_dir: Path) -> Dataset:
    """A frozen dataset, checked against its manifest, byte for byte. Raises BadFile and what check_split does."""
    directory = run_dir / DATASET
    manifest = read_json(directory / "manifest.json")
    files = {side: directory / f"{side}.jsonl" for side in SIDES}
    # An earlier version froze no hashes of whole files, and not all of them.
    sha256 = manifest.get("sha256", {})
    read = {side: read_lines(file) if file.name in sha256 or file.exists() else [] for side, file in files.items()}
    dataset = Dataset(
        train=[Pair(**one) for one in read["train"]],
        validation=[Pair(**one) for one in read["validation"]],
        held_out=[_read_case(one) for one in read["held_out"]],
        dropped=manifest["dropped"],
        new_pairs=manifest["new_pairs"],
        curation=manifest.get("curation", {}),
        agents=manifest.get("agents", {}),
        thumbs=[Thumb(**(one | {"pair": Pair(**one["pair"])})) for one in read["thumbs"]],
        preferences=[PreferencePair(**one) for one in read["preferences"]],
    )
    found = {p.id: pair_hash(p) for p in (*dataset.train, *dataset.validation)}
    if (
        found != manifest["pairs"]
        or {c.pair.id: pair_hash(c.pair) for c in dataset.held_out} != manifest["held_out_pairs"]
        or any(file_hash(directory / name) != sha256[name] for name in sha256)
    ):
        raise BadFile(f"{directory} does not hold the pairs that its manifest names: start a new run.")
    check_split(dataset, frozen_at=manifest["created_at"])
    return dataset


def _read_case(one: dict[str, Any]) -> Case:
    shown = [Shown(**example) for example in one.get("examples", [])]
    return Case(**(one | {"pair": Pair(**one["pair"]), "examples": shown}))


def learned_pairs(run_dir: Path) -> set[str]:
    """The ids of the pairs that an earlier run was given; empty when its folder is gone."""
    manifest = run_dir / DATASET / "manifest.json"
    return set(read_json(manifest)["pairs"]) if manifest.exists() else set()


def _case(db: Database, pair: Pair, every: Mapping[str, Pair], now: str) -> Case:
    asked, shown = _as_asked_of_base(db, pair, every, now)
    if pair.source == "history":
        return Case(pair, "history", asked, examples=shown)
    decision, suggestion = store.decision(db, pair.id), store.suggestion(db, pair.id)
    # An edit that changed nothing is the model's text, not the agent's.
    edited = (
        decision is not None and decision.kind == "edited" and pair.target.strip() != (suggestion.draft or "").strip()
    )
    agent = decision.decided_by if decision is not None else ""
    return Case(pair, "edited" if edited else "accepted", asked, agent, shown)


def _as_asked_of_base(
    db: Database, pair: Pair, every: Mapping[str, Pair], now: str
) -> tuple[list[Message], list[Shown]]:
    text = _last_said(asked_thread(pair.messages))
    examples = store.accepted_examples(
        db, pair.task, text=text, limit=EXAMPLES, exclude_thread=pair.thread_id, until=now
    )
    # What was imported meanwhile is no pair of tonight.
    examples = [one for one in examples if one.pair_id in every]
    shown = [every[one.pair_id] for one in examples]
    return with_examples(pair.messages, examples), [Shown(one.id, one.thread_id, one.created_at) for one in shown]


def _last_said(thread: str) -> str:
    """The customer's newest line, or the question: what the desk searches examples by."""
    said = [line.split(": ", 1)[1] for line in thread.split("\n") if line.startswith(("Customer: ", "Question: "))]
    return said[-1] if said else thread


def _half_without_examples(pair: Pair, seed: int) -> Pair:
    if len(pair.messages) <= 2 or _share(pair.id, seed) < 0.5:
        return pair
    return replace(pair, messages=without_examples(pair.messages))


def _validation_threads(pairs: Sequence[Pair], seed: int) -> set[str]:
    wanted = min(MAX_VALIDATION_PAIRS, int(len(pairs) * VALIDATION_SHARE))
    counts = Counter(p.thread_id for p in pairs)
    chosen: set[str] = set()
    for thread in sorted(counts, key=lambda thread: _share(thread, seed)):
        if wanted < counts[thread]:
            break
        chosen.add(thread)
        wanted -= counts[thread]
    return chosen


def _share(text: str, seed: int) -> float:
    """A number in [0, 1) that hangs on the text and the seed alone."""
    digest = hashlib.sha256(f"{seed} {text}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
