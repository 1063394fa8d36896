"""Packed rows: sequences that share a row do not see each other, and prompts are cut as serving cuts them."""

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, Gemma3TextConfig, MistralConfig, Qwen3Config

from data.prompts import without_examples
from finetune.chat import Tokens, encode, prompt_ids
from finetune.packing import ATTENTION, fill_rows, pack, target_logits, target_nats

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
    packed = AutoModelForCausalLM.from_pretrained(tiny_base, attn_implementation=ATTENTION).eval()
    stock = AutoModelForCausalLM.from_pretrained(tiny_base, attn_implementation="sdpa").eval()
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


@pytest.mark.parametrize("family", [MistralConfig, Qwen3Config, Gemma3TextConfig])
def test_other_families_pack_too(family):
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = family(
        vocab_size=64, num_key_value_heads=2, head_dim=8, max_position_embeddings=64, pad_token_id=0,
        sliding_window=4, **sizes,
    )  # fmt: skip
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).eval()
    some = [Tokens((1, 5, 9, 11), (3, 7, 12, 2)), Tokens((1, 6), (8, 9, 2)), Tokens((1,) * 9, (4, 5, 6, 2))]
    with torch.inference_mode():
        model.set_attn_implementation("eager")
        alone = [model(torch.tensor([[*s.prompt, *s.target]])).logits[0, len(s.prompt) - 1 : -1] for s in some]
        model.set_attn_implementation(ATTENTION)
        together = target_logits(model, pack(some))
    assert torch.allclose(together, torch.cat(alone), atol=1e-4)


def test_rows_hold_every_sequence_once_and_stay_within_capacity():
    lengths = [700, 30, 500, 2000, 300, 3000, 120, 1]
    rows = fill_rows(lengths, 2048)
    assert sorted(at for row in rows for at in row) == list(range(len(lengths)))
    assert all(sum(lengths[at] for at in row) <= 2048 or len(row) == 1 for row in rows)
    assert len(rows) == 3


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
