"""What both preference stages do: likelihoods of whole texts, one epoch at a low rate, and a way back to before."""

import random
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from peft import PeftModel, set_peft_model_state_dict

from finetune import base_model, parallel
from finetune.chat import Tokens
from finetune.fitting import CLIP, REPORT_SECONDS, Example, added_up, copy_of, rate_factor, say, validation_loss
from finetune.packing import fill_rows, pack, target_nats
from finetune.run_directory import Recipe

RATE_SHARE = 0.05
"""Of the rate of SFT: 1e-5 beside 2e-4."""
TIME_SHARE = 0.25
"""Of MAX_TRAIN_MINUTES, for the updates of one stage."""
TOLERANCE = 0.02
"""Nats per token that a stage may cost on the validation pairs; where it costs more, its result is left out."""

Told = TypeVar("Told")


def log_likelihoods(model: torch.nn.Module, texts: Sequence[Tokens]) -> torch.Tensor:
    """(texts,): of each target after its prompt, summed over its tokens; all in one packed row."""
    row = pack(texts, model.device)
    sums = torch.zeros(len(texts), device=model.device)
    return sums.index_add(0, row.owners, -target_nats(model, row))


def reference_sums(model: PeftModel, texts: Sequence[Tokens], recipe: Recipe) -> torch.Tensor:
    """`log_likelihoods` of all texts under the model as it is, without dropout and gradients; shared out."""
    model.eval()
    sums = torch.zeros(len(texts), device=model.device)
    with torch.no_grad():
        for places in parallel.share(fill_rows([len(one) for one in texts], recipe.tokens_per_pass)):
            sums[places] = log_likelihoods(model, [texts[at] for at in places])
    model.train()
    parallel.add_up([sums])
    return sums


def shuffled(count: int, recipe: Recipe, name: str) -> list[int]:
    """The places of so many, in an order that hangs on the recipe's seed and the stage's name."""
    order = list(range(count))
    random.Random(f"{recipe.seed} {name}").shuffle(order)
    return order


def one_epoch(
    model: PeftModel, order: Sequence[int], recipe: Recipe, gradients_of: Callable[[Sequence[int]], None]
) -> int:
    """An update for each batch of the order, of whose gradients `gradients_of` puts this process's share into the
    weights. Returns how many there were.

    Where a stage is out of its share of the time, its rate has fallen to zero by then and the rest is left out.
    """
    weights = [p for p in model.parameters() if p.requires_grad]
    rate = RATE_SHARE * (recipe.learning_rate or base_model.default_rate(model))
    optimizer = torch.optim.AdamW(weights, lr=rate, weight_decay=0.0)
    batches = [order[at : at + recipe.batch_sequences] for at in range(0, len(order), recipe.batch_sequences)]
    seconds, started = TIME_SHARE * recipe.max_train_minutes * 60, time.monotonic()
    reported = 0.0
    for number, batch in enumerate(batches):
        spent = parallel.agreed(time.monotonic() - started, model.device)
        if spent >= seconds:
            say(f"out of time after {number} of {len(batches)} updates of the preference stage")
            return number
        if spent - reported >= REPORT_SECONDS:
            reported = spent
            say(f"update {number} of {len(batches)} of the preference stage")
        for group in optimizer.param_groups:
            group["lr"] = rate * rate_factor(max(number / len(batches), spent / seconds))
        gradients_of(batch)
        added_up(0.0, weights)
        torch.nn.utils.clip_grad_norm_(weights, CLIP)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return len(batches)


def with_a_way_back(
    model: PeftModel, validation: Sequence[Example], recipe: Recipe, stage: Callable[[], Told]
) -> tuple[Told, float | None, bool]:
    """Do `stage`. Returns what it tells, the validation loss after it, and whether it was kept.

    Where that loss has risen by more than TOLERANCE, the adapter is what it was before.
    """
    earlier = copy_of(model)
    before = validation_loss(model, validation, recipe) if validation else None
    told = stage()
    after = validation_loss(model, validation, recipe) if validation else None
    kept = before is None or after is None or after <= before + TOLERANCE
    if not kept:
        set_peft_model_state_dict(model, earlier)
    return told, after, kept
