"""Channels that want drafts without being asked, and how many they got. Off for a channel until switched on."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlite_utils import Database

from data.store_connection import now, row, rows

UNASKED = "from suggestions where json_extract(request, '$.kind') = 'proactive'"


@dataclass(frozen=True)
class Switch:
    """One entry of a channel's ledger: the newest says whether agents get drafts that they did not ask for."""

    channel_id: str
    switched_by: str
    is_on: bool
    created_at: str


def switch(db: Database, channel_id: str, *, switched_by: str, is_on: bool, request_key: str) -> bool:
    """Append to a channel's ledger. True when this request is new."""
    cursor = db.execute(
        """
        insert into proactive_switches (channel_id, switched_by, is_on, request_key, created_at)
        values (?, ?, ?, ?, ?)
        on conflict (request_key) do nothing
        """,
        [channel_id, switched_by, is_on, request_key, now()],
    )
    return cursor.rowcount == 1


def newest_switch(db: Database, channel_id: str) -> Switch | None:
    """The newest entry of a channel's ledger; None means off, for nobody ever switched it on."""
    found = row(
        db,
        """
        select channel_id, switched_by, is_on, created_at from proactive_switches
        where channel_id = ? order by created_at desc, id desc limit 1
        """,
        [channel_id],
    )
    return Switch(**(found | {"is_on": bool(found["is_on"])})) if found else None


def unasked_since(db: Database, channel_id: str, since: str) -> int:
    """How many drafts a channel's agents got unasked since a time (ISO text)."""
    found = row(db, f"select count(*) as drafts {UNASKED} and channel_id = ? and created_at >= ?", [channel_id, since])
    return int(found["drafts"]) if found else 0


def newest_question(db: Database, thread_id: str) -> str | None:
    """The ts of the newest message of a thread that was drafted for unasked, or None."""
    found = row(
        db,
        f"""
        select json_extract(request, '$.message_ts') as ts {UNASKED} and thread_id = ?
        order by created_at desc, rowid desc limit 1
        """,
        [thread_id],
    )
    return str(found["ts"]) if found else None


def in_turn(db: Database, channel_id: str, agents: Iterable[str]) -> list[str]:
    """These agents, the one whose last unasked draft in this channel is the longest ago first."""
    found = rows(
        db,
        f"select requested_by, max(created_at) as last {UNASKED} and channel_id = ? group by requested_by",
        [channel_id],
    )
    last = {one["requested_by"]: one["last"] for one in found}
    return sorted(agents, key=lambda agent: (last.get(agent, ""), agent))
