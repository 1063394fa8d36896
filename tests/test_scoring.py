"""What a contender writes for the gate: a text that begins to repeat itself is written again, as the engine does it."""

import pytest
import torch
from conftest import make_tiny_base
from transformers import AutoModelForCausalLM

from data.models import BASE, Message
from finetune.chat import prompt_ids
from finetune.scoring import Stage
from serving.base import identify
from serving.loops import repeats_itself


@pytest.mark.parametrize("gap, helps", [(0.3, True), (100.0, False)])
def test_a_text_that_repeats_itself_is_written_again_with_a_penalty(tmp_path, gap, helps):
    """A model without an ear: whatever it reads, each token is `gap` less likely than the one before it."""
    directory = make_tiny_base(tmp_path, seed=0)
    model = AutoModelForCausalLM.from_pretrained(directory)
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        model.model.embed_tokens.weight.fill_(1.0)
        vocabulary, width = model.lm_head.weight.shape
        letters = 60 - torch.arange(vocabulary, dtype=torch.float32).sub(60).abs()
        model.lm_head.weight.copy_((gap * letters / width)[:, None].expand(vocabulary, width))
    model.save_pretrained(directory)
    stage = Stage(identify(str(directory)), {})
    ids = prompt_ids(stage.tokenizer, [Message(role="user", content="Hello")])
    (first,) = stage._write(BASE, [ids], longest=60)
    (written,) = stage.write(BASE, [ids], longest=60)
    assert repeats_itself(first.text) and (written == first) is not helps
    assert repeats_itself(written.text) is not helps


def test_drawn_texts_are_no_likeliest_ones_and_the_same_whenever_they_are_drawn(tmp_path):
    stage = Stage(identify(str(make_tiny_base(tmp_path, seed=0))), {})
    ids = [prompt_ids(stage.tokenizer, [Message(role="user", content=f"Hello {n}")]) for n in range(4)]
    drawn = stage.draw(BASE, ids, longest=20, temperature=0.7)
    torch.rand(3)
    assert stage.draw(BASE, ids, longest=20, temperature=0.7) == drawn
    assert drawn != stage.write(BASE, ids, longest=20)
