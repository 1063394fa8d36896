"""What was refused or marked as wrong goes into the queue of gaps: to its like, by words or by meaning, else alone."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sqlite_utils import Database

from data import gaps
from data.gaps import Asked
from data.prompts import NOT_FOUND
from data.store_connection import dumps, immediate, new_id, now, rows
from data.store_gaps import EXAMPLE, Example, example_of
from data.store_vectors import embedding_model

COMPARED = 2_000
"""Newest examples that a new one is compared with."""


def gather(db: Database) -> int:
    """Put what was refused, or marked as wrong, since the last time into the queue; how much that was.

    A question like one of a gap that was dismissed goes there, and asks for nobody again. Questions that have vectors
    are compared by meaning too.
    """
    new = _ungathered(db)
    if not new:
        return 0
    known = _compared(db)
    homes = [gap_id for _, gap_id in known]
    vectors = _vectors(db, [*new, *(one for one, _ in known)])
    found = gaps.same_as(_asked(new, vectors), _asked([one for one, _ in known], vectors), homes)
    count = 0
    with immediate(db):
        for example, like in zip(new, found, strict=True):
            gap_id = homes[like] if like is not None else new_id()
            homes.append(gap_id)
            db.execute("insert into gaps (id, created_at) values (?, ?) on conflict do nothing", [gap_id, now()])
            cursor = db.execute(
                "insert into gap_examples (suggestion_id, gap_id, kind) values (?, ?, ?) on conflict do nothing",
                [example.suggestion_id, gap_id, example.kind],
            )
            count += cursor.rowcount
        # Another process has gathered the same meanwhile.
        db.execute("delete from gaps where id not in (select gap_id from gap_examples)")
    return count


def without_vector(db: Database, *, limit: int) -> list[tuple[str, str]]:
    """(suggestion id, question) of what `gather` would compare and has no vector yet, what is to be gathered first.

    Empty when there is nothing to gather.
    """
    new = _ungathered(db)
    if not new:
        return []
    examples = [*new, *(one for one, _ in _compared(db))]
    known = _vectors(db, examples)
    missing = [one for one in examples if one.question and one.suggestion_id not in known]
    return [(one.suggestion_id, one.question) for one in missing[:limit]]


def put_question_vectors(db: Database, model: str, vectors: Mapping[str, NDArray[np.float32]]) -> None:
    """Store the questions' vectors by their suggestions' ids; they go when the texts are blanked."""
    with immediate(db):
        db.conn.executemany(
            """
            insert or replace into question_vectors (suggestion_id, model, vector)
            select :id, :model, :vector
            where exists (select 1 from suggestions where id = :id and (messages is not null or request <> '{}'))
            """,
            [{"id": one, "model": model, "vector": v.astype(np.float16).tobytes()} for one, v in vectors.items()],
        )


def _ungathered(db: Database) -> list[Example]:
    """Refused questions, and drafts of replies and answers with a fact that is wrong or outdated, oldest first.

    A wrong fact in a summary is none of the help centre's.
    """
    found = rows(
        db,
        f"""
        {EXAMPLE}, d.reason as kind
        from decisions d join suggestions s on s.id = d.suggestion_id
        where d.reason in ('wrong_fact', 'outdated') and s.task <> 'summary' and s.draft is not null
          and s.id not in (select suggestion_id from gap_examples)
        union all
        {EXAMPLE}, 'not_found'
        from suggestions s left join decisions d on d.suggestion_id = s.id
        where s.task = 'answer' and s.request ->> 'text' is not null
          and (s.state = 'failed' and s.error = :not_found or s.state = 'shown' and s.draft like :not_found || '%')
          and coalesce(d.reason, '') not in ('wrong_fact', 'outdated')
          and s.id not in (select suggestion_id from gap_examples)
        order by at
        """,
        {"not_found": NOT_FOUND},
    )
    return [example_of(one) for one in found]


def _compared(db: Database) -> list[tuple[Example, str]]:
    """Examples that a new one may be the same as, with their gap; none of what is answered: asked again, it is new."""
    found = rows(
        db,
        f"""
        {EXAMPLE}, x.kind, x.gap_id
        from gap_examples x join gap_states g on g.id = x.gap_id and g.newest <> 'answered'
        join suggestions s on s.id = x.suggestion_id left join decisions d on d.suggestion_id = s.id
        order by x.rowid desc limit ?
        """,
        [COMPARED],
    )
    return [(example_of(one), one["gap_id"]) for one in found]


def _vectors(db: Database, examples: Sequence[Example]) -> dict[str, NDArray[np.float32]]:
    found = db.conn.execute(
        """
        select suggestion_id, vector from question_vectors
        where model = ? and suggestion_id in (select value from json_each(?))
        """,
        [embedding_model(db), dumps([one.suggestion_id for one in examples])],
    )
    return {one: np.frombuffer(vector, np.float16).astype(np.float32) for one, vector in found}


def _asked(examples: Sequence[Example], vectors: Mapping[str, NDArray[np.float32]]) -> list[Asked]:
    return [Asked(one.question, one.draft, vectors.get(one.suggestion_id)) for one in examples]
