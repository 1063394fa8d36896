from sqlite_utils import Database

from data.schema import migrations


@migrations()
def m019_known_names(db: Database) -> None:
    """Names of people, known only so that they can be masked; they go with the texts."""
    db.executescript("""
        create table known_names (
            -- Empty: whoever the bot has met in Slack, whose name is masked in every thread.
            thread_id text not null,
            name text not null,
            seen_at text not null,
            primary key (thread_id, name)
        ) without rowid;
        create index known_names_seen on known_names (seen_at);
        """)
