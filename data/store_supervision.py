"""What supervisors see and decide: acceptance, ratings with their comments, the newest night, held promotions."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from sqlite_utils import Database

from data.models import Consent, DecisionKind, GateReport, Run, SuggestionState, Task
from data.store_connection import clean, immediate, now, row, rows
from data.store_ledger import gate_reports, run
from data.store_replies import WithdrawalCause
from data.store_suggestions import suggestion


@dataclass(frozen=True)
class ListedDraft:
    """A draft as a list shows it. `text` is what was sent, else the draft; None once it was erased."""

    suggestion_id: str
    task: Task
    state: SuggestionState
    kind: DecisionKind | None
    text: str | None
    reason: str | None
    channel_id: str
    thread_ts: str | None
    posted_ts: str | None
    adapter: str | None
    requested_by: str
    decided_by: str | None
    at: str
    withdrawn: WithdrawalCause | None = None
    ups: int = 0
    downs: int = 0


@dataclass(frozen=True)
class Decided:
    """How many drafts of one task, channel and adapter met with this decision on this day (UTC, YYYY-MM-DD)."""

    task: Task
    channel_id: str
    adapter: str
    day: str
    kind: DecisionKind
    count: int


@dataclass(frozen=True)
class Hold:
    """From then on nights may promote nothing (`held`), or may again."""

    held: bool
    decided_by: str
    created_at: str


@dataclass(frozen=True)
class Case:
    """A held-out text by its pair: where it was said, when it was said in Slack, and what a human wrote."""

    pair_id: str
    text: str
    channel_id: str
    thread_ts: str


@dataclass(frozen=True)
class Written:
    """What incumbent (`before`) and candidate (`after`) wrote for the held-out thread of one pair."""

    task: Task
    pair_id: str
    before: str
    after: str


LISTED = """
    select s.id as suggestion_id, s.task, s.state, d.kind, coalesce(d.text, s.draft) as text, d.reason, s.channel_id,
           s.thread_ts, d.posted_ts, s.adapter, s.requested_by, d.decided_by,
           coalesce(d.created_at, s.created_at) as at,
           (select w.cause from withdrawals w where w.suggestion_id = s.id) as withdrawn
"""


def own_drafts(db: Database, user_id: str, *, limit: int) -> list[ListedDraft]:
    """The drafts that a person asked for, newest first."""
    found = rows(
        db,
        f"""
        {LISTED} from suggestions s left join decisions d on d.suggestion_id = s.id
        where s.requested_by = ? order by s.created_at desc, s.rowid desc limit ?
        """,
        [user_id, limit],
    )
    return [ListedDraft(**one) for one in found]


def dismissed_drafts(db: Database, *, limit: int) -> list[ListedDraft]:
    """The drafts that agents dismissed, newest first; what was asked in a direct message stays there."""
    found = rows(
        db,
        f"""
        {LISTED} from decisions d join suggestions s on s.id = d.suggestion_id
        where d.kind = 'dismissed' and s.channel_id not like 'D%' order by d.created_at desc, d.rowid desc limit ?
        """,
        [limit],
    )
    return [ListedDraft(**one) for one in found]


def worst_rated(db: Database, *, limit: int) -> list[ListedDraft]:
    """The drafts with more thumbs down than up, the most disliked first; none from direct messages."""
    found = rows(
        db,
        f"""
        {LISTED}, sum(r.value = 1) as ups, sum(r.value = -1) as downs
        from newest_ratings r
        join suggestions s on s.id = r.suggestion_id
        left join decisions d on d.suggestion_id = s.id
        where s.channel_id not like 'D%'
        group by s.id having sum(r.value) < 0
        order by sum(r.value), max(r.created_at) desc limit ?
        """,
        [limit],
    )
    return [ListedDraft(**one) for one in found]


def decided(db: Database, *, since: str) -> list[Decided]:
    """Counts of the decisions made since then (ISO text), without those that were withdrawn."""
    found = rows(
        db,
        """
        select s.task, s.channel_id, coalesce(s.adapter, 'base') as adapter, substr(d.created_at, 1, 10) as day, d.kind,
               count(*) as count
        from decisions d join suggestions s on s.id = d.suggestion_id
        where d.created_at >= ? and s.id not in (select suggestion_id from withdrawals)
        group by s.task, s.channel_id, s.adapter, day, d.kind
        """,
        [since],
    )
    return [Decided(**one) for one in found]


def comment(db: Database, *, suggestion_id: str, user_id: str, text: str, request_key: str) -> bool:
    """Append what a person says about a text they rated. True when this request is new."""
    with immediate(db):
        suggestion(db, suggestion_id)
        cursor = db.execute(
            """
            insert into rating_comments (suggestion_id, user_id, text, request_key, created_at) values (?, ?, ?, ?, ?)
            on conflict (request_key) do nothing
            """,
            [suggestion_id, user_id, clean(text), request_key, now()],
        )
        return cursor.rowcount == 1


def comments(db: Database, suggestion_id: str) -> list[tuple[str, str]]:
    """(person, newest comment) of those whose thumb is down now, oldest first."""
    found = rows(
        db,
        """
        select c.user_id, c.text from rating_comments c
        join newest_ratings r on r.suggestion_id = c.suggestion_id and r.user_id = c.user_id and r.value = -1
        where c.suggestion_id = ? and c.text is not null
          and not exists (
              select 1 from rating_comments newer
              where newer.suggestion_id = c.suggestion_id and newer.user_id = c.user_id and newer.id > c.id
          )
        order by c.id
        """,
        [suggestion_id],
    )
    return [(one["user_id"], one["text"]) for one in found]


def learning_channels(db: Database) -> list[Consent]:
    """The channels that are learned from, by their newest consent."""
    found = rows(
        db,
        """
        select c.channel_id, c.granted_by, c.granted, max(c.created_at) as created_at from consents c
        where c.channel_id in (select channel_id from consented_channels)
        group by c.channel_id order by c.channel_id
        """,
    )
    return [Consent(**(one | {"granted": True})) for one in found]


def newest_night(db: Database) -> tuple[Run, list[GateReport]] | None:
    """The newest run of everybody's pairs with its gate reports, None before the first night."""
    found = row(db, "select id from runs where facts ->> 'team' is null order by created_at desc, rowid desc limit 1")
    return (run(db, found["id"]), gate_reports(db, found["id"])) if found else None


