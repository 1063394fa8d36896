"""After SFT and DPO: make texts that people liked likelier, and those that they disliked less likely. By KTO."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from peft import PeftModel
from transformers import PreTrainedTokenizerBase

from finetune import parallel
from finetune.chat import Tokens, encode
from finetune.fitting import Example, say
from finetune.packing import fill_rows
from finetune.preferring import log_likelihoods, one_epoch, reference_sums, shuffled, with_a_way_back
from finetune.run_directory import Recipe
from finetune.thumbs import Thumb

BETA = 0.1


@dataclass(frozen=True)
class Rated:
    """A rated text as tokens."""

    tokens: Tokens
    liked: bool
    weight: float


@dataclass(frozen=True)
class Learned:
    """How the stage went. `margin` is how much likelier liked texts became than disliked ones, in nats per text."""

    liked: int
    disliked: int
    updates: int
    margin: float
    validation_loss: float | None
    kept: bool


def encode_thumbs(
    tokenizer: PreTrainedTokenizerBase, thumbs: Sequence[Thumb], *, limit: int, ends: set[int]
) -> list[Rated]:
    """The rated texts as tokens; those too long for `limit` are left out."""
    encoded = [(encode(tokenizer, t.pair.messages, t.pair.target, limit=limit, ends=ends), t) for t in thumbs]
    return [Rated(tokens, thumb.liked, thumb.pair.weight) for tokens, thumb in encoded if tokens is not None]


def learn_thumbs(model: PeftModel, rated: Sequence[Rated], validation: Sequence[Example], recipe: Recipe) -> Learned:
    """One epoch over texts of both kinds, against the adapter as the stages before have left it."""
    texts = [one.tokens for one in rated]
    liked = torch.tensor([one.liked for one in rated], device=model.device)
    shares = importance(liked, torch.tensor([one.weight for one in rated], device=model.device))
    order = shuffled(len(rated), recipe, "thumbs")
    others = mismatched(texts, order)
    reference, mismatched_reference = (reference_sums(model, some, recipe) for some in (texts, others))

    def gradients_of(batch: Sequence[int]) -> None:
        drift = reference_sums(model, [others[at] for at in batch], recipe) - mismatched_reference[batch]
        zero = drift.mean().clamp(min=0)
        for row in parallel.share(fill_rows([len(texts[at]) for at in batch], recipe.tokens_per_pass)):
            places = [batch[at] for at in row]
            gains = log_likelihoods(model, [texts[at] for at in places]) - reference[places]
            (kto_loss(gains, zero, liked[places], shares[places]).sum() / len(batch)).backward()

    def stage() -> tuple[int, float]:
        updates = one_epoch(model, order, recipe, gradients_of)
        gains = reference_sums(model, texts, recipe) - reference
        return updates, (gains[liked].mean() - gains[~liked].mean()).item()

    (updates, margin), after, kept = with_a_way_back(model, validation, recipe, stage)
    say(
        f"{len(rated)} rated texts: liked ones became likelier than disliked ones by {margin:.2f} nats"
        + ("" if kept else "; left out: loss rose")
    )
    count = int(liked.sum())
    return Learned(count, len(rated) - count, updates, margin, after, kept)


def kto_loss(gains: torch.Tensor, zero: torch.Tensor, liked: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """KTO's λ - v (2402.01306): (texts,), each between 0 and its `shares`, which is λ.

    `gains` (texts,) are log-likelihoods above the reference's, summed over a text's tokens; `liked` (texts,) says what
    is desirable; `zero` () is the reference point z₀, through which no gradient flows.
    """
    signs = torch.where(liked, 1.0, -1.0).to(gains.dtype)
    return shares * torch.sigmoid(-signs * BETA * (gains - zero.detach()))


def importance(liked: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """λ of each text: its weight, scaled so that both kinds weigh the same together, and a text 1 in the mean.

    The paper asks for a ratio of the two kinds (λ_D n_D to λ_U n_U) between 1:1 and 4:3. Both must occur.
    """
    of_kind = torch.where(liked, weights[liked].sum(), weights[~liked].sum())
    return weights * len(weights) / (2 * of_kind)


def mismatched(texts: Sequence[Tokens], order: Sequence[int]) -> list[Tokens]:
    """Each prompt with the target of the next text in the order, by which KTO estimates how far the model has drifted.

    A prompt is cut at its start where the two would be longer than the longest text.
    """
    limit = max(len(one) for one in texts)
    found = list(texts)
    for place, other in zip(order, [*order[1:], order[0]], strict=True):
        prompt, target = texts[place].prompt, texts[other].target
        found[place] = Tokens(prompt[-(limit - len(target)) :], target)
    return found
