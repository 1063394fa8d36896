"""Drafts that the base model wrote in a live adapter's place, derived: nothing is stored about a failure."""

from dataclasses import dataclass

from sqlite_utils import Database

from data.models import BASE, SHARED, Task
from data.store_connection import row


@dataclass(frozen=True)
class Fallback:
    """The live adapter of a task, and how many drafts in a row base wrote in its place, up to now."""

    adapter: str
    drafts: int
    newest: str


def fallback(db: Database, task: Task, base: str, team: str | None = None) -> Fallback | None:
    """What base (its hash) has written since the live adapter of this task was last seen to write; None: nothing.

    `team`: of the adapter that this team alone is served; None: of the one that all share.
    """
    found = row(
        db,
        """
        with live as (
            select adapter, created_at from promotions
            where task = :task and base = :base and team is :team order by id desc limit 1
        ), asked as (
            -- Without a prompt it is a copy of an earlier text.
            select s.adapter, s.created_at from suggestions s, live
            where s.task = :task and s.base = :base and s.messages is not null and s.created_at > live.created_at
              and (:team is null or s.team_id = :team)
        )
        select live.adapter, count(*) as drafts, max(asked.created_at) as newest
        from live join asked
          on asked.adapter = :bare
         and asked.created_at > coalesce(
                 (select max(created_at) from asked where adapter = live.adapter), live.created_at
             )
        where live.adapter not in (:bare, :shared)
        """,
        {"task": task, "base": base, "bare": BASE, "shared": SHARED, "team": team},
    )
    return Fallback(**found) if found and found["drafts"] else None
