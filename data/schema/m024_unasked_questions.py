from sqlite_utils import Database

from data.schema import migrations


@migrations()
def m024_unasked_questions(db: Database) -> None:
    """Customers' messages for which an agent is still to be chosen: stored before the ack, chosen after it."""
    db.executescript("""
        -- Ids only: the text is Slack's, and is read there again after a crash. A row goes when the choice is made.
        create table unasked_questions (
            request_key text primary key,
            team_id text not null,
            channel_id text not null,
            message_ts text not null,
            thread_ts text not null,
            user_id text not null,
            created_at text not null
        ) without rowid;
        """)
