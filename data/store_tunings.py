"""What nights learned about search: every verdict is a row, and the newest that passed is what serves."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from sqlite_utils import Database

from data.models import Message
from data.store_connection import dumps, immediate, now, row, rows


@dataclass(frozen=True)
class Tuning:
    """Weights as JSON, and how a question's vector is turned, as bytes."""

    id: int
    weights: str
    turn: bytes | None


@dataclass(frozen=True)
class Decided:
    """A text that people kept, with the prompt that it answers and the passages (id, text) that stood in it.

    `opened` are the ids of those whose articles readers opened.
    """

    suggestion_id: str
    thread_id: str
    held_out: bool
    messages: list[Message]
    text: str
    passages: list[tuple[int, str]]
    opened: frozenset[int]


def newest_passed(db: Database) -> Tuning | None:
    """The tuning that serves; None: nothing was ever learned, or only from what was erased since."""
    found = row(
        db,
        """
        select id, weights, turn from search_tunings
        where passed = 1 and id not in (select tuning_id from erased_tunings) order by id desc limit 1
        """,
    )
    return Tuning(**found) if found else None


def learned_from(db: Database, tuning_id: int) -> set[str]:
    """The ids of the suggestions that a tuning learned from."""
    found = rows(db, "select suggestion_id from tuning_evidence where tuning_id = ?", [tuning_id])
    return {one["suggestion_id"] for one in found}


def blanked_since(db: Database, suggestion_ids: Iterable[str], built_upon: Tuning | None) -> bool:
    """Is a text gone that a tuning read from these suggestions, or that the one that it was built upon learned from?"""
    found = row(
        db,
        """
        select exists (
            select 1 from suggestions where messages is null and id in (select value from json_each(?))
        ) or exists (select 1 from erased_tunings where tuning_id = ?) as is_gone
        """,
        [dumps(sorted(set(suggestion_ids))), built_upon.id if built_upon else None],
    )
    return bool(found and found["is_gone"])


def record_tuning(
    db: Database,
    *,
    run_id: str | None,
    weights: str,
    turn: bytes | None,
    passed: bool,
    report: dict[str, object],
    evidence: Iterable[str] = (),
) -> None:
    """Append a night's verdict; if it passed, search uses it from the next question on.

    `evidence` are the ids of the suggestions that it learned from, those of what it was built upon among them.
    """
    with immediate(db):
        cursor = db.execute(
            """
            insert into search_tunings (run_id, weights, turn, passed, report, created_at) values (?, ?, ?, ?, ?, ?)
            """,
            [run_id, weights, turn if passed else None, passed, dumps(report), now()],
        )
        db.conn.executemany(
            "insert into tuning_evidence (tuning_id, suggestion_id) values (?, ?)",
            [(cursor.lastrowid, one) for one in sorted(set(evidence))],
        )


def learned_tunings(db: Database, suggestion_ids: Iterable[str]) -> list[int]:
    """The tunings that passed and learned from these suggestions, those among them of which nobody knows."""
    erased = list(suggestion_ids)
    if not erased:
        return []
    found = rows(
        db,
        """
        select id from search_tunings t
        where passed = 1 and id not in (select tuning_id from erased_tunings) and (
            not exists (select 1 from tuning_evidence where tuning_id = t.id)
            or exists (
                select 1 from tuning_evidence
                where tuning_id = t.id and suggestion_id in (select value from json_each(?))
            )
        )
        """,
        [dumps(erased)],
    )
    return [one["id"] for one in found]


def leave_tunings(db: Database, tuning_ids: Iterable[int], erasure_id: str) -> None:
    """Have these serve no more: search goes back to the newest one that is left, else to the measured weights."""
    left = [(one, erasure_id) for one in tuning_ids]
    db.conn.executemany("insert into erased_tunings (tuning_id, erasure_id) values (?, ?)", left)
    # What was made of many questions' vectors still tells something of each.
    db.conn.executemany("update search_tunings set turn = null where id = ?", [(one,) for one, _ in left])


def decided_sources(db: Database) -> list[Decided]:
    """Texts that people kept, each with the passages of its prompt in order; only what may be learned from.

    Answers are not decided on: those count whose readers' thumbs are up, or of which readers asked to see more without
    more thumbs down, in channels that may be learned from.
    """
    found = rows(
        db,
        """
        with kept as (
            select id, thread_id, messages, target as text from decided_pairs where task <> 'summary'
            union
            select s.id, coalesce(s.thread_id, s.id), s.messages, s.draft from suggestions s
            left join newest_ratings r on r.suggestion_id = s.id
            where s.task = 'answer' and s.state = 'shown' and s.messages is not null and s.draft is not null
              and s.channel_id in (select channel_id from consented_channels)
            group by s.id
            having min(case r.role when 'supervisor' then r.value else 0 end) >= 0
               and (sum(r.value) > 0 or coalesce(sum(r.value), 0) = 0 and exists (
                   select 1 from source_openings o where o.suggestion_id = s.id))
        )
        select k.id, k.thread_id, coalesce(t.held_out, 0) as held_out, k.messages, k.text, c.id as chunk_id,
            c.text as passage, o.chunk_id is not null as is_opened
        from kept k
        join suggestion_sources x on x.suggestion_id = k.id
        join cited_chunks c on c.id = x.chunk_id
        left join source_openings o on o.suggestion_id = k.id and o.chunk_id = c.id
        left join threads t on t.id = k.thread_id
        order by k.id, x.rowid
        """,
    )
    decided = []
    for _, together in groupby(found, key=lambda one: one["id"]):
        first, *_ = sources = list(together)
        passages = [(one["chunk_id"], one["passage"]) for one in sources]
        decided.append(
            Decided(
                suggestion_id=first["id"],
                thread_id=first["thread_id"],
                held_out=bool(first["held_out"]),
                messages=json.loads(first["messages"]),
                text=first["text"],
                passages=passages,
                opened=frozenset(one["chunk_id"] for one in sources if one["is_opened"]),
            )
        )
    return decided
