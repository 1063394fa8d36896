"""People's wishes: appended at every change, the newest row counts."""

from dataclasses import asdict

from sqlite_utils import Database

from data.preferences import Preferences
from data.store_connection import now, row


def set_preferences(db: Database, user_id: str, preferences: Preferences, *, request_key: str) -> bool:
    """Append what a person wishes from now on. True when this request is new."""
    cursor = db.execute(
        """
        insert into preferences (user_id, language, tone, quiet_from, quiet_until, request_key, created_at)
        values (:user_id, :language, :tone, :quiet_from, :quiet_until, :request_key, :created_at)
        on conflict (request_key) do nothing
        """,
        {**asdict(preferences), "user_id": user_id, "request_key": request_key, "created_at": now()},
    )
    return cursor.rowcount == 1


def preferences(db: Database, user_id: str) -> Preferences:
    """A person's newest wishes; none for who never set any."""
    found = row(
        db,
        "select language, tone, quiet_from, quiet_until from preferences where user_id = ? order by id desc limit 1",
        [user_id],
    )
    return Preferences(**found) if found else Preferences()
