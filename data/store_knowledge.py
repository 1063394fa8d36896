"""The help centre's rows: documents, their chunks, and full-text search over them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlite_utils import Database

from data.models import Audience, Passage
from data.store_connection import clean, immediate, new_id, now, row, rows

TITLE_WEIGHT = 2.0
"""A word in a title counts as much as two in the text (E-Manual questions, train: 1 to 6 differ by .01 MRR)."""


@dataclass(frozen=True)
class Chunk:
    """A piece of a document, small enough for a prompt."""

    title: str
    text: str


def document_sha256(db: Database, source: str) -> str | None:
    """The hash of what was imported from this source, or None."""
    found = row(db, "select sha256 from documents where source = ?", [source])
    return found["sha256"] if found else None


def document_audience(db: Database, source: str) -> Audience | None:
    """Who may read this source, or None when it was never imported."""
    found = row(db, "select audience from documents where source = ?", [source])
    return found["audience"] if found else None


def set_audience(db: Database, source: str, audience: Audience) -> None:
    """From now on, this audience may read the source."""
    db.execute("update documents set audience = ? where source = ?", [audience, source])


def any_customer_safe(db: Database) -> bool:
    """Was any source marked as one that customers may read?"""
    return row(db, "select 1 from documents where audience = 'customer_safe' limit 1", []) is not None


def put_document(
    db: Database, *, source: str, title: str, text: str, sha256: str, chunks: Sequence[Chunk], document_id: str = ""
) -> None:
    """Store a document with its chunks; one that is there keeps its id and audience and gets new chunks."""
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
        db.execute("delete from chunks where document_id = ?", [document_id])
        db.conn.executemany(
            "insert into chunks (document_id, position, title, text) values (?, ?, ?, ?)",
            [(document_id, n, clean(chunk.title), clean(chunk.text)) for n, chunk in enumerate(chunks)],
        )


def sources_below(db: Database, folder: Path) -> list[str]:
    """The sources of the documents that were imported from a folder or below it."""
    found = rows(db, "select source from documents order by source")
    return [one["source"] for one in found if folder in Path(one["source"]).parents]


def remove_document(db: Database, source: str) -> None:
    """Take a document and its chunks out."""
    db.execute("delete from documents where source = ?", [source])


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
