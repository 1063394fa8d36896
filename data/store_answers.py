"""Answers in a thread: what was asked and answered there before, and how far a streamed answer has come."""

from dataclasses import dataclass

from sqlite_utils import Database

from data.models import Audience, Suggestion, Turn
from data.store_connection import immediate, now, row, rows

STREAM = "select st.suggestion_id, st.channel_id, st.thread_ts, st.ts, st.created_at from streams st"


@dataclass(frozen=True)
class Stream:
    """A message that grows in Slack. `ts` is None while it is not known whether Slack has begun it."""

    suggestion_id: str
    channel_id: str
    thread_ts: str
    ts: str | None
    created_at: str


@dataclass(frozen=True)
class CitedPassage:
    """A passage in a suggestion's prompt, and what is known of its document; of one that is gone, only its text."""

    chunk_id: int
    title: str
    text: str
    audience: Audience
    url: str | None
    stale_after: str | None

    @property
    def is_stale(self) -> bool:
        """Has its last day passed?"""
        return self.stale_after is not None and self.stale_after < now()[:10]


def cited_passages(db: Database, suggestion_id: str) -> list[CitedPassage]:
    """The passages in a suggestion's prompt, in their order there: the nth is what `[n]` names."""
    found = rows(
        db,
        """
        select c.id as chunk_id, c.title, c.text, coalesce(d.audience, 'internal') as audience, d.url, d.stale_after
        from suggestion_sources s join cited_chunks c on c.id = s.chunk_id
        left join documents d on d.id = c.document_id
        where s.suggestion_id = ? order by s.rowid
        """,
        [suggestion_id],
    )
    return [CitedPassage(**one) for one in found]


def record_opening(db: Database, suggestion_id: str, chunk_id: int = 0) -> None:
    """Somebody had all of an answer and its passages shown; with `chunk_id`, opened that passage's article."""
    db.execute(
        """
        insert into source_openings (suggestion_id, chunk_id, created_at) values (?, ?, ?)
        on conflict (suggestion_id, chunk_id) do nothing
        """,
        [suggestion_id, chunk_id, now()],
    )


def earlier_turns(db: Database, suggestion: Suggestion, *, limit: int) -> list[Turn]:
    """The newest `limit` questions of this thread that were answered before, each with its answer, oldest first."""
    found = rows(
        db,
        """
        select s.request ->> 'text' as question, s.draft from suggestions s
        where s.task = 'answer' and s.state = 'shown' and s.draft is not null and s.request ->> 'text' <> ''
          and s.team_id = ? and s.channel_id = ? and s.thread_ts = ? and s.created_at < ?
        order by s.created_at desc, s.rowid desc limit ?
        """,
        [suggestion.team_id, suggestion.channel_id, suggestion.thread_ts, suggestion.created_at, limit],
    )
    return [
        turn for one in reversed(found) for turn in (Turn("customer", one["question"]), Turn("agent", one["draft"]))
    ]


def expect_stream(db: Database, suggestion: Suggestion) -> None:
    """A message is about to be begun in Slack: written before, so that a crash leaves none behind unnoticed."""
    with immediate(db):
        db.execute(
            """
            insert into streams (suggestion_id, channel_id, thread_ts, created_at) values (?, ?, ?, ?)
            on conflict (suggestion_id) do nothing
            """,
            [suggestion.id, suggestion.channel_id, suggestion.thread_ts, now()],
        )


def record_stream(db: Database, suggestion_id: str, ts: str) -> bool:
    """Slack has begun it as this message. False: that message is another suggestion's."""
    cursor = db.execute(
        """
        update streams set ts = :ts
        where suggestion_id = :suggestion_id and ts is null
          and not exists (select 1 from streams s where s.channel_id = streams.channel_id and s.ts = :ts)
        """,
        {"ts": ts, "suggestion_id": suggestion_id},
    )
    return cursor.rowcount == 1


def record_stream_end(db: Database, suggestion_id: str) -> None:
    """It is whole, or says that it is not."""
    db.execute("update streams set ended_at = ? where suggestion_id = ? and ended_at is null", [now(), suggestion_id])


def open_stream(db: Database, suggestion_id: str) -> Stream | None:
    """The message of this suggestion that may be half written."""
    found = row(db, f"{STREAM} where st.suggestion_id = ? and st.ended_at is null", [suggestion_id])
    return Stream(**found) if found else None


def abandoned_streams(db: Database) -> list[Stream]:
    """Messages that nobody writes any more and that may be half written."""
    found = rows(
        db,
        f"""
        {STREAM} join suggestions s on s.id = st.suggestion_id
        where st.ended_at is null and s.state in ('failed', 'shown') order by st.created_at
        """,
    )
    return [Stream(**one) for one in found]


def known_streams(db: Database, channel_id: str) -> set[str]:
    """The ts of every message in this channel that was ever streamed."""
    found = rows(db, "select ts from streams where channel_id = ? and ts is not null", [channel_id])
    return {one["ts"] for one in found}
