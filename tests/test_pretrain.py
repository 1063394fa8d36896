"""The starter's training: rows are serving prompts, digits are single tokens. `make soak` trains: soak_pretrain.py."""

import json
import random
import re
from itertools import islice, pairwise
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from data.models import Passage
from data.prompts import answer_messages
from finetune.corpus.rows import guide_row, load, rows
from finetune.corpus.values import invented_word
from finetune.pretrain import batch, new_model, train_tokenizer
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


def test_a_reply_names_only_what_the_thread_or_its_passages_say(dialogues):
    corpus = load(dialogues)
    codes = re.compile(r"\b[A-Z]{1,3}-?\d{3,}\b|[$£€]\d+")
    named = 0
    for messages, target in islice(rows(corpus, seed=4), 600):
        for found in codes.findall(target):
            named += 1
            assert found in " ".join(m["content"] for m in messages)
    assert named > 50
