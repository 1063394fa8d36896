"""The same code trains the families that teams use, and serving takes what it wrote. Tiny, random models."""

import shutil

import pytest
import torch
from night_fixtures import prepare_run, small_dataset
from safetensors import safe_open
from transformers import AutoModelForCausalLM, Gemma3TextConfig, MistralConfig, MixtralConfig, Qwen3Config

from finetune.train import train
from serving import adapters
from serving.base import identify

SIZES = {
    "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 32, "max_position_embeddings": 512, "initializer_range": 0.1,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
FAMILIES = {
    "mistral": MistralConfig(**SIZES, vocab_size=384, sliding_window=64),
    "qwen3": Qwen3Config(**SIZES, vocab_size=384),
    "gemma3": Gemma3TextConfig(**SIZES, vocab_size=384, sliding_window=64, query_pre_attn_scalar=32),
    "mixtral": MixtralConfig(**SIZES, vocab_size=384, num_local_experts=4),
}


def family_base(family, tiny_base, directory):
    """A random model of a family with the tests' tokenizer and chat template."""
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(FAMILIES[family]).save_pretrained(directory)
    for file in tiny_base.iterdir():
        if "token" in file.name or file.suffix == ".jinja":
            shutil.copy(file, directory)
    return directory


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_trained_verified_and_published(family, tiny_base, tmp_path, db):
    directory = family_base(family, tiny_base, tmp_path / "base")
    base = identify(str(directory))
    run_dir = prepare_run(tmp_path / "run", directory, small_dataset(train=44))
    outcome = train(run_dir)
    assert outcome.validation_best < outcome.validation_before
    adapters.verify(run_dir / "adapter", base, max_lora_rank=16)
    store = tmp_path / "adapters"
    adapters.publish(
        db, run_dir / "adapter", name=f"night-{family}", base=base, store_dir=store, root=str(directory),
        run_id="run", pair_ids=["pair-1"],
    )  # fmt: skip
    assert (store / f"night-{family}" / "adapter_model.safetensors").is_file()
    learned = tensors(run_dir / "adapter")
    assert any("q_proj" in name for name in learned)
    # Of a mixture of experts neither the router nor the experts: who is asked stays as it was.
    assert any("mlp" in name for name in learned) == (family != "mixtral")
    # The vocabulary's layer where vLLM serves it, and of no layer the base's own weights.
    assert any("lm_head" in name for name in learned) == (family == "qwen3")
    assert all("lora_" in name for name in learned)


def tensors(adapter):
    with safe_open(adapter / "adapter_model.safetensors", framework="pt") as weights:
        return list(weights.keys())
