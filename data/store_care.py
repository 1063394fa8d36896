"""Care of the store: what it holds in numbers, whether it is sound, its backup, and what time erases."""

import sqlite3
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from data import migrations
from data.errors import BadFile
from data.store_chain import breaks
from data.store_connection import immediate, rows
from data.store_erasure import record_backup
from data.store_ledger import unfinished_runs
from data.store_suggestions import unfinished_suggestions, unposted_decisions


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
        "customer_safe_documents": _count(db, "documents where audience = 'customer_safe'"),
        "stale_documents": _count(db, "documents where stale_after < date('now')"),
        "chunks": _count(db, "chunks"),
        "runs": _count(db, "runs"),
        "adapters": _count(db, "adapters"),
        "gate_reports": _count(db, "gate_reports"),
        "promotions": _count(db, "promotions"),
    }


def pending(db: Database) -> dict[str, int]:
    """Rows that somebody still has to finish."""
    return {
        "suggestions": len(unfinished_suggestions(db)),
        "replies": len(unposted_decisions(db)),
        "runs": len(unfinished_runs(db)),
    }


def schema_version(db: Database) -> int:
    """The number of migrations that the file has."""
    return len(migrations.migrations.applied(db))


def ailments(db: Database) -> list[str]:
    """What is wrong with the file, one line each; empty when it is sound."""
    checks = (
        ("pragma integrity_check", lambda found: found["integrity_check"] != "ok"),
        ("pragma foreign_key_check", lambda found: True),
    )
    try:
        wrong = [
            f"{check.removeprefix('pragma ')}: {', '.join(str(value) for value in found.values())}"
            for check, is_wrong in checks
            for found in rows(db, check)
            if is_wrong(found)
        ]
        for index in ("chunks_fts", "examples_fts"):
            db.execute(f"insert into {index} ({index}) values ('integrity-check')")
        wrong += breaks(db)
    except sqlite3.DatabaseError as error:
        return [str(error)]
    return wrong


def backup(db: Database, path: Path) -> int:
    """Write a whole copy of the database while others use it; returns its size in bytes. Raises BadFile."""
    if path.exists():
        raise BadFile(f"{path} exists already: name a file that does not.")
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)
        db.conn.execute("vacuum into ?", [str(partial)])
        partial.rename(path)
        record_backup(db, str(path.resolve()))
    except (OSError, sqlite3.OperationalError) as error:
        raise BadFile(f"The backup {path} cannot be written: {error}.") from error
    return path.stat().st_size


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
        of_old = "suggestion_id in (select id from suggestions where created_at < :before)"
        # A comment may quote the text, and a hash tells whether it was a text that one has.
        db.execute(f"update rating_comments set text = null where {of_old}", bound)
        db.execute(f"update ratings set seen_sha256 = null where {of_old}", bound)
        db.execute(f"update drafted_from set said = null where {of_old}", bound)
        db.execute(
            """
            update written_cases set before_text = null, after_text = null
            where created_at < :before
               or pair_id in (select id from suggestions where created_at < :before)
               or pair_id in (select id from history_pairs where imported_at < :before)
            """,
            bound,
        )
        db.execute(
            """
            update gate_reports set report = json_set(report, '$.worse', json((
                select json_group_array(json(iif(
                    gate_reports.created_at < :before
                    or worse.value ->> 'pair_id' in (select id from suggestions where created_at < :before)
                    or worse.value ->> 'pair_id' in (select id from history_pairs where imported_at < :before),
                    json_remove(worse.value, '$.text', '$.before', '$.after'), worse.value
                ))) from json_each(gate_reports.report, '$.worse') worse
            )))
            where json_type(report, '$.worse') = 'array' and instr(report, '"text"') > 0
            """,
            bound,
        )
        db.execute("update history_pairs set messages = null, target = null where imported_at < :before", bound)
        db.execute("delete from known_names where seen_at < :before", bound)
        db.execute("delete from viewed where changed_at < unixepoch(:before)", bound)
    # The write-ahead log still holds the old pages until it is emptied.
    db.conn.execute("pragma wal_checkpoint(truncate)").fetchall()
    return count


def _count(db: Database, source: str) -> int:
    return int(db.execute(f"select count(*) from {source}").fetchone()[0])


def _counts_by(db: Database, source: str, column: str, values: tuple[str, ...]) -> dict[str, int]:
    found = rows(db, f"select {column} as value, count(*) as rows from {source} group by {column}")
    return dict.fromkeys(values, 0) | {one["value"]: one["rows"] for one in found}
