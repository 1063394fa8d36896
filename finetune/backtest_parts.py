"""Old conversations in the order of their time: one part that no night trains on, and a slice for each night. Pure."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tqdm import tqdm

from data.errors import BadFile, NightError
from data.exports.records import Record, Unusable, read_records
from data.history import BadConversation, Conversation, conversation_of, replies

log = logging.getLogger(__name__)

FINAL_SHARE = 0.2
"""Of the conversations, the newest: scored after every night, learned from by none."""
FEWEST = 20
"""Conversations with a reply to score. With fewer, an interval says nothing."""


class TooFewConversations(NightError):
    """A file with less to play than a backtest needs."""

    def __init__(self, path: Path, found: int, needed: int, nights: int) -> None:
        super().__init__(
            f"{path} holds {found} conversations in which an agent answers a customer, and a backtest of {nights} "
            f"{'night' if nights == 1 else 'nights'} needs {needed}: give a file with more of them."
        )


@dataclass(frozen=True)
class Old:
    """A closed conversation. `kinds` says, by a turn's position, what the file tells of it under the key asked for."""

    conversation: Conversation
    kinds: dict[int, str]


@dataclass(frozen=True)
class Parts:
    """What each night newly learns from, and what is scored after each. `slices[n]` is the day before night n + 1."""

    slices: list[list[Old]]
    final: list[Old]
    skipped: int
    repeated: int


def read_parts(path: Path, *, nights: int, by: str | None = None) -> Parts:
    """Read a file and cut it. Raises BadFile and TooFewConversations.

    A conversation that says the very same as an earlier one, or has its id, is left out: on both sides of the cut it
    would be known before it is scored.
    """
    kept: list[Old] = []
    ids: set[str] = set()
    texts: set[tuple[str, ...]] = set()
    skipped = repeated = 0
    records = read_records(path)
    for record in tqdm(records.found, total=records.total, unit=" records", leave=False, disable=None):
        try:
            found = conversation_of(record)
        except BadConversation as reason:
            log.warning("%s: %s skipped: %s", path.name, record.place, reason)
            skipped += 1
            continue
        said = tuple(f"{one.turn.speaker} {one.turn.text}" for one in found.turns)
        if found.id in ids or said in texts:
            repeated += 1
            continue
        ids.add(found.id)
        texts.add(said)
        if replies(found):
            kept.append(Old(found, _kinds(record, by)))
    if not ids:
        raise BadFile(
            f'{path} holds no conversation: each line must be {{"id": …, "turns": [{{"role", "text"}}]}}, '
            "or the file one that `python -m data import-history` reads."
        )
    needed = max(FEWEST, 2 * nights)
    if len(kept) < needed:
        raise TooFewConversations(path, len(kept), needed, nights)
    final = round(len(kept) * FINAL_SHARE)
    ordered = in_order(kept)
    return Parts(slices(ordered[:-final], nights), ordered[-final:], skipped, repeated)


def in_order(found: Sequence[Old]) -> list[Old]:
    """By `closed_at`; one without it stays behind the one before it in the file."""
    times: list[str] = []
    for one in found:
        times.append(one.conversation.closed_at or (times[-1] if times else ""))
    return [found[at] for at in sorted(range(len(found)), key=lambda at: times[at])]


def slices(found: Sequence[Old], count: int) -> list[list[Old]]:
    """So many runs of about the same length, in order."""
    bounds = [round(len(found) * n / count) for n in range(count + 1)]
    return [list(found[first:end]) for first, end in pairwise(bounds)]


def _kinds(record: Record | Unusable, by: str | None) -> dict[int, str]:
    """Positions as in the conversation, which has no empty turns."""
    if by is None or isinstance(record, Unusable):
        return {}
    said = [turn for turn in record.value["turns"] if turn["text"].strip()]
    return {at: str(turn[by]) for at, turn in enumerate(said) if turn.get(by) is not None}
