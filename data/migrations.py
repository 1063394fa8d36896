"""A file is brought to this version's schema, and refused when a newer one has touched it.

`pragma user_version` counts the migrations, so that any tool can see how new a file is.
"""

from pathlib import Path

from sqlite_utils import Database

from data.errors import DatabaseTooNew
from data.schema import migrations


def names() -> list[str]:
    """All migrations that this version knows, oldest first."""
    return [migration.name for migration in migrations.pending(Database(memory=True))]


def refuse_newer(db: Database, path: Path) -> None:
    """Raise DatabaseTooNew when a version after this one has migrated the file."""
    known = names()
    unknown = [applied.name for applied in migrations.applied(db) if applied.name not in known]
    version = db.execute("pragma user_version").fetchone()[0]
    if unknown or version > len(known):
        raise DatabaseTooNew(str(path), unknown or [f"schema version {version}, this one knows {len(known)}"])


def apply(db: Database, *, stop_before: str | None = None) -> list[str]:
    """Apply what is pending, inside the caller's transaction, and return the names."""
    pending = [migration.name for migration in migrations.pending(db)]
    if not pending:
        return []
    migrations.apply(db, stop_before=stop_before)
    applied = [name for name in pending if name not in {m.name for m in migrations.pending(db)}]
    db.execute(f"pragma user_version = {len(migrations.applied(db))}")
    return applied
