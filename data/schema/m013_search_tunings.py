from sqlite_utils import Database

from data.schema import migrations


@migrations()
def m013_search_tunings(db: Database) -> None:
    """What a night learned about search from what agents kept, with its gate's word; rows are never changed."""
    db.executescript("""
        create table search_tunings (
            id integer primary key autoincrement,
            run_id text,
            -- JSON, by the names of ranking.Weights.
            weights text not null,
            -- float16 [dimensions, dimensions]; null: questions' vectors stay as they are.
            turn blob,
            passed integer not null check (passed in (0, 1)),
            report text not null,
            created_at text not null
        );
        """)
