"""The cache with room: the same keys, values and texts as transformers' own."""

import pytest
import torch
from conftest import make_tiny_base
from transformers import AutoModelForCausalLM, DynamicCache

from finetune.growing_cache import ROOM, growing_cache


@pytest.mark.parametrize("family", ["LlamaConfig", "Gemma3TextConfig"])
def test_a_model_writes_the_same_with_it_past_its_room(family, tmp_path):
    # Of Gemma's six layers the last alone has no window.
    windows = {"sliding_window": 16, "num_key_value_heads": 1, "num_hidden_layers": 6}
    shape = windows if family.startswith("Gemma3") else {}
    model = AutoModelForCausalLM.from_pretrained(make_tiny_base(tmp_path, seed=0, family=family, **shape)).eval()
    ids = torch.randint(0, 300, (3, 20), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[0, :7] = 0
    asked = {"attention_mask": mask, "do_sample": False, "min_new_tokens": 2 * ROOM + 5, "max_new_tokens": 2 * ROOM + 5}
    caches = DynamicCache(config=model.config), growing_cache(model)
    stock, grown = (model.generate(ids, past_key_values=cache, **asked) for cache in caches)
    assert stock.shape == (3, 20 + 2 * ROOM + 5) and stock.equal(grown)
    for one, other in zip(*(cache.layers for cache in caches), strict=True):
        assert one.keys.equal(other.keys) and one.values.equal(other.values)
