"""The schema, as a list of named migrations; each says why it is there.

A migration that has been released is never edited: a change is a new one at the end. `pragma user_version`
counts them, so that any tool can see how new a file is.
"""

import secrets
from pathlib import Path

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from data.errors import DatabaseTooNew

migrations = Migrations("nightshift")


def names() -> list[str]:
    """All migrations that this version knows, oldest first."""
    return [migration.name for migration in migrations.pending(Database(memory=True))]


def refuse_newer(db: Database, path: Path) -> None:
    """Raise DatabaseTooNew when a version after this one has migrated the file."""
    known = names()
    unknown = [applied.name for applied in migrations.applied(db) if applied.name not in known]
    version = db.execute("pragma user_version").fetchone()[0]
    if unknown or version > len(known):
        raise DatabaseTooNew(str(path), unknown or [f"schema version {version}, this one knows {len(known)}"])


def apply(db: Database, *, stop_before: str | None = None) -> list[str]:
    """Apply what is pending, inside the caller's transaction, and return the names."""
    pending = [migration.name for migration in migrations.pending(db)]
    if not pending:
        return []
    migrations.apply(db, stop_before=stop_before)
    applied = [name for name in pending if name not in {m.name for m in migrations.pending(db)}]
    db.execute(f"pragma user_version = {len(migrations.applied(db))}")
    return applied


@migrations()
def m001_suggestions_and_decisions(db: Database) -> None:
    """What the desk needs: every request is a row before it is acked, every decision is a row once."""
    db.executescript("""
        create table meta (
            key text primary key,
            value text not null
        );
        create table threads (
            id text primary key,
            source text not null check (source in ('slack', 'history')),
            team_id text not null default '',
            channel_id text not null default '',
            thread_ts text not null default '',
            held_out integer not null check (held_out in (0, 1)),
            created_at text not null
        );
        create table suggestions (
            id text primary key,
            request_key text not null unique,
            task text not null check (task in ('reply', 'summary', 'answer')),
            team_id text not null,
            channel_id text not null,
            thread_ts text,
            thread_id text references threads (id),
            requested_by text not null,
            request text not null default '{}',
            state text not null check (state in ('requested', 'drafted', 'shown', 'failed')),
            messages text,
            draft text,
            base text,
            adapter text,
            error text,
            created_at text not null,
            shown_at text
        );
        create index suggestions_state on suggestions (state, created_at);
        create index suggestions_thread on suggestions (thread_id);
        create table suggestion_sources (
            suggestion_id text not null references suggestions (id) on delete cascade,
            pair_id text,
            chunk_id integer
        );
        create index suggestion_sources_suggestion on suggestion_sources (suggestion_id);
        create table decisions (
            id text primary key,
            suggestion_id text not null unique references suggestions (id),
            kind text not null check (kind in ('accepted', 'edited', 'dismissed')),
            text text,
            reason text,
            decided_by text not null,
            posted_ts text,
            created_at text not null
        );
        create index decisions_posted on decisions (posted_ts);
        create table ratings (
            id text primary key,
            suggestion_id text not null references suggestions (id),
            user_id text not null,
            role text not null check (role in ('agent', 'supervisor')),
            value integer not null check (value in (-1, 0, 1)),
            request_key text unique,
            created_at text not null
        );
        create index ratings_suggestion on ratings (suggestion_id, user_id, created_at);
        create table consents (
            id integer primary key autoincrement,
            channel_id text not null,
            granted_by text not null,
            granted integer not null check (granted in (0, 1)),
            request_key text unique,
            created_at text not null
        );
        create index consents_channel on consents (channel_id, created_at);
        create table request_keys (
            key text primary key,
            created_at text not null
        );
        """)
    # The salt decides which threads are held out; nobody outside the file can predict it.
    db.execute("insert into meta (key, value) values ('salt', ?)", [secrets.token_hex(16)])


