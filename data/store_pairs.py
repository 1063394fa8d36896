"""What learning reads: pairs, preference pairs, few-shot examples, and imported history."""

import hashlib
import json
from collections.abc import Iterable

from sqlite_utils import Database

from data import query
from data.models import Example, HistoryPair, Pair, PreferencePair, Task
from data.prompts import asked_thread
from data.store_connection import clean, dumps, immediate, now, row, rows, see_thread
from data.store_suggestions import index_example

CANDIDATES = 50
"""Full-text hits looked at before consent, held-out threads and the asking thread are taken out."""


def training_pairs(db: Database) -> list[Pair]:
    """Every pair that may be learned from or judged by, oldest first, held-out threads included."""
    found = rows(db, "select * from training_pairs order by created_at, thread_id, id")
    return [Pair(**(one | {"messages": json.loads(one["messages"])})) for one in found]


def team_threads(db: Database, team: str) -> set[str]:
    """The threads of one team: a Slack workspace, or what imported conversations name so."""
    return {one["id"] for one in rows(db, "select id from threads where team_id = ?", [team])}


def pairs_by_team(db: Database) -> dict[str, int]:
    """How many pairs may be learned from each team's threads, held-out ones left aside; without those of no team."""
    found = rows(
        db,
        """
        select t.team_id as team, count(*) as pairs from training_pairs p join threads t on t.id = p.thread_id
        where t.held_out = 0 and t.team_id <> '' group by t.team_id order by t.team_id
        """,
    )
    return {one["team"]: one["pairs"] for one in found}


def preference_pairs(db: Database) -> list[PreferencePair]:
    """Every edit as a chosen and a rejected text, oldest first, held-out threads included."""
    found = rows(db, "select * from preference_pairs order by created_at, thread_id, id")
    return [PreferencePair(**(one | {"messages": json.loads(one["messages"])})) for one in found]


def accepted_examples(
    db: Database,
    task: Task,
    *,
    text: str,
    limit: int = 2,
    exclude_thread: str | None = None,
    channel_id: str | None = None,
    until: str | None = None,
) -> list[Example]:
    """The pairs whose threads are most like `text`, best first; at most one of a thread, none held out.

    `channel_id`: only what was said in this channel, so nothing of imported history either. `until`: only what was
    decided by then (ISO 8601, UTC).
    """
    expression = query.any_of(text)
    if not expression:
        return []
    hits = rows(
        db,
        "select pair_id from examples_fts where examples_fts match ? and task = ? order by rank limit ?",
        [expression, task, CANDIDATES],
    )
    place = {hit["pair_id"]: n for n, hit in enumerate(hits)}
    # Two steps: as one query SQLite walks the whole view (480 ms against 10 with 12,000 pairs).
    found = rows(
        db,
        """
        select p.id, p.thread_id, p.messages, p.target
        from training_pairs p join threads t on t.id = p.thread_id
        where p.id in (select value from json_each(?)) and t.held_out = 0 and p.thread_id is not ?
          and (? is null or t.channel_id = ?) and (? is null or p.created_at <= ?)
        """,
        [dumps(list(place)), exclude_thread, channel_id, channel_id, until, until],
    )
    best: dict[str, Example] = {}
    for one in sorted(found, key=lambda one: place[one["id"]]):
        best.setdefault(one["thread_id"], Example(one["id"], asked_thread(json.loads(one["messages"])), one["target"]))
    return list(best.values())[:limit]


def thread_known(db: Database, thread_id: str) -> bool:
    """Whether this thread was seen before."""
    return row(db, "select 1 from threads where id = ?", [thread_id]) is not None


def record_history(
    db: Database, thread_id: str, *, team_id: str, created_at: str, pairs: Iterable[HistoryPair]
) -> tuple[bool, list[HistoryPair]]:
    """Store a closed ticket's pairs; those known already stay as they are. Returns held out?, and what was new."""
    with immediate(db):
        held_out = see_thread(db, thread_id, source="history", team_id=team_id)
        return held_out, [pair for pair in pairs if _insert_history_pair(db, thread_id, created_at, pair)]


def _insert_history_pair(db: Database, thread_id: str, created_at: str, pair: HistoryPair) -> bool:
    pair_id = hashlib.sha256(clean(f"{thread_id}\n{pair.task}\n{pair.position}").encode()).hexdigest()[:32]
    cursor = db.execute(
        """
        insert into history_pairs (id, thread_id, position, task, messages, target, created_at, imported_at)
        values (?, ?, ?, ?, ?, ?, ?, ?)
        on conflict do nothing
        """,
        [pair_id, thread_id, pair.position, pair.task, dumps(pair.messages), clean(pair.target), created_at, now()],
    )
    if cursor.rowcount != 1:
        return False
    index_example(db, pair_id, pair.task, pair.messages)
    return True
