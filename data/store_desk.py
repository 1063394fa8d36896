"""What the desk asks the store beside its rows: was this done before, who is still to be asked, which sources."""

from sqlite_utils import Database

from data.models import Decision
from data.store_connection import row, rows


def request_known(db: Database, key: str) -> bool:
    """Was this key remembered (store.remember_request)?"""
    return row(db, "select 1 from request_keys where key = ?", [key]) is not None


def unreviewed_decisions(db: Database, *, since: str) -> list[Decision]:
    """Replies posted or dismissed since then, whose review message is not remembered as `review/ID`."""
    found = rows(
        db,
        """
        select d.* from decisions d
        join suggestions s on s.id = d.suggestion_id and s.task = 'reply' and s.draft is not null
        where (d.posted_ts is not null or d.kind = 'dismissed') and d.created_at >= ?
          and not exists (select 1 from request_keys k where k.key = 'review/' || d.suggestion_id)
        order by d.created_at, d.rowid
        """,
        [since],
    )
    return [Decision(**one) for one in found]


def source_titles(db: Database, suggestion_id: str) -> list[str]:
    """The titles of the passages in a suggestion's prompt, in their order there."""
    found = rows(
        db,
        """
        select coalesce(c.title, 'an article that was replaced since') as title
        from suggestion_sources s
        left join cited_chunks c on c.id = s.chunk_id
        where s.suggestion_id = ? and s.chunk_id is not null
        order by s.rowid
        """,
        [suggestion_id],
    )
    return [str(one["title"]) for one in found]
