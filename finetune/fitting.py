"""The loop of updates: rates, validation, early stopping, and going on where a killed training was."""

import json
import math
import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from peft import PeftModel, get_peft_model_state_dict, set_peft_model_state_dict

from data.errors import TrainingFailed
from finetune import base_model, parallel
from finetune.chat import Tokens
from finetune.packing import pack, rows_of, target_nats
from finetune.run_directory import CHECKPOINT, LOSSES, Recipe

VALIDATIONS = 8
"""In a training of all its epochs."""
PATIENCE = 2
"""Validations without a better loss before the training stops."""
TOGETHER = 12
"""Pairs of a thread that a batch takes with one another: three quarters of it by default."""
WARM_UP = 0.05
CLIP = 1.0
REPORT_SECONDS = 5.0
CHECKPOINT_SECONDS = 60.0
"""A killed training does so much again, at most; it goes on from a validation, too."""


@dataclass(frozen=True)
class Example:
    """One pair as tokens, with its weight in the loss and the thread that it is of."""

    tokens: Tokens
    weight: float
    thread_id: str | None = None


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


@dataclass
class Progress:
    """Where a training stands: all that its next update depends on, beside weights, optimizer and random state.

    `best` and `before` are validation losses, `worse` the validations since the best, `seen` tokens.
    """

    update: int = 0
    seconds: float = 0.0
    seen: int = 0
    before: float | None = None
    best: float | None = None
    worse: int = 0


def fit(
    model: PeftModel, examples: Sequence[Example], validation: Sequence[Example], run_dir: Path, recipe: Recipe
) -> Outcome:
    """Update the adapter until the recipe's end or until validation no longer improves, and leave it at its best.

    Goes on from the folder's checkpoint: what comes out is the same as if nothing had happened. Raises TrainingFailed.
    """
    weights = [p for p in model.parameters() if p.requires_grad]
    rate = recipe.learning_rate or base_model.default_rate(model)
    epochs = recipe.epochs or base_model.default_epochs(model.num_parameters(), len(examples))
    optimizer = torch.optim.AdamW(weights, lr=rate, weight_decay=0.0)
    planned = math.ceil(len(examples) / recipe.batch_sequences) * epochs
    validate_every = math.ceil(planned / VALIDATIONS)
    at, kept = _resume(run_dir, model, optimizer)
    if at.update == 0:
        at.best = at.before = validation_loss(model, validation, recipe) if validation else None
        _log(run_dir, {"update": 0, "validation_loss": at.before})
    stopped, begin, reported, saved = "all epochs", replace(at), at.seconds, at.seconds
    started = time.monotonic() - at.seconds
    for batch in batches(examples, recipe, epochs, done=at.update):
        factor = rate_factor(_share(at.update, planned, at.seconds, recipe))
        for group in optimizer.param_groups:
            group["lr"] = rate * factor
        loss = step(model, batch, recipe, weights, optimizer)
        at.update += 1
        at.seen += sum(len(e.tokens) for e in batch)
        at.seconds = parallel.agreed(time.monotonic() - started, model.device)
        line: dict[str, object] = {"update": at.update, "loss": loss, "rate": rate * factor, "tokens": at.seen}
        if at.seconds - reported >= REPORT_SECONDS:
            reported = at.seconds
            speed = (at.seen - begin.seen) / (at.seconds - begin.seconds)
            say(_progress_line(at, planned, loss, speed, recipe))
        out_of_time = at.seconds >= recipe.max_train_minutes * 60
        validates = at.best is not None and (at.update % validate_every == 0 or at.update == planned or out_of_time)
        if validates:
            found = line["validation_loss"] = validation_loss(model, validation, recipe)
            at.worse = 0 if found < at.best else at.worse + 1
            if at.worse == 0:
                at.best, kept = found, copy_of(model)
        _log(run_dir, line)
        if at.worse >= PATIENCE or out_of_time:
            stopped = "time budget" if out_of_time else "validation loss no longer falls"
            break
        if validates or at.seconds - saved >= CHECKPOINT_SECONDS:
            saved = at.seconds
            _save(run_dir, model, optimizer, at, kept)
    if at.best is not None and at.before is not None:
        if not at.best < at.before:
            raise TrainingFailed(
                f"The training did not lower the validation loss ({at.before:.3f} nats per token without it): "
                "look at the pairs, or set LEARNING_RATE."
            )
        set_peft_model_state_dict(model, kept)
    return Outcome(at.update, planned, at.seconds, at.seen / at.seconds, stopped, at.before, at.best)


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
        for row in parallel.share(rows_of([e.tokens for e in examples], recipe.tokens_per_pass)):
            found = target_nats(model, pack([examples[at].tokens for at in row], model.device))
            nats, tokens = nats + found.sum().item(), tokens + len(found)
    model.train()
    sums = torch.tensor([nats, tokens], dtype=torch.float64, device=model.device)
    parallel.add_up([sums])
    return (sums[0] / sums[1]).item()


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
    for places in parallel.share(rows_of([e.tokens for e in batch], recipe.tokens_per_pass)):
        chosen = [batch[at] for at in places]
        row = pack([e.tokens for e in chosen], model.device)
        weight = torch.tensor([e.weight for e in chosen], device=model.device)[row.owners]
        share = (target_nats(model, row) * weight).sum() / whole
        share.backward()
        loss += share.item()
    loss = added_up(loss, weights)
    if not math.isfinite(loss):
        raise TrainingFailed("The loss is no longer a number: set a lower LEARNING_RATE.")
    torch.nn.utils.clip_grad_norm_(weights, CLIP)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss


