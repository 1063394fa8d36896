"""Names of people that are known, for nothing but to be masked in what is learned from."""

from collections import defaultdict
from collections.abc import Iterable

from sqlite_utils import Database

from data.store_connection import clean, now, rows

EVERYWHERE = ""
"""In the place of a thread's id: people whom the bot has met in Slack."""


def record_names(db: Database, names: Iterable[str], *, thread_id: str = EVERYWHERE) -> None:
    """Remember the names of people who take part in a thread, or whom the bot has met."""
    time = now()
    db.conn.executemany(
        """
        insert into known_names (thread_id, name, seen_at) values (?, ?, ?)
        on conflict do update set seen_at = excluded.seen_at
        """,
        [(clean(thread_id), clean(name), time) for name in sorted(set(names)) if name.strip()],
    )


def known_names(db: Database) -> dict[str, frozenset[str]]:
    """The known names by thread; those of EVERYWHERE stand under its own key."""
    found: dict[str, set[str]] = defaultdict(set)
    for one in rows(db, "select thread_id, name from known_names"):
        found[one["thread_id"]].add(one["name"])
    return {thread: frozenset(names) for thread, names in found.items()}