@migrations()
def m002_history_and_knowledge(db: Database) -> None:
    """Closed tickets make pairs before the first decision; the help centre makes passages."""
    db.executescript("""
        create table history_pairs (
            id text primary key,
            thread_id text not null references threads (id),
            position integer not null,
            task text not null check (task in ('reply', 'summary', 'answer')),
            messages text,
            target text,
            created_at text not null,
            imported_at text not null,
            unique (thread_id, task, position)
        );
        create virtual table examples_fts using fts5 (
            pair_id unindexed, task unindexed, thread, tokenize = 'porter unicode61 remove_diacritics 2'
        );
        create table documents (
            id text primary key,
            source text not null unique,
            title text not null,
            text text not null,
            sha256 text not null,
            imported_at text not null
        );
        create table chunks (
            id integer primary key autoincrement,
            document_id text not null references documents (id) on delete cascade,
            position integer not null,
            title text not null,
            text text not null
        );
        create index chunks_document on chunks (document_id);
        create virtual table chunks_fts using fts5 (
            title, text, content = 'chunks', content_rowid = 'id', tokenize = 'porter unicode61 remove_diacritics 2'
        );
        create trigger chunks_inserted after insert on chunks begin
            insert into chunks_fts (rowid, title, text) values (new.id, new.title, new.text);
        end;
        create trigger chunks_deleted after delete on chunks begin
            insert into chunks_fts (chunks_fts, rowid, title, text) values ('delete', old.id, old.title, old.text);
        end;
        create trigger chunks_updated after update on chunks begin
            insert into chunks_fts (chunks_fts, rowid, title, text) values ('delete', old.id, old.title, old.text);
            insert into chunks_fts (rowid, title, text) values (new.id, new.title, new.text);
        end;
        """)


@migrations()
def m003_ledger_of_nights(db: Database) -> None:
    """What was trained, judged, published and promoted, on which base."""
    db.executescript("""
        create table bases (
            id integer primary key autoincrement,
            hash text not null,
            model text not null,
            root text not null,
            created_at text not null
        );
        create index bases_model on bases (model);
        create table runs (
            id text primary key,
            base text not null,
            status text not null,
            error text,
            facts text not null default '{}',
            created_at text not null,
            updated_at text not null
        );
        create table adapters (
            name text primary key,
            run_id text not null,
            base text not null,
            path text not null,
            sha256 text not null,
            config text not null default '{}',
            created_at text not null
        );
        create table adapter_pairs (
            adapter text not null references adapters (name) on delete cascade,
            pair_id text not null,
            primary key (adapter, pair_id)
        ) without rowid;
        create index adapter_pairs_pair on adapter_pairs (pair_id);
        create table gate_reports (
            id text primary key,
            run_id text not null,
            task text not null check (task in ('reply', 'summary', 'answer')),
            passed integer not null check (passed in (0, 1)),
            report text not null,
            created_at text not null
        );
        create table promotions (
            id integer primary key autoincrement,
            task text not null check (task in ('reply', 'summary', 'answer')),
            base text not null,
            adapter text not null,
            cause text not null check (cause in ('gate', 'manual', 'rollback')),
            gate_report_id text references gate_reports (id),
            forced integer not null default 0 check (forced in (0, 1)),
            created_at text not null
        );
        create index promotions_pointer on promotions (task, base, id);
        """)


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


@migrations()
def m006_summaries(db: Database) -> None:
    """A summary knows what it read, so that asking again can go on from there, and where its lines come from."""
    db.executescript("""
        create table summaries (
            suggestion_id text primary key references suggestions (id) on delete cascade,
            span text not null,
            read_until text not null
        );
        create table summary_sources (
            suggestion_id text not null references suggestions (id) on delete cascade,
            line integer not null,
            message_ts text not null,
            primary key (suggestion_id, line)
        ) without rowid;
        """)


