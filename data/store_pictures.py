"""The picture on the supervisors' Home tab: which file of a workspace shows which numbers. The newest one is kept."""

import json
from dataclasses import asdict, dataclass

from sqlite_utils import Database

from data.store_connection import now, row


@dataclass(frozen=True)
class Picture:
    """A file in Slack. `sha256` is the hash of the numbers that it shows."""

    sha256: str
    file_id: str
    uploaded_at: str


def picture(db: Database, workspace: str) -> Picture | None:
    """The newest picture of this workspace."""
    found = row(db, "select value from meta where key = ?", [_key(workspace)])
    return Picture(**json.loads(found["value"])) if found else None


def keep_picture(db: Database, workspace: str, *, sha256: str, file_id: str) -> None:
    """From now on this file is shown in this workspace."""
    db.execute(
        "insert into meta (key, value) values (?, ?) on conflict (key) do update set value = excluded.value",
        [_key(workspace), json.dumps(asdict(Picture(sha256, file_id, now())))],
    )


def forget_picture(db: Database, workspace: str) -> None:
    """The file cannot be shown any more."""
    db.execute("delete from meta where key = ?", [_key(workspace)])


def _key(workspace: str) -> str:
    return f"picture/{workspace}"
