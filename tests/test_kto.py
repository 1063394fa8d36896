"""KTO: its loss by hand, what its reference point stands on, and that a training moves towards what is liked."""

import json
import math
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from night_fixtures import SMALL, answered, asked, pair, prepare_run, small_dataset

from data.errors import BrokenAdapter
from finetune.chat import Tokens, encode
from finetune.dataset import load
from finetune.fitting import Example, copy_of, validation_loss
from finetune.kto import Rated, importance, kto_loss, learn_thumbs, mismatched
from finetune.learned import check_manifest
from finetune.preferring import TOLERANCE, reference_sums
from finetune.thumbs import MIN_THUMBS, Thumb
from finetune.train import train
from serving.base import identify
from serving.verification import learned_rows, verify

pytest_plugins = ("preference_fixtures",)

BAD = "Buy a new one, please."


def by_hand(gain, zero, liked, share):
    value = 1 / (1 + math.exp(-0.1 * (gain - zero if liked else zero - gain)))
    return share * (1 - value)


def test_the_loss_is_what_is_missing_from_the_value_of_each_text():
    gains = [3.0, -7.0, 0.5, 20.0]
    liked, shares, zero = [True, True, False, False], [0.75, 1.5, 1.0, 0.25], 1.25
    found = kto_loss(
        torch.tensor(gains, dtype=torch.float64), torch.tensor(zero, dtype=torch.float64), torch.tensor(liked),
        torch.tensor(shares, dtype=torch.float64),
    )  # fmt: skip
    expected = [by_hand(gain, zero, *more) for gain, *more in zip(gains, liked, shares, strict=True)]
    assert found.dtype == torch.float64
    assert found.tolist() == pytest.approx(expected, rel=1e-12)


def test_the_gradient_lifts_what_is_liked_lowers_what_is_not_and_leaves_the_reference_point():
    gains = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    zero = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    loss = kto_loss(gains, zero, torch.tensor([True, False]), torch.ones(2, dtype=torch.float64))
    loss.sum().backward()
    slope = 0.1 / (1 + math.exp(0.05)) / (1 + math.exp(-0.05))
    assert gains.grad.tolist() == pytest.approx([-slope, slope], rel=1e-12)
    assert zero.grad is None


def test_both_kinds_weigh_the_same_together_and_a_text_one_in_the_mean():
    liked = torch.tensor([True] * 8 + [False] * 2)
    weights = torch.tensor([1.0, 0.5] * 5, dtype=torch.float64)
    shares = importance(liked, weights)
    assert shares[liked].sum().item() == pytest.approx(5) and shares[~liked].sum().item() == pytest.approx(5)
    assert (shares[0] / shares[1]).item() == pytest.approx(2), "within a kind the raters' weights stand"


def test_mismatched_texts_are_each_prompt_with_the_next_target_and_never_longer_than_the_longest():
    texts = [Tokens((1, 2, 3, 4), (5,)), Tokens((6,), (7, 8, 9)), Tokens((10, 11), (12, 13))]
    found = mismatched(texts, [2, 0, 1])
    assert found == [Tokens((3, 4), (7, 8, 9)), Tokens((6,), (12, 13)), Tokens((10, 11), (5,))]
    assert max(map(len, found)) == max(map(len, texts))


def rated(tokenizer, count):
    """Every third text is disliked; a supervisor's thumb and an agent's in turn."""
    return [
        Rated(
            encode(tokenizer, asked(n), answered(n) if n % 3 else BAD, limit=256, ends={2}),
            liked=bool(n % 3),
            weight=1.0 if n % 2 else 0.5,
        )
        for n in range(count)
    ]


def test_the_stage_lifts_liked_texts_above_disliked_ones_from_where_the_adapter_stood(tuned):
    model, recipe, tokenizer = tuned
    some = rated(tokenizer, 96)
    liked = torch.tensor([one.liked for one in some])
    texts = [one.tokens for one in some]
    before = reference_sums(model, texts, recipe)
    outcome = learn_thumbs(model, some, [], recipe)
    gains = reference_sums(model, texts, recipe) - before
    assert (outcome.liked, outcome.disliked, outcome.updates, outcome.kept) == (64, 32, 12, True)
    margin = (gains[liked].mean() - gains[~liked].mean()).item()
    assert margin > 1 and margin == pytest.approx(outcome.margin, abs=1e-3)
    assert (gains[~liked] < 0).float().mean() > 0.9


