"""Events that were acked and wait for what only Slack can say: rows until they are settled, so a crash loses none."""

from dataclasses import dataclass
from typing import Literal

from sqlite_utils import Database

from data.store_connection import immediate, now, remember_request, row, rows


@dataclass(frozen=True)
class WaitingQuestion:
    """A customer's message for which no agent has been chosen yet. `thread_ts` is empty when it begins a thread."""

    request_key: str
    team_id: str
    channel_id: str
    message_ts: str
    thread_ts: str
    user_id: str
    created_at: str


@dataclass(frozen=True)
class WaitingThumb:
    """A thumb put on or taken off a message, by somebody of whom it is not known yet who they are."""

    request_key: str
    team_id: str
    channel_id: str
    message_ts: str
    user_id: str
    value: Literal[-1, 1]
    removed: bool
    reaction: str
    event_ts: str


def remember_question(
    db: Database, *, request_key: str, team_id: str, channel_id: str, message_ts: str, thread_ts: str, user_id: str
) -> bool:
    """Store that an agent is to be chosen for a message. False: this request came before."""
    with immediate(db):
        if not remember_request(db, request_key):
            return False
        db.execute(
            """
            insert into waiting_questions (
                request_key, team_id, channel_id, message_ts, thread_ts, user_id, created_at
            ) values (?, ?, ?, ?, ?, ?, ?)
            """,
            [request_key, team_id, channel_id, message_ts, thread_ts, user_id, now()],
        )
        return True


def forget_question(db: Database, request_key: str) -> None:
    """The choice for a message was made, or cannot be made any more."""
    db.execute("delete from waiting_questions where request_key = ?", [request_key])


def waiting_questions(db: Database) -> list[WaitingQuestion]:
    """The messages for which no agent has been chosen yet, oldest first."""
    return [WaitingQuestion(**one) for one in rows(db, "select * from waiting_questions order by created_at")]


def remember_thumb(
    db: Database,
    *,
    request_key: str,
    team_id: str,
    channel_id: str,
    message_ts: str,
    user_id: str,
    value: Literal[-1, 1],
    removed: bool,
    reaction: str,
    event_ts: str,
) -> bool:
    """Store that a thumb may become a rating. False: this request came before."""
    with immediate(db):
        if not remember_request(db, request_key):
            return False
        db.execute(
            """
            insert into waiting_thumbs (
                request_key, team_id, channel_id, message_ts, user_id, value, removed, reaction, event_ts, created_at
            ) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            [request_key, team_id, channel_id, message_ts, user_id, value, removed, reaction, event_ts, now()],
        )
        return True


def forget_thumb(db: Database, request_key: str) -> None:
    """A thumb is a rating now, or is none."""
    db.execute("delete from waiting_thumbs where request_key = ?", [request_key])


def waiting_thumbs(db: Database, channel_id: str | None = None) -> list[WaitingThumb]:
    """The thumbs that wait in this channel, or in all, in the order in which they came."""
    found = rows(
        db,
        """
        select request_key, team_id, channel_id, message_ts, user_id, value, removed, reaction, event_ts
        from waiting_thumbs
        where :channel is null or channel_id = :channel order by id
        """,
        {"channel": channel_id},
    )
    return [WaitingThumb(**(one | {"removed": bool(one["removed"])})) for one in found]


def stand(db: Database, thumb: WaitingThumb) -> Literal[-1, 0, 1] | None:
    """Store what became of a thumb, and return the newest of this person's that stand on the message; 0: none does.

    None: a newer event has told of this very reaction already.
    """
    with immediate(db):
        cursor = db.execute(
            """
            insert into standing_thumbs (channel_id, message_ts, user_id, reaction, value, removed, event_ts)
            values (?, ?, ?, ?, ?, ?, ?)
            on conflict (channel_id, message_ts, user_id, reaction) do update set
                removed = excluded.removed, event_ts = excluded.event_ts
            where excluded.event_ts >= standing_thumbs.event_ts
            """,
            [
                thumb.channel_id, thumb.message_ts, thumb.user_id, thumb.reaction, thumb.value, thumb.removed,
                thumb.event_ts,
            ],
        )  # fmt: skip
        if cursor.rowcount != 1:
            return None
        found = row(
            db,
            """
            select value from standing_thumbs
            where channel_id = ? and message_ts = ? and user_id = ? and removed = 0
            order by event_ts desc, reaction = ? desc limit 1
            """,
            [thumb.channel_id, thumb.message_ts, thumb.user_id, thumb.reaction],
        )
        return found["value"] if found else 0


def may_be_posting(db: Database, channel_id: str) -> bool:
    """Is a reply for this channel decided on, of which the store does not know yet that it was posted?"""
    found = row(
        db,
        """
        select 1 from decisions d join suggestions s on s.id = d.suggestion_id
        where s.channel_id = ? and s.task = 'reply' and d.kind <> 'dismissed' and d.posted_ts is null limit 1
        """,
        [channel_id],
    )
    return found is not None
