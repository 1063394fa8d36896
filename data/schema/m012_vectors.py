from sqlite_utils import Database

from data.schema import migrations


@migrations()
def m012_vectors(db: Database) -> None:
    """Passages have vectors, made when there is time: search works before they are there."""
    db.executescript("""
        -- Numbered as they are made, so that a process that knows the earlier ones reads only the rest.
        create table chunk_vectors (
            id integer primary key autoincrement,
            chunk_id integer not null unique references chunks (id) on delete cascade,
            -- One bit for each dimension: above zero or not. A tenth of a second reads those of 100,000 passages.
            signs blob not null,
            -- float16, of unit length.
            vector blob not null
        );
        -- In how many passages a word stands.
        create virtual table chunk_words using fts5vocab (chunks_fts, 'row');
        """)
