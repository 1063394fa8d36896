"""The starter's training: rows are serving prompts, digits are single tokens, a killed run goes on exactly."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from itertools import islice, pairwise
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, LlamaForCausalLM

from data.models import Passage
from data.prompts import answer_messages
from finetune.corpus.rows import guide_row, load, rows
from finetune.corpus.values import invented_word
from finetune.pretrain import batch, new_model, optimizers_for, train_tokenizer
from finetune.reading_heads import HEADS, HELD
from serving.settings import STARTER


@pytest.fixture(scope="module")
def dialogues(tmp_path_factory) -> Path:
    """Forty short dialogues in STAR's form; the last is about a hotel."""
    path = tmp_path_factory.mktemp("star") / "star.jsonl"
    records = [
        {
            "domains": ["hotel" if n == 39 else "ride"],
            "turns": [
                {"role": "customer", "text": f"I need a ride to stop {n}."},
                {"role": "agent", "text": f"Your ride to stop {n} comes in {n + 2} minutes."},
                {"role": "customer", "text": "Thanks"},
                {"role": "agent", "text": "Goodbye."},
            ],
        }
        for n in range(40)
    ]
    path.write_text("\n".join(map(json.dumps, records)))
    return path


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(STARTER)


def test_dialogues_of_bank_and_hotel_are_never_read(dialogues):
    assert len(load(dialogues).dialogues) == 39


def test_rows_are_the_same_for_the_same_seed_and_alternate_roles(dialogues):
    corpus = load(dialogues)
    drawn = list(islice(rows(corpus, seed=3), 200))
    assert drawn == list(islice(rows(corpus, seed=3), 200))
    for messages, target in drawn:
        assert [m["role"] for m in messages[:2]] == ["system", "user"] and messages[-1]["role"] == "user"
        assert all(a["role"] != b["role"] for a, b in pairwise(messages))
        assert target.strip() and "{" not in target


def test_every_digit_is_a_token_of_its_own_and_any_text_survives(dialogues):
    tokenizer = train_tokenizer(load(dialogues))
    assert len(tokenizer("4071", add_special_tokens=False)["input_ids"]) == 4
    text = "Grüße, 東京 🚲 £4.50"
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text


def test_rows_in_one_line_do_not_see_each_other(dialogues):
    corpus = load(dialogues)
    tokenizer = train_tokenizer(corpus)
    ids, weights, places = batch(tokenizer, corpus, step=1, count=1, length=512)
    second = places[0].tolist().index(0, 1)
    assert weights[0, second] == 0.0, "the last token of one row must not be asked for the first of the next"
    other = ids.clone()
    other[0, 1:second] = ids[0, second]
    with torch.no_grad():
        model = new_model(tokenizer).model
        seen, instead = (model(input_ids=x, position_ids=places).last_hidden_state for x in (ids, other))
    assert torch.equal(seen[0, second:], instead[0, second:])
    assert not torch.equal(seen[0, :second], instead[0, :second])


def test_steps_that_are_asked_for_stand_in_a_passage_in_their_order(dialogues):
    corpus = load(dialogues)
    for seed in range(200):
        messages, target = guide_row(corpus, random.Random(seed))
        steps = re.findall(r"(?:\d[.)]|Step \d:) [^.]+\.", re.sub(r" \[\d\]$", "", target))
        at = [messages[-1]["content"].find(step) for step in steps]
        assert -1 not in at and at == sorted(at)


def test_a_new_model_repeats_a_sequence_before_it_has_learned_anything(tokenizer):
    once = torch.randint(6, 6000, (8, 60), generator=torch.Generator().manual_seed(0))
    begun = torch.full((8, 1), tokenizer.bos_token_id)
    twice = torch.cat([begun, once, once], dim=1)
    with torch.no_grad():
        said = new_model(tokenizer).eval()(twice).logits.argmax(-1)
    # The first two tokens of the repetition tell the heads where they are; by chance one token in 6,000 is right.
    assert (said[:, 62:-1] == twice[:, 63:]).float().mean() > 0.8


