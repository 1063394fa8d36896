"""Train one LoRA adapter on a run's frozen pairs. A process of its own, that reads nothing but the run's folder."""

import json
import math
import random
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from transformers import PreTrainedTokenizerBase

from data.errors import BadFile, NotEnoughPairs, TrainingFailed
from data.models import Pair
from finetune import base_model
from finetune.canary import make_canary
from finetune.chat import Tokens, encode, end_tokens
from finetune.dataset import Dataset, load
from finetune.low_rank import LowRankLinear
from finetune.packing import fill_rows, pack, target_nats
from finetune.run_directory import ADAPTER, CANARY, LOSSES, MANIFEST, Recipe, pair_hash, read_recipe, write_json

VALIDATIONS_PER_EPOCH = 4
PATIENCE = 2
"""Validations without a better loss before the training stops."""
WARM_UP = 0.05
CLIP = 1.0
REPORT_SECONDS = 5.0


@dataclass(frozen=True)
class Example:
    """One pair as tokens, with its weight in the loss."""

    tokens: Tokens
    weight: float


@dataclass(frozen=True)
class Outcome:
    """How a training went. Losses are nats per target token on the validation pairs; None without such pairs."""

    updates: int
    planned_updates: int
    seconds: float
    tokens_per_second: float
    stopped: str
    validation_before: float | None
    validation_best: float | None


def train(run_dir: Path) -> Outcome:
    """Train as the run's recipe says and leave `adapter/` in its folder, whole or not at all.

    Raises BadFile, ModelMissing, NotEnoughPairs and TrainingFailed.
    """
    recipe, dataset = read_recipe(run_dir), load(run_dir)
    if (run_dir / ADAPTER).exists():
        raise BadFile(f"{run_dir} holds a trained adapter already: freeze a dataset in a new folder.")
    torch.set_num_threads(recipe.threads)
    torch.manual_seed(recipe.seed)
    say(f"loading {recipe.base.model}")
    tokenizer = base_model.load_tokenizer(recipe.base)
    model = base_model.load_model(recipe.base, base_model.training_dtype())
    ends = end_tokens(tokenizer, model.generation_config)
    limit = min(recipe.max_length, model.config.get_text_config().max_position_embeddings)
    examples, too_long = encode_pairs(tokenizer, dataset.train, limit=limit, ends=ends)
    validation, _ = encode_pairs(tokenizer, dataset.validation, limit=limit, ends=ends)
    if not examples:
        raise NotEnoughPairs(found=0, needed=1)
    if too_long:
        say(f"{too_long} pairs are left out: their answers alone are longer than {limit} tokens")
    model = get_peft_model(model, lora(recipe))
    with (run_dir / LOSSES).open("w", encoding="utf-8", buffering=1) as log:
        outcome = _fit(model, examples, validation, recipe, lambda line: print(json.dumps(line), file=log))
    say("writing the adapter and its canary")
    _write_adapter(model, run_dir, recipe, dataset, outcome)
    say(f"trained: {outcome.updates} updates in {outcome.seconds:.0f} s ({outcome.stopped})")
    return outcome


def encode_pairs(
    tokenizer: PreTrainedTokenizerBase, pairs: Sequence[Pair], *, limit: int, ends: set[int]
) -> tuple[list[Example], int]:
    """The pairs as tokens, and how many were left out because their target alone is too long."""
    encoded = [(encode(tokenizer, p.messages, p.target, limit=limit, ends=ends), p.weight) for p in pairs]
    return [Example(t, weight) for t, weight in encoded if t is not None], sum(t is None for t, _ in encoded)


def rate_factor(progress: float) -> float:
    """Warm-up, then a cosine to zero. `progress` is the share of the training that is done."""
    if progress < WARM_UP:
        return max(progress, 1e-3) / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - WARM_UP) / (1 - WARM_UP))))


def validation_loss(model: torch.nn.Module, examples: Sequence[Example], recipe: Recipe) -> float:
    """Nats per target token, unweighted."""
    model.eval()
    nats = tokens = 0.0
    with torch.inference_mode():
        for row in fill_rows([len(e.tokens) for e in examples], recipe.tokens_per_pass):
            found = target_nats(model, pack([examples[at].tokens for at in row], model.device))
            nats, tokens = nats + found.sum().item(), tokens + len(found)
    model.train()
    return nats / tokens


def say(text: str) -> None:
    """One line for the person who watches."""
    print(f"train: {text}", file=sys.stderr, flush=True)


