from sqlite_utils import Database

from data.schema import migrations


@migrations()
def m028_stems(db: Database) -> None:
    """A passage keeps its stems as numbers, so that no search has to cut and stem hundreds of texts."""
    db.executescript("""
        -- int32 each, as data/words.py makes them; null where they are not known: then search makes them.
        alter table chunks add column title_stems blob;
        alter table chunks add column text_stems blob;
        create trigger chunks_stems after update of title, text on chunks begin
            update chunks set title_stems = null, text_stems = null where id = new.id;
        end;
        """)
