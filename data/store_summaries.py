"""Summaries: what each has read, where its lines come from, and the one that an agent kept."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlite_utils import Database

from data.models import Suggestion
from data.store_connection import immediate, row, rows
from data.store_suggestions import suggestion


@dataclass(frozen=True)
class KeptSummary:
    """A summary that somebody accepted or edited, with the ts of the newest message that it speaks of."""

    suggestion_id: str
    thread_id: str
    text: str
    kept_by: str
    kept_at: str
    read_until: str
    base: str
    adapter: str


@dataclass(frozen=True)
class SummaryEdit:
    """What the model had drafted, and what an agent kept in its place."""

    suggestion_id: str
    draft: str
    text: str
    edited_by: str


def record_reading(
    db: Database, suggestion_id: str, *, span: str, read_until: str, sources: Mapping[int, str], thread_id: str = ""
) -> None:
    """Store what a summary has read (`span` is empty for a thread) and each line's message. The first time counts.

    `thread_id`: that of the summary which this one goes on from. Its text is in this one's prompt, so both are held
    out or neither.
    """
    with immediate(db):
        cursor = db.execute(
            "insert into summaries (suggestion_id, span, read_until) values (?, ?, ?) on conflict do nothing",
            [suggestion_id, span, read_until],
        )
        if cursor.rowcount != 1:
            return
        db.conn.executemany(
            "insert into summary_sources (suggestion_id, line, message_ts) values (?, ?, ?)",
            [(suggestion_id, line, ts) for line, ts in sources.items()],
        )
        if thread_id:
            db.execute("update suggestions set thread_id = ? where id = ?", [thread_id, suggestion_id])


def record_kept(db: Database, suggestion_id: str, kept: KeptSummary) -> Suggestion:
    """Nothing new was said: the text that was kept is the draft. There is no prompt, so it makes no pair."""
    with immediate(db):
        cursor = db.execute(
            """
            update suggestions set state = 'drafted', draft = ?, base = ?, adapter = ?
            where id = ? and state = 'requested'
            """,
            [kept.text, kept.base, kept.adapter, suggestion_id],
        )
        if cursor.rowcount == 1:
            db.execute(
                "insert into suggestion_sources (suggestion_id, pair_id) values (?, ?)",
                [suggestion_id, kept.suggestion_id],
            )
        return suggestion(db, suggestion_id)


def kept_summary(
    db: Database, *, team_id: str, channel_id: str, thread_ts: str | None, span: str
) -> KeptSummary | None:
    """The newest accepted or edited summary of this thread, or of this span of the channel.

    One that a supervisor rated down, or whose text was erased, is not gone on from.
    """
    found = row(
        db,
        """
        select s.id as suggestion_id, s.thread_id, d.text, d.decided_by as kept_by, d.created_at as kept_at,
               read.read_until, s.base, s.adapter
        from decisions d
        join suggestions s on s.id = d.suggestion_id
        join summaries read on read.suggestion_id = s.id
        where s.team_id = ? and s.channel_id = ? and s.thread_ts is ? and read.span = ?
          and d.kind in ('accepted', 'edited') and trim(d.text) <> ''
          and not exists (
              select 1 from newest_ratings r
              where r.suggestion_id = s.id and r.role = 'supervisor' and r.value = -1
          )
        order by d.created_at desc, d.rowid desc limit 1
        """,
        [team_id, channel_id, thread_ts, span],
    )
    return KeptSummary(**found) if found else None


def edits(db: Database, suggestion_id: str) -> list[SummaryEdit]:
    """The edits of a summary and of those that it went on from, oldest first."""
    found = rows(
        db,
        """
        with recursive chain (id) as (
            select ?
            union
            select earlier.id from chain
            join suggestions s on s.id = chain.id
            join suggestion_sources used on used.suggestion_id = s.id
            join suggestions earlier on earlier.id = used.pair_id and earlier.team_id = s.team_id
                and earlier.channel_id = s.channel_id and earlier.thread_ts is s.thread_ts
            join summaries read on read.suggestion_id = earlier.id
        )
        select s.id as suggestion_id, s.draft, d.text, d.decided_by as edited_by from chain
        join suggestions s on s.id = chain.id join decisions d on d.suggestion_id = s.id
        where d.kind = 'edited' and d.text is not null and s.draft is not null
        order by d.created_at, d.rowid
        """,
        [suggestion_id],
    )
    return [SummaryEdit(**one) for one in found]


def source_lines(db: Database, suggestion_id: str) -> dict[int, str]:
    """Line of the draft → ts of the message that it comes from."""
    found = rows(
        db, "select line, message_ts from summary_sources where suggestion_id = ? order by line", [suggestion_id]
    )
    return {one["line"]: one["message_ts"] for one in found}