def added_up(loss: float, weights: Sequence[torch.nn.Parameter]) -> float:
    """The loss of the whole batch from each process's part, with the gradients of the whole in the weights."""
    for weight in weights:
        # A process without a row of this batch has none.
        weight.grad = torch.zeros_like(weight) if weight.grad is None else weight.grad
    whole = torch.tensor([loss], dtype=torch.float64, device=weights[0].device)
    parallel.add_up([whole, *(weight.grad for weight in weights if weight.grad is not None)])
    return whole.item()


def say(text: str) -> None:
    """One line for the person who watches."""
    if parallel.leads():
        print(f"train: {text}", file=sys.stderr, flush=True)


def _resume(
    run_dir: Path, model: PeftModel, optimizer: torch.optim.Optimizer
) -> tuple[Progress, dict[str, torch.Tensor]]:
    """Where the folder's training stands, and its best weights; model, optimizer and random state are put there."""
    file, log = run_dir / CHECKPOINT, run_dir / LOSSES
    if not file.exists():
        if parallel.leads():
            log.unlink(missing_ok=True)
        return Progress(), copy_of(model)
    found = torch.load(file, map_location=model.device, weights_only=True)
    set_peft_model_state_dict(model, found["weights"])
    optimizer.load_state_dict(found["optimizer"])
    torch.set_rng_state(found["random"].cpu())
    at = Progress(**found["progress"])
    lines = log.read_text(encoding="utf-8").split("\n")
    # What was logged after the checkpoint is done, and logged, again.
    if parallel.leads():
        log.write_text("".join(f"{line}\n" for line in lines[: at.update + 1]), encoding="utf-8")
    say(f"going on after update {at.update}, where a training in this folder was ended")
    return at, found["best"]


def _save(
    run_dir: Path, model: PeftModel, optimizer: torch.optim.Optimizer, at: Progress, kept: dict[str, torch.Tensor]
) -> None:
    """Beside its place, then renamed: a checkpoint is whole, or an older one."""
    if not parallel.leads():
        return
    beside = run_dir / f".{CHECKPOINT}.tmp"
    state = {
        "weights": copy_of(model),
        "best": kept,
        "optimizer": optimizer.state_dict(),
        "random": torch.get_rng_state(),
        "progress": asdict(at),
    }
    with beside.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(run_dir / CHECKPOINT)


def _log(run_dir: Path, line: dict[str, object]) -> None:
    if parallel.leads():
        with (run_dir / LOSSES).open("a", encoding="utf-8") as log:
            print(json.dumps(line), file=log)


def batches(examples: Sequence[Example], recipe: Recipe, epochs: int, *, done: int) -> Iterator[list[Example]]:
    """The batches of all epochs, without the first `done`.

    Threads come in any order, but up to TOGETHER pairs of one stay together: what they share is computed once. Pairs
    that only begin alike, as those of templates do, do not: a batch of them teaches little.
    """
    threads: dict[str | int, list[Example]] = {}
    for place, one in enumerate(examples):
        threads.setdefault(one.thread_id or place, []).append(one)
    together = [some[at : at + TOGETHER] for some in threads.values() for at in range(0, len(some), TOGETHER)]
    for epoch in range(epochs):
        random.Random(f"{recipe.seed} {epoch}").shuffle(together)
        order = [one for some in together for one in some]
        for first in range(0, len(order), recipe.batch_sequences):
            if done > 0:
                done -= 1
            else:
                yield order[first : first + recipe.batch_sequences]


def _share(updates: int, planned: int, seconds: float, recipe: Recipe) -> float:
    """The share that is done: of the updates, or of the time, whichever is further."""
    return max(updates / planned, seconds / (recipe.max_train_minutes * 60))


def _progress_line(at: Progress, planned: int, loss: float, speed: float, recipe: Recipe) -> str:
    left = min(at.seconds / at.update * (planned - at.update), recipe.max_train_minutes * 60 - at.seconds)
    return f"update {at.update} of {planned}, loss {loss:.3f}, {speed:.0f} tokens/s, about {max(0, round(left))} s left"


def copy_of(model: PeftModel) -> dict[str, torch.Tensor]:
    """The adapter's weights as they are now."""
    learned = get_peft_model_state_dict(model, save_embedding_layers=False)
    return {name: weight.detach().clone() for name, weight in learned.items()}
