"""Closed conversations → pairs: what an agent wrote, under the prompt that serving would have sent."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import TypeVar, cast

from sqlite_utils import Database
from tqdm import tqdm

from data import store, store_names
from data.errors import BadFile
from data.exports.records import Record, Unusable, read_records
from data.models import HistoryPair, Speaker, Turn
from data.prompts import reply_messages, summary_messages
from data.search import customers_read, search
from data.store_connection import clean

log = logging.getLogger(__name__)

PASSAGES = 2
"""Passages in a reply's prompt: as many as the desk puts there."""
MOST_REPLIES = 50
"""Pairs of one ticket, spread evenly over it. Each holds the whole thread before it, so the pairs of 2,000 turns would
take 190 MB; and all those replies teach the manner of one thread's agents."""
COUNTS = ("conversations", "new", "known", "held_out", "reply", "summary", "left_out", "notes", "skipped")
BATCH = 200
"""Conversations per transaction: short enough that a bot at work never waits long for the write lock."""

T = TypeVar("T")


class BadConversation(ValueError):
    """Why one record is no conversation: whoever reads records passes it over."""


@dataclass(frozen=True)
class Said:
    """One turn of a closed conversation. What is not scored is context only."""

    turn: Turn
    scored: bool


@dataclass(frozen=True)
class Conversation:
    """One closed ticket."""

    id: str
    turns: list[Said]
    summary: str | None
    team: str
    closed_at: str | None
    names: frozenset[str] = frozenset()
    """Of those who wrote, where the file says so: kept to be masked."""


@dataclass(frozen=True)
class Reply:
    """What an agent wrote to what a customer had said last. `position` is that of its first turn."""

    position: int
    text: str
    customer_said: str


def import_history(db: Database, path: Path, *, progress: bool = False) -> dict[str, int]:
    """Store the pairs of every conversation in a file (see exports/records.py). Importing again changes nothing.

    Returns counts: conversations read, new and known ones, new held-out threads, new pairs by task, private notes and
    replies of conversations with more than MOST_REPLIES left out, records skipped. Raises BadFile when the file cannot
    be read or holds no conversation.
    """
    counts = dict.fromkeys(COUNTS, 0)
    batch: list[tuple[Conversation, str, list[HistoryPair]]] = []
    started = datetime.now(UTC)
    records = read_records(path)
    for record in tqdm(records.found, total=records.total, unit=" records", disable=None if progress else True):
        try:
            found = conversation_of(record)
        except BadConversation as reason:
            log.warning("%s: %s skipped: %s", path.name, record.place, reason)
            counts["skipped"] += 1
            continue
        counts["notes"] += record.notes
        time = time_of(found, started, counts["conversations"])
        counts["conversations"] += 1
        if left_out := max(0, len(replies(found)) - MOST_REPLIES):
            log.warning(
                "%s: ticket %s has %d replies, of which %d are kept, spread evenly",
                path.name,
                found.id,
                left_out + MOST_REPLIES,
                MOST_REPLIES,
            )
            counts["left_out"] += left_out
        batch.append((found, time, list(history_pairs(db, found))))
        if len(batch) == BATCH:
            _store(db, batch, counts)
            batch = []
    _store(db, batch, counts)
    if not counts["conversations"]:
        raise BadFile(
            f'{path} holds no conversation: each line must be {{"id": …, "turns": [{{"role", "text"}}]}}, '
            "or the file an export of Zendesk's or Intercom's, or a CSV with id, role and text."
        )
    return counts


def conversation_of(record: Record | Unusable) -> Conversation:
    """A record as a conversation; raises BadConversation."""
    if isinstance(record, Unusable):
        raise BadConversation(record.reason)
    return _conversation(record.value)


def history_pairs(db: Database, conversation: Conversation) -> Iterator[HistoryPair]:
    """A pair for each scored reply to a customer, or for MOST_REPLIES of them, and one for the summary."""
    turns = [said.turn for said in conversation.turns]
    for reply in spread(replies(conversation), MOST_REPLIES):
        passages = search(db, reply.customer_said, limit=PASSAGES, audience=customers_read(db))
        yield HistoryPair(reply.position, "reply", reply_messages(turns[: reply.position], passages), reply.text)
    if conversation.summary:
        yield HistoryPair(len(turns), "summary", summary_messages(turns), conversation.summary)


