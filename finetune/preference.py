"""After SFT: prefer what agents sent to the drafts that they changed. DPO, with the chosen text's NLL beside it."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import PeftModel, set_peft_model_state_dict
from torch.nn import functional
from transformers import PreTrainedTokenizerBase

from finetune import base_model
from finetune.chat import Tokens, encode
from finetune.fitting import CLIP, Example, copy_of, rate_factor, say, validation_loss
from finetune.packing import fill_rows, pack, target_nats
from finetune.run_directory import PREFERENCES, Recipe, read_lines

MIN_PREFERENCES = 300
"""Real edits, as finetuning.md's recipe asks."""
BETA = 0.1
NLL_SHARE = 0.2
"""Llama 3's NLL term (2407.21783): without it the likelihood of the chosen text falls too (2410.08847)."""
RATE_SHARE = 0.05
"""Of the rate of SFT: 1e-5 beside 2e-4."""
TOLERANCE = 0.02
"""Nats per token that the stage may cost on the validation pairs; where it costs more, its result is left out."""


@dataclass(frozen=True)
class Preference:
    """One prompt with the text that a human sent and the draft that it took the place of. `id` is the pair's."""

    id: str
    chosen: Tokens
    rejected: Tokens


@dataclass(frozen=True)
class Preferred:
    """How the stage went. Shares of the pairs whose margin over the SFT adapter favours the chosen text."""

    pairs: int
    updates: int
    accuracy: float
    validation_loss: float | None
    kept: bool


def load_preferences(
    run_dir: Path, tokenizer: PreTrainedTokenizerBase, *, limit: int, ends: set[int]
) -> list[Preference]:
    """A run's frozen preferences as tokens; those too long for `limit` are left out. Raises BadFile."""
    if not (run_dir / PREFERENCES).exists():
        return []
    found = []
    for line in read_lines(run_dir / PREFERENCES):
        sides = [
            encode(tokenizer, line["messages"], line[side], limit=limit, ends=ends) for side in ("chosen", "rejected")
        ]
        if sides[0] is not None and sides[1] is not None:
            found.append(Preference(line["id"], *sides))
    return found


def prefer(
    model: PeftModel, preferences: Sequence[Preference], validation: Sequence[Example], recipe: Recipe
) -> Preferred:
    """One epoch over the preferences, against the adapter as SFT has left it."""
    sft = copy_of(model)
    reference = reference_sums(model, preferences, recipe)
    weights = [p for p in model.parameters() if p.requires_grad]
    rate = RATE_SHARE * (recipe.learning_rate or base_model.default_rate(model))
    optimizer = torch.optim.AdamW(weights, lr=rate, weight_decay=0.0)
    order = list(range(len(preferences)))
    random.Random(f"{recipe.seed} preferences").shuffle(order)
    batches = [order[at : at + recipe.batch_sequences] for at in range(0, len(order), recipe.batch_sequences)]
    before = validation_loss(model, validation, recipe) if validation else None
    for number, batch in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = rate * rate_factor(number / len(batches))
        for places in _rows([preferences[at] for at in batch], recipe.tokens_per_pass):
            chosen = [batch[at] for at in places]
            found = log_likelihoods(model, [preferences[at] for at in chosen])
            lengths = torch.tensor([len(preferences[at].chosen.target) for at in chosen], device=model.device)
            loss = preference_loss(found, reference[chosen], lengths).sum() / len(batch)
            loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, CLIP)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    margins = (reference_sums(model, preferences, recipe) - reference).diff(dim=1)[:, 0]
    after = validation_loss(model, validation, recipe) if validation else None
    kept = before is None or after is None or after <= before + TOLERANCE
    if not kept:
        set_peft_model_state_dict(model, sft)
    accuracy = (margins < 0).float().mean().item()
    say(f"{len(preferences)} edits preferred in {accuracy:.0%} of cases" + ("" if kept else "; left out: loss rose"))
    return Preferred(len(preferences), len(batches), accuracy, after, kept)


def preference_loss(found: torch.Tensor, reference: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """DPO (2305.18290) and NLL_SHARE of the chosen text's nats per token: (pairs,).

    `found` and `reference` (pairs, 2) are log-likelihoods of chosen and rejected texts, summed over their tokens.
    """
    margin = (found[:, 0] - found[:, 1]) - (reference[:, 0] - reference[:, 1])
    return NLL_SHARE * -found[:, 0] / lengths - functional.logsigmoid(BETA * margin)


def log_likelihoods(model: torch.nn.Module, preferences: Sequence[Preference]) -> torch.Tensor:
    """(pairs, 2): of chosen and rejected texts, summed over their tokens; all in one packed row."""
    row = pack([side for one in preferences for side in (one.chosen, one.rejected)], model.device)
    sums = torch.zeros(2 * len(preferences), device=model.device)
    return sums.index_add(0, row.owners, -target_nats(model, row)).view(-1, 2)


def reference_sums(model: PeftModel, preferences: Sequence[Preference], recipe: Recipe) -> torch.Tensor:
    """`log_likelihoods` of all preferences under the model as it is, without dropout and gradients."""
    model.eval()
    sums = torch.zeros(len(preferences), 2, device=model.device)
    with torch.no_grad():
        for places in _rows(preferences, recipe.tokens_per_pass):
            sums[places] = log_likelihoods(model, [preferences[at] for at in places])
    model.train()
    return sums


def _rows(preferences: Sequence[Preference], capacity: int) -> list[list[int]]:
    return fill_rows([len(one.chosen) + len(one.rejected) for one in preferences], capacity)