@migrations()
def m007_answers(db: Database) -> None:
    """A streamed answer grows in Slack before its draft is stored: where it stands, for who must finish it."""
    db.executescript("""
        create table streams (
            suggestion_id text primary key references suggestions (id) on delete cascade,
            channel_id text not null,
            thread_ts text not null,
            ts text,
            created_at text not null,
            ended_at text
        ) without rowid;
        create index suggestions_of_thread on suggestions (channel_id, thread_ts, created_at);

        -- One row per person and not a log: where somebody has been looking is nobody's business.
        create table viewed (
            team_id text not null,
            user_id text not null,
            channel_id text,
            message_ts text,
            changed_at real not null,
            primary key (team_id, user_id)
        ) without rowid;
        """)


@migrations()
def m008_home(db: Database) -> None:
    """What people say on the Home tab and in the review queue: wishes, holds, comments; and which text a thumb saw."""
    db.executescript("""
        -- The hash of the text that was seen: a draft and the text sent in its place are two texts.
        alter table ratings add column seen_sha256 text;
        create table rating_comments (
            id integer primary key autoincrement,
            suggestion_id text not null references suggestions (id),
            user_id text not null,
            text text,
            request_key text unique,
            created_at text not null
        );
        create index rating_comments_suggestion on rating_comments (suggestion_id, user_id);
        create table preferences (
            id integer primary key autoincrement,
            user_id text not null,
            language text not null,
            tone text not null,
            quiet_from text not null,
            quiet_until text not null,
            request_key text unique,
            created_at text not null
        );
        create index preferences_user on preferences (user_id, id);
        create table promotion_holds (
            id integer primary key autoincrement,
            held integer not null check (held in (0, 1)),
            decided_by text not null,
            request_key text unique,
            created_at text not null
        );
        -- What incumbent and candidate wrote for held-out threads: texts, so not in the report, and erased with it.
        create table written_cases (
            gate_report_id text not null references gate_reports (id),
            pair_id text not null,
            before_text text,
            after_text text,
            created_at text not null,
            primary key (gate_report_id, pair_id)
        ) without rowid;
        create index written_cases_pair on written_cases (pair_id);
        create index suggestions_requested_by on suggestions (requested_by, created_at);
        create index decisions_created on decisions (created_at);
        """)


@migrations()
def m009_installations(db: Database) -> None:
    """The workspaces and organisations where the app was installed by OAuth, and installs under way."""
    db.executescript("""
        create table installations (
            id text primary key,
            enterprise_id text not null,
            team_id text not null,
            is_org_wide integer not null check (is_org_wide in (0, 1)),
            installation text not null,
            created_at text not null,
            unique (is_org_wide, enterprise_id, team_id)
        );
        create table oauth_states (
            state text primary key,
            created_at text not null
        ) without rowid;
        """)


@migrations()
def m010_audience(db: Database) -> None:
    """A source is for colleagues only until somebody says that customers may read it."""
    db.executescript("""
        alter table documents add column audience text not null default 'internal'
            check (audience in ('internal', 'customer_safe'));
        create index documents_audience on documents (audience);
        """)


@migrations()
def m011_upkeep(db: Database) -> None:
    """A source has an owner, an address and a last day; what a suggestion cites outlives its removal."""
    db.executescript("""
        alter table documents add column url text;
        alter table documents add column owner text;
        -- The last day on which it holds, as an ISO date.
        alter table documents add column stale_after text;
        create index suggestion_sources_chunk on suggestion_sources (chunk_id) where chunk_id is not null;
        create table retired_chunks (
            id integer primary key,
            document_id text not null,
            title text not null,
            text text not null,
            retired_at text not null
        );
        -- Also where a document takes its chunks with it.
        create trigger chunks_retired before delete on chunks begin
            insert into retired_chunks (id, document_id, title, text, retired_at)
            values (old.id, old.document_id, old.title, old.text, strftime('%Y-%m-%dT%H:%M:%f000+00:00', 'now'));
        end;
        create view cited_chunks as
        select id, document_id, title, text from chunks
        union all
        select id, document_id, title, text from retired_chunks;
        """)
