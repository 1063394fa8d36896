"""The starter's training itself: a killed run goes on exactly, and the heads that read stay as they are (`make soak`).

Without bfloat16 torch's Muon takes half a minute for an update: twelve minutes in all.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import test_pretrain
import torch
from transformers import LlamaForCausalLM

from finetune.pretrain import new_model, optimizers_for
from finetune.reading_heads import HEADS, HELD
from serving.settings import STARTER

dialogues, tokenizer = test_pretrain.dialogues, test_pretrain.tokenizer


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
