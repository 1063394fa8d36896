"""Which base fits which GPU: the table of docs/base_models.md, by the code that also warns before a run.

`python tests/table_base_models.py > docs/base_models.md`. The shapes are those of the models' own config.json.
"""

import sys
from dataclasses import replace

import torch
from transformers import AutoModelForCausalLM, Gemma3TextConfig, LlamaConfig, MistralConfig, Qwen3Config

from data.models import Base
from finetune import memory
from finetune.run_directory import recipe_for
from finetune.settings import FinetuneSettings

GPUS = (8, 24, 80)
CACHED = 32_768
"""Tokens in vLLM's cache: sixteen threads of 2,048 at once."""


def shape(width: int, inner: int, layers: int, heads: int, keys: int, vocabulary: int, *, tied: bool) -> dict:
    return {
        "hidden_size": width, "intermediate_size": inner, "num_hidden_layers": layers, "num_attention_heads": heads,
        "num_key_value_heads": keys, "head_dim": 128, "vocab_size": vocabulary, "tie_word_embeddings": tied,
        "pad_token_id": 0,
    }  # fmt: skip


MODELS = {
    "Qwen3-0.6B": Qwen3Config(**shape(1024, 3072, 28, 16, 8, 151_936, tied=True)),
    "Qwen3-1.7B": Qwen3Config(**shape(2048, 6144, 28, 16, 8, 151_936, tied=True)),
    "Llama-3.2-3B": LlamaConfig(**shape(3072, 8192, 28, 24, 8, 128_256, tied=True)),
    "Qwen3-4B": Qwen3Config(**shape(2560, 9728, 36, 32, 8, 151_936, tied=True)),
    "Gemma-3-4B": Gemma3TextConfig(**shape(2560, 10_240, 34, 8, 4, 262_208, tied=True) | {"head_dim": 256}),
    "Mistral-7B": MistralConfig(**shape(4096, 14_336, 32, 32, 8, 32_768, tied=False)),
    "Llama-3.1-8B": LlamaConfig(**shape(4096, 14_336, 32, 32, 8, 128_256, tied=False)),
    "Qwen3-8B": Qwen3Config(**shape(4096, 12_288, 36, 32, 8, 151_936, tied=False)),
    "Gemma-3-12B": Gemma3TextConfig(**shape(3840, 15_360, 48, 16, 8, 262_208, tied=True) | {"head_dim": 256}),
    "Qwen3-14B": Qwen3Config(**shape(5120, 17_408, 40, 40, 8, 151_936, tied=False)),
    "Mistral-Small-24B": MistralConfig(**shape(5120, 32_768, 40, 32, 8, 131_072, tied=False)),
    "Qwen3-32B": Qwen3Config(**shape(5120, 25_600, 64, 64, 8, 151_936, tied=False)),
}


def main() -> int:
    recipe = recipe_for(FinetuneSettings(_env_file=None), Base("", "", ""))
    frugal = replace(recipe, tokens_per_pass=2048)
    print("# Which base model for which GPU\n")
    print(
        f"GiB in bfloat16 with rank {recipe.lora_r}, estimated by finetune/memory.py, which also speaks before a run. "
        f"Training: {recipe.tokens_per_pass:,} tokens in a pass with all activations kept, then the least that it can "
        "do with (TOKENS_PER_PASS=2048, activations computed anew: a third longer). Serving: vLLM with "
        f"{CACHED:,} tokens in its cache. QLoRA (QUANTIZE_BASE=1): the least with the base in 4 bits; its gate needs "
        "the whole base all the same, which is counted. vLLM serves on while a night trains, and takes nine tenths of "
        "its GPU: the night needs one of its own.\n"
    )
    print("| model | parameters | training | at least | QLoRA | serving | GPU, one for each |")
    print("|---|---|---|---|---|---|---|")
    for name, config in MODELS.items():
        with torch.device("meta"):
            count = AutoModelForCausalLM.from_config(config).num_parameters()
        whole = memory.estimate(config, count, recipe, width_of_weights=2, kept=True).total
        least = memory.estimate(config, count, frugal, width_of_weights=2, kept=False).total
        in_bits = memory.estimate(config, count, replace(frugal, quantized=True), width_of_weights=2, kept=False).total
        quantized = max(in_bits, 2 * count / memory.GIB + memory.OVERHEAD)
        serving = memory.serving_estimate(config, count, tokens=CACHED)
        gpu = _smallest(max(least, serving))
        told = " | ".join(f"{gib:.1f}" for gib in (whole, least, quantized, serving))
        print(f"| {name} | {count / 1e9:.1f}B | {told} | {gpu} |")
    return 0


def _smallest(needed: float) -> str:
    return next((f"{gpu} GB" for gpu in GPUS if needed <= memory.ROOM * gpu * 1e9 / memory.GIB), "more than 80 GB")


if __name__ == "__main__":
    sys.exit(main())
