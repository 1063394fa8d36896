"""Requests, drafts, decisions, ratings and consent. A suggestion's state is the queue.

requested → drafted → shown, or failed. Every write may be repeated: the first one counts.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from sqlite_utils import Database

from data.errors import UnknownSuggestion
from data.models import Consent, Decision, DecisionKind, Message, Rating, Role, Suggestion, Task
from data.prompts import asked_thread
from data.store_connection import clean, dumps, immediate, new_id, now, row, rows, see_thread, thread_id_of

SUGGESTION = "select * from suggestions s"


def request_suggestion(
    db: Database,
    *,
    request_key: str,
    task: Task,
    team_id: str,
    channel_id: str,
    thread_ts: str | None,
    requested_by: str,
    request: dict[str, str],
) -> Suggestion | None:
    """Store a request before it is acked. None when this key is known: Slack repeated itself.

    A request outside any thread is a thread of its own.
    """
    suggestion_id = new_id()
    thread_id = thread_id_of(team_id, channel_id, thread_ts or suggestion_id)
    with immediate(db):
        if row(db, "select 1 from suggestions where request_key = ?", [request_key]):
            return None
        see_thread(
            db, thread_id, source="slack", team_id=team_id, channel_id=channel_id, thread_ts=thread_ts or suggestion_id
        )
        db.execute(
            """
            insert into suggestions (
                id, request_key, task, team_id, channel_id, thread_ts, thread_id, requested_by, request, state,
                created_at
            ) values (?, ?, ?, ?, ?, ?, ?, ?, ?, 'requested', ?)
            """,
            [
                suggestion_id,
                request_key,
                task,
                team_id,
                channel_id,
                thread_ts,
                thread_id,
                requested_by,
                dumps(request),
                now(),
            ],
        )
        return suggestion(db, suggestion_id)


def record_draft(
    db: Database,
    suggestion_id: str,
    *,
    messages: Sequence[Message],
    draft: str,
    base: str,
    adapter: str,
    pair_ids: Iterable[str] = (),
    chunk_ids: Iterable[int] = (),
) -> Suggestion:
    """Store the draft with the prompt exactly as sent and its sources. Returns what is stored: the first draft."""
    with immediate(db):
        stored = suggestion(db, suggestion_id)
        if stored.state != "requested":
            return stored
        db.execute(
            """
            update suggestions
            set state = 'drafted', messages = ?, draft = ?, base = ?, adapter = ?
            where id = ?
            """,
            [dumps(list(messages)), clean(draft), base, adapter, suggestion_id],
        )
        sources: list[tuple[str, str | None, int | None]] = [
            *((suggestion_id, pair_id, None) for pair_id in pair_ids),
            *((suggestion_id, None, chunk_id) for chunk_id in chunk_ids),
        ]
        db.conn.executemany(
            "insert into suggestion_sources (suggestion_id, pair_id, chunk_id) values (?, ?, ?)", sources
        )
        return suggestion(db, suggestion_id)


def record_shown(db: Database, suggestion_id: str) -> None:
    """The agent can see the draft."""
    suggestion(db, suggestion_id)
    db.execute(
        "update suggestions set state = 'shown', shown_at = ? where id = ? and state = 'drafted'",
        [now(), suggestion_id],
    )


def record_failure(db: Database, suggestion_id: str, error: str) -> None:
    """The request ended without a draft on anybody's screen. What was shown stays shown."""
    suggestion(db, suggestion_id)
    db.execute(
        "update suggestions set state = 'failed', error = ? where id = ? and state in ('requested', 'drafted')",
        [clean(error), suggestion_id],
    )


def suggestion(db: Database, suggestion_id: str) -> Suggestion:
    """One suggestion; raises UnknownSuggestion."""
    found = row(db, f"{SUGGESTION} where s.id = ?", [suggestion_id])
    if found is None:
        raise UnknownSuggestion(suggestion_id)
    return _suggestion(found)


def suggestion_of_request(db: Database, request_key: str) -> Suggestion | None:
    """The suggestion that this request made."""
    found = row(db, f"{SUGGESTION} where s.request_key = ?", [request_key])
    return _suggestion(found) if found else None


def unfinished_suggestions(db: Database) -> list[Suggestion]:
    """Requested or drafted, oldest first: what a restarted desk has to finish."""
    found = rows(db, f"{SUGGESTION} where s.state in ('requested', 'drafted') order by s.created_at, s.rowid")
    return [_suggestion(one) for one in found]


def suggestion_at(db: Database, channel_id: str, posted_ts: str) -> Suggestion | None:
    """The suggestion whose reply was posted as this message."""
    found = row(
        db,
        f"{SUGGESTION} join decisions d on d.suggestion_id = s.id where s.channel_id = ? and d.posted_ts = ?",
        [channel_id, posted_ts],
    )
    return suggestion(db, found["suggestion_id"]) if found else None


