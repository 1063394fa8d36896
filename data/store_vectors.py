"""Passages' vectors as rows, and what search reads of passages: how rare a word is, which ones match, their texts."""

import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlite_utils import Database

from data.models import Audience, Passage
from data.store_connection import immediate, row, rows

MODEL = "embedding_model"
READABLE = "and (:audience = 'internal' or d.audience = 'customer_safe')"


class Unembedded(NamedTuple):
    """A passage without a vector."""

    chunk_id: int
    title: str
    text: str


class Vector(NamedTuple):
    """What is stored for a passage: one bit for each dimension, and float16 numbers."""

    chunk_id: int
    signs: bytes
    vector: bytes


def embedding_model(db: Database) -> str | None:
    """The model that made the vectors that are there."""
    found = row(db, "select value from meta where key = ?", [MODEL])
    return found["value"] if found else None


def begin_vectors(db: Database, model: str) -> None:
    """From now on vectors are this model's; those of another one are of no use."""
    with immediate(db):
        if embedding_model(db) == model:
            return
        db.execute("delete from chunk_vectors")
        db.execute(
            "insert into meta (key, value) values (?, ?) on conflict (key) do update set value = excluded.value",
            [MODEL, model],
        )


def unembedded(db: Database, *, limit: int) -> list[Unembedded]:
    """Passages without a vector, oldest first."""
    found = rows(
        db,
        """
        select id as chunk_id, title, text from chunks
        where id not in (select chunk_id from chunk_vectors) order by id limit ?
        """,
        [limit],
    )
    return [Unembedded(**one) for one in found]


def count_unembedded(db: Database) -> int:
    """How many passages have no vector."""
    found = row(db, "select (select count(*) from chunks) - (select count(*) from chunk_vectors) as missing")
    return int(found["missing"]) if found else 0


def put_vectors(db: Database, model: str, vectors: Iterable[Vector]) -> None:
    """Store vectors, unless another model has begun to make them; a passage that is gone by now gets none."""
    with immediate(db):
        if embedding_model(db) != model:
            return
        db.conn.executemany(
            """
            insert into chunk_vectors (chunk_id, signs, vector)
            select :chunk_id, :signs, :vector where exists (select 1 from chunks where id = :chunk_id)
            on conflict (chunk_id) do nothing
            """,
            [one._asdict() for one in vectors],
        )


def signs_after(db: Database, last: int) -> tuple[list[tuple[int, bytes]], int]:
    """(chunk id, signs) of the vectors that were stored after this one, and the newest one's id."""
    found = db.conn.execute("select id, chunk_id, signs from chunk_vectors where id > ? order by id", [last]).fetchall()
    return [(chunk_id, signs) for _, chunk_id, signs in found], found[-1][0] if found else last


def vectors_of(db: Database, chunk_ids: Sequence[int], audience: Audience) -> dict[int, bytes]:
    """The vectors of those passages that have one and that this audience may read."""
    # Vectors go with their passages: only customers' need to be looked up in the documents.
    readable = """
        join chunks c on c.id = v.chunk_id
        join documents d on d.id = c.document_id and d.audience = 'customer_safe'
    """
    found = db.conn.execute(
        f"""
        select v.chunk_id, v.vector from json_each(?) i
        cross join chunk_vectors v on v.chunk_id = i.value
        {readable if audience == "customer_safe" else ""}
        """,
        [json.dumps(list(chunk_ids))],
    )
    return dict(found.fetchall())


def passages(db: Database, chunk_ids: Sequence[int], audience: Audience) -> list[Passage]:
    """The passages that are still there and that this audience may read, by their ids' order, unscored."""
    found = rows(
        db,
        f"""
        select c.id as chunk_id, c.document_id, c.title, c.text, 0.0 as score from json_each(:ids) i
        join chunks c on c.id = i.value join documents d on d.id = c.document_id
        where true {READABLE}
        order by i.key
        """,
        {"ids": json.dumps(list(chunk_ids)), "audience": audience},
    )
    return [Passage(**one) for one in found]


def stems_of(db: Database, chunk_ids: Sequence[int]) -> dict[int, tuple[bytes, bytes]]:
    """The stems of title and text of those passages whose stems are known, as data/words.py stores them."""
    found = db.conn.execute(
        """
        select c.id, c.title_stems, c.text_stems from json_each(?) i cross join chunks c on c.id = i.value
        where c.title_stems is not null and c.text_stems is not null
        """,
        [json.dumps(list(chunk_ids))],
    )
    return {chunk_id: (title, text) for chunk_id, title, text in found}


def passages_with(db: Database, stems: Sequence[str]) -> dict[str, int]:
    """In how many passages each of these stems stands, as the index has them; those that stand in none are left out."""
    found = db.conn.execute(
        "select term, doc from json_each(?) s join chunk_words w on w.term = s.value", [json.dumps(list(stems))]
    )
    return dict(found.fetchall())


def newest_passage(db: Database) -> int:
    """The id of the newest passage; 0 when there is none."""
    return int(db.conn.execute("select coalesce(max(id), 0) from chunks").fetchone()[0])


def count_passages(db: Database) -> int:
    """How many passages there are."""
    return int(db.conn.execute("select count(*) from chunks").fetchone()[0])
