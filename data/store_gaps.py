"""The queue of gaps: what the help centre does not have, or has wrong, by who met with it and what became of it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlite_utils import Database

from data import articles
from data.articles import Article
from data.errors import UnknownGap
from data.prompts import NAMES, asked_thread
from data.store_connection import clean, dumps, now, row, rows

GapKind = Literal["not_found", "wrong_fact", "outdated"]
GapState = Literal["open", "dismissed", "answered"]
STATES: dict[str, GapState] = {"reopened": "open", "dismissed": "dismissed", "answered": "answered"}

SHOWN = 3
"""Examples of a gap that are read with it."""


@dataclass(frozen=True)
class Example:
    """One question or draft behind a gap. `sent` is what an agent wrote in the draft's place, `asked_by` who met
    with the gap: who asked, or the agent who marked a draft as wrong."""

    suggestion_id: str
    kind: GapKind
    question: str
    draft: str | None
    sent: str | None
    team_id: str
    channel_id: str
    thread_ts: str | None
    asked_by: str
    asked_in: str
    """How it was asked: command, mention, direct, …"""
    at: str

    @property
    def is_private(self) -> bool:
        """Was it said in a direct message? Then its text stays there."""
        return self.channel_id.startswith("D")


@dataclass(frozen=True)
class Gap:
    """The same thing, missing or wrong, as often as it was met with. `examples` are the newest that may be shown.

    `owner` is who took it or was given it (a user id), else who looks after the document that had it wrong.
    """

    id: str
    state: GapState
    count: int
    owner: str
    assigned_to: str | None
    examples: Sequence[Example]
    at: str


EXAMPLE = """
    select s.id as suggestion_id, s.task, s.request, s.messages, s.draft, d.text as sent, s.team_id, s.channel_id,
           s.thread_ts, s.requested_by, d.decided_by, coalesce(d.created_at, s.created_at) as at
"""


def example_of(found: dict[str, Any]) -> Example:
    """A row of EXAMPLE, with its kind."""
    request = json.loads(found["request"])
    question = request.get("text", "")
    if found["task"] == "reply":
        question = _last_customer(found["messages"])
    is_refused = found["kind"] == "not_found"
    return Example(
        suggestion_id=found["suggestion_id"],
        kind=found["kind"],
        question=" ".join(question.split()),
        draft=None if is_refused else found["draft"],
        sent=None if is_refused else found["sent"],
        team_id=found["team_id"],
        channel_id=found["channel_id"],
        thread_ts=found["thread_ts"],
        asked_by=found["requested_by"] if is_refused else found["decided_by"],
        asked_in=request.get("kind", ""),
        at=found["at"],
    )


def open_gaps(db: Database, *, limit: int, owner: str | None = None) -> list[Gap]:
    """The queue, most asked first; only what is assigned to `owner` when one is named.

    A gap that nobody has met with but in direct messages is left out, and so is one whose texts were all erased:
    there is nothing that could be shown of it.
    """
    return _gaps(db, "newest = 'reopened' and (:owner is null or assigned_to = :owner)", {"owner": owner}, limit)


def closed_gaps(db: Database, *, since: str, limit: int) -> list[Gap]:
    """What was answered or dismissed since then (ISO text), newest first."""
    closed = """
        newest <> 'reopened' and exists (
            select 1 from gap_events e where e.gap_id = g.id and e.kind <> 'assigned' and e.created_at >= :since
        )
    """
    order = "(select max(e.id) from gap_events e where e.gap_id = g.id) desc"
    return _gaps(db, closed, {"since": since}, limit, order=order)


def gap(db: Database, gap_id: str) -> Gap:
    """One gap; raises UnknownGap."""
    found = _gaps(db, "g.id = :id", {"id": gap_id}, 1, shown_only=False)
    if not found:
        raise UnknownGap(gap_id)
    return found[0]


def record_event(
    db: Database,
    gap_id: str,
    *,
    kind: Literal["assigned", "dismissed", "answered", "reopened"],
    decided_by: str,
    request_key: str,
    owner: str | None = None,
    article: Article | None = None,
) -> bool:
    """Append what became of a gap. True when this request is new."""
    kept = dumps(articles.as_json(article)) if article else None
    cursor = db.execute(
        """
        insert into gap_events (gap_id, kind, decided_by, owner, article, request_key, created_at)
        values (?, ?, ?, ?, ?, ?, ?) on conflict (request_key) do nothing
        """,
        [gap_id, kind, decided_by, clean(owner) if owner else None, kept, request_key, now()],
    )
    return cursor.rowcount == 1


def event_known(db: Database, request_key: str) -> bool:
    """Was this request recorded before?"""
    return row(db, "select 1 from gap_events where request_key = ?", [request_key]) is not None


def newest_article(db: Database, gap_id: str) -> Article | None:
    """What was last written in answer to a gap, also when that was undone."""
    found = row(
        db,
        "select article from gap_events where gap_id = ? and article is not null order by id desc limit 1",
        [gap_id],
    )
    return articles.of_json(json.loads(found["article"])) if found else None


def untold(db: Database) -> list[tuple[str, Example]]:
    """(gap, example) of who met with a gap that is answered by now and was not told yet, oldest first."""
    found = rows(
        db,
        f"""
        {EXAMPLE}, x.kind, x.gap_id
        from gap_examples x join gap_states g on g.id = x.gap_id and g.newest = 'answered'
        join suggestions s on s.id = x.suggestion_id left join decisions d on d.suggestion_id = s.id
        where x.told_at is null order by at
        """,
    )
    return [(one["gap_id"], example_of(one)) for one in found]


def record_told(db: Database, suggestion_ids: Sequence[str]) -> None:
    """Who stands behind these examples knows that their gap is answered."""
    db.execute(
        "update gap_examples set told_at = ? where suggestion_id in (select value from json_each(?))",
        [now(), dumps(list(suggestion_ids))],
    )


def article_source(gap_id: str) -> str:
    """The name under which a gap's article stands in the help centre."""
    return f"slack:gap/{gap_id}"


