"""Packed rows: sequences that share a row do not see each other, and prompts are cut as serving cuts them."""

from dataclasses import replace

import pytest
import torch
from peft import LoraConfig
from peft.tuners import lora
from transformers import AutoModelForCausalLM, AutoTokenizer, Gemma3TextConfig, MistralConfig, Qwen3Config

from data.prompts import without_examples
from finetune.attention import ATTENTION, runs_of
from finetune.chat import Tokens, encode, prompt_ids
from finetune.families import families
from finetune.low_rank import LowRankLinear
from finetune.packing import fill_rows, nats, pack, rows_of, target_logits, target_nats

ENDS = {2}


def asked(text):
    return [{"role": "system", "content": "Draft."}, {"role": "user", "content": text}]


@pytest.fixture(scope="module")
def tokenizer(tiny_base):
    return AutoTokenizer.from_pretrained(tiny_base)


@pytest.fixture(scope="module")
def sequences(tokenizer):
    words = ("the invoice is wrong ", "hello ", "I am sorry ")
    return [encode(tokenizer, asked(w * (n + 1)), w * (7 - n), limit=512, ends=ENDS) for n, w in enumerate(words)]


def test_packed_logits_equal_separate_ones(tiny_base, sequences):
    # In double precision: in single, sums in another order differ by as much on some processors.
    packed, stock = (
        AutoModelForCausalLM.from_pretrained(tiny_base, attn_implementation=one, dtype=torch.float64).eval()
        for one in (ATTENTION, "sdpa")
    )
    with torch.inference_mode():
        together = target_logits(packed, pack(sequences))
        alone = [stock(torch.tensor([[*s.prompt, *s.target]])).logits[0, len(s.prompt) - 1 : -1] for s in sequences]
    assert torch.allclose(together, torch.cat(alone), atol=1e-5)


def test_a_segment_is_untouched_by_its_neighbours(tiny_base, sequences):
    model = AutoModelForCausalLM.from_pretrained(tiny_base, attn_implementation=ATTENTION).eval()
    with torch.inference_mode():
        first = target_nats(model, pack(sequences[:1]))
        packed = target_nats(model, pack([sequences[2], sequences[0], sequences[1]]))
    owners = pack([sequences[2], sequences[0], sequences[1]]).owners
    assert torch.allclose(packed[owners == 1], first, atol=1e-5)


APART = [Tokens((1,) * 9, (4, 5, 6, 2)), Tokens((1, 5, 9, 11), (3, 7, 12, 2)), Tokens((1, 6, 4, 4), (8, 9, 2))]
TURNS = [
    Tokens((1, 5, 9, 11, 3, 7, 12), (8, 2)),
    Tokens((1, 6, 4, 4), (8, 9, 2)),
    Tokens((1, 5, 9, 11), (3, 7, 2)),
    Tokens((1, 5, 9, 11), (3, 8, 2)),
    Tokens((1, 5, 9, 11), (3, 7, 2)),
    Tokens((1, 5, 9, 11, 3, 7, 12, 8, 6), (6, 2)),
]
"""A conversation's replies, two of them to the same message and one twice, and another conversation."""


@pytest.mark.parametrize("some", [APART, TURNS], ids=["apart", "turns"])
@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("family", [MistralConfig, Qwen3Config, Gemma3TextConfig])
def test_other_families_pack_too(family, batched, some):
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = family(
        vocab_size=64, num_key_value_heads=2, head_dim=8, max_position_embeddings=64, pad_token_id=0,
        sliding_window=4, **sizes,
    )  # fmt: skip
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).eval()
    model.set_attn_implementation("eager")
    alone = [model(torch.tensor([[*s.prompt, *s.target]])).logits[0, len(s.prompt) - 1 : -1] for s in some]
    expected = gradients(model, torch.cat([logits.log_softmax(-1) for logits in alone]), some)
    model.set_attn_implementation(ATTENTION)
    row = pack(some)
    if not batched:
        row = replace(row, runs=[replace(run, batched=run.seen is None) for run in row.runs])
    together = target_logits(model, row)
    assert torch.allclose(together, torch.cat(alone), atol=1e-4)
    model.zero_grad()
    target_nats(model, row).sum().backward()
    assert_close({name: p.grad for name, p in model.named_parameters() if p.grad is not None}, expected)
    if some is TURNS:
        assert [run.lengths for run in row.runs] == [(7,), (15,)]
    else:
        assert {len(run.lengths) for run in row.runs} == {1, 2}


def gradients(model, log_shares, sequences):
    """Of the summed nats of all targets, from whole log probabilities."""
    targets = torch.tensor([token for s in sequences for token in s.target])
    model.zero_grad()
    (-log_shares.gather(1, targets[:, None]).sum()).backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def assert_close(found, expected):
    assert found.keys() == expected.keys()
    for name in expected:
        assert torch.allclose(found[name], expected[name], atol=1e-4), name


def test_rows_hold_every_sequence_once_and_stay_within_capacity():
    lengths = [700, 30, 500, 2000, 300, 3000, 120, 1]
    rows = fill_rows(lengths, 2048)
    assert sorted(at for row in rows for at in row) == list(range(len(lengths)))
    assert all(sum(lengths[at] for at in row) <= 2048 or len(row) == 1 for row in rows)
    assert len(rows) == 3


