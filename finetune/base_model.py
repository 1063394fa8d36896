"""Load the base for training, scoring and writing; and say in which precision."""

import warnings
from pathlib import Path

import torch
from peft import PeftModel
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from data.errors import ModelMissing
from data.models import Base
from finetune import four_bits
from finetune.attention import ATTENTION
from serving.verification import TIED

logging.disable_progress_bar()
warnings.filterwarnings("ignore", TIED)

SMALL_BASE = 50_000_000
"""Below so many parameters a base wants a far higher rate: 0.31 nats per token instead of 0.50 with 5e-3 instead of
2e-3, after 140 updates of 8 on the demo's tickets (the starter, 12M)."""
RATES = (5e-3, 2e-4)
"""Small and other: LoRA Without Regret puts LoRA's rate at ten times that of full fine-tuning."""

FEWEST_EPOCHS, MOST_EPOCHS = 2, 4
"""The fewest suit any but a small base."""
SEEN_PAIRS = 2500
"""A small base is shown the pairs so often that it sees so many. On 480 replies of DSTC11-T5 and of STAR the starter
came to 3.33 and .69 nats per token on unseen ones in four epochs, to 3.66 and .74 in two; on 1,207 of STAR, mostly
templates, four cost what people typed .3 nats per token, and on 2,614 the gate's general set refused them."""


def device() -> torch.device:
    """The GPU when there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def training_dtype() -> torch.dtype:
    """bfloat16 where the machine multiplies it natively (elsewhere it is slower than float32)."""
    native = torch.cuda.is_bf16_supported() if torch.cuda.is_available() else torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if native else torch.float32


def scoring_dtype() -> torch.dtype:
    """What serving uses by default, so that what is scored is what is served."""
    return torch.bfloat16 if torch.cuda.is_available() else torch.float32


def default_rate(model: PreTrainedModel | PeftModel) -> float:
    """The peak learning rate for a model of this size."""
    return RATES[0] if model.num_parameters() < SMALL_BASE else RATES[1]


def default_epochs(parameters: int, pairs: int) -> int:
    """Passes over so many pairs, at most, for a model of this size."""
    if parameters >= SMALL_BASE:
        return FEWEST_EPOCHS
    return max(FEWEST_EPOCHS, min(MOST_EPOCHS, round(SEEN_PAIRS / max(1, pairs))))


def load_tokenizer(base: Base) -> PreTrainedTokenizerBase:
    """The base's tokenizer; raises ModelMissing, also when it has no chat template."""
    _check(base)
    tokenizer = AutoTokenizer.from_pretrained(base.root)
    if not tokenizer.chat_template:
        raise ModelMissing(f"The base model {base.model} has no chat template: set BASE_MODEL to a chat model.")
    return tokenizer


def load_config(base: Base) -> PretrainedConfig:
    """The base's shape; raises ModelMissing."""
    _check(base)
    return AutoConfig.from_pretrained(base.root)


def load_model(
    base: Base, dtype: torch.dtype, attention: str = ATTENTION, *, quantized: bool = False
) -> PreTrainedModel:
    """The base's weights, on the GPU when there is one, in 4 bits on demand; raises ModelMissing and TrainingFailed."""
    _check(base)
    model = AutoModelForCausalLM.from_pretrained(
        base.root,
        dtype=dtype,
        attn_implementation=attention,
        quantization_config=four_bits.quantization(dtype) if quantized else None,
        device_map={"": device()},
    ).eval()
    four_bits.multiply_densely(model)
    return model


def _check(base: Base) -> None:
    if not Path(base.root).is_dir():
        raise ModelMissing(f"The base model {base.model} is not at {base.root}: download it, or mend BASE_MODEL.")