def test_a_new_model_begins_the_sentence_that_has_the_questions_word(tokenizer):
    rng, model, right = random.Random(1), new_model(tokenizer).eval(), 0
    openings = (
        "Some people",
        "Every morning",
        "They",
        "A good friend",
        "Nobody",
        "When it rains we",
        "Our",
        "In June I",
    )
    for _ in range(24):
        words = [invented_word(rng) for _ in openings]
        written = [f"{opening} took the {word} home with them." for opening, word in zip(openings, words, strict=True)]
        rng.shuffle(written)
        passages = [
            Passage(0, "", "First things", " ".join(written[:4]), 0.0),
            Passage(0, "", "Others", " ".join(written[4:]), 0.0),
        ]
        word = rng.choice(words)
        prompt = answer_messages(f"What about the {word}?", passages)
        ids = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_tensors="pt", return_dict=True)
        with torch.no_grad():
            said = tokenizer.decode(model(ids["input_ids"]).logits[0, -1].argmax()).strip()
        right += next(text for text in written if word in text).startswith(said)
    # One sentence in eight by chance.
    assert right >= 16


def test_training_leaves_the_heads_that_read_as_they_are_and_changes_the_others(tokenizer):
    model = new_model(tokenizer)
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    ids = torch.randint(6, 6144, (2, 64))
    for _ in range(2):
        model(input_ids=ids, labels=ids).loss.backward()
        for optimizer in optimizers_for(model):
            optimizer.step()
    changed = {name: (weight != before[name]) for name, weight in model.named_parameters()}
    for layer, heads in enumerate(HEADS):
        attention = f"model.layers.{layer}.self_attn."
        rows = changed[attention + "q_proj.weight"]
        assert not rows[: 64 * heads].any() and rows[64 * heads :].any()
        columns = changed[attention + "o_proj.weight"]
        assert not columns[:, : 64 * heads].any() and columns[:, 64 * heads :].any()
        # What the heads read is written by nothing else until they have read it.
        last = layer == len(HEADS) - 1
        assert changed[f"model.layers.{layer}.mlp.down_proj.weight"][:HELD].any() == last
        assert columns[:HELD].any() == last
    codes = changed["model.embed_tokens.weight"]
    assert not codes[:, :HELD].any() and codes[:, HELD:].any()


def test_a_reply_names_only_what_the_thread_or_its_passages_say(dialogues):
    corpus = load(dialogues)
    codes = re.compile(r"\b[A-Z]{1,3}-?\d{3,}\b|[$£€]\d+")
    named = 0
    for messages, target in islice(rows(corpus, seed=4), 600):
        for found in codes.findall(target):
            named += 1
            assert found in " ".join(m["content"] for m in messages)
    assert named > 50


def test_a_killed_run_ends_with_the_same_weights_as_an_unbroken_one(dialogues, tmp_path):
    # Few updates: on a processor without bfloat16 torch's Muon takes half a minute for each.
    def start(work: Path, *more, tokens: int = 1024) -> subprocess.Popen:
        command = [sys.executable, "-m", "finetune", "pretrain", "--dialogues", dialogues, "--dev", dialogues]
        command += ["--work", work, "--out", work / "out", "--tokens", tokens, "--tokens-per-step", "512"]
        command += ["--checkpoint-seconds", "0", "--threads", "1", *more]
        return subprocess.Popen(
            list(map(str, command)), env=os.environ | {"OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL
        )

    broken, whole = tmp_path / "broken", tmp_path / "whole"
    first = start(broken)
    while not (broken / "checkpoint.pt").exists():
        assert first.poll() is None
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert not (broken / "out").exists()
    assert start(broken).wait() == 0
    assert start(whole).wait() == 0
    assert (broken / "out" / "model.safetensors").read_bytes() == (whole / "out" / "model.safetensors").read_bytes()
    assert "tokens seen | 1,024 " in (whole / "out" / "README.md").read_text()

    assert start(tmp_path / "further", "--from", whole / "out", tokens=512).wait() == 0
    assert "tokens seen | 1,536 " in (tmp_path / "further" / "out" / "README.md").read_text()
    # What lies there began with a new model.
    assert start(whole, "--from", STARTER).wait() == 1
    one, two = (LlamaForCausalLM.from_pretrained(at / "out").model.layers for at in (whole, tmp_path / "further"))
    held = 64 * HEADS[0]
    changed = one[0].self_attn.q_proj.weight != two[0].self_attn.q_proj.weight
    assert changed[held:].any() and not changed[:held].any()
