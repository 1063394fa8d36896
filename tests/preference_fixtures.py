"""A tiny model with a new adapter, for the stages that learn from preferences."""

import pytest
import torch
from night_fixtures import SMALL
from peft import get_peft_model

from finetune import base_model
from finetune.run_directory import recipe_for
from finetune.train import lora
from serving.base import identify


@pytest.fixture(scope="module")
def tuned(tiny_base):
    base = identify(str(tiny_base))
    recipe = recipe_for(SMALL, base)
    torch.manual_seed(0)
    model = base_model.load_model(base, torch.float32)
    return get_peft_model(model, lora(recipe, model)), recipe, base_model.load_tokenizer(base)
