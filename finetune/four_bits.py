"""QLoRA: the frozen base in 4 bits while an adapter trains on it (arXiv 2305.14314); the whole one is what serves.

bitsandbytes (MIT, Hugging Face's, 43 MB) quantizes; the products are plain ones, with a matrix made dense for each.
"""

import torch
from torch.nn import functional
from transformers import BitsAndBytesConfig, PreTrainedModel
from transformers.utils import is_bitsandbytes_available

from data.errors import TrainingFailed

BYTES = 0.516
"""Of a weight in NF4, with its share of the scales, which are quantized too."""


def quantization(dtype: torch.dtype) -> BitsAndBytesConfig:
    """NF4 with doubly quantized scales, computed with in `dtype`. Raises TrainingFailed without bitsandbytes."""
    if not is_bitsandbytes_available():
        raise TrainingFailed("QUANTIZE_BASE needs bitsandbytes: pip install -e '.[qlora]', or set QUANTIZE_BASE=0.")
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )


def multiply_densely(model: PreTrainedModel) -> None:
    """Let each quantized layer multiply with its dense matrix, which is not kept for the way back.

    bitsandbytes' own product packs the weights of a CPU anew when it validates, and nothing else can read them then.
    """
    for module in model.modules():
        if isinstance(module, torch.nn.Linear) and is_quantized(module.weight):
            module.forward = _Product(module)


def is_quantized(weight: torch.Tensor) -> bool:
    """Whether this weight is one of bitsandbytes'."""
    return getattr(weight, "quant_state", None) is not None


def dense(weight: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """The matrix (out, in) that a weight stands for; a weight that is not quantized is that itself."""
    if not is_quantized(weight):
        return weight
    from bitsandbytes.functional import dequantize_4bit

    return dequantize_4bit(weight.data, weight.quant_state).to(dtype)


class _Product:
    """A quantized layer's forward pass."""

    def __init__(self, layer: torch.nn.Linear) -> None:
        self._layer = layer

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return _Frozen.apply(x, self._layer.weight, self._layer.bias)


class _Frozen(torch.autograd.Function):
    """x · weightᵀ + bias, of which x alone has a gradient."""

    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.weight = weight
        return functional.linear(x, dense(weight, x.dtype), bias)

    @staticmethod
    def backward(ctx, gradient):
        return gradient @ dense(ctx.weight, gradient.dtype), None, None
