"""Why did it say this? From a message in Slack to the adapter that wrote it, its run, its verdicts and its pairs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from data import query, store, store_chain
from data.errors import NightshiftError, UnknownSuggestion
from data.models import BASE, Adapter, Suggestion, pointer_name
from data.permalink import parse_permalink
from data.prompts import asked_thread
from data.store_connection import row, rows

NEAREST = 5


class UnknownMessage(NightshiftError):
    """Nothing that we drafted was posted there."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"Nothing that was drafted here is {name}: give a suggestion's id, CHANNEL/TS or the permalink of a reply "
            "that was sent."
        )


@dataclass(frozen=True)
class Lineage:
    """Ids, hashes and times; texts stay in the store."""

    suggestion: dict[str, Any]
    sources: list[dict[str, Any]]
    """Examples and passages that stood in the prompt."""
    adapter: dict[str, Any] | None
    """None where the base wrote it."""
    run: dict[str, Any] | None
    gate_reports: list[dict[str, Any]]
    promotions: list[dict[str, Any]]
    nearest_pairs: list[dict[str, Any]]
    """Of the pairs that the adapter learned from, those whose threads are most like this one, with their decisions."""
    ledger: list[str]
    """Where the ledger's hash chain is broken; empty when it is whole."""


def trace(db: Database, name: str) -> Lineage:
    """The lineage of a suggestion, by its id, or CHANNEL/TS or permalink of what was posted. Raises UnknownMessage."""
    asked = _suggestion(db, name)
    decision = store.decision(db, asked.id)
    adapter = None if asked.adapter in (None, BASE) else store.adapter(db, asked.adapter or "")
    run = row(db, "select * from runs where id = ?", [adapter.run_id]) if adapter else None
    return Lineage(
        suggestion={
            "id": asked.id,
            "task": asked.task,
            "thread": asked.thread_id,
            "requested_by": asked.requested_by,
            "created_at": asked.created_at,
            "base": asked.base,
            "adapter": asked.adapter,
            "decision": decision.kind if decision else None,
            "decided_by": decision.decided_by if decision else None,
            "posted": decision.posted_ts if decision else None,
        },
        sources=rows(
            db,
            """
            select o.pair_id, o.chunk_id, c.title from suggestion_sources o
            left join cited_chunks c on c.id = o.chunk_id where o.suggestion_id = ?
            """,
            [asked.id],
        ),
        adapter=_adapter(db, adapter) if adapter else None,
        run={name: run[name] for name in ("id", "base", "status", "created_at", "facts")} if run else None,
        gate_reports=[
            {"id": one.id, "task": one.task, "passed": one.passed, "created_at": one.created_at}
            for one in (store.gate_reports(db, adapter.run_id) if adapter else [])
        ],
        promotions=rows(
            db,
            """
            select id, task, cause, gate_report_id, forced, created_at, team from promotions
            where adapter = ? order by id
            """,
            [asked.adapter],
        ),
        nearest_pairs=_nearest(db, asked, adapter.name) if adapter else [],
        ledger=store_chain.breaks(db),
    )


def lines_of(traced: Lineage) -> list[str]:
    """The lineage for people."""
    about, adapter, run = traced.suggestion, traced.adapter, traced.run
    lines = [
        f"suggested: {about['id']} ({about['task']}), {about['created_at'][:19]}, for {about['requested_by']}: "
        + (about["decision"] or "not decided on"),
        f"written by {about['adapter'] or 'nobody yet'} on base {(about['base'] or 'none')[:12]}",
    ]
    if adapter:
        lines.append(f"adapter {adapter['name']}: {adapter['pairs']} pairs, sha256 {adapter['sha256'][:12]}")
    lines += [
        f"promotion {one['id']} for {pointer_name(one['task'], one['team'])}: {one['cause']}, {one['created_at'][:19]}"
        for one in traced.promotions
    ]
    lines += [
        f"gate report {one['id'][:12]} for {one['task']}: {'passed' if one['passed'] else 'not passed'}"
        for one in traced.gate_reports
    ]
    if run:
        lines.append(f"run {run['id']}, {run['created_at'][:19]}: {run['status']}")
    for one in traced.nearest_pairs:
        what = one["decision"] or one["source"]
        lines.append(f"learned from pair {one['pair_id'][:12]}: {what} in {one['thread']}, {one['created_at'][:19]}")
    for one in traced.sources:
        shown = f"example {one['pair_id'][:12]}" if one["pair_id"] else f"passage {one['title'] or 'erased'}"
        lines.append(f"in the prompt: {shown}")
    return [*lines, *(traced.ledger or ["the ledger's hash chain is whole"])]


def _suggestion(db: Database, name: str) -> Suggestion:
    if link := parse_permalink(name):
        name = f"{link.channel_id}/{link.message_ts}"
    channel, slash, ts = name.rpartition("/")
    if slash:
        found = store.suggestion_at(db, channel.rpartition("/")[2], ts)
    else:
        try:
            found = store.suggestion(db, name)
        except UnknownSuggestion:
            found = None
    if found is None:
        raise UnknownMessage(name)
    return found


def _adapter(db: Database, adapter: Adapter) -> dict[str, Any]:
    pairs = row(db, "select count(*) as pairs from adapter_pairs where adapter = ?", [adapter.name])
    assert pairs is not None
    return {
        "name": adapter.name,
        "run": adapter.run_id,
        "base": adapter.base,
        "sha256": adapter.sha256,
        "created_at": adapter.created_at,
        "path": adapter.path,
        "is_on_disk": Path(adapter.path).is_dir(),
        "pairs": pairs["pairs"],
    }


def _nearest(db: Database, asked: Suggestion, adapter: str) -> list[dict[str, Any]]:
    expression = query.any_of(asked_thread(asked.messages)) if asked.messages else ""
    if not expression:
        return []
    return rows(
        db,
        """
        select e.pair_id, coalesce(s.thread_id, h.thread_id) as thread,
               case when h.id is null then 'suggestion' else 'history' end as source,
               d.kind as decision, d.decided_by, d.posted_ts as posted,
               coalesce(d.created_at, h.created_at) as created_at
        from examples_fts e
        join adapter_pairs a on a.pair_id = e.pair_id and a.adapter = ?
        left join suggestions s on s.id = e.pair_id
        left join decisions d on d.suggestion_id = e.pair_id
        left join history_pairs h on h.id = e.pair_id
        where e.examples_fts match ? and e.task = ? order by e.rank limit ?
        """,
        [adapter, expression, asked.task, NEAREST],
    )
