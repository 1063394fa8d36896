"""Two processes on one training, by torchrun, on the CPU: for `make soak`, since torch is imported again and again."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from night_fixtures import SMALL, answered, asked, pair, prepare_run, small_dataset
from safetensors.torch import load_file

from data.models import PreferencePair
from finetune.preference import MIN_PREFERENCES
from finetune.thumbs import MIN_THUMBS, Thumb
from finetune.train import train
from serving.adapters import verify
from serving.base import identify

# Several rows in a batch, so that both have work.
HALVES = SMALL.model_copy(update={"tokens_per_pass": 256})


def test_two_processes_train_the_adapter_of_one(tiny_base, tmp_path):
    one, two = by_one_and_by_two(tiny_base, tmp_path, small_dataset(), HALVES)
    for name in ("loss", "validation_loss"):
        assert losses(two, name) == pytest.approx(losses(one, name), rel=1e-3)


def test_two_processes_prefer_and_like_as_one_does(tiny_base, tmp_path):
    at = pair(1).created_at
    edits = [
        PreferencePair(f"e{n}", "reply", f"e{n}", asked(2000 + n), answered(2000 + n), "Buy a new one, please.", at)
        for n in range(MIN_PREFERENCES)
    ]
    rated = [
        Thumb(
            replace(pair(3000 + n), target=answered(n) if n % 3 else "Buy a new one.", weight=0.5 + n % 2 / 2),
            n % 3 > 0,
        )
        for n in range(MIN_THUMBS)
    ]
    dataset = replace(small_dataset(), preferences=edits, thumbs=rated)
    one, two = (manifest(folder) for folder in by_one_and_by_two(tiny_base, tmp_path, dataset, HALVES))
    for stage, told in (("preferences", "accuracy"), ("thumbs", "margin")):
        assert one[stage]["updates"] == two[stage]["updates"] > 30 and one[stage]["kept"] and two[stage]["kept"]
        for name in (told, "validation_loss"):
            assert two[stage][name] == pytest.approx(one[stage][name], rel=1e-3), (stage, name)
    of_one, of_two = (load_file(tmp_path / name / "adapter" / "adapter_model.safetensors") for name in ("one", "two"))
    for name, weights in of_one.items():
        assert torch.allclose(of_two[name], weights, atol=1e-3), name


def by_one_and_by_two(base, folder, dataset, settings):
    """Both runs' folders, one trained by this process and one by two of torchrun's."""
    one, two = (prepare_run(folder / name, base, dataset, settings) for name in ("one", "two"))
    train(one)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*torchrun, "-m", "finetune", "train", str(two)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("adapter in") == 1
    verify(two / "adapter", identify(str(base)), max_lora_rank=16)
    return one, two


def manifest(run_dir):
    return json.loads((run_dir / "adapter" / "nightshift.json").read_text())


def losses(run_dir, name):
    lines = [json.loads(line) for line in (run_dir / "loss.jsonl").read_text().splitlines()]
    return {line["update"]: line[name] for line in lines if name in line}
