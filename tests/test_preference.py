"""The preference stage: its loss by hand, what it is given, and that it moves the adapter towards what was sent."""

import json
import math
from dataclasses import replace

import pytest
import torch
from night_fixtures import answered, asked, pair, prepare_run, small_dataset
from test_dataset import decide
from test_routed_decisions import decided

from data import store, store_names
from data.models import PreferencePair
from finetune import dataset, preference
from finetune.chat import encode
from finetune.fitting import Example, copy_of
from finetune.preference import Preference, log_likelihoods, prefer, preference_loss, reference_sums
from finetune.run_directory import read_lines
from finetune.train import train
from serving.verification import learned_rows

pytest_plugins = ("preference_fixtures",)


def test_the_loss_is_dpo_with_the_nats_of_the_chosen_text():
    found = torch.tensor([[-10.0, -30.0], [-8.0, -4.0]])
    reference = torch.tensor([[-12.0, -20.0], [-8.0, -4.0]])
    losses = preference_loss(found, reference, torch.tensor([5, 4]))
    # Margins: (-10 + 30) - (-12 + 20) = 12, and 0.
    expected = [0.2 * 10 / 5 + math.log(1 + math.exp(-0.1 * 12)), 0.2 * 8 / 4 + math.log(2)]
    assert losses.tolist() == pytest.approx(expected)


def preferences(tokenizer, count):
    sides = [
        [encode(tokenizer, asked(n), text, limit=256, ends={2}) for text in (answered(n), "Buy a new one, please.")]
        for n in range(count)
    ]
    return [Preference(f"pair-{n}", *both) for n, both in enumerate(sides)]


def test_packed_likelihoods_are_those_of_each_text_alone(tuned):
    model, _, tokenizer = tuned
    some = preferences(tokenizer, 3)
    with torch.no_grad():
        together = log_likelihoods(model, some)
        alone = torch.cat([log_likelihoods(model, [one]) for one in some])
    assert torch.allclose(together, alone, atol=1e-4)


def test_the_stage_prefers_what_was_sent_and_learns_from_the_adapter_of_sft(tuned):
    model, recipe, tokenizer = tuned
    some = preferences(tokenizer, 64)
    before = reference_sums(model, some, recipe)
    outcome = prefer(model, some, [], recipe)
    after = reference_sums(model, some, recipe)
    assert (outcome.pairs, outcome.updates, outcome.kept) == (64, 8, True)
    assert outcome.accuracy > 0.9
    margin = (after - before)[:, 0] - (after - before)[:, 1]
    assert margin.mean() > 0
    # The NLL term: the chosen text has not become less likely.
    assert (after - before)[:, 0].mean() > 0


def test_real_edits_of_training_pairs_are_frozen_and_masked(db, tmp_path):
    store_names.record_names(db, ["Quemby"])
    store.set_consent(db, "C1", granted_by="U9", granted=True)
    for number in range(60):
        draft = f"Please ask Quemby or write to jane{number}@example.org."
        decide(db, number, kind="edited", draft=draft, text=f"We look into number {number} and write to you today.")
    for number in range(60, 90):
        draft = f"We look into number {number} and write to you soon."
        decide(db, number, kind="edited", draft=draft, text=f"We look into number {number} and write to you soon!")
    built = dataset.build(db)
    dataset.freeze(built, tmp_path)
    lines = read_lines(tmp_path / "dataset" / "preferences.jsonl")
    learned = {one.id for one in built.train}
    assert len(lines) > 10 and dataset.load(tmp_path) == built
    assert {line["id"] for line in lines} < learned
    assert all("[EMAIL_1]" in line["rejected"] and "Quemby" not in line["rejected"] for line in lines)
    assert all(line["chosen"].endswith("today.") for line in lines)


def test_a_draft_of_the_wrong_tone_is_frozen_with_what_was_then_sent_where_that_is_learned(db, tmp_path):
    store.set_consent(db, "C1", granted_by="U9", granted=True)
    dismissed = set()
    for number in range(60):
        thread = f"{number}.0"
        dismissed.add(decided(db, f"a{number}", "dismissed", reason="wrong_tone", thread=thread))
        sent = f"Order {number} left us this morning, so expect it before the week is out."
        decided(db, f"b{number}", "accepted", sent, thread=thread, draft=sent)
    built = dataset.build(db)
    assert len(built.preferences) == len(built.train) > 10
    assert {one.id for one in built.preferences} < dismissed
    assert {one.chosen for one in built.preferences} == {one.target for one in built.train}


@pytest.mark.parametrize(
    ("count", "ran"), [(preference.MIN_PREFERENCES, True), (preference.MIN_PREFERENCES - 1, False)]
)
def test_a_training_with_enough_edits_has_the_stage(count, ran, tiny_base, tmp_path):
    edits = [
        PreferencePair(f"draft-{n}", "reply", f"edited-{n}", asked(n), answered(n), "No.", pair(n).created_at)
        for n in range(count)
    ]
    run_dir = prepare_run(tmp_path, tiny_base, replace(small_dataset(), preferences=edits))
    train(run_dir)
    manifest = json.loads((run_dir / "adapter" / "nightshift.json").read_text())
    assert (manifest["preferences"] is not None) == ran
    if ran:
        assert manifest["preferences"]["pairs"] == count
        # An erasure finds the adapter by any of them.
        assert {one["id"] for one in learned_rows(manifest)} > {one.id for one in edits}


def test_a_stage_that_costs_validation_loss_is_left_out(tuned):
    model, recipe, tokenizer = tuned
    # What is rejected is what the validation pairs say.
    some = [Preference(one.id, one.rejected, one.chosen) for one in preferences(tokenizer, 64)]
    validation = [Example(one.rejected, 1.0) for one in some[:8]]
    before = copy_of(model)
    outcome = prefer(model, some, validation, recipe)
    assert not outcome.kept
    assert all(torch.equal(weight, before[name]) for name, weight in copy_of(model).items())