def team_runs(db: Database, run_id: str) -> list[tuple[Run, list[GateReport]]]:
    """The runs for single teams that came after this one in the same night, with their gate reports."""
    found = rows(db, "select id from runs where facts ->> 'night' = ? order by created_at, rowid", [run_id])
    return [(run(db, one["id"]), gate_reports(db, one["id"])) for one in found]


def record_written(db: Database, gate_report_id: str, texts: Iterable[tuple[str, str, str]]) -> None:
    """Append what incumbent and candidate wrote for held-out threads: (pair, before, after)."""
    time = now()
    db.conn.executemany(
        """
        insert into written_cases (gate_report_id, pair_id, before_text, after_text, created_at) values (?, ?, ?, ?, ?)
        """,
        [(gate_report_id, pair, clean(before), clean(after), time) for pair, before, after in texts],
    )


def written(db: Database, run_id: str, *, limit: int) -> list[Written]:
    """Cases of a run in which the candidate writes something else than the incumbent."""
    found = rows(
        db,
        """
        select g.task, w.pair_id, w.before_text as before, w.after_text as after
        from written_cases w join gate_reports g on g.id = w.gate_report_id
        where g.run_id = ? and w.before_text <> w.after_text
        order by g.rowid, w.pair_id limit ?
        """,
        [run_id, limit],
    )
    return [Written(**one) for one in found]


def cases(db: Database, pair_ids: Iterable[str]) -> dict[str, Case]:
    """Held-out texts by pair, also where they are no pair any more; one that was erased is left out."""
    found = rows(
        db,
        """
        with asked as (select value as id from json_each(?))
        select p.pair_id, p.text, t.channel_id, t.thread_ts from (
            select d.suggestion_id as pair_id, d.text, s.thread_id
            from decisions d join suggestions s on s.id = d.suggestion_id
            where d.suggestion_id in (select id from asked) and d.text is not null
            union all
            select id, target, thread_id from history_pairs
            where id in (select id from asked) and target is not null
        ) p
        join threads t on t.id = p.thread_id
        """,
        [json.dumps(list(pair_ids))],
    )
    return {one["pair_id"]: Case(**one) for one in found}


def set_hold(db: Database, *, held: bool, decided_by: str, request_key: str) -> bool:
    """Append whether nights may promote. True when this request is new."""
    cursor = db.execute(
        """
        insert into promotion_holds (held, decided_by, request_key, created_at) values (?, ?, ?, ?)
        on conflict (request_key) do nothing
        """,
        [held, decided_by, request_key, now()],
    )
    return cursor.rowcount == 1


def hold(db: Database) -> Hold | None:
    """The hold that stands, None when nights may promote."""
    found = row(db, "select held, decided_by, created_at from promotion_holds order by id desc limit 1")
    return Hold(**(found | {"held": True})) if found and found["held"] else None
