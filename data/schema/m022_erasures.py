from sqlite_utils import Database

from data.schema import migrations


@migrations()
def m022_erasures(db: Database) -> None:
    """Who spoke in what was drafted from, so that people can be found; what was erased, and who learned it."""
    db.executescript("""
        create table suggestion_people (
            suggestion_id text not null references suggestions (id) on delete cascade,
            user_id text not null,
            primary key (suggestion_id, user_id)
        ) without rowid;
        create index suggestion_people_user on suggestion_people (user_id);
        create table erasures (
            id text primary key,
            kind text not null check (kind in ('person', 'thread')),
            counts text not null,
            created_at text not null
        );
        -- Adapters that learned from what was erased: they serve until the next night at the latest, and never again.
        create table erased_adapters (
            adapter text primary key references adapters (name),
            erasure_id text not null references erasures (id)
        ) without rowid;
        create table backups (
            path text primary key,
            created_at text not null
        ) without rowid;
        """)
