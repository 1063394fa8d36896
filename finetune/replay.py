"""Replay against forgetting: general prompts with the base's own answers, beside the night's pairs. Of no thread."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from data.models import Message, Pair
from finetune import base_model
from finetune.canary import greedy
from finetune.chat import end_tokens, prompt_ids
from finetune.filters import near_prompts
from finetune.pairs import Dataset
from finetune.replay_prompts import PROMPTS
from finetune.run_directory import REPLAY, Recipe, file_hash, read_lines, write_lines
from finetune.split_check import LeakedPrompts
from serving.loops import repeats_itself

LONGEST = 64
"""Tokens of an answer; one that has not ended by then teaches to go on, and is left out."""


@dataclass(frozen=True)
class Replayed:
    """What the adapter's manifest says of it: the share that was asked for, the rows in each epoch, of how many
    different prompts, and the file's sha256.
    """

    share: float
    rows: int
    prompts: int
    sha256: str


def rows_for(
    run_dir: Path, dataset: Dataset, recipe: Recipe, tokenizer: PreTrainedTokenizerBase
) -> tuple[list[Pair], Replayed | None]:
    """The rows of one epoch, each of the pairs' mean weight, and what to note of them; none where none is asked for.

    The base answers once: a training that goes on after a kill reads what it wrote. Raises LeakedPrompts where a row
    asks what the gate asks.
    """
    if not recipe.replay_share or not dataset.train:
        return [], None
    if not (run_dir / REPLAY).exists():
        answered = answers(recipe, tokenizer, without_held_out(general_pairs(), dataset))
        beside = run_dir / f".{REPLAY}.tmp"
        write_lines(beside, map(asdict, answered))
        beside.replace(run_dir / REPLAY)
    different = [Pair(**line) for line in read_lines(run_dir / REPLAY)]
    check(different, dataset)
    count = wanted(len(dataset.train), recipe.replay_share) if different else 0
    weight = sum(pair.weight for pair in dataset.train) / len(dataset.train)
    rows = [replace(different[at % len(different)], weight=weight) for at in range(count)]
    return rows, Replayed(recipe.replay_share, count, len(different), file_hash(run_dir / REPLAY))


def wanted(pairs: int, share: float) -> int:
    """So many rows beside so many pairs are `share` of both together."""
    return round(share / (1 - share) * pairs)


def general_pairs() -> list[Pair]:
    """The project's own prompts, without an answer yet. Their thread is nobody's."""
    return [
        Pair(f"replay-{number}", "answer", f"replay-{number}", messages, "", "history", 1.0, "")
        for number, messages in enumerate(PROMPTS)
    ]


def without_held_out(rows: Sequence[Pair], dataset: Dataset) -> list[Pair]:
    """The rows that ask nothing that the gate asks, word for word or nearly so."""
    near = near_prompts(rows, (case.pair for case in dataset.held_out))
    return [row for row in rows if row.id not in near]


def check(rows: Sequence[Pair], dataset: Dataset) -> None:
    """Raise LeakedPrompts where a row asks what the gate asks, or comes from a held-out thread."""
    scored = {case.pair.thread_id for case in dataset.held_out}
    kept = {row.id for row in without_held_out(rows, dataset) if row.thread_id not in scored}
    if leaked := [row.id for row in rows if row.id not in kept]:
        raise LeakedPrompts(leaked)


def answers(recipe: Recipe, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Pair]) -> list[Pair]:
    """The rows with what the base itself writes, greedily; without the empty, the unfinished and the looping."""
    model = base_model.load_model(recipe.base, base_model.scoring_dtype(), attention="sdpa")
    ends = end_tokens(tokenizer, model.generation_config)
    told = [(row, _answer(model, tokenizer, row.messages, ends)) for row in rows]
    return [replace(row, target=text) for row, text in told if text and not repeats_itself(text)]


def _answer(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], ends: set[int]
) -> str:
    with torch.inference_mode():
        tokens = greedy(model, prompt_ids(tokenizer, messages), ends, count=LONGEST, margin=-math.inf)
    return tokenizer.decode(tokens, skip_special_tokens=True).strip() if tokens[-1] in ends else ""
