"""Memory is estimated from a base's shape, as autograd really keeps it, and a run that will not fit is refused."""

from dataclasses import replace

import pytest
import torch
from night_fixtures import SMALL, prepare_run, small_dataset
from peft import get_peft_model
from transformers import AutoModelForCausalLM, Gemma3TextConfig, LlamaConfig

from data.errors import TrainingFailed
from data.models import Base
from finetune import memory
from finetune.attention import ATTENTION
from finetune.chat import Tokens
from finetune.fitting import Example, step
from finetune.packing import pack, target_nats
from finetune.run_directory import recipe_for
from finetune.train import lora, train

RECIPE = replace(recipe_for(SMALL, Base("hash", "model", "root")), tokens_per_pass=500)
SHAPE = {
    "vocab_size": 100, "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 4,
    "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 32, "pad_token_id": 0,
}  # fmt: skip


def model_of(config, dtype=torch.bfloat16):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation=ATTENTION)
    return get_peft_model(model, lora(RECIPE, model)).train()


def kept_bytes(model):
    """Of one pass of 500 tokens: what autograd keeps for the way back, weights left out."""
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept = {}

    def see(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            # The tensor itself too, so that nothing else takes its place meanwhile.
            kept[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(see, lambda tensor: tensor):
        target_nats(model, pack([Tokens((1,) * 490, (2,) * 10)])).sum()
    return sum(size for size, _ in kept.values())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("family", [LlamaConfig, Gemma3TextConfig])
def test_activations_are_estimated_as_autograd_keeps_them(family, dtype):
    config = family(**SHAPE)
    found = kept_bytes(model_of(config, dtype)) / memory.GIB
    estimated = memory.estimate(config, 0, RECIPE, width_of_weights=dtype.itemsize, kept=True).activations
    # No family may take more than is told, nor much less.
    assert 0.7 * estimated < found < 1.05 * estimated


def test_a_base_of_eight_billion_needs_what_is_known_of_it():
    config = LlamaConfig(
        vocab_size=128256, hidden_size=4096, intermediate_size=14336, num_hidden_layers=32,
        num_attention_heads=32, num_key_value_heads=8, tie_word_embeddings=False,
    )  # fmt: skip
    recipe = replace(RECIPE, tokens_per_pass=2048)
    needed = memory.estimate(config, 8_030_261_248, recipe, width_of_weights=2, kept=False)
    assert needed.weights == pytest.approx(14.96, abs=0.01)
    # 41.9 million weights of rank 16, five times in float32.
    assert needed.adapter == pytest.approx(41_943_040 * 20 / memory.GIB)
    assert 16 < needed.total < 20
    assert memory.serving_estimate(config, 8_030_261_248, tokens=16_384) == pytest.approx(14.96 + 2 + 1, abs=0.1)


def test_the_faster_way_that_fits_is_chosen_and_none_is_refused_in_a_sentence():
    config = LlamaConfig(**SHAPE | {"num_hidden_layers": 64})
    recipe = replace(RECIPE, tokens_per_pass=8192)
    kept, anew = (memory.estimate(config, 0, recipe, width_of_weights=2, kept=kept).total for kept in (True, False))
    assert anew < kept
    assert memory.choose(config, 0, recipe, torch.bfloat16, free=kept / memory.ROOM).kept
    assert not memory.choose(config, 0, recipe, torch.bfloat16, free=anew / memory.ROOM).kept
    with pytest.raises(TrainingFailed, match=r"takes about .* GiB and 0\.5 GiB are free: set a lower TOKENS_PER_PASS"):
        memory.choose(config, 0, recipe, torch.bfloat16, free=0.5)


def test_activations_that_are_computed_anew_teach_the_same():
    sequences = [Example(Tokens((1, 5, 9, n), (7, 8, 2)), 1.0) for n in range(3, 9)]
    learned = []
    for kept in (True, False):
        model = model_of(LlamaConfig(**SHAPE), torch.float32)
        if not kept:
            model.enable_input_require_grads()
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        weights = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(weights, lr=1e-2)
        losses = [step(model, sequences, RECIPE, weights, optimizer) for _ in range(3)]
        learned.append(torch.tensor(losses))
    assert learned[0][2] < learned[0][0]
    assert torch.allclose(*learned, atol=1e-5)


def test_a_training_tells_its_memory_before_it_loads_the_base(tiny_base, tmp_path, capsys):
    train(prepare_run(tmp_path, tiny_base, small_dataset()))
    first = capsys.readouterr().err.splitlines()[0]
    assert "training takes about 1." in first and "GiB are free" in first
