"""What happens around a reply: how far its draft had read, why it was dismissed, and that it was taken back."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sqlite_utils import Database

from data.store_connection import clean, now, row, rows

WithdrawalCause = Literal["taken_back", "refreshed"]


@dataclass(frozen=True)
class Withdrawal:
    """An agent's decision that no longer counts. `taken_back`: it was posted and had to be deleted in Slack;
    `refreshed`: it was never posted, because a new draft was asked for."""

    suggestion_id: str
    cause: WithdrawalCause
    withdrawn_by: str
    created_at: str
    deleted_at: str | None

    @property
    def still_stands(self) -> bool:
        """Was the reply taken back and not deleted in Slack yet?"""
        return self.cause == "taken_back" and self.deleted_at is None


@dataclass(frozen=True)
class ShownPassage:
    """A passage that stood in a prompt, as the help centre has it now."""

    title: str
    text: str


@dataclass(frozen=True)
class ShownExample:
    """What an agent sent before and the prompt showed. `channel_id` is None for imported history."""

    text: str
    channel_id: str | None


@dataclass(frozen=True)
class DraftedFrom:
    """What a draft was written from: its newest message, and of the customers' ts → the beginning of a hash."""

    newest_ts: str
    said: dict[str, str]


def record_drafted_from(db: Database, suggestion_id: str, newest_ts: str, said: Mapping[str, str]) -> None:
    """The draft was written from a thread whose newest message this was. `said`: see DraftedFrom."""
    db.execute(
        """
        insert into drafted_from (suggestion_id, newest_ts, said) values (?, ?, ?)
        on conflict (suggestion_id) do nothing
        """,
        [suggestion_id, newest_ts, json.dumps(dict(said))],
    )


def drafted_from(db: Database, suggestion_id: str) -> DraftedFrom | None:
    """What the draft was written from, None when that is not known."""
    found = row(db, "select newest_ts, said from drafted_from where suggestion_id = ?", [suggestion_id])
    return DraftedFrom(found["newest_ts"], json.loads(found["said"] or "{}")) if found else None


def record_reason(db: Database, suggestion_id: str, reason: str) -> bool:
    """Say why a draft was dismissed. False: a reason stands already, or there is no such decision."""
    cursor = db.execute(
        "update decisions set reason = ? where suggestion_id = ? and kind = 'dismissed' and reason is null",
        [clean(reason), suggestion_id],
    )
    return cursor.rowcount == 1


def withdraw(db: Database, suggestion_id: str, *, cause: WithdrawalCause, withdrawn_by: str) -> bool:
    """Take a decision back. False: that was done before."""
    cursor = db.execute(
        """
        insert into withdrawals (suggestion_id, cause, withdrawn_by, created_at) values (?, ?, ?, ?)
        on conflict (suggestion_id) do nothing
        """,
        [suggestion_id, cause, withdrawn_by, now()],
    )
    return cursor.rowcount == 1


def withdrawal(db: Database, suggestion_id: str) -> Withdrawal | None:
    """That a decision was taken back, or None."""
    found = row(db, "select * from withdrawals where suggestion_id = ?", [suggestion_id])
    return Withdrawal(**found) if found else None


def record_deleted(db: Database, suggestion_id: str) -> None:
    """A reply that was taken back is gone from Slack."""
    db.execute(
        "update withdrawals set deleted_at = ? where suggestion_id = ? and deleted_at is null", [now(), suggestion_id]
    )


def undeleted_withdrawals(db: Database) -> list[Withdrawal]:
    """Replies that were taken back and still stand in Slack, oldest first."""
    found = rows(
        db, "select * from withdrawals where cause = 'taken_back' and deleted_at is null order by created_at, rowid"
    )
    return [Withdrawal(**one) for one in found]


def shown_passages(db: Database, suggestion_id: str) -> list[ShownPassage]:
    """The passages in a suggestion's prompt, in their order there, also those that were replaced since."""
    found = rows(
        db,
        """
        select c.title, c.text from suggestion_sources s join cited_chunks c on c.id = s.chunk_id
        where s.suggestion_id = ? order by s.rowid
        """,
        [suggestion_id],
    )
    return [ShownPassage(**one) for one in found]


def shown_examples(db: Database, suggestion_id: str) -> list[ShownExample]:
    """The examples in a suggestion's prompt, in their order there; those that were erased since are left out."""
    found = rows(
        db,
        """
        select coalesce(d.text, h.target) as text, e.channel_id
        from suggestion_sources s
        left join decisions d on d.suggestion_id = s.pair_id
        left join suggestions e on e.id = d.suggestion_id
        left join history_pairs h on h.id = s.pair_id
        where s.suggestion_id = ? and s.pair_id is not null and coalesce(d.text, h.target) is not null
        order by s.rowid
        """,
        [suggestion_id],
    )
    return [ShownExample(**one) for one in found]
