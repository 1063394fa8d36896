from sqlite_utils import Database

from data.schema import migrations


@migrations()
def m020_trials(db: Database) -> None:
    """What a night promotes is on trial: a share of the threads is drafted by it, until acceptance has decided."""
    db.executescript("""
        create table trials (
            promotion_id integer primary key references promotions (id),
            incumbent text not null,
            share real not null check (share > 0 and share <= 1),
            created_at text not null
        );
        create table trial_outcomes (
            promotion_id integer primary key references trials (promotion_id),
            outcome text not null check (outcome in ('kept', 'rolled_back')),
            report text not null,
            created_at text not null
        );
        """)
