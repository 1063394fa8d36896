"""Causal attention inside each sequence of a packed row, so that no square mask of the whole row is ever formed.

Of a family of sequences that begin alike (finetune/families.py) there is one, of the family's own tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch.nn import functional
from transformers import AttentionInterface

from data.errors import TrainingFailed

ATTENTION = "nightshift_per_segment"
"""The name under which transformers finds `attend_per_segment`. No mask function is registered: none is made."""
SHORT = 384
"""Tokens up to which several sequences are multiplied as one batch on a CPU. For 12 sequences of 160 tokens (5 heads of
64, bfloat16) that takes 6 ms forth and back where one SDPA for each takes 26; at 512 tokens SDPA is the faster one."""
ALIKE = 0.8
"""Sequences share a batch down to this share of its longest: the padding would cost more than another batch."""


@dataclass(frozen=True)
class Run:
    """Neighbours in a row that are attended to at once. Places count from the run's first token.

    `gathered` (sequences by longest) is the place of each token when all are padded to the longest; padding repeats the
    last token, which a causal mask hides. `kept` are the positions in it that are no padding. Both are None where
    nothing is padded. `seen` (tokens, tokens) says which token of a family sees which; None where it is no family.
    """

    lengths: tuple[int, ...]
    batched: bool
    gathered: torch.Tensor | None = None
    kept: torch.Tensor | None = None
    seen: torch.Tensor | None = None

    @property
    def longest(self) -> int:
        return max(self.lengths)


def runs_of(lengths: Sequence[int], *, batched: bool) -> list[Run]:
    """The runs of a row with sequences of these lengths; of one sequence each unless `batched`."""
    grouped: list[list[int]] = []
    for length in lengths:
        group = grouped[-1] if grouped else []
        shortest, longest = min([length, *group]), max([length, *group])
        if batched and group and longest <= SHORT and shortest >= ALIKE * longest:
            group.append(length)
        else:
            grouped.append([length])
    return [_run(tuple(group), batched and max(group) <= SHORT) for group in grouped]


def family_run(seen: torch.Tensor, *, batched: bool) -> Run:
    """The run of a family whose tokens see one another so: `seen` (tokens, tokens)."""
    return Run((len(seen),), batched and len(seen) <= SHORT, seen=seen)


def attend_per_segment(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    runs: Sequence[Run],
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **_: object,
) -> tuple[torch.Tensor, None]:
    """Causal attention inside each sequence of a packed row, without dropout: (1, heads, T, d) → (1, T, heads, d)."""
    if softcap is not None or attention_mask is not None:
        raise TrainingFailed(
            "BASE_MODEL caps or masks its attention in a way that training cannot pack: choose another."
        )
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    tokens = [sum(run.lengths) for run in runs]
    attended = [
        _attend_to_batch(q, k, v, run, scale, sliding_window)
        if run.batched
        else _attend_to_one(q, k, v, run, scale, sliding_window)
        for q, k, v, run in zip(query.split(tokens, 2), key.split(tokens, 2), value.split(tokens, 2), runs, strict=True)
    ]
    return torch.cat(attended, dim=2).transpose(1, 2), None


AttentionInterface.register(ATTENTION, attend_per_segment)


def _run(lengths: tuple[int, ...], batched: bool) -> Run:
    longest = max(lengths)
    if min(lengths) == longest:
        return Run(lengths, batched)
    length = torch.tensor(lengths)
    first = length.cumsum(0) - length
    steps = torch.arange(longest)
    gathered = first[:, None] + steps.minimum(length[:, None] - 1)
    return Run(lengths, batched, gathered.flatten(), (steps < length[:, None]).flatten().nonzero()[:, 0])


def _attend_to_one(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, run: Run, scale: float, window: int | None
) -> torch.Tensor:
    count = query.shape[2]
    mask = _seen(run, window)
    if mask is None and window is not None and count > window:
        mask = torch.ones(count, count, dtype=torch.bool, device=query.device).tril().triu(1 - window)
    grouped = query.shape[1] != key.shape[1]
    return functional.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, is_causal=mask is None, scale=scale, enable_gqa=grouped
    )


def _attend_to_batch(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, run: Run, scale: float, window: int | None
) -> torch.Tensor:
    group = query.shape[1] // key.shape[1]
    seen = _seen(run, window)
    bias = (
        _causal_bias(window, query.dtype)[: run.longest, : run.longest]
        if seen is None
        else torch.zeros(seen.shape, dtype=query.dtype).masked_fill_(~seen, -torch.inf)
    ).repeat(group, 1)
    return _BatchedAttention.apply(query, key, value, run, bias, scale)


def _seen(run: Run, window: int | None) -> torch.Tensor | None:
    """Which token of a family sees which; None where it is no family."""
    if run.seen is None or window is None:
        return run.seen
    before = run.seen.sum(1)
    return run.seen & (before[:, None] - before < window)


@lru_cache(maxsize=8)
def _causal_bias(window: int | None, dtype: torch.dtype) -> torch.Tensor:
    seen = torch.ones(SHORT, SHORT, dtype=torch.bool).tril()
    if window is not None:
        seen = seen.triu(1 - window)
    return torch.zeros(SHORT, SHORT, dtype=dtype).masked_fill(~seen, -torch.inf)


class _BatchedAttention(torch.autograd.Function):
    """softmax(scale · query · keyᵀ + bias) · value for all sequences of a run in one batch of products."""

    @staticmethod
    def forward(ctx, query, key, value, run, bias, scale):
        heads = key.shape[1]
        q, k, v = (_batch(states, run, heads) for states in (query, key, value))
        shares = torch.baddbmm(bias, q, k.transpose(1, 2), alpha=scale).softmax(-1)
        ctx.save_for_backward(q, k, v, shares)
        ctx.run, ctx.heads, ctx.scale = run, heads, scale
        return _unbatch(torch.bmm(shares, v), run, heads)

    @staticmethod
    def backward(ctx, gradient):
        q, k, v, shares = ctx.saved_tensors
        run, heads = ctx.run, ctx.heads
        if run.kept is not None:
            # Padding asks nothing, so nothing of it may reach keys and values.
            padded = gradient.new_zeros(*gradient.shape[:2], len(run.gathered), gradient.shape[3])
            gradient = padded.index_copy_(2, run.kept, gradient)
        gradient = _grouped(gradient, run, heads)
        of_shares = torch.bmm(gradient, v.transpose(1, 2))
        of_scores = torch._softmax_backward_data(of_shares, shares, -1, shares.dtype)
        of_query = torch.bmm(of_scores, k).mul_(ctx.scale)
        of_key = torch.bmm(of_scores.transpose(1, 2), q).mul_(ctx.scale)
        of_value = torch.bmm(shares.transpose(1, 2), gradient)
        return *(_unbatch(found, run, heads) for found in (of_query, of_key, of_value)), None, None, None


def _batch(states: torch.Tensor, run: Run, heads: int) -> torch.Tensor:
    """(1, group · heads, tokens, d) → (heads · sequences, group · longest, d)."""
    return _grouped(states if run.gathered is None else states.index_select(2, run.gathered), run, heads)


def _grouped(states: torch.Tensor, run: Run, heads: int) -> torch.Tensor:
    split = states.reshape(heads, -1, len(run.lengths), run.longest, states.shape[-1])
    return split.transpose(1, 2).reshape(heads * len(run.lengths), -1, states.shape[-1])


def _unbatch(states: torch.Tensor, run: Run, heads: int) -> torch.Tensor:
    """The inverse of `_batch`."""
    split = states.view(heads, len(run.lengths), -1, run.longest, states.shape[-1])
    whole = split.transpose(1, 2).reshape(1, -1, len(run.lengths) * run.longest, states.shape[-1])
    return whole if run.kept is None else whole.index_select(2, run.kept)
