"""What learning reads: pairs, preference pairs, few-shot examples, imported history, and what time erases."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

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


def preference_pairs(db: Database) -> list[PreferencePair]:
    """Every edit as a chosen and a rejected text, oldest first, held-out threads included."""
    found = rows(db, "select * from preference_pairs order by created_at, thread_id, id")
    return [PreferencePair(**(one | {"messages": json.loads(one["messages"])})) for one in found]


def accepted_examples(
    db: Database, task: Task, *, text: str, limit: int = 2, exclude_thread: str | None = None
) -> list[Example]:
    """The pairs whose threads are most like `text`, best first; none from a held-out thread or the asking one."""
    expression = query.any_of(text)
    if not expression:
        return []
    found = rows(
        db,
        """
        with hits as (
            select pair_id, bm25(examples_fts) as rank
            from examples_fts
            where examples_fts match ? and task = ?
            order by rank limit ?
        )
        select p.id, p.messages, p.target
        from training_pairs p
        join hits h on h.pair_id = p.id
        join threads t on t.id = p.thread_id
        where p.id in (select pair_id from hits)
          and t.held_out = 0 and p.thread_id is not ?
        order by h.rank, p.created_at desc limit ?
        """,
        [expression, task, CANDIDATES, exclude_thread, limit],
    )
    return [Example(one["id"], asked_thread(json.loads(one["messages"])), one["target"]) for one in found]


def history_thread_known(db: Database, thread_id: str) -> bool:
    """Whether this conversation was imported before."""
    return row(db, "select 1 from threads where id = ?", [thread_id]) is not None


def record_history(
    db: Database, thread_id: str, *, team_id: str, closed_at: str, pairs: Iterable[HistoryPair]
) -> tuple[bool, list[HistoryPair]]:
    """Store a closed ticket's pairs; those known already stay as they are. Returns held out?, and what was new."""
    with immediate(db):
        held_out = see_thread(db, thread_id, source="history", team_id=team_id)
        return held_out, [pair for pair in pairs if _insert_history_pair(db, thread_id, closed_at, pair)]


def purge(db: Database, before: str) -> int:
    """Blank the texts of suggestions, their decisions and imported history from before a time (ISO text).

    Ids, kinds, ratings and times stay, so that counts and adapters' records stay true; the views skip blanked
    rows. History counts from its import, not from the ticket's closing. Returns the number of rows blanked.
    """
    with immediate(db):
        old = """
            select id from suggestions
            where created_at < :before and (messages is not null or draft is not null or request <> '{}')
        """
        old_history = "select id from history_pairs where imported_at < :before and target is not null"
        bound = {"before": before}
        count = sum(len(rows(db, select, bound)) for select in (old, old_history))
        db.execute(f"delete from examples_fts where pair_id in ({old} union {old_history})", bound)
        db.execute(
            """
            update decisions set text = null, reason = null
            where suggestion_id in (select id from suggestions where created_at < :before)
            """,
            bound,
        )
        db.execute(
            """
            update suggestions set state = 'failed', error = 'Nobody finished it before its text had to be erased.'
            where created_at < :before and state in ('requested', 'drafted')
            """,
            bound,
        )
        db.execute(
            """
            update suggestions set messages = null, draft = null, request = '{}'
            where created_at < :before
            """,
            bound,
        )
        db.execute("update history_pairs set messages = null, target = null where imported_at < :before", bound)
    # The write-ahead log still holds the old pages until it is emptied.
    db.conn.execute("pragma wal_checkpoint(truncate)").fetchall()
    return count


def _insert_history_pair(db: Database, thread_id: str, closed_at: str, pair: HistoryPair) -> bool:
    pair_id = hashlib.sha256(clean(f"{thread_id}\n{pair.task}\n{pair.position}").encode()).hexdigest()[:32]
    cursor = db.execute(
        """
        insert into history_pairs (id, thread_id, position, task, messages, target, created_at, imported_at)
        values (?, ?, ?, ?, ?, ?, ?, ?)
        on conflict do nothing
        """,
        [pair_id, thread_id, pair.position, pair.task, dumps(pair.messages), clean(pair.target), closed_at, now()],
    )
    if cursor.rowcount != 1:
        return False
    index_example(db, pair_id, pair.task, pair.messages)
    return True


def counts(db: Database) -> dict[str, Any]:
    """What the store holds, in numbers."""
    return {
        "threads": _count(db, "threads"),
        "held_out_threads": _count(db, "threads where held_out = 1"),
        "suggestions": _counts_by(db, "suggestions", "state", ("requested", "drafted", "shown", "failed")),
        "decisions": _counts_by(db, "decisions", "kind", ("accepted", "edited", "dismissed")),
        "ratings": _count(db, "newest_ratings where value <> 0"),
        "pairs": _counts_by(db, "training_pairs", "task", ("reply", "summary", "answer")),
        "preference_pairs": _count(db, "preference_pairs"),
        "history_pairs": _count(db, "history_pairs where target is not null"),
        "consented_channels": _count(db, "consented_channels"),
        "documents": _count(db, "documents"),
        "chunks": _count(db, "chunks"),
        "runs": _count(db, "runs"),
        "adapters": _count(db, "adapters"),
        "gate_reports": _count(db, "gate_reports"),
        "promotions": _count(db, "promotions"),
    }


def _count(db: Database, source: str) -> int:
    return int(db.execute(f"select count(*) from {source}").fetchone()[0])


def _counts_by(db: Database, source: str, column: str, values: tuple[str, ...]) -> dict[str, int]:
    found = rows(db, f"select {column} as value, count(*) as rows from {source} group by {column}")
    return dict.fromkeys(values, 0) | {one["value"]: one["rows"] for one in found}