def replies(conversation: Conversation) -> list[Reply]:
    """Every scored reply to a customer.

    What an agent wrote in a row is one reply; before it stands one line per message, as the desk has it.
    """
    found = []
    customer_said = ""
    position = 0
    for (speaker, scored), row in groupby(conversation.turns, key=lambda said: (said.turn.speaker, said.scored)):
        texts = [said.turn.text for said in row]
        if speaker == "customer":
            customer_said = texts[-1]
        elif customer_said and scored:
            found.append(Reply(position, "\n".join(texts), customer_said))
        position += len(texts)
    return found


def spread(found: Sequence[T], most: int) -> Sequence[T]:
    """All of them, or so many at even distances, the first and the last among them."""
    if len(found) <= most:
        return found
    return [found[round(n * (len(found) - 1) / (most - 1))] for n in range(most)]


def time_of(conversation: Conversation, imported: datetime, place: int) -> str:
    """When it was closed; unknown, or not over yet by its own account, it takes its place in the file at the import.

    A date that is still to come would be the newest of all, beside which every other pair weighs a tenth.
    """
    closed_at, now = conversation.closed_at, store.iso(imported)
    return closed_at if closed_at and closed_at <= now else store.iso(imported + timedelta(microseconds=place))


def thread_of(conversation: Conversation) -> str:
    """The thread's id in the store."""
    return f"history/{conversation.id}"


def remember(
    db: Database, conversation: Conversation, pairs: Sequence[HistoryPair], *, time: str
) -> tuple[bool, list[HistoryPair]]:
    """Store a conversation's pairs and the names that it tells. Returns held out?, and what was new."""
    thread_id = thread_of(conversation)
    with store.immediate(db):
        found = store.record_history(db, thread_id, team_id=conversation.team, created_at=time, pairs=pairs)
        store_names.record_names(db, conversation.names, thread_id=thread_id)
    return found


def _store(db: Database, batch: list[tuple[Conversation, str, list[HistoryPair]]], counts: dict[str, int]) -> None:
    with store.immediate(db):
        for conversation, time, pairs in batch:
            known = store.thread_known(db, thread_of(conversation))
            held_out, new = remember(db, conversation, pairs, time=time)
            counts["known" if known else "new"] += 1
            counts["held_out"] += held_out and not known
            for pair in new:
                counts[pair.task] += 1


def _conversation(value: dict[str, object]) -> Conversation:
    if not isinstance(value.get("id"), (str, int)) or str(value["id"]).strip() == "":
        raise BadConversation('it has no "id"')
    summary, team = value.get("summary"), value.get("team")
    for key, text in (("summary", summary), ("team", team)):
        if text is not None and not isinstance(text, str):
            raise BadConversation(f'"{key}" is not a text')
    return Conversation(
        id=clean(str(value["id"])),
        turns=_turns(value.get("turns")),
        summary=cast(str | None, summary) or None,
        team=clean(cast(str | None, team) or ""),
        closed_at=_time(value.get("closed_at")),
        names=_names(value.get("turns")),
    )


def _turns(value: object) -> list[Said]:
    if not isinstance(value, list) or not value:
        raise BadConversation('it has no "turns"')
    turns = []
    for number, turn in enumerate(value, start=1):
        if not isinstance(turn, dict) or turn.get("role") not in ("customer", "agent"):
            raise BadConversation(f'turn {number} has no "role" that is customer or agent')
        if not isinstance(turn.get("text"), str):
            raise BadConversation(f'turn {number} has no "text"')
        if turn["text"].strip():
            speaker: Speaker = turn["role"]
            turns.append(Said(Turn(speaker, turn["text"].strip()), scored=turn.get("score") is not False))
    return turns


def _names(turns: object) -> frozenset[str]:
    found = (turn.get("name") for turn in turns if isinstance(turn, dict)) if isinstance(turns, list) else ()
    return frozenset(name for name in found if isinstance(name, str) and name.strip())


def _time(value: object) -> str | None:
    # An export writes an unknown time as null, or as an empty text.
    if value in (None, ""):
        return None
    try:
        if isinstance(value, str):
            return store.iso(datetime.fromisoformat(value))
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return store.iso(datetime.fromtimestamp(value, UTC))
    except (ValueError, OverflowError, OSError):
        pass
    raise BadConversation('"closed_at" is no ISO 8601 time and no number of seconds since 1970')
