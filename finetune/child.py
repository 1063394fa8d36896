"""The training as a child process: its memory goes with it, and it never outlives the night that started it."""

import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from data.errors import TrainingFailed
from finetune.run_directory import ADAPTER


def train_in_a_process_of_its_own(run_dir: Path, threads: int, environment: Mapping[str, str]) -> None:
    """Run `python -m finetune train` to its end and pass its progress on. Raises TrainingFailed with its last words."""
    last: deque[str] = deque(maxlen=1)
    child = subprocess.Popen(
        [sys.executable, "-m", "finetune", "train", str(run_dir), "--leashed"],
        env={**environment, "OMP_NUM_THREADS": str(threads)},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    with child:
        assert child.stderr is not None
        try:
            for line in child.stderr:
                print(line, end="", file=sys.stderr, flush=True)
                if line.strip():
                    last.append(line.strip())
        except BaseException:
            child.kill()
            raise
    if child.returncode < 0:
        raise TrainingFailed(
            f"The training process was ended by {signal.Signals(-child.returncode).name}: "
            "if memory ran out, set a lower TOKENS_PER_PASS or MAX_LENGTH."
        )
    if child.returncode > 0:
        raise TrainingFailed(" ".join(last) or f"The training process ended with status {child.returncode}.")
    if not (run_dir / ADAPTER).is_dir():
        raise TrainingFailed(f"The training process ended and left no adapter in {run_dir}.")


def end_with_parent() -> None:
    """End this process when its standard input closes: the parent holds the other end, so its kill -9 counts too."""

    def wait() -> None:
        while os.read(0, 1024):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
