from sqlite_utils import Database

from data.schema import migrations


@migrations()
def m018_routed_decisions(db: Database) -> None:
    """A thumb knows whether it is about the draft or what was sent; a dismissal's reason says what it teaches."""
    db.executescript("""
        -- Null where that is not known: for older ratings, and where somebody saw a third text.
        alter table ratings add column about text check (about in ('draft', 'sent'));
        drop view newest_ratings;
        create view newest_ratings as
        select r.suggestion_id, r.user_id, r.role, r.value, r.about, r.created_at
        from ratings r
        where not exists (
            select 1 from ratings newer
            where newer.suggestion_id = r.suggestion_id
              and newer.user_id = r.user_id
              and (newer.created_at, newer.rowid) > (r.created_at, r.rowid)
        );
        -- The thumbs on what was sent: not those on a draft that was edited afterwards.
        create view thumbs as
        select r.suggestion_id,
               sum(case r.role when 'supervisor' then r.value else 0 end) as supervisors,
               sum(case r.role when 'agent' then r.value else 0 end) as agents,
               sum(r.role = 'supervisor' and r.value = -1) as supervisors_down,
               sum(r.value = 1) as up,
               sum(r.value = -1) as down
        from newest_ratings r
        join decisions d on d.suggestion_id = r.suggestion_id
        join suggestions s on s.id = r.suggestion_id
        where r.value <> 0 and (coalesce(r.about, 'sent') = 'sent' or coalesce(d.text, s.draft) = s.draft)
        group by r.suggestion_id;
        drop view decided_pairs;
        -- A wrong or outdated fact is a gap in the help centre, not a pair. A supervisor's thumb down forbids learning;
        -- an agent's does, unless others outvote it, where a supervisor counts twice.
        create view decided_pairs as
        select s.id, s.task, s.thread_id, s.messages, s.draft, d.kind, d.text as target, d.created_at
        from decisions d
        join suggestions s on s.id = d.suggestion_id
        where d.kind in ('accepted', 'edited')
          and trim(d.text) <> ''
          and s.messages is not null
          and coalesce(d.reason, '') not in ('wrong_fact', 'outdated')
          and (s.task <> 'reply' or d.posted_ts is not null)
          and s.id not in (select suggestion_id from withdrawals)
          and s.channel_id in (select channel_id from consented_channels)
          and not exists (
              select 1 from thumbs t
              where t.suggestion_id = s.id and (t.supervisors_down > 0 or 2 * t.supervisors + t.agents < 0)
          );
        drop view preference_pairs;
        -- A draft dismissed for its tone is worse than what was then sent in answer to the same message.
        create view preference_pairs as
        select id, task, thread_id, messages, target as chosen, draft as rejected, created_at
        from decided_pairs
        where kind = 'edited' and draft is not null and target <> draft
        union all
        select s.id, s.task, s.thread_id, s.messages, better.target, s.draft, min(better.created_at)
        from decisions d
        join suggestions s on s.id = d.suggestion_id
        join drafted_from f on f.suggestion_id = s.id
        join suggestions again on again.thread_id = s.thread_id and again.task = s.task
        join drafted_from a on a.suggestion_id = again.id and a.newest_ts = f.newest_ts
        join decided_pairs better on better.id = again.id
        where d.kind = 'dismissed' and d.reason = 'wrong_tone'
          and s.messages is not null and s.draft is not null and better.target <> s.draft
          and better.created_at > s.created_at
        group by s.id;
        """)