def test_where_it_costs_validation_loss_the_adapter_is_as_before(tuned):
    model, recipe, tokenizer = tuned
    # What is disliked is what the validation pairs say.
    some = [replace(one, liked=not one.liked) for one in rated(tokenizer, 96)]
    validation = [Example(one.tokens, 1.0) for one in some if not one.liked][:16]
    before, loss = copy_of(model), validation_loss(model, validation, recipe)
    outcome = learn_thumbs(model, some, validation, recipe)
    assert not outcome.kept and outcome.validation_loss > loss + TOLERANCE
    assert all(torch.equal(weight, before[name]) for name, weight in copy_of(model).items())


def test_a_stage_that_is_out_of_its_time_ends(tuned, capsys):
    model, recipe, tokenizer = tuned
    outcome = learn_thumbs(model, rated(tokenizer, 96), [], replace(recipe, max_train_minutes=1e-6))
    assert outcome.updates < 12
    assert f"out of time after {outcome.updates} of 12 updates" in capsys.readouterr().err


def with_thumbs(count, disliked):
    liked = [number >= disliked for number in range(count)]
    found = [
        replace(pair(number, target=answered(number) if one else BAD), source="suggestion")
        for number, one in enumerate(liked, start=100)
    ]
    return replace(small_dataset(), thumbs=[Thumb(*both) for both in zip(found, liked, strict=True)])


def manifest_of(run_dir):
    return json.loads((run_dir / "adapter" / "nightshift.json").read_text())


@pytest.fixture(scope="module")
def learned(tiny_base, tmp_path_factory):
    settings = SMALL.model_copy(update={"lora_dropout": 0.1})
    run_dir = prepare_run(tmp_path_factory.mktemp("learned"), tiny_base, with_thumbs(MIN_THUMBS, 150), settings)
    train(run_dir)
    return run_dir


def test_a_training_with_enough_thumbs_has_the_stage_and_names_what_it_learned_from(learned, tiny_base):
    manifest = manifest_of(learned)
    found = manifest["thumbs"]
    assert (found["liked"], found["disliked"], found["updates"]) == (350, 150, 63)
    assert found["kept"] and found["margin"] > 0
    assert {one["thread_id"] for one in manifest["rated"]} == {f"thread-{n}" for n in range(100, 600)}
    check_manifest(learned / "adapter", load(learned))
    verify(learned / "adapter", identify(str(tiny_base)), max_lora_rank=16)
    named = {one["id"] for one in learned_rows(manifest)}
    assert named == {f"pair-{n}" for n in (*range(24), *range(100, 600))}, "an erasure finds the adapter by these"


def test_the_gate_refuses_rated_texts_that_the_dataset_does_not_hold(learned):
    dataset = load(learned)
    with pytest.raises(BrokenAdapter, match="1 pairs that its dataset does not hold, pair-100"):
        check_manifest(learned / "adapter", replace(dataset, thumbs=dataset.thumbs[1:]))


def test_a_training_that_was_killed_in_the_stage_goes_on_to_the_same_adapter(learned, tiny_base, tmp_path):
    settings = SMALL.model_copy(update={"lora_dropout": 0.1})
    broken = prepare_run(tmp_path, tiny_base, with_thumbs(MIN_THUMBS, 150), settings)
    command = [sys.executable, "-m", "finetune", "train", str(broken)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as child:
        assert any("enough for KTO" in line for line in child.stderr)
        child.kill()
    assert not (broken / "adapter").exists()
    train(broken)
    weights = "adapter/adapter_model.safetensors"
    assert (broken / weights).read_bytes() == (learned / weights).read_bytes()


@pytest.mark.parametrize(("count", "disliked"), [(MIN_THUMBS - 1, 150), (MIN_THUMBS, 99)])
def test_too_few_thumbs_are_told_and_left_out(count, disliked, tiny_base, tmp_path, capsys):
    run_dir = prepare_run(tmp_path, tiny_base, with_thumbs(count, disliked))
    train(run_dir)
    assert manifest_of(run_dir)["thumbs"] is None and manifest_of(run_dir)["rated"] == []
    assert f"{count} rated texts, {disliked} of them disliked: too few for KTO" in capsys.readouterr().err
