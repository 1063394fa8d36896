from sqlite_utils import Database

from data.schema import migrations


@migrations()
def m005_replies(db: Database) -> None:
    """A draft knows up to where it read; only what was sent is a pair; a channel may want drafts unasked."""
    db.executescript("""
        create table drafted_from (
            suggestion_id text primary key references suggestions (id) on delete cascade,
            newest_ts text not null
        );
        create table withdrawals (
            suggestion_id text primary key references suggestions (id),
            cause text not null check (cause in ('taken_back', 'refreshed')),
            withdrawn_by text not null,
            created_at text not null,
            deleted_at text
        );
        create table proactive_switches (
            id integer primary key autoincrement,
            channel_id text not null,
            switched_by text not null,
            is_on integer not null check (is_on in (0, 1)),
            request_key text not null unique,
            created_at text not null
        );
        create index proactive_switches_channel on proactive_switches (channel_id, created_at);
        create index suggestions_channel on suggestions (channel_id, created_at);
        drop view decided_pairs;
        -- As before, without what the agent withdrew, and a reply only once it was posted: a pair is what was sent.
        -- The views that read this one stay as they are.
        create view decided_pairs as
        select s.id, s.task, s.thread_id, s.messages, s.draft, d.kind, d.text as target, d.created_at
        from decisions d
        join suggestions s on s.id = d.suggestion_id
        where d.kind in ('accepted', 'edited')
          and trim(d.text) <> ''
          and s.messages is not null
          and coalesce(d.reason, '') <> 'wrong_fact'
          and (s.task <> 'reply' or d.posted_ts is not null)
          and s.id not in (select suggestion_id from withdrawals)
          and s.channel_id in (select channel_id from consented_channels)
          and not exists (
              select 1 from newest_ratings r
              where r.suggestion_id = s.id and r.role = 'supervisor' and r.value = -1
          );
        """)
