from sqlite_utils import Database

from data.schema import migrations


@migrations()
def m016_gaps(db: Database) -> None:
    """What the help centre does not have, or has wrong, waits in a queue: the same question is one gap.

    Texts stay where they were said, so that erasing them there erases them here.
    """
    db.executescript("""
        create table gaps (
            id text primary key,
            created_at text not null
        );
        create table gap_examples (
            suggestion_id text primary key references suggestions (id) on delete cascade,
            gap_id text not null references gaps (id) on delete cascade,
            kind text not null check (kind in ('not_found', 'wrong_fact', 'outdated')),
            -- When the person behind it was told that it is answered.
            told_at text
        );
        create index gap_examples_gap on gap_examples (gap_id);
        create table gap_events (
            id integer primary key autoincrement,
            gap_id text not null references gaps (id) on delete cascade,
            kind text not null check (kind in ('assigned', 'dismissed', 'answered', 'reopened')),
            decided_by text not null,
            owner text,
            -- The article as it was written, as JSON: reopening takes it out of the help centre, and it may come back.
            article text,
            request_key text unique,
            created_at text not null
        );
        create index gap_events_gap on gap_events (gap_id, id);
        create view gap_states as
        select g.id, g.created_at,
               coalesce(
                   (select e.kind from gap_events e
                    where e.gap_id = g.id and e.kind <> 'assigned' order by e.id desc limit 1),
                   'reopened'
               ) as newest,
               (select e.owner from gap_events e
                where e.gap_id = g.id and e.kind = 'assigned' order by e.id desc limit 1) as assigned_to
        from gaps g;
        create index decisions_wrong on decisions (reason) where reason in ('wrong_fact', 'outdated');
        create index suggestions_answers on suggestions (state, created_at) where task = 'answer';
        """)
