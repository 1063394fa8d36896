"""That what a night is scored on in a backtest was said after everything that it learned from: checked, not hoped."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from data.errors import NightError
from data.history import thread_of
from finetune.backtest_parts import Old
from finetune.run_directory import DATASET, read_lines
from finetune.split_check import LeakedThreads

SIDES = ("train.jsonl", "validation.jsonl", "held_out.jsonl", "preferences.jsonl", "thumbs.jsonl")
"""Held-out threads too: the gate chose by them."""


class LearnedFromLater(NightError):
    """A night knew conversations that were not over when those began by which it is judged."""

    def __init__(self, threads: Iterable[str]) -> None:
        found = sorted(threads)
        super().__init__(
            f"The night learned from {len(found)} conversations that are not older than those it is scored on, "
            f"{found[0]} among them: its figures would mean nothing; check what wrote them."
        )


def threads_of(run_dir: Path) -> set[str]:
    """The threads of a frozen dataset, on whatever side; none where a night was skipped."""
    files = [run_dir / DATASET / side for side in SIDES]
    lines = (line for file in files if file.exists() for line in read_lines(file))
    return {line.get("pair", line)["thread_id"] for line in lines}


def expect_unseen(known: set[str], played: Sequence[Old], scored: Sequence[Old]) -> None:
    """`known` are the threads of a night's dataset, `played` what had been said until then, `scored` what came after.

    Raises LeakedThreads where one of `known` is scored, and LearnedFromLater where one was not played yet or was closed
    after one that is scored.
    """
    if leaked := known & {thread_of(one.conversation) for one in scored}:
        raise LeakedThreads(leaked)
    closed = {thread_of(one.conversation): one.conversation.closed_at for one in played}
    first = min((one.conversation.closed_at for one in scored if one.conversation.closed_at), default=None)
    # Without a closing time the file's order is the order.
    later = {thread for thread in known & closed.keys() if first and (closed[thread] or "") > first}
    later |= known - closed.keys()
    if later:
        raise LearnedFromLater(later)
