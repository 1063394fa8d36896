"""One training: an adapter that serving takes, written whole or not at all, and a canary that can be believed."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from night_fixtures import SMALL, pair, prepare_run, small_dataset
from peft import PeftModel
from sandbox_fixtures import PATIENCE
from transformers import AutoModelForCausalLM, AutoTokenizer

from data.errors import BadFile, TrainingFailed
from finetune.chat import prompt_ids
from finetune.fitting import rate_factor
from finetune.run_directory import pair_hash
from finetune.train import train
from serving.adapters import verify
from serving.base import identify


@pytest.fixture(scope="module")
def trained(tiny_base, tmp_path_factory):
    run_dir = prepare_run(tmp_path_factory.mktemp("run"), tiny_base, small_dataset())
    return run_dir, train(run_dir)


def test_the_validation_loss_falls_and_serving_takes_the_adapter(trained, tiny_base):
    run_dir, outcome = trained
    assert outcome.validation_best < outcome.validation_before
    verify(run_dir / "adapter", identify(str(tiny_base)), max_lora_rank=16)


def test_the_adapter_says_what_it_was_made_of(trained, tiny_base):
    run_dir, outcome = trained
    manifest = json.loads((run_dir / "adapter" / "nightshift.json").read_text())
    dataset = small_dataset()
    assert manifest["base_hash"] == identify(str(tiny_base)).hash
    assert {p["id"]: p["sha256"] for p in manifest["pairs"]} == {
        p.id: pair_hash(p) for p in (*dataset.train, *dataset.validation)
    }
    assert manifest["recipe"]["lora_r"] == 16
    assert manifest["outcome"]["updates"] == outcome.updates


def test_a_folder_with_an_adapter_is_not_trained_in_again(trained):
    run_dir, _ = trained
    before = (run_dir / "adapter" / "adapter_model.safetensors").stat().st_mtime_ns
    with pytest.raises(BadFile, match="holds a trained adapter already"):
        train(run_dir)
    assert (run_dir / "adapter" / "adapter_model.safetensors").stat().st_mtime_ns == before


def test_a_killed_training_goes_on_to_the_adapter_of_an_unbroken_one(tiny_base, tmp_path):
    dataset = replace(small_dataset(), train=[pair(n) for n in range(10, 90)])
    settings = SMALL.model_copy(update={"epochs": 3, "learning_rate": 1e-3, "lora_dropout": 0.1})
    whole, broken = (prepare_run(tmp_path / name, tiny_base, dataset, settings) for name in ("whole", "broken"))
    train(whole)
    with subprocess.Popen([sys.executable, "-m", "finetune", "train", str(broken)], stderr=subprocess.DEVNULL) as child:
        deadline = time.monotonic() + 2 * PATIENCE
        while not (broken / "checkpoint.pt").exists():
            assert child.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        child.kill()
    assert not (broken / "adapter").exists()
    train(broken)
    assert losses(broken) == losses(whole)
    weights = "adapter/adapter_model.safetensors"
    assert (broken / weights).read_bytes() == (whole / weights).read_bytes()
    assert not (broken / "checkpoint.pt").exists()


def losses(run_dir):
    lines = [json.loads(line) for line in (run_dir / "loss.jsonl").read_text().splitlines()]
    return [(line["update"], line.get("loss"), line.get("validation_loss")) for line in lines]


def test_the_loss_log_has_a_line_per_update(trained):
    run_dir, outcome = trained
    lines = [json.loads(line) for line in (run_dir / "loss.jsonl").read_text().splitlines()]
    assert [line["update"] for line in lines] == list(range(outcome.updates + 1))
    validated = [line["validation_loss"] for line in lines if "validation_loss" in line]
    assert len(validated) > 4
    assert min(validated) == outcome.validation_best


def test_the_canary_is_what_transformers_writes_with_the_adapter(trained, tiny_base):
    run_dir, _ = trained
    canary = json.loads((run_dir / "adapter" / "canary.json").read_text())
    assert greedy(tiny_base, run_dir / "adapter", canary["messages"], canary["max_tokens"]) == canary["text"]
    assert canary["text"] != canary["base_text"]


def greedy(base, adapter, messages, max_tokens):
    """What transformers writes with an adapter, by its own generate."""
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model = PeftModel.from_pretrained(model, adapter).eval()
    prompt = torch.tensor([prompt_ids(tokenizer, messages)])
    written = model.generate(
        prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=max_tokens, do_sample=False, pad_token_id=0
    )
    return tokenizer.decode(written[0, prompt.shape[1] :], skip_special_tokens=True)


def test_two_runs_of_one_recipe_are_equal(trained, tiny_base, tmp_path):
    run_dir, _ = trained
    again = prepare_run(tmp_path, tiny_base, small_dataset())
    train(again)
    weights = "adapter/adapter_model.safetensors"
    assert (again / weights).read_bytes() == (run_dir / weights).read_bytes()


def test_the_weights_of_pairs_count(tiny_base, tmp_path):
    def losses(name, weight):
        dataset = small_dataset()
        light = [replace(p, weight=weight) if n % 2 else p for n, p in enumerate(dataset.train)]
        run_dir = prepare_run(tmp_path / name, tiny_base, replace(dataset, train=light))
        train(run_dir)
        return [json.loads(line).get("loss") for line in (run_dir / "loss.jsonl").read_text().splitlines()]

    assert losses("light", 0.01) != losses("even", 1.0)


def test_the_rate_warms_up_and_falls_to_zero():
    factors = [rate_factor(step / 100) for step in range(101)]
    assert factors[0] < 0.05 and max(factors) == pytest.approx(1.0) and factors[-1] == pytest.approx(0.0)
    peak = factors.index(max(factors))
    assert all(earlier < later for earlier, later in pairwise(factors[: peak + 1]))
    assert all(earlier > later for earlier, later in pairwise(factors[peak:]))


def test_the_time_budget_ends_the_training_with_an_adapter(tiny_base, tmp_path):
    settings = SMALL.model_copy(update={"epochs": 1000, "max_train_minutes": 0.05})
    run_dir = prepare_run(tmp_path, tiny_base, small_dataset(), settings)
    outcome = train(run_dir)
    assert outcome.stopped in ("time budget", "validation loss no longer falls")
    assert outcome.seconds < 10
    assert (run_dir / "adapter").is_dir()


def test_a_training_that_helps_nobody_fails_in_a_sentence(tiny_base, tmp_path):
    settings = SMALL.model_copy(update={"learning_rate": 1e30})
    run_dir = prepare_run(tmp_path, tiny_base, small_dataset(), settings)
    with pytest.raises(TrainingFailed, match="LEARNING_RATE"):
        train(run_dir)
    assert not (run_dir / "adapter").exists()


def test_a_training_ends_with_its_night_and_leaves_no_half_adapter(tiny_base, tmp_path):
    dataset = replace(small_dataset(), train=[pair(n) for n in range(10, 400)])
    run_dir = prepare_run(tmp_path, tiny_base, dataset, SMALL.model_copy(update={"epochs": 50}))
    command = [sys.executable, "-m", "finetune", "train", str(run_dir), "--leashed"]
    log = run_dir / "loss.jsonl"
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        deadline = time.monotonic() + 2 * PATIENCE
        while not (log.exists() and log.read_text().count("\n") > 1):
            assert child.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
        # What the kernel does with the pipe of a parent that was killed.
        child.stdin.close()
        assert child.wait(timeout=PATIENCE) == 1
    assert not (run_dir / "adapter").exists()