def decide(
    db: Database, suggestion_id: str, *, kind: DecisionKind, text: str | None, reason: str | None, decided_by: str
) -> tuple[Decision, bool]:
    """Store what the agent did. The second value is True when this call made the decision; else it stood already."""
    with immediate(db):
        stored = suggestion(db, suggestion_id)
        standing = decision(db, suggestion_id)
        if standing:
            return standing, False
        db.execute(
            """
            insert into decisions (id, suggestion_id, kind, text, reason, decided_by, created_at)
            values (?, ?, ?, ?, ?, ?, ?)
            """,
            [
                new_id(),
                suggestion_id,
                kind,
                clean(text) if text is not None and kind != "dismissed" else None,
                clean(reason) if reason is not None else None,
                decided_by,
                now(),
            ],
        )
        # Who decides has seen it: the desk may have been killed between showing the draft and saying so.
        record_shown(db, suggestion_id)
        if kind != "dismissed" and stored.messages:
            index_example(db, suggestion_id, stored.task, stored.messages)
        made = decision(db, suggestion_id)
        assert made is not None
        return made, True


def decision(db: Database, suggestion_id: str) -> Decision | None:
    """The decision on a suggestion, or None."""
    found = row(db, "select * from decisions where suggestion_id = ?", [suggestion_id])
    return Decision(**found) if found else None


def record_posted(db: Database, suggestion_id: str, posted_ts: str) -> None:
    """The accepted or edited reply stands in Slack as this message. The first one counts."""
    db.execute(
        "update decisions set posted_ts = ? where suggestion_id = ? and posted_ts is null", [posted_ts, suggestion_id]
    )


def unposted_decisions(db: Database) -> list[Decision]:
    """Accepted or edited replies that are not in Slack yet, oldest first."""
    found = rows(
        db,
        """
        select d.* from decisions d
        join suggestions s on s.id = d.suggestion_id
        where s.task = 'reply' and d.kind in ('accepted', 'edited') and d.posted_ts is null and d.text is not null
          and s.id not in (select suggestion_id from withdrawals)
        order by d.created_at, d.rowid
        """,
    )
    return [Decision(**one) for one in found]


def rate(
    db: Database,
    *,
    suggestion_id: str,
    user_id: str,
    role: Role,
    value: int,
    request_key: str | None = None,
    seen_sha256: str | None = None,
) -> bool:
    """Append a thumb: -1, 0 (taken back) or 1. True when this request is new.

    `seen_sha256` is the hash of the text that was looked at: `text_sha256`, as a button may have kept it. By it the
    thumb is known to be about the draft, or about what was sent in its place.
    """
    with immediate(db):
        rated = suggestion(db, suggestion_id)
        about = _text_seen(rated, decision(db, suggestion_id), seen_sha256)
        cursor = db.execute(
            """
            insert into ratings (id, suggestion_id, user_id, role, value, request_key, seen_sha256, about, created_at)
            values (?, ?, ?, ?, ?, ?, ?, ?, ?)
            on conflict (request_key) do nothing
            """,
            [new_id(), suggestion_id, user_id, role, value, request_key, seen_sha256, about, now()],
        )
        return cursor.rowcount == 1


def _text_seen(rated: Suggestion, made: Decision | None, seen_sha256: str | None) -> Literal["draft", "sent"] | None:
    texts: tuple[tuple[Literal["sent", "draft"], str | None], ...] = (
        ("sent", made.text if made else None),
        ("draft", rated.draft),
    )
    return next((name for name, text in texts if text is not None and text_sha256(text) == seen_sha256), None)


def text_sha256(text: str) -> str:
    """By which a rating knows the text that was seen."""
    return hashlib.sha256(clean(text).encode()).hexdigest()


def ratings(db: Database, suggestion_id: str) -> list[Rating]:
    """The newest rating of each person."""
    found = rows(
        db,
        """
        select suggestion_id, user_id, role, value, created_at from newest_ratings
        where suggestion_id = ? order by created_at
        """,
        [suggestion_id],
    )
    return [Rating(**one) for one in found]


def set_consent(
    db: Database, channel_id: str, *, granted_by: str, granted: bool, request_key: str | None = None
) -> bool:
    """Append to a channel's consent ledger. True when this request is new."""
    with immediate(db):
        cursor = db.execute(
            """
            insert into consents (channel_id, granted_by, granted, request_key, created_at)
            values (?, ?, ?, ?, ?)
            on conflict (request_key) do nothing
            """,
            [channel_id, granted_by, granted, request_key, now()],
        )
        return cursor.rowcount == 1


def consent(db: Database, channel_id: str) -> Consent | None:
    """The newest entry of a channel's consent ledger; None means off, for nobody ever switched it on."""
    found = row(
        db,
        """
        select channel_id, granted_by, granted, created_at from consents
        where channel_id = ? order by created_at desc, id desc limit 1
        """,
        [channel_id],
    )
    return Consent(**(found | {"granted": bool(found["granted"])})) if found else None


def index_example(db: Database, pair_id: str, task: Task, messages: Sequence[Message]) -> None:
    """Make a pair findable as a few-shot example by the thread or question that it answers."""
    db.execute(
        "insert into examples_fts (pair_id, task, thread) values (?, ?, ?)",
        [pair_id, task, clean(asked_thread(messages))],
    )


def _suggestion(found: dict[str, Any]) -> Suggestion:
    messages = json.loads(found["messages"]) if found["messages"] is not None else None
    return Suggestion(**(found | {"messages": messages, "request": json.loads(found["request"])}))
