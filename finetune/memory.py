"""How much memory a training takes: estimated and told before it starts, and refused where there is less."""

from dataclasses import dataclass

import psutil
import torch
from transformers import PretrainedConfig

from data.errors import TrainingFailed
from finetune.four_bits import BYTES
from finetune.run_directory import Recipe

GIB = 2**30
OVERHEAD = 1.0
"""GiB for Python, torch and its buffers; a GPU's context takes about as much."""
TARGET_SHARE = 0.5
"""Of a pass's tokens, at most, that are an answer's: each asks for logits of the whole vocabulary."""
ROOM = 0.9
"""Of what is free: allocators lose some of it in pieces."""


@dataclass(frozen=True)
class Memory:
    """GiB that a training takes. Activations are kept for the way back, or computed anew: a third longer."""

    weights: float
    adapter: float
    activations: float
    kept: bool

    @property
    def total(self) -> float:
        return round(self.weights + self.adapter + self.activations + OVERHEAD, 1)


def estimate(config: PretrainedConfig, parameters: int, recipe: Recipe, *, width_of_weights: int, kept: bool) -> Memory:
    """What training on a base of this shape takes. `width_of_weights` are the bytes of one. Pure."""
    shape, size = config.get_text_config(), width_of_weights
    hidden, inner, layers = shape.hidden_size, shape.intermediate_size, shape.num_hidden_layers
    query, key = attention_widths(shape)
    # Inputs and outputs of q, k, v, o, gate, up and down.
    sides = (hidden + query) + 2 * (hidden + key) + (query + hidden) + 3 * (hidden + inner)
    # float32: the weight, its gradient, AdamW's two moments, and the best weights so far.
    adapter = 5 * 4 * recipe.lora_r * layers * sides
    # Bytes that autograd keeps of one token in one layer: exact for Gemma 3, whose norms keep the most (tests/).
    token = (16 + 2 * size) * hidden + (4 + 3 * size) * query + (4 + 2 * size) * key + 4 * size * inner
    token += 7 * size * recipe.lora_r
    quantized = layers * (2 * hidden * query + 2 * hidden * key + 3 * hidden * inner) if recipe.quantized else 0
    carried = layers * token if kept else layers * size * hidden + token
    logits = TARGET_SHARE * 2 * size * shape.vocab_size
    return Memory(
        weights=((parameters - quantized) * size + quantized * BYTES) / GIB,
        adapter=adapter / GIB,
        activations=recipe.tokens_per_pass * (carried + logits) / GIB,
        kept=kept,
    )


def serving_estimate(config: PretrainedConfig, parameters: int, *, tokens: int) -> float:
    """GiB that vLLM takes in bfloat16 with room for so many tokens in its cache. Pure."""
    shape = config.get_text_config()
    _, key = attention_widths(shape)
    cache = 2 * 2 * key * shape.num_hidden_layers * tokens
    return round((2 * parameters + cache) / GIB + OVERHEAD, 1)


def attention_widths(shape: PretrainedConfig) -> tuple[int, int]:
    """Of all query heads, and of all key heads."""
    head = getattr(shape, "head_dim", None) or shape.hidden_size // shape.num_attention_heads
    return head * shape.num_attention_heads, head * (shape.num_key_value_heads or shape.num_attention_heads)


def choose(config: PretrainedConfig, parameters: int, recipe: Recipe, dtype: torch.dtype, free: float) -> Memory:
    """The faster way that fits into `free` GiB. Raises TrainingFailed when none does. Pure."""
    ways = [estimate(config, parameters, recipe, width_of_weights=dtype.itemsize, kept=kept) for kept in (True, False)]
    for memory in ways:
        if memory.total <= ROOM * free:
            return memory
    raise TrainingFailed(
        f"Training on {recipe.base.model} takes about {ways[-1].total:.1f} GiB and {free:.1f} GiB are free: "
        "set a lower TOKENS_PER_PASS, free some memory, or choose a smaller BASE_MODEL."
    )


def free_memory(device: torch.device) -> float:
    """GiB that a training on this device may take."""
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    return free / GIB
