"""Many sequences in one row, isolated: one causal SDPA per segment, so that no square mask is ever formed."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional
from transformers import AttentionInterface

from data.errors import TrainingFailed
from finetune.chat import Tokens

ATTENTION = "nightshift_per_segment"
"""The name under which transformers finds `attend_per_segment`. No mask function is registered: none is made."""


@dataclass(frozen=True)
class Packed:
    """One row of T tokens. `bounds` (segments + 1) are where each begins, and T; on the CPU, for it is only counted.

    `asking` (targets) are the positions whose logits say the next token, `targets` those tokens, and `owners` the
    sequence, by its place in what was packed, that each belongs to.
    """

    input_ids: torch.Tensor
    position_ids: torch.Tensor
    bounds: torch.Tensor
    asking: torch.Tensor
    targets: torch.Tensor
    owners: torch.Tensor


def attend_per_segment(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    cu_seq_lens_q: torch.Tensor,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **_: object,
) -> tuple[torch.Tensor, None]:
    """Causal attention inside each segment of a packed row: (1, heads, T, d) → (1, T, heads, d)."""
    if softcap is not None or attention_mask is not None:
        raise TrainingFailed(
            "BASE_MODEL caps or masks its attention in a way that training cannot pack: choose another."
        )
    lengths = cu_seq_lens_q.diff().tolist()
    grouped = query.shape[1] != key.shape[1]
    segments = []
    for q, k, v in zip(query.split(lengths, 2), key.split(lengths, 2), value.split(lengths, 2), strict=True):
        mask = None
        if sliding_window is not None and q.shape[2] > sliding_window:
            mask = torch.ones(q.shape[2], q.shape[2], dtype=torch.bool, device=q.device).tril().triu(1 - sliding_window)
        segments.append(
            functional.scaled_dot_product_attention(
                q, k, v, attn_mask=mask, is_causal=mask is None, scale=scaling, dropout_p=dropout, enable_gqa=grouped
            )
        )
    return torch.cat(segments, dim=2).transpose(1, 2).contiguous(), None


AttentionInterface.register(ATTENTION, attend_per_segment)


def fill_rows(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Places in `lengths` grouped into rows of at most `capacity` tokens: first fit, longest first.

    A sequence longer than a row gets one of its own.
    """
    rows: list[list[int]] = []
    room: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda at: lengths[at], reverse=True):
        fits = next((at for at, left in enumerate(room) if left >= lengths[place]), None)
        if fits is None:
            rows.append([])
            room.append(capacity)
            fits = len(rows) - 1
        rows[fits].append(place)
        room[fits] -= lengths[place]
    return rows


def pack(sequences: Sequence[Tokens], device: torch.device | str = "cpu") -> Packed:
    """One row of these sequences, in their order."""
    ids = [token for s in sequences for token in (*s.prompt, *s.target)]
    positions = [at for s in sequences for at in range(len(s))]
    bounds = [0]
    asking: list[int] = []
    owners: list[int] = []
    for place, sequence in enumerate(sequences):
        # The logits of position t say token t + 1, so the first target token is asked of the prompt's last.
        first = bounds[-1] + len(sequence.prompt) - 1
        asking.extend(range(first, first + len(sequence.target)))
        owners.extend([place] * len(sequence.target))
        bounds.append(bounds[-1] + len(sequence))
    return Packed(
        input_ids=torch.tensor([ids], device=device),
        position_ids=torch.tensor([positions], device=device),
        bounds=torch.tensor(bounds, dtype=torch.int32),
        asking=torch.tensor(asking, device=device),
        targets=torch.tensor([token for s in sequences for token in s.target], device=device),
        owners=torch.tensor(owners, device=device),
    )


def target_logits(model: torch.nn.Module, row: Packed) -> torch.Tensor:
    """Logits (targets, vocabulary) in fp32, at the asking positions alone. The model must use ATTENTION.

    `use_cache` must stay off and no mask may be given: either makes packed sequences see each other, silently.
    """
    output = model(
        input_ids=row.input_ids,
        position_ids=row.position_ids,
        cu_seq_lens_q=row.bounds,
        logits_to_keep=row.asking,
        use_cache=False,
    )
    return output.logits[0].float()


def target_nats(model: torch.nn.Module, row: Packed) -> torch.Tensor:
    """Negative log likelihood (targets,) of each target token, in nats."""
    return functional.cross_entropy(target_logits(model, row), row.targets, reduction="none")
