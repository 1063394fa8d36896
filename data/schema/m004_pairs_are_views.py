from sqlite_utils import Database

from data.schema import migrations


@migrations()
def m004_pairs_are_views(db: Database) -> None:
    """Pairs are read from decisions, never copied: consent withdrawn or a text blanked is gone at once."""
    db.executescript("""
        create view consented_channels as
        select c.channel_id
        from consents c
        where c.granted = 1
          and not exists (
              select 1 from consents newer
              where newer.channel_id = c.channel_id
                and (newer.created_at, newer.id) > (c.created_at, c.id)
          );

        create view newest_ratings as
        select r.suggestion_id, r.user_id, r.role, r.value, r.created_at
        from ratings r
        where not exists (
            select 1 from ratings newer
            where newer.suggestion_id = r.suggestion_id
              and newer.user_id = r.user_id
              and (newer.created_at, newer.rowid) > (r.created_at, r.rowid)
        );

        -- An edit whose reason is a wrong fact is a gap in the help centre, not a pair.
        create view decided_pairs as
        select s.id, s.task, s.thread_id, s.messages, s.draft, d.kind, d.text as target, d.created_at
        from decisions d
        join suggestions s on s.id = d.suggestion_id
        where d.kind in ('accepted', 'edited')
          and trim(d.text) <> ''
          and s.messages is not null
          and coalesce(d.reason, '') <> 'wrong_fact'
          and s.channel_id in (select channel_id from consented_channels)
          and not exists (
              select 1 from newest_ratings r
              where r.suggestion_id = s.id and r.role = 'supervisor' and r.value = -1
          );

        create view training_pairs as
        select id, task, thread_id, messages, target, 'suggestion' as source,
               case kind when 'edited' then 1.0 else 0.5 end as weight, created_at
        from decided_pairs
        union all
        select id, task, thread_id, messages, target, 'history', 1.0, created_at
        from history_pairs
        where messages is not null and target is not null;

        create view preference_pairs as
        select id, task, thread_id, messages, target as chosen, draft as rejected, created_at
        from decided_pairs
        where kind = 'edited' and draft is not null and target <> draft;
        """)
