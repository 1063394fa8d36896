"""Replay against forgetting: how much of it there is, where it comes from, and that nothing held out comes with it."""

import json
from dataclasses import replace

import pytest
from night_fixtures import SMALL, import_tickets, pair, prepare_run, small_dataset

from data import store
from data.models import Message
from finetune import base_model, replay
from finetune.dataset import build
from finetune.filters import near_prompts, prompt_key
from finetune.general import CASES
from finetune.pairs import Case
from finetune.replay import general_pairs, rows_for, wanted
from finetune.run_directory import file_hash, read_lines, read_recipe
from finetune.settings import FinetuneSettings
from finetune.split_check import LeakedPrompts
from finetune.train import train
from finetune.weighing import weigh

QUARTER = SMALL.model_copy(update={"replay_share": 0.25})


def rows_of(run_dir, dataset):
    recipe = read_recipe(run_dir)
    return rows_for(run_dir, dataset, recipe, base_model.load_tokenizer(recipe.base))


@pytest.fixture
def answering(tmp_path):
    """The folder of a run whose base has answered already."""

    def prepared(base, dataset, settings=QUARTER):
        run_dir = prepare_run(tmp_path / "run", base, dataset, settings)
        answered = [replace(one, target="Rome.") for one in replay.without_held_out(general_pairs(), dataset)]
        replay.write_lines(run_dir / replay.REPLAY, map(replay.asdict, answered))
        return run_dir

    return prepared


def test_so_many_rows_that_they_are_the_share_of_the_whole():
    assert wanted(300, 0.25) == 100 and wanted(90, 0.1) == 10 and wanted(7, 0.0) == 0


def test_a_share_of_each_epoch_is_replayed_with_the_weight_of_a_pair(tiny_base, answering):
    dataset = replace(small_dataset(), train=[pair(n, weight=0.4) for n in range(90)])
    rows, told = rows_of(answering(tiny_base, dataset), dataset)
    assert told is not None and (told.share, told.rows, told.prompts) == (0.25, 30, 40)
    assert len(rows) == 30 and rows[0].weight == rows[-1].weight == pytest.approx(0.4)
    assert len({row.id for row in rows}) == 30


def test_without_the_setting_nothing_is_replayed(tiny_base, tmp_path):
    dataset = small_dataset()
    run_dir = prepare_run(tmp_path, tiny_base, dataset)
    assert rows_of(run_dir, dataset) == ([], None)
    assert not (run_dir / "replay.jsonl").exists()


def test_what_the_gate_asks_is_not_replayed(tiny_base, answering):
    dataset = small_dataset()
    question = general_pairs()[3].messages
    scored = replace(pair(5000), task="answer", messages=question)
    dataset = replace(dataset, held_out=[*dataset.held_out, Case(scored, "history", question)])
    run_dir = answering(tiny_base, dataset)
    rows, told = rows_of(run_dir, dataset)
    assert told is not None and told.prompts == len(general_pairs()) - 1
    assert "replay-3" not in {row.id for row in rows}


def test_a_file_into_which_a_held_out_thread_came_is_refused(tiny_base, answering):
    dataset = small_dataset()
    run_dir = answering(tiny_base, dataset)
    lines = read_lines(run_dir / "replay.jsonl")
    scored = dataset.held_out[0].pair
    for smuggled in (
        lines[0] | {"id": "by-prompt", "task": scored.task, "messages": scored.messages},
        lines[0] | {"id": "by-thread", "thread_id": scored.thread_id},
    ):
        replay.write_lines(run_dir / "replay.jsonl", [*lines, smuggled])
        with pytest.raises(LeakedPrompts, match=smuggled["id"]):
            rows_of(run_dir, dataset)


def test_no_prompt_of_the_gates_general_set_is_among_them():
    def key(messages: list[Message]):
        return replace(pair(1), task="answer", messages=messages)

    assert near_prompts(general_pairs(), [key(messages) for messages, _ in CASES]) == set()
    assert len({prompt_key(one) for one in general_pairs()}) == len(general_pairs())


def test_pairs_that_an_earlier_night_was_given_never_bring_a_held_out_thread_back(db):
    import_tickets(db, 120)
    everything = {one.id for one in store.training_pairs(db)}
    # Even where an earlier night's manifest names held-out pairs, as if they had been learned from.
    dataset = build(db, known=everything, replay_share=0.5)
    held_out = store.held_out_threads(db)
    assert held_out and not held_out & {one.thread_id for one in (*dataset.train, *dataset.validation)}


def test_earlier_pairs_keep_their_share_beside_a_flood_of_new_ones():
    # Enough threads that none comes near its cap, which holds after this share too.
    pairs = [pair(n) for n in range(200)]
    earlier = {one.id for one in pairs[:20]}
    weighed = weigh(pairs, {}, [], earlier=earlier, earlier_share=0.2)
    old = sum(one.weight for one in weighed.pairs if one.id in earlier)
    assert old / sum(one.weight for one in weighed.pairs) == pytest.approx(0.2)
    assert weighed.touched == {"lighter beside earlier nights'": 180}
    assert all(one.weight == pytest.approx(1.0) for one in weighed.pairs if one.id in earlier)
    # Where they have it already, and where there was no earlier night, nothing changes.
    assert weigh(pairs, {}, [], earlier=earlier, earlier_share=0.01).pairs == weigh(pairs, {}, []).pairs
    assert weigh(pairs, {}, [], earlier_share=0.2).pairs == weigh(pairs, {}, []).pairs


def test_the_adapters_manifest_has_what_was_replayed(tiny_base, answering):
    dataset = small_dataset()
    run_dir = answering(tiny_base, dataset)
    outcome = train(run_dir)
    manifest = json.loads((run_dir / "adapter" / "nightshift.json").read_text())
    rows = wanted(len(dataset.train), 0.25)
    assert manifest["replay"] == {
        "share": 0.25, "rows": rows, "prompts": 40, "sha256": file_hash(run_dir / "replay.jsonl")
    }  # fmt: skip
    assert manifest["recipe"]["replay_share"] == 0.25
    assert outcome.planned_updates == SMALL.epochs * -(-(len(dataset.train) + rows) // SMALL.batch_sequences)
    assert {one["id"] for one in manifest["pairs"]} == {one.id for one in (*dataset.train, *dataset.validation)}


def test_the_base_answers_for_itself_and_only_what_it_ends_is_kept(tiny_base, tmp_path):
    run_dir = prepare_run(tmp_path, tiny_base, small_dataset(), QUARTER)
    recipe = read_recipe(run_dir)
    tokenizer = base_model.load_tokenizer(recipe.base)
    found = replay.answers(recipe, tokenizer, general_pairs())
    again = replay.answers(recipe, tokenizer, general_pairs())
    assert found == again and len(found) <= len(general_pairs())
    assert all(one.target.strip() and len(tokenizer(one.target)["input_ids"]) <= replay.LONGEST for one in found)


@pytest.mark.parametrize("share", ["-0.1", "0.6", "much"])
def test_a_share_that_cannot_be_is_refused(share):
    with pytest.raises(ValueError, match="replay_share"):
        FinetuneSettings(replay_share=share, _env_file=None)
