"""The night's dataset: what is trained on, what is held out, and that neither sees the other."""

import json
from dataclasses import replace

import pytest
from night_fixtures import answered, asked, import_tickets, pair, small_dataset

from data import store
from data.errors import BadFile
from data.models import Example
from data.prompts import with_examples
from finetune import dataset as datasets
from finetune.dataset import build, freeze, load, split_pairs
from finetune.split_check import LeakedThreads, check_split


def decide(db, number, *, kind, text, draft="a draft", thread=None, reason=None):
    suggestion = store.request_suggestion(
        db,
        request_key=f"key-{number}",
        task="reply",
        team_id="T1",
        channel_id="C1",
        thread_ts=thread or f"{number}.0",
        requested_by="U1",
        request={},
    )
    store.record_draft(db, suggestion.id, messages=asked(number), draft=draft, base="hash", adapter="base")
    store.decide(db, suggestion.id, kind=kind, text=text, reason=reason, decided_by="U1")
    if kind != "dismissed":
        store.record_posted(db, suggestion.id, f"{number}.5")
    return suggestion.id


def test_a_frozen_dataset_is_never_overwritten(tmp_path):
    dataset = small_dataset()
    freeze(dataset, tmp_path)
    with pytest.raises(BadFile, match="holds a frozen dataset already"):
        freeze(small_dataset(train=30), tmp_path)
    assert load(tmp_path).train == dataset.train


def test_no_thread_stands_on_two_sides(db):
    import_tickets(db, 200)
    dataset = build(db)
    sides = [
        {p.thread_id for p in dataset.train},
        {p.thread_id for p in dataset.validation},
        {c.pair.thread_id for c in dataset.held_out},
    ]
    assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])
    assert sides[2] == store.held_out_threads(db)
    assert sum(map(len, sides)) == 200


def test_a_leaked_thread_is_refused():
    dataset = small_dataset()
    leaking = replace(dataset, train=[*dataset.train, replace(dataset.held_out[0].pair, id="another")])
    with pytest.raises(LeakedThreads, match=dataset.held_out[0].pair.thread_id):
        check_split(leaking, frozen_at=store.now())


def test_a_prompt_that_the_gate_asks_is_not_trained_on():
    pairs = [pair(1), pair(2), replace(pair(3), messages=asked(2))]
    split = split_pairs(pairs, {"thread-2"})
    assert [p.id for p in (*split.train, *split.validation)] == ["pair-1"]
    assert split.dropped == {"prompt of a held-out pair": 1}


def test_of_repeated_pairs_the_heaviest_stays():
    repeated = [replace(pair(1, weight=0.5), id="light", thread_id="a"), replace(pair(1), id="heavy", thread_id="b")]
    split = split_pairs(repeated, set())
    assert [p.id for p in split.train] == ["heavy"]
    assert split.dropped == {"repeated": 1}


def test_examples_stay_in_about_half_of_the_prompts():
    shown = [Example("x", "Conversation:\nCustomer: hi", "Hello!")]
    pairs = [replace(pair(n), messages=with_examples(asked(n), shown)) for n in range(200)]
    split = split_pairs(pairs, set())
    with_them = sum(len(p.messages) > 2 for p in (*split.train, *split.validation))
    assert 70 < with_them < 130


def test_an_edit_that_changed_nothing_counts_as_accepted(db):
    store.set_consent(db, "C1", granted_by="U9", granted=True)
    kinds = {}
    for number, (kind, text) in enumerate([("edited", "a draft"), ("edited", "better"), ("accepted", "a draft")] * 20):
        kinds[decide(db, number, kind=kind, text=text)] = "edited" if text == "better" else "accepted"
    cases = build(db).held_out
    assert cases
    assert all(case.kind == kinds[case.pair.id] for case in cases)


def test_the_base_gets_examples_where_serving_would_give_it_some(db):
    import_tickets(db, 60)
    case = build(db).held_out[0]
    assert len(case.pair.messages) == 2
    assert len(case.base_messages) > 2
    assert case.base_messages[-1] == case.pair.messages[-1]
    held_out = {c.pair.target for c in build(db).held_out}
    trained = {p.target for p in build(db).train + build(db).validation}
    assert all(m["content"] in trained or m["content"] not in held_out for m in case.base_messages[2:-1:2])


def test_a_frozen_dataset_reads_back_equal_and_a_changed_file_is_refused(tmp_path):
    dataset = small_dataset()
    freeze(dataset, tmp_path)
    assert load(tmp_path) == dataset
    lines = tmp_path / "dataset" / "train.jsonl"
    first, *rest = lines.read_text().splitlines()
    changed = json.loads(first) | {"target": "something else"}
    lines.write_text("\n".join([json.dumps(changed), *rest]) + "\n")
    with pytest.raises(BadFile, match="does not hold the pairs"):
        load(tmp_path)


def test_new_pairs_are_those_that_the_last_run_was_not_given(db, tmp_path):
    import_tickets(db, 30)
    freeze(build(db), tmp_path)
    import_tickets(db, 10, first=30)
    again = build(db, known=datasets.learned_pairs(tmp_path))
    assert again.new_pairs == len(again.train) + len(again.validation) - len(datasets.learned_pairs(tmp_path))
    assert 0 < again.new_pairs <= 10


def test_targets_are_what_agents_sent(db):
    import_tickets(db, 20)
    dataset = build(db)
    sent = {p.target for p in (*dataset.train, *dataset.validation)} | {c.pair.target for c in dataset.held_out}
    assert sent == {answered(n) for n in range(20)}
