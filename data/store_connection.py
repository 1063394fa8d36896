"""Open the store, migrate it, and write to it in transactions that other processes respect."""

import hashlib
import json
import re
import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from sqlite_utils import Database

from data import migrations
from data.errors import DatabaseBusy, DatabaseUnusable

HELD_OUT_SHARE = 0.15
"""Of the threads, kept for the gate (finetuning.md: about 15 %, at least 100 threads)."""
EARLY_HELD_OUT_SHARE, EARLY_HELD_OUT_THREADS = 1 / 3, 120
"""Of the first threads more, until so many are: no verdict without 100, and 15 % would be 100 after 670 threads."""
BUSY_SECONDS = 10.0

UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def connect(path: Path | str) -> Database:
    """Open the database, making or migrating it when needed. Raises DatabaseTooNew and DatabaseUnusable.

    One connection belongs to one thread at a time: a transaction must not span an `await`.
    """
    return connect_and_migrate(path)[0]


def connect_and_migrate(path: Path | str) -> tuple[Database, list[str]]:
    """The open database, and the names of the migrations that were applied to it."""
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # isolation_level None: only `immediate` begins a transaction, never the driver behind our back.
        conn = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise DatabaseUnusable(str(path), str(error)) from error
    try:
        db = Database(conn)
        migrations.refuse_newer(db, path)
        _configure(db)
        applied = migrate(db)
    except sqlite3.DatabaseError as error:
        conn.close()
        raise DatabaseUnusable(str(path), str(error)) from error
    except BaseException:
        conn.close()
        raise
    return db, applied


def migrate(db: Database) -> list[str]:
    """Apply pending migrations and return their names; two processes may try at once."""
    if not migrations.migrations.pending(db):
        return []
    with immediate(db):
        return migrations.apply(db)


@contextmanager
def immediate(db: Database) -> Iterator[None]:
    """A transaction that holds the write lock from its start, so what it read is still true when it writes.

    An inner one joins the outer: nothing is durable before the outer ends. Raises DatabaseBusy.
    """
    if db.conn.in_transaction:
        yield
        return
    try:
        db.conn.execute("begin immediate")
    except sqlite3.OperationalError as error:
        # The low byte is the code, the rest tells its kind.
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        raise DatabaseBusy() from error
    try:
        yield
    except BaseException:
        db.rollback()
        raise
    try:
        db.conn.execute("commit")
    except BaseException:
        db.rollback()
        raise


def rows(db: Database, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> list[dict[str, Any]]:
    """All rows of a select, as dictionaries."""
    cursor = db.conn.execute(sql, parameters)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, values, strict=True)) for values in cursor]


def row(db: Database, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> dict[str, Any] | None:
    """The first row of a select, or None."""
    found = rows(db, sql, parameters)
    return found[0] if found else None


def now() -> str:
    """UTC, ISO 8601, always with microseconds: texts that sort as times do."""
    return iso(datetime.now(UTC))


def iso(time: datetime) -> str:
    """A time as the store writes it; one without a zone is taken as UTC."""
    aware = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    return aware.isoformat(timespec="microseconds")


def new_id() -> str:
    """A fresh id."""
    return uuid.uuid4().hex


def clean(text: str) -> str:
    """The text without what SQLite cannot keep: NUL and halves of surrogate pairs."""
    return UNSTORABLE.sub("\ufffd", text)


def dumps(value: object) -> str:
    """JSON as the store keeps it."""
    return clean(json.dumps(value, ensure_ascii=False))


def salt(db: Database) -> str:
    """The random text, made once per database, that the choice of held-out threads hangs on."""
    return str(db.execute("select value from meta where key = 'salt'").fetchone()[0])


def thread_id_of(team_id: str, channel_id: str, thread_ts: str) -> str:
    """The id of a Slack thread."""
    return f"{team_id}/{channel_id}/{thread_ts}"


def see_thread(
    db: Database,
    thread_id: str,
    *,
    source: Literal["slack", "history"],
    team_id: str = "",
    channel_id: str = "",
    thread_ts: str = "",
) -> bool:
    """Whether the thread is held out. Decided when it is first seen, and never again."""
    with immediate(db):
        if known := row(db, "select held_out from threads where id = ?", [thread_id]):
            return bool(known["held_out"])
        held_out = _place(salt(db), thread_id) < _held_out_share(db)
        db.execute(
            """
            insert into threads (id, source, team_id, channel_id, thread_ts, held_out, created_at)
            values (?, ?, ?, ?, ?, ?, ?)
            """,
            [thread_id, source, team_id, channel_id, thread_ts, held_out, now()],
        )
        return held_out


def held_out_threads(db: Database) -> set[str]:
    """The threads that only the gate may read."""
    return {found["id"] for found in rows(db, "select id from threads where held_out = 1")}


def remember_request(db: Database, key: str) -> bool:
    """True the first time a key is seen: for writes that have no unique key of their own."""
    with immediate(db):
        cursor = db.execute(
            "insert into request_keys (key, created_at) values (?, ?) on conflict (key) do nothing", [key, now()]
        )
        return cursor.rowcount == 1


def _held_out_share(db: Database) -> float:
    """Of the threads that come now."""
    kept = f"select 1 from threads where held_out = 1 limit {EARLY_HELD_OUT_THREADS}"
    found = db.execute(f"select count(*) from ({kept})").fetchone()[0]
    return EARLY_HELD_OUT_SHARE if found < EARLY_HELD_OUT_THREADS else HELD_OUT_SHARE


def _place(salt: str, thread_id: str) -> float:
    """A number in [0, 1) that hangs on the database and the thread."""
    digest = hashlib.sha256((salt + thread_id).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _configure(db: Database) -> None:
    db.enable_wal()
    db.execute("pragma foreign_keys = on")
    # An acked request must outlive a power cut too, and a person's clicks are few: each commit is flushed.
    db.execute("pragma synchronous = full")
    # What purge blanks must not linger in free pages.
    db.execute("pragma secure_delete = on")
