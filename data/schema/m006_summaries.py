from sqlite_utils import Database

from data.schema import migrations


@migrations()
def m006_summaries(db: Database) -> None:
    """A summary knows what it read, so that asking again can go on from there, and where its lines come from."""
    db.executescript("""
        create table summaries (
            suggestion_id text primary key references suggestions (id) on delete cascade,
            span text not null,
            read_until text not null
        );
        create table summary_sources (
            suggestion_id text not null references suggestions (id) on delete cascade,
            line integer not null,
            message_ts text not null,
            primary key (suggestion_id, line)
        ) without rowid;
        """)
