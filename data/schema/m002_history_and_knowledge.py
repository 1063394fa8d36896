from sqlite_utils import Database

from data.schema import migrations


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
