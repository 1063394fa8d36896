"""What a person is looking at beside the bot, and what the help centre may be asked about."""

from dataclasses import dataclass

from sqlite_utils import Database

from data.models import Audience, Suggestion
from data.store_connection import immediate, row, rows, see_thread, thread_id_of
from data.store_suggestions import suggestion


@dataclass(frozen=True)
class Viewed:
    """A channel, and the thread in it when `message_ts` is known."""

    channel_id: str
    message_ts: str | None


def record_viewed(db: Database, team_id: str, user_id: str, viewed: Viewed | None, *, at: float) -> None:
    """Remember where this person looks since `at` (Unix time), and forget where they did before.

    An older event that Slack sends again changes nothing.
    """
    with immediate(db):
        db.execute(
            """
            insert into viewed (team_id, user_id, channel_id, message_ts, changed_at) values (?, ?, ?, ?, ?)
            on conflict (team_id, user_id) do update
            set channel_id = excluded.channel_id, message_ts = excluded.message_ts, changed_at = excluded.changed_at
            where excluded.changed_at > viewed.changed_at
            """,
            [team_id, user_id, viewed.channel_id if viewed else None, viewed.message_ts if viewed else None, at],
        )


def viewed(db: Database, team_id: str, user_id: str) -> Viewed | None:
    """Where this person looks; None when it is not known, or nowhere that can be named."""
    found = row(
        db,
        "select channel_id, message_ts from viewed where team_id = ? and user_id = ? and channel_id is not null",
        [team_id, user_id],
    )
    return Viewed(**found) if found else None


def place_in_thread(db: Database, suggestion_id: str, thread_ts: str) -> Suggestion:
    """A suggestion that was asked for on a message, in the thread that the message stands in, before it is drafted."""
    with immediate(db):
        one = suggestion(db, suggestion_id)
        thread_id = thread_id_of(one.team_id, one.channel_id, thread_ts)
        see_thread(db, thread_id, source="slack", team_id=one.team_id, channel_id=one.channel_id, thread_ts=thread_ts)
        db.execute(
            "update suggestions set thread_ts = ?, thread_id = ? where id = ? and state = 'requested'",
            [thread_ts, thread_id, suggestion_id],
        )
        return suggestion(db, suggestion_id)


def topics(db: Database, *, limit: int, audience: Audience) -> list[str]:
    """Titles of the documents that this audience may read, those that answered the most questions first."""
    found = rows(
        db,
        """
        select d.title, count(s.suggestion_id) as used from documents d
        left join chunks c on c.document_id = d.id
        left join suggestion_sources s on s.chunk_id = c.id
        where trim(d.title) <> '' and (? = 'internal' or d.audience = 'customer_safe')
        group by d.id order by used desc, d.title limit ?
        """,
        [audience, limit],
    )
    return [one["title"] for one in found]
