from sqlite_utils import Database

from data.schema import migrations


@migrations()
def m031_team_promotions(db: Database) -> None:
    """A team may have an adapter of its own beside the one that all share; null: the shared one."""
    db.execute("alter table promotions add column team text")
