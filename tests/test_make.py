"""What the make targets start, and with which environment; the set-up is taken for done."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with our Makefile, set up already, whose programs only say what they were started with."""
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copyfile(ROOT / name, tmp_path / name)
        os.utime(tmp_path / name, (time.time() - 60,) * 2)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    for program in ("python", "honcho"):
        stub = tmp_path / ".venv" / "bin" / program
        stub.write_text(f'#!/bin/sh\necho {program} "$@" "offline=$HF_HUB_OFFLINE"\n')
        stub.chmod(0o755)
    (tmp_path / ".venv" / "qlora").mkdir()
    (tmp_path / ".venv" / ".ready").touch()
    return tmp_path


def make(checkout: Path, target: str) -> subprocess.CompletedProcess[str]:
    outside = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    return subprocess.run(["make", "-s", target], cwd=checkout, env=outside, capture_output=True, text=True)


def test_the_demo_and_the_tests_ask_no_model_hub(checkout):
    assert make(checkout, "demo").stdout == "python -m bot.demo offline=1\n"
    assert make(checkout, "test").stdout.splitlines() == [
        "python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder offline=1",
        "python -m pytest tests/test_four_bits.py offline=1",
    ]


def test_the_real_thing_may_fetch_the_base_model_that_was_set(checkout):
    (checkout / ".env").touch()
    assert make(checkout, "run").stdout == "honcho start offline=\n"


def test_without_an_env_file_nothing_is_started_and_a_sentence_says_what_to_do(checkout):
    (checkout / ".venv" / ".ready").unlink()
    done = make(checkout, "run")
    assert done.returncode != 0
    assert done.stdout.splitlines() == [done.stdout.strip()]
    assert done.stdout.startswith("No .env here: copy .env.example to .env")
