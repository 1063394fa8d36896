import secrets

from sqlite_utils import Database

from data.schema import migrations


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
