from sqlite_utils import Database

from data.schema import migrations


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
