from sqlite_utils import Database

from data.schema import migrations


@migrations()
def m010_audience(db: Database) -> None:
    """A source is for colleagues only until somebody says that customers may read it."""
    db.executescript("""
        alter table documents add column audience text not null default 'internal'
            check (audience in ('internal', 'customer_safe'));
        create index documents_audience on documents (audience);
        """)
