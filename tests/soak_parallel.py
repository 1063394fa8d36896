"""Two processes on one training, by torchrun, on the CPU: for `make soak`, since torch is imported three times."""

import json
import subprocess
import sys

import pytest
from night_fixtures import SMALL, prepare_run, small_dataset

from finetune.train import train
from serving.adapters import verify
from serving.base import identify

# Several rows in a batch, so that both have work.
HALVES = SMALL.model_copy(update={"tokens_per_pass": 256})


def test_two_processes_train_the_adapter_of_one(tiny_base, tmp_path):
    one, two = (prepare_run(tmp_path / name, tiny_base, small_dataset(), HALVES) for name in ("one", "two"))
    train(one)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*torchrun, "-m", "finetune", "train", str(two)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("adapter in") == 1
    verify(two / "adapter", identify(str(tiny_base)), max_lora_rank=16)
    for name in ("loss", "validation_loss"):
        assert losses(two, name) == pytest.approx(losses(one, name), rel=1e-3)


def losses(run_dir, name):
    lines = [json.loads(line) for line in (run_dir / "loss.jsonl").read_text().splitlines()]
    return {line["update"]: line[name] for line in lines if name in line}