def _fit(
    model: PeftModel,
    examples: Sequence[Example],
    validation: Sequence[Example],
    recipe: Recipe,
    log: Callable[[dict[str, object]], None],
) -> Outcome:
    weights = [p for p in model.parameters() if p.requires_grad]
    rate = recipe.learning_rate or base_model.default_rate(model)
    optimizer = torch.optim.AdamW(weights, lr=rate, weight_decay=0.0)
    per_epoch = math.ceil(len(examples) / recipe.batch_sequences)
    planned = per_epoch * recipe.epochs
    validate_every = math.ceil(per_epoch / VALIDATIONS_PER_EPOCH)
    best = before = validation_loss(model, validation, recipe) if validation else None
    log({"update": 0, "validation_loss": before})
    kept, worse, seen, update, stopped = _copy_of(model), 0, 0, 0, "all epochs"
    started = reported = time.monotonic()
    for update, batch in enumerate(_batches(examples, recipe), start=1):
        factor = rate_factor(_progress(update - 1, planned, started, recipe))
        for group in optimizer.param_groups:
            group["lr"] = rate * factor
        loss = step(model, batch, recipe, weights, optimizer)
        seen += sum(len(e.tokens) for e in batch)
        line: dict[str, object] = {"update": update, "loss": loss, "rate": rate * factor, "tokens": seen}
        if time.monotonic() - reported >= REPORT_SECONDS:
            reported = time.monotonic()
            say(_progress_line(update, planned, loss, seen, started, recipe))
        out_of_time = _progress(0, planned, started, recipe) >= 1
        if best is not None and (update % validate_every == 0 or update == planned or out_of_time):
            found = line["validation_loss"] = validation_loss(model, validation, recipe)
            worse = 0 if found < best else worse + 1
            if worse == 0:
                best, kept = found, _copy_of(model)
        log(line)
        if worse >= PATIENCE or out_of_time:
            stopped = "time budget" if out_of_time else "validation loss no longer falls"
            break
    seconds = time.monotonic() - started
    if best is not None and before is not None:
        if not best < before:
            raise TrainingFailed(
                f"The training did not lower the validation loss ({before:.3f} nats per token without it): "
                "look at the pairs, or set LEARNING_RATE."
            )
        set_peft_model_state_dict(model, kept)
    return Outcome(update, planned, seconds, seen / seconds, stopped, before, best)


def step(
    model: PeftModel,
    batch: Sequence[Example],
    recipe: Recipe,
    weights: Sequence[torch.nn.Parameter],
    optimizer: torch.optim.Optimizer,
) -> float:
    """One update on the weighted nats per weighted target token. Returns that loss."""
    model.train()
    whole = sum(e.weight * len(e.tokens.target) for e in batch)
    loss = 0.0
    for places in fill_rows([len(e.tokens) for e in batch], recipe.tokens_per_pass):
        chosen = [batch[at] for at in places]
        row = pack([e.tokens for e in chosen], model.device)
        weight = torch.tensor([e.weight for e in chosen], device=model.device)[row.owners]
        share = (target_nats(model, row) * weight).sum() / whole
        share.backward()
        loss += share.item()
    if not math.isfinite(loss):
        raise TrainingFailed("The loss is no longer a number: set a lower LEARNING_RATE.")
    torch.nn.utils.clip_grad_norm_(weights, CLIP)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss


def _batches(examples: Sequence[Example], recipe: Recipe) -> Iterator[list[Example]]:
    for epoch in range(recipe.epochs):
        order = list(examples)
        random.Random(f"{recipe.seed} {epoch}").shuffle(order)
        for first in range(0, len(order), recipe.batch_sequences):
            yield order[first : first + recipe.batch_sequences]


def _progress(updates: int, planned: int, started: float, recipe: Recipe) -> float:
    """The share that is done: of the updates, or of the time, whichever is further."""
    return max(updates / planned, (time.monotonic() - started) / (recipe.max_train_minutes * 60))


def _progress_line(updates: int, planned: int, loss: float, seen: int, started: float, recipe: Recipe) -> str:
    elapsed = time.monotonic() - started
    left = min(elapsed / updates * (planned - updates), recipe.max_train_minutes * 60 - elapsed)
    return (
        f"update {updates} of {planned}, loss {loss:.3f}, {seen / elapsed:.0f} tokens/s, "
        f"about {max(0, round(left))} s left"
    )


def _copy_of(model: PeftModel) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in get_peft_model_state_dict(model).items()}


def lora(recipe: Recipe) -> LoraConfig:
    """The adapter that the recipe asks for: plain LoRA on every linear layer."""
    config = LoraConfig(
        r=recipe.lora_r,
        lora_alpha=recipe.lora_alpha,
        lora_dropout=recipe.lora_dropout,
        target_modules="all-linear",
        bias="none",
        task_type="CAUSAL_LM",
    )
    config._register_custom_module({torch.nn.Linear: LowRankLinear})
    return config


def _write_adapter(model: PeftModel, run_dir: Path, recipe: Recipe, dataset: Dataset, outcome: Outcome) -> None:
    """Beside its final place, then renamed: `adapter/` is whole whenever it is there."""
    beside = run_dir / f".{ADAPTER}.tmp"
    shutil.rmtree(beside, ignore_errors=True)
    model.save_pretrained(beside)
    (beside / "README.md").unlink(missing_ok=True)
    pairs = [
        {"id": p.id, "sha256": pair_hash(p), "thread_id": p.thread_id} for p in (*dataset.train, *dataset.validation)
    ]
    manifest = {
        "base_hash": recipe.base.hash,
        "base_model": recipe.base.model,
        "recipe": asdict(recipe),
        "outcome": asdict(outcome),
        "pairs": pairs,
        "versions": {name: version(name) for name in ("nightshift", "torch", "transformers", "peft")},
    }
    write_json(beside / MANIFEST, manifest)
    write_json(beside / CANARY, make_canary(recipe.base, beside))
    beside.rename(run_dir / ADAPTER)
