from sqlite_utils import Database

from data.schema import migrations


@migrations()
def m029_drafted_said(db: Database) -> None:
    """A draft knows what it was written from, so that its agent hears of a message edited or deleted since."""
    db.executescript("""
        -- JSON: ts of a customer's message → the beginning of its text's hash; null where it is not known.
        alter table drafted_from add column said text;
        """)
