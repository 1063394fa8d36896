from sqlite_utils import Database

from data.schema import migrations


@migrations()
def m024_waiting(db: Database) -> None:
    """Events that were acked and wait for what only Slack can say: who is there, who somebody is."""
    db.executescript("""
        -- Ids only: a message's text is Slack's, and is read there again after a crash. A row goes when it is settled.
        create table waiting_questions (
            request_key text primary key,
            team_id text not null,
            channel_id text not null,
            message_ts text not null,
            thread_ts text not null,
            user_id text not null,
            created_at text not null
        ) without rowid;
        create table waiting_thumbs (
            id integer primary key autoincrement,
            request_key text not null unique,
            team_id text not null,
            channel_id text not null,
            message_ts text not null,
            user_id text not null,
            value integer not null check (value in (-1, 1)),
            removed integer not null check (removed in (0, 1)),
            created_at text not null
        );
        create index waiting_thumbs_channel on waiting_thumbs (channel_id, id);
        """)
