from sqlite_utils import Database

from data.schema import migrations


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
