"""After SFT: prefer what agents sent to the drafts that they changed. DPO, with the chosen text's NLL beside it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from peft import PeftModel
from torch.nn import functional
from transformers import PreTrainedTokenizerBase

from data.models import PreferencePair
from finetune import parallel, preferring
from finetune.chat import Tokens, encode
from finetune.fitting import Example, say
from finetune.packing import fill_rows
from finetune.run_directory import Recipe

MIN_PREFERENCES = 300
"""Real edits, as finetuning.md's recipe asks."""
BETA = 0.1
NLL_SHARE = 0.2
"""Llama 3's NLL term (2407.21783): without it the likelihood of the chosen text falls too (2410.08847)."""


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


def encode_preferences(
    tokenizer: PreTrainedTokenizerBase, preferences: Iterable[PreferencePair], *, limit: int, ends: set[int]
) -> list[Preference]:
    """The preferences as tokens; those too long for `limit` are left out."""
    found = []
    for one in preferences:
        sides = [encode(tokenizer, one.messages, side, limit=limit, ends=ends) for side in (one.chosen, one.rejected)]
        if sides[0] is not None and sides[1] is not None:
            found.append(Preference(one.id, *sides))
    return found


def prefer(
    model: PeftModel, preferences: Sequence[Preference], validation: Sequence[Example], recipe: Recipe
) -> Preferred:
    """One epoch over the preferences, against the adapter as SFT has left it."""
    reference = reference_sums(model, preferences, recipe)
    lengths = torch.tensor([len(one.chosen.target) for one in preferences], device=model.device)

    def gradients_of(batch: Sequence[int]) -> None:
        both = [len(preferences[at].chosen) + len(preferences[at].rejected) for at in batch]
        for row in parallel.share(fill_rows(both, recipe.tokens_per_pass)):
            places = [batch[at] for at in row]
            found = log_likelihoods(model, [preferences[at] for at in places])
            (preference_loss(found, reference[places], lengths[places]).sum() / len(batch)).backward()

    def stage() -> tuple[int, float]:
        updates = preferring.one_epoch(
            model, preferring.shuffled(len(preferences), recipe, "preferences"), recipe, gradients_of
        )
        margins = (reference_sums(model, preferences, recipe) - reference).diff(dim=1)[:, 0]
        return updates, (margins < 0).float().mean().item()

    (updates, accuracy), after, kept = preferring.with_a_way_back(model, validation, recipe, stage)
    say(f"{len(preferences)} edits preferred in {accuracy:.0%} of cases" + ("" if kept else "; left out: loss rose"))
    return Preferred(len(preferences), updates, accuracy, after, kept)


def preference_loss(found: torch.Tensor, reference: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """DPO (2305.18290) and NLL_SHARE of the chosen text's nats per token: (pairs,).

    `found` and `reference` (pairs, 2) are log-likelihoods of chosen and rejected texts, summed over their tokens.
    """
    margin = (found[:, 0] - found[:, 1]) - (reference[:, 0] - reference[:, 1])
    return NLL_SHARE * -found[:, 0] / lengths - functional.logsigmoid(BETA * margin)


def log_likelihoods(model: torch.nn.Module, preferences: Sequence[Preference]) -> torch.Tensor:
    """(pairs, 2): of chosen and rejected texts, summed over their tokens; all in one packed row."""
    return preferring.log_likelihoods(model, _sides(preferences)).view(-1, 2)


def reference_sums(model: PeftModel, preferences: Sequence[Preference], recipe: Recipe) -> torch.Tensor:
    """`log_likelihoods` of all preferences under the model as it is, without dropout and gradients."""
    return preferring.reference_sums(model, _sides(preferences), recipe).view(-1, 2)


def _sides(preferences: Sequence[Preference]) -> list[Tokens]:
    return [side for one in preferences for side in (one.chosen, one.rejected)]
