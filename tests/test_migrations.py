"""Migrations: an old file is brought up, a newer one is refused, and many processes may start at once."""

import sqlite3
import subprocess
import sys

import pytest
from sqlite_utils import Database

from data import migrations, store
from data.errors import DatabaseTooNew


def test_a_database_of_the_first_version_is_upgraded_and_keeps_its_rows(tmp_path):
    path = tmp_path / "old.db"
    old = Database(path)
    assert migrations.apply(old, stop_before=migrations.names()[1]) == migrations.names()[:1]
    salt = store.salt(old)
    old.conn.execute(
        """
        insert into suggestions (
            id, request_key, task, team_id, channel_id, requested_by, state, messages, draft, created_at
        ) values ('s1', 'k1', 'reply', 'T1', 'C1', 'U1', 'shown', '[]', 'd', '2026-01-01T00:00:00.000000+00:00')
        """
    )
    old.conn.commit()
    old.close()
    with store.connect(path) as db:
        assert store.schema_version(db) == len(migrations.names())
        assert store.salt(db) == salt
        assert store.suggestion(db, "s1").draft == "d"
        store.set_consent(db, "C1", granted_by="UA", granted=True, request_key="k2")
        store.decide(db, "s1", kind="edited", text="e", reason=None, decided_by="U1")
        store.record_posted(db, "s1", "5.5")
        assert [pair.chosen for pair in store.preference_pairs(db)] == ["e"]


@pytest.mark.parametrize(
    "written_by_the_future",
    [
        "insert into _sqlite_migrations (migration_set, name, applied_at) values ('nightshift', 'm999_telepathy', 'x')",
        "pragma user_version = 999",
    ],
)
def test_a_database_of_a_newer_version_is_refused_in_one_sentence_and_left_alone(tmp_path, written_by_the_future):
    path = tmp_path / "new.db"
    store.connect(path).close()
    with sqlite3.connect(path) as plain:
        plain.execute(written_by_the_future)
    plain.close()
    before = path.read_bytes()
    with pytest.raises(DatabaseTooNew, match=r"new.db was written by a newer version .* upgrade Nightshift"):
        store.connect(path)
    assert path.read_bytes() == before


def test_processes_that_start_at_once_on_a_fresh_file_migrate_it_once(tmp_path):
    path = tmp_path / "var" / "fresh.db"
    code = "import sys; from data import store; print(store.salt(store.connect(sys.argv[1])))"
    starters = [
        subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(5)
    ]
    ends = [starter.communicate() for starter in starters]
    assert [starter.returncode for starter in starters] == [0] * 5, ends
    assert len({out for out, _ in ends}) == 1