def test_what_begins_alike_is_one_family_as_long_as_half_of_it_is_shared():
    found = families(
        [Tokens(tuple(one), ()) for one in ("abcdef", "xy", "abcdefgh", "abq", "abcx", "abcdefghabcdefghij")]
    )
    assert [one.places for one in found] == [[0, 2], [1], [5, 4, 3]]
    assert "".join(found[0].ids) == "abcdefgh" and found[0].paths[1] == list(range(8))
    large = [Tokens((1,) * (900 + 100 * n), (2,)) for n in range(4)]
    assert [one.places for one in families(large)] == [[1, 0], [2], [3]]
    assert rows_of(large, 2048) == [[3], [2], [1, 0]]


def test_the_target_is_the_text_and_the_end_token(tokenizer):
    tokens = encode(tokenizer, asked("hi"), "I am sorry.", limit=512, ends=ENDS)
    assert tokens.target[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(tokens.target[:-1]) == "I am sorry."
    assert tokens.prompt == prompt_ids(tokenizer, asked("hi"))


def test_a_long_prompt_loses_examples_then_its_oldest_turns_and_never_the_target(tokenizer):
    turns = "\n".join(f"Customer: turn {n} of the thread" for n in range(40))
    head = "Help centre:\n[1] Returns: send it back.\n\n"
    shown = [{"role": "user", "content": "x " * 50}, {"role": "assistant", "content": "y"}]
    whole = asked(head + "Conversation:\n" + turns)
    messages = [whole[0], *shown, whole[1]]
    room = len(encode(tokenizer, whole, "I am sorry.", limit=9999, ends=ENDS))
    fits = encode(tokenizer, messages, "I am sorry.", limit=room, ends=ENDS)
    assert fits.prompt == prompt_ids(tokenizer, without_examples(messages))
    cut = encode(tokenizer, messages, "I am sorry.", limit=room // 2, ends=ENDS)
    text = tokenizer.decode(cut.prompt)
    assert len(cut) <= room // 2
    assert "turn 39 of the thread" in text and "turn 0 of" not in text and "send it back" in text
    assert tokenizer.decode(cut.target[:-1]) == "I am sorry."


def test_a_target_that_cannot_fit_is_left_out(tokenizer):
    assert encode(tokenizer, asked("hi"), "word " * 200, limit=64, ends=ENDS) is None


def test_sequences_of_like_lengths_share_a_batch_and_long_ones_do_not():
    lengths = [900, 380, 310, 300, 200, 199, 10]
    assert [run.lengths for run in runs_of(lengths, batched=True)] == [(900,), (380, 310), (300,), (200, 199), (10,)]
    assert [run.batched for run in runs_of(lengths, batched=True)] == [False, True, True, True, True]
    assert [run.lengths for run in runs_of(lengths, batched=False)] == [(n,) for n in lengths]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_learned_layer_computes_what_peft_computes(dtype):
    config = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear")
    torch.manual_seed(0)
    base = torch.nn.Linear(24, 40).to(dtype).requires_grad_(False)
    ours = LowRankLinear(base, "default", config=config, r=4, lora_alpha=8)
    torch.nn.init.normal_(ours.lora_B["default"].weight)
    peft = lora.Linear(base, "default", config=config, r=4, lora_alpha=8)
    for layer in (ours, peft):
        # As PEFT does for whole models: the base stays in its precision, what is learned is float32.
        layer.lora_A.float()
        layer.lora_B.float()
    peft.load_state_dict(ours.state_dict())
    found, x = [], torch.randn(3, 7, 24).to(dtype)
    for layer in (ours, peft):
        asked = x.clone().requires_grad_()
        y = layer(asked)
        (y.float() ** 2).sum().backward()
        weights = (layer.lora_A["default"].weight, layer.lora_B["default"].weight)
        assert all(weight.grad.dtype == torch.float32 for weight in weights)
        found.append([y, asked.grad, *(weight.grad for weight in weights)])
    for one, other in zip(*found, strict=True):
        distance = (one.float() - other.float()).norm() / other.float().norm()
        assert distance < (1e-6 if dtype == torch.float32 else 0.01)


def test_dropout_is_left_to_peft():
    config = LoraConfig(r=4, lora_alpha=8, lora_dropout=0.5, target_modules="all-linear")
    torch.manual_seed(0)
    layer = LowRankLinear(torch.nn.Linear(24, 40), "default", config=config, r=4, lora_alpha=8)
    torch.nn.init.normal_(layer.lora_B["default"].weight)
    x = torch.randn(2, 24)
    assert not torch.equal(layer(x), layer(x))
    assert torch.equal(layer.eval()(x), layer(x))


def test_nats_and_their_gradients_are_those_of_cross_entropy():
    torch.manual_seed(0)
    logits, targets = torch.randn(150, 33), torch.randint(33, (150,))
    weights = torch.rand(150)
    results = []
    for nats_of in (nats, lambda x, t: torch.nn.functional.cross_entropy(x, t, reduction="none")):
        asked = logits.clone().requires_grad_()
        found = nats_of(asked, targets)
        (found * weights).sum().backward()
        results.append((found.detach(), asked.grad))
    for one, other in zip(*results, strict=True):
        assert torch.allclose(one, other, atol=1e-6)
