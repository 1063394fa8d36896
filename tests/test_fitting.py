"""The night's updates are those of a plain loop: padded batches, PEFT's own layers, transformers' own attention."""

from itertools import groupby

import pytest
import torch
from night_fixtures import SMALL, answered, asked
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from finetune.attention import ATTENTION
from finetune.base_model import default_epochs
from finetune.chat import Tokens, encode
from finetune.families import families
from finetune.fitting import CLIP, Example, batches, step
from finetune.norms import slice_norms
from finetune.run_directory import recipe_for
from finetune.train import adapted_layers, lora
from serving.base import identify

RATE = 5e-3


def test_packed_updates_have_the_losses_of_padded_ones(tiny_base):
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    recipe = recipe_for(SMALL, identify(str(tiny_base)))
    examples = [
        Example(encode(tokenizer, asked(n), answered(n) * (1 + n % 3), limit=256, ends={2}), 0.5 + n % 2)
        for n in range(48)
    ]
    assert len(families([e.tokens for e in examples])) == 2
    batches = [examples[first : first + 8] for first in range(0, 48, 8)]
    ours = tuned(tiny_base, ATTENTION, lambda model: lora(recipe, model), norms=True)
    plain = tuned(
        tiny_base, "sdpa", lambda model: LoraConfig(r=16, lora_alpha=32, target_modules=adapted_layers(model))
    )
    weights, optimizer = learned(ours)
    found = [step(ours, batch, recipe, weights, optimizer) for batch in batches]
    weights, optimizer = learned(plain)
    expected = [padded_step(plain, batch, weights, optimizer) for batch in batches]
    # In float64: AdamW makes whole steps of the last bits of float32, which differ between processors.
    assert found == pytest.approx(expected, rel=1e-5)
    assert expected[-1] < 0.9 * expected[0]


def test_a_batch_takes_a_threads_pairs_together_and_no_others_that_begin_alike(tiny_base):
    recipe = recipe_for(SMALL.model_copy(update={"batch_sequences": 16, "epochs": 2}), identify(str(tiny_base)))
    examples = [Example(Tokens((1, 2, 3), (n,)), 1.0, None if n % 3 else f"t{n % 4}") for n in range(120)]
    orders = [[one for batch in batches(examples, recipe, 2, done=done) for one in batch] for done in (0, 8)]
    assert orders[0][:120] != orders[1] == orders[0][120:]
    for order in (orders[0][:120], orders[1]):
        assert sorted(one.tokens.target for one in order) == sorted(one.tokens.target for one in examples)
        runs = [(thread, len(list(some))) for thread, some in groupby(order, key=lambda one: one.thread_id)]
        assert sum(count >= 2 for thread, count in runs if thread) >= 4
        assert any(count < 30 for thread, count in runs if thread is None)


def tuned(base, attention, config, *, norms=False):
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float64, attn_implementation=attention)
    if norms:
        slice_norms(model)
    torch.manual_seed(0)
    return get_peft_model(model, config(model)).train()


def learned(model):
    weights = [p for p in model.parameters() if p.requires_grad]
    return weights, torch.optim.AdamW(weights, lr=RATE, weight_decay=0.0)


def padded_step(model, batch, weights, optimizer):
    width = max(len(e.tokens) for e in batch)
    ids, mask, targets = (torch.zeros(len(batch), width, dtype=torch.long) for _ in range(3))
    weight = torch.zeros(len(batch), width, dtype=torch.float64)
    for row, e in enumerate(batch):
        whole = torch.tensor([*e.tokens.prompt, *e.tokens.target])
        ids[row, : len(whole)], mask[row, : len(whole)] = whole, 1
        asking = slice(len(e.tokens.prompt) - 1, len(whole) - 1)
        targets[row, asking], weight[row, asking] = torch.tensor(e.tokens.target), e.weight
    logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
    nats = torch.nn.functional.cross_entropy(logits.transpose(1, 2), targets, reduction="none")
    loss = (nats * weight).sum() / weight.sum()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(weights, CLIP)
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()


def test_a_small_base_is_shown_few_pairs_more_often_than_many_and_another_twice():
    assert [default_epochs(12_000_000, pairs) for pairs in (0, 480, 933, 1_250, 10_000)] == [4, 4, 3, 2, 2]
    assert default_epochs(600_000_000, 480) == 2
