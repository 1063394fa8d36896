from sqlite_utils import Database

from data.schema import migrations


@migrations()
def m007_answers(db: Database) -> None:
    """A streamed answer grows in Slack before its draft is stored: where it stands, for who must finish it."""
    db.executescript("""
        create table streams (
            suggestion_id text primary key references suggestions (id) on delete cascade,
            channel_id text not null,
            thread_ts text not null,
            ts text,
            created_at text not null,
            ended_at text
        ) without rowid;
        create index suggestions_of_thread on suggestions (channel_id, thread_ts, created_at);

        -- One row per person and not a log: where somebody has been looking is nobody's business.
        create table viewed (
            team_id text not null,
            user_id text not null,
            channel_id text,
            message_ts text,
            changed_at real not null,
            primary key (team_id, user_id)
        ) without rowid;
        """)
