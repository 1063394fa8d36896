"""QLoRA: an adapter is trained on a base in 4 bits, and is verified and served as any other."""

from dataclasses import replace

import pytest
import torch
from night_fixtures import SMALL, prepare_run, small_dataset
from peft import get_peft_model
from transformers.utils import is_bitsandbytes_available

from data.errors import TrainingFailed
from data.models import Base
from finetune import base_model, memory
from finetune.chat import Tokens
from finetune.four_bits import dense, is_quantized
from finetune.packing import pack, target_nats
from finetune.run_directory import recipe_for
from finetune.train import lora, train
from serving import adapters
from serving.base import identify

ROW = pack([Tokens(tuple(range(10, 40)), tuple(range(40, 60))), Tokens((7, 8, 9), (10, 11))])
# Whatever imports PEFT would import it too, so it lies beside the set-up: `make test` runs this file once more with it.
needs_bitsandbytes = pytest.mark.skipif(
    not is_bitsandbytes_available(), reason="without bitsandbytes; make test runs this file once more with it"
)
QUANTIZED = SMALL.model_copy(update={"quantize_base": True})


@needs_bitsandbytes
def test_a_night_trains_on_a_base_in_four_bits_to_an_adapter_of_the_whole_one(tiny_base, tmp_path):
    run_dir = prepare_run(tmp_path / "run", tiny_base, small_dataset(train=44), QUANTIZED)
    outcome = train(run_dir)
    assert outcome.validation_best < outcome.validation_before
    adapters.verify(run_dir / "adapter", identify(str(tiny_base)), max_lora_rank=16)


@needs_bitsandbytes
@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_losses_and_gradients_are_those_of_the_dense_matrices(tiny_base, dropout):
    recipe = replace(recipe_for(QUANTIZED, identify(str(tiny_base))), lora_dropout=dropout)
    found = []
    for quantized in (True, False):
        base = base_model.load_model(recipe.base, torch.float32, quantized=quantized)
        if quantized:
            weights = {n: dense(p, torch.float32) for n, p in base.named_parameters() if is_quantized(p)}
            assert len(weights) == 14
        else:
            base.load_state_dict(weights, strict=False)
        torch.manual_seed(0)
        model = get_peft_model(base, lora(recipe, base)).train()
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if "lora_B" in name:
                    weight.normal_(std=0.02)
        # A validation in between must leave the weights as they are.
        with torch.inference_mode(), model.disable_adapter():
            target_nats(model.eval(), ROW)
        torch.manual_seed(1)
        nats = target_nats(model.train(), ROW)
        nats.sum().backward()
        found.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None} | {"nats": nats})
    assert found[0].keys() == found[1].keys() and len(found[0]) == 31
    for name, of_quantized in found[0].items():
        torch.testing.assert_close(of_quantized, found[1][name], msg=name)


@needs_bitsandbytes
def test_its_weights_are_estimated_as_they_are(tiny_base):
    recipe = recipe_for(QUANTIZED, identify(str(tiny_base)))
    base = base_model.load_model(recipe.base, torch.bfloat16, quantized=True)
    found = base.get_memory_footprint()
    estimated = memory.estimate(base.config, base.num_parameters(), recipe, width_of_weights=2, kept=True).weights
    assert estimated * memory.GIB == pytest.approx(found, rel=0.1)


@pytest.mark.skipif(is_bitsandbytes_available(), reason="bitsandbytes is here")
def test_without_bitsandbytes_the_sentence_says_what_to_install(tiny_base):
    base = Base("hash", "model", str(tiny_base))
    with pytest.raises(TrainingFailed, match="QUANTIZE_BASE needs bitsandbytes"):
        base_model.load_model(base, torch.bfloat16, quantized=True)
