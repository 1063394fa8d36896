"""Where the app is installed: workspaces and organisations with their tokens, and the states of installs under way.

Tokens are as secret as the file: they are in no log, no count and no export.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlite_utils import Database

from data.store_connection import dumps, immediate, iso, new_id, now, row

STATE_LIVES = timedelta(minutes=10)


def put_installation(
    db: Database, *, enterprise_id: str, team_id: str, is_org_wide: bool, installation: dict[str, Any]
) -> None:
    """Store an installation, or a refreshed token of one, in the place of the one before: old tokens are not kept."""
    with immediate(db):
        delete_installations(db, enterprise_id=enterprise_id, team_id="" if is_org_wide else team_id)
        db.execute(
            """
            insert into installations (id, enterprise_id, team_id, is_org_wide, installation, created_at)
            values (?, ?, ?, ?, ?, ?)
            """,
            [new_id(), enterprise_id, "" if is_org_wide else team_id, is_org_wide, dumps(installation), now()],
        )


def installation(db: Database, *, enterprise_id: str, team_id: str, is_org_wide: bool) -> dict[str, Any] | None:
    """The installation in this organisation (`is_org_wide`), or in this workspace."""
    found = row(
        db,
        """
        select installation from installations
        where is_org_wide = :is_org_wide
          and case when :is_org_wide then enterprise_id = :enterprise_id else team_id = :team_id end
        """,
        {"is_org_wide": is_org_wide, "enterprise_id": enterprise_id, "team_id": team_id},
    )
    return json.loads(found["installation"]) if found else None


def installation_for_team(db: Database, team_id: str) -> dict[str, Any] | None:
    """The installation through which this workspace is reached: its own, else the organisation's.

    The workspaces are one company's, so there is at most one organisation.
    """
    own = installation(db, enterprise_id="", team_id=team_id, is_org_wide=False)
    if own is not None:
        return own
    found = row(
        db, "select installation from installations where is_org_wide = 1 order by created_at desc, rowid desc limit 1"
    )
    return json.loads(found["installation"]) if found else None


def delete_installations(db: Database, *, enterprise_id: str, team_id: str) -> None:
    """Forget a workspace's installation or, without a team, an organisation's."""
    db.execute(
        """
        delete from installations
        where team_id = :team_id and (:team_id <> '' or enterprise_id = :enterprise_id)
        """,
        {"enterprise_id": enterprise_id, "team_id": team_id},
    )


def issue_state(db: Database) -> str:
    """A fresh state of an install that begins now: good once, for ten minutes."""
    state = new_id()
    db.execute("insert into oauth_states (state, created_at) values (?, ?)", [state, now()])
    return state


def consume_state(db: Database, state: str) -> bool:
    """Was this state issued lately, and not used before?"""
    oldest = iso(datetime.now(UTC) - STATE_LIVES)
    with immediate(db):
        fresh = (
            db.execute("delete from oauth_states where state = ? and created_at >= ?", [state, oldest]).rowcount == 1
        )
        db.execute("delete from oauth_states where created_at < ?", [oldest])
    return fresh
