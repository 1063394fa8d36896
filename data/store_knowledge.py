"""The help centre's rows: documents, their chunks, and full-text search over them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlite_utils import Database

from data import words
from data.models import Audience, Passage
from data.store_connection import clean, immediate, iso, new_id, now, row, rows

TITLE_WEIGHT = 2.0
"""A word in a title counts as much as two in the text: here it only chooses which passages ranking.py scores."""


@dataclass(frozen=True)
class Chunk:
    """A piece of a document, small enough for a prompt."""

    title: str
    text: str


@dataclass(frozen=True)
class StoredChunk:
    """A chunk as it is in the store."""

    id: int
    document_id: str
    title: str
    text: str


@dataclass(frozen=True)
class Source:
    """A document, and who looks after it. `url` is where people read it, `stale_after` the last day that it holds."""

    id: str
    source: str
    title: str
    url: str | None
    owner: str | None
    audience: Audience
    stale_after: str | None
    sha256: str
    imported_at: str

    @property
    def link(self) -> str:
        """Where it stands: on the web, else on disk."""
        return self.url or self.source

    @property
    def is_stale(self) -> bool:
        """Has its last day passed?"""
        return self.stale_after is not None and self.stale_after < now()[:10]


SOURCE = "select id, source, title, url, owner, audience, stale_after, sha256, imported_at from documents"


def source(db: Database, name: str) -> Source | None:
    """The document that was imported from this file, or None."""
    found = row(db, f"{SOURCE} where source = ?", [name])
    return Source(**found) if found else None


def source_of_document(db: Database, document_id: str) -> Source | None:
    """The document with this id, or None."""
    found = row(db, f"{SOURCE} where id = ?", [document_id])
    return Source(**found) if found else None


def document_text(db: Database, name: str) -> str | None:
    """The whole text of the document from this source, or None."""
    found = row(db, "select text from documents where source = ?", [name])
    return str(found["text"]) if found else None


def set_upkeep(
    db: Database, name: str, owner: str | None, audience: Audience, stale_after: str | None, *, url: str | None
) -> None:
    """From now on, this is who answers for the source and may read it, and until which day it holds (ISO date)."""
    bound = [clean(owner) if owner else None, audience, stale_after, clean(url) if url else None, name]
    db.execute("update documents set owner = ?, audience = ?, stale_after = ?, url = ? where source = ?", bound)


def all_are_internal(db: Database) -> bool:
    """Are there documents, and none that customers may read?"""
    found = row(db, "select count(*) > 0 and not sum(audience = 'customer_safe') as internal from documents", [])
    return found is not None and found["internal"] == 1


def any_customer_safe(db: Database) -> bool:
    """Was any source marked as one that customers may read?"""
    return row(db, "select 1 from documents where audience = 'customer_safe' limit 1", []) is not None


def put_document(
    db: Database, *, source: str, title: str, text: str, sha256: str, chunks: Sequence[Chunk], document_id: str = ""
) -> None:
    """Store a document with its chunks; one that is there keeps its id and its upkeep.

    A chunk that says the same as before keeps its id, so that what is known about it stays true.
    """
    with immediate(db):
        known = row(db, "select id from documents where source = ?", [source])
        document_id = known["id"] if known else document_id or new_id()
        db.execute(
            """
            insert into documents (id, source, title, text, sha256, imported_at) values (?, ?, ?, ?, ?, ?)
            on conflict (id) do update
            set title = excluded.title, text = excluded.text, sha256 = excluded.sha256,
                imported_at = excluded.imported_at
            """,
            [document_id, clean(source), clean(title), clean(text), sha256, now()],
        )
        _put_chunks(db, document_id, [(clean(chunk.title), clean(chunk.text)) for chunk in chunks])


def _put_chunks(db: Database, document_id: str, chunks: Sequence[tuple[str, str]]) -> None:
    before: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for one in rows(
        db, "select id, position, title, text from chunks where document_id = ? order by id", [document_id]
    ):
        before.setdefault((one["title"], one["text"]), []).append((one["id"], one["position"]))
    moved, new = [], []
    for position, chunk in enumerate(chunks):
        same = before.get(chunk)
        if not same:
            new.append((document_id, position, *chunk))
            continue
        chunk_id, stood_at = same.pop(0)
        if stood_at != position:
            moved.append((position, chunk_id))
    gone = [(chunk_id,) for left in before.values() for chunk_id, _ in left]
    db.conn.executemany("delete from chunks where id = ?", gone)
    db.conn.executemany("update chunks set position = ? where id = ?", moved)
    stems = [words.stored(numbers) for numbers in words.numbers_of_each([part for one in new for part in one[2:]])]
    db.conn.executemany(
        "insert into chunks (document_id, position, title, text, title_stems, text_stems) values (?, ?, ?, ?, ?, ?)",
        [(*one, title, text) for one, title, text in zip(new, stems[::2], stems[1::2], strict=True)],
    )


def sources_below(db: Database, folder: Path) -> list[str]:
    """The sources of the documents that were imported from a folder or below it."""
    found = rows(db, "select source from documents order by source")
    return [one["source"] for one in found if folder in Path(one["source"]).parents]


def remove_document(db: Database, source: str) -> None:
    """Take a document and its chunks out; those that a suggestion cites stay in `retired_chunks`."""
    db.execute("delete from documents where source = ?", [source])


def forget_uncited_chunks(db: Database) -> None:
    """Delete what was retired more than a day ago and stands in no suggestion."""
    # A day: a draft in the making may cite what is being taken out.
    before = iso(datetime.now(UTC) - timedelta(days=1))
    db.execute(
        """
        delete from retired_chunks
        where retired_at < ? and id not in (select chunk_id from suggestion_sources where chunk_id is not null)
        """,
        [before],
    )


def sampled_chunks(db: Database, *, limit: int) -> list[StoredChunk]:
    """At most so many chunks from all over the help centre, the same ones as long as it stays the same."""
    # Knuth's multiplicative hash: neighbours by id are of one article.
    found = rows(
        db,
        "select id, document_id, title, text from chunks order by (id * 2654435761) % 4294967296 limit ?",
        [limit],
    )
    return [StoredChunk(**one) for one in found]


def passages_matching(db: Database, expression: str, *, limit: int, audience: Audience = "internal") -> list[Passage]:
    """The chunks that match an FTS5 expression and that this audience may read, best first.

    The score is BM25, higher is better.
    """
    # Asked for each hit: as a list of rowids, SQLite may look every chunk up in the index by itself.
    readable = """
        and exists (
            select 1 from chunks c join documents d on d.id = c.document_id
            where c.id = chunks_fts.rowid and d.audience = 'customer_safe'
        )
    """
    found = rows(
        db,
        f"""
        with hits as (
            select rowid as id, bm25(chunks_fts, :title_weight, 1.0) as rank
            from chunks_fts where chunks_fts match :expression
            {readable if audience == "customer_safe" else ""}
            order by rank limit :limit
        )
        select c.id as chunk_id, c.document_id, c.title, c.text, -h.rank as score
        from hits h join chunks c on c.id = h.id
        order by h.rank, c.id
        """,
        {"expression": expression, "title_weight": TITLE_WEIGHT, "limit": limit},
    )
    return [Passage(**one) for one in found]
