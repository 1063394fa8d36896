from sqlite_utils import Database

from data.schema import migrations


@migrations()
def m027_search_evidence(db: Database) -> None:
    """What readers opened is evidence for search, and what a tuning learned from is known, so that it can be undone."""
    db.executescript("""
        -- Once for each, and by nobody: where somebody has been looking is nobody's business.
        create table source_openings (
            suggestion_id text not null references suggestions (id) on delete cascade,
            -- The passage whose article was opened; 0: all of the answer and its passages were shown.
            chunk_id integer not null,
            created_at text not null,
            primary key (suggestion_id, chunk_id)
        ) without rowid;
        -- Where a tuning has no row here, nobody knows what it learned from.
        create table tuning_evidence (
            tuning_id integer not null references search_tunings (id) on delete cascade,
            suggestion_id text not null,
            primary key (tuning_id, suggestion_id)
        ) without rowid;
        create index tuning_evidence_suggestion on tuning_evidence (suggestion_id);
        -- Tunings that learned from what was erased: they never serve again.
        create table erased_tunings (
            tuning_id integer primary key references search_tunings (id),
            erasure_id text not null references erasures (id)
        ) without rowid;
        """)