def _gaps(
    db: Database,
    condition: str,
    bound: dict[str, Any],
    limit: int,
    *,
    order: str = "count desc, at desc",
    shown_only: bool = True,
) -> list[Gap]:
    # A blanked request is `{}` and a blanked draft null: nothing is left to show.
    found = rows(
        db,
        f"""
        select g.id, g.newest, g.assigned_to, count(*) as count, max(coalesce(d.created_at, s.created_at)) as at,
               sum(s.channel_id not like 'D%' and (s.draft is not null or s.request ->> 'text' is not null)) as shown
        from gap_states g join gap_examples x on x.gap_id = g.id
        join suggestions s on s.id = x.suggestion_id left join decisions d on d.suggestion_id = s.id
        where {condition}
        group by g.id {"having shown > 0" if shown_only else ""}
        order by {order} limit :limit
        """,
        bound | {"limit": limit},
    )
    return [
        Gap(
            id=one["id"],
            state=STATES[one["newest"]],
            count=one["count"],
            owner=one["assigned_to"] or _document_owner(db, one["id"]),
            assigned_to=one["assigned_to"],
            examples=_examples(db, one["id"]),
            at=one["at"],
        )
        for one in found
    ]


def _examples(db: Database, gap_id: str) -> list[Example]:
    found = rows(
        db,
        f"""
        {EXAMPLE}, x.kind from gap_examples x
        join suggestions s on s.id = x.suggestion_id left join decisions d on d.suggestion_id = s.id
        where x.gap_id = ? and s.channel_id not like 'D%'
          and (s.draft is not null or s.request ->> 'text' is not null)
        order by at desc limit ?
        """,
        [gap_id, SHOWN],
    )
    return [example_of(one) for one in found]


def _document_owner(db: Database, gap_id: str) -> str:
    found = row(
        db,
        """
        select d.owner from gap_examples x
        join suggestion_sources s on s.suggestion_id = x.suggestion_id
        join cited_chunks c on c.id = s.chunk_id
        join documents d on d.id = c.document_id and d.owner is not null
        where x.gap_id = ? and x.kind <> 'not_found'
        order by x.rowid, s.rowid limit 1
        """,
        [gap_id],
    )
    return str(found["owner"]) if found else ""


def _last_customer(messages: str | None) -> str:
    """What the customer said last in a reply's prompt."""
    lines = asked_thread(json.loads(messages)).splitlines() if messages and messages != "[]" else []
    mark = f"{NAMES['customer']}: "
    return next((line.removeprefix(mark) for line in reversed(lines) if line.startswith(mark)), "")
