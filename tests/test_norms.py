"""Norms in slices are the family's own, forth and back."""

import pytest
import torch
from transformers import AutoModelForCausalLM, Gemma3TextConfig, LlamaConfig, MixtralConfig, Qwen3Config
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from finetune.norms import _Sliced, slice_norms

SHAPE = {
    "vocab_size": 50, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "pad_token_id": 0,
}  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_norm_in_slices_gives_the_same_and_the_same_gradient(dtype):
    torch.manual_seed(0)
    norm = LlamaRMSNorm(320).to(dtype).requires_grad_(False)
    torch.nn.init.normal_(norm.weight)
    x, given = torch.randn(1, 700, 320).to(dtype), torch.randn(1, 700, 320).to(dtype)
    untouched, found = x.clone(), []
    for forward in (norm, _Sliced(norm)):
        asked = x.requires_grad_()
        asked.grad = None
        out = forward(asked)
        out.backward(given)
        found.append((out.detach(), asked.grad.clone()))
    assert torch.equal(x, untouched)
    for one, other in zip(*found, strict=True):
        assert (one - other).float().norm() / other.float().norm() < (1e-6 if dtype == torch.float32 else 2e-3)


@pytest.mark.parametrize("family", [LlamaConfig, Qwen3Config, MixtralConfig])
def test_a_whole_model_says_the_same_with_norms_in_slices(family):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(family(**SHAPE)).eval().requires_grad_(False)
    ids = torch.randint(50, (1, 12))
    stock = model(ids).logits
    slice_norms(model)
    norms = [module for module in model.modules() if "RMSNorm" in type(module).__name__]
    assert all(isinstance(norm.forward, _Sliced) for norm in norms)
    assert torch.allclose(model(ids).logits, stock, atol=1e-5)


def test_gemmas_norms_stay_its_own():
    model = AutoModelForCausalLM.from_config(Gemma3TextConfig(**SHAPE))
    slice_norms(model)
    assert not any(isinstance(module.forward, _Sliced) for module in model.modules())
