"""`python -m data`: exit codes, one JSON document on stdout, one sentence on stderr, and help for every command."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from data.__main__ import main

COMMANDS = [
    "migrate",
    "stats",
    "import-knowledge",
    "search",
    "evaluate-search",
    "import-history",
    "purge",
    "backup",
    "doctor",
]


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATABASE_PATH", raising=False)
    return tmp_path


def told(capsys) -> dict[str, object]:
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_what_it_does(command, capsys):
    assert main([command, "--help"]) == 0
    assert "--json" in capsys.readouterr().out


def test_wrong_usage_exits_2(capsys):
    assert main(["frobnicate"]) == 2
    assert main([]) == 2
    assert main(["search", "brakes", "--limit", "0"]) == 2
    assert "COMMAND" in capsys.readouterr().err


def test_a_reader_that_has_seen_enough_is_no_fault(workplace):
    command = [sys.executable, "-m", "data", "stats", "--json"]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_day_with_the_command_line(workplace, capsys):
    (workplace / "help").mkdir()
    (workplace / "help" / "brakes.md").write_text("# Brakes\n\nWipe the disc.")
    (workplace / "closed.jsonl").write_text(
        '{"id": 1, "turns": [{"role": "customer", "text": "Squeals"}, {"role": "agent", "text": "Wipe it."}]}\noops\n'
    )
    assert main(["migrate", "--json"]) == 0
    assert told(capsys)["applied"]
    assert main(["migrate", "--json"]) == 0
    assert told(capsys)["applied"] == []
    assert main(["import-knowledge", "help", "--json"]) == 0
    assert told(capsys)["added"] == 1
    assert main(["search", "dirty", "disc", "--json"]) == 0
    assert told(capsys)["passages"][0]["title"] == "Brakes"
    assert main(["import-history", "closed.jsonl", "--json"]) == 0
    assert told(capsys)["skipped"] == 1
    assert main(["stats", "--json"]) == 0
    counts = told(capsys)
    assert (counts["documents"], counts["history_pairs"], counts["pairs"]["reply"]) == (1, 1, 1)
    assert main(["stats"]) == 0
    assert "history pairs        1\n" in capsys.readouterr().out
    assert main(["doctor", "--json"]) == 0
    assert told(capsys)["ok"] is True
    assert main(["purge", "--json"]) == 0
    assert told(capsys)["blanked"] == 0


def test_a_backup_is_a_whole_database_and_overwrites_nothing(workplace, capsys):
    main(["migrate"])
    assert main(["backup", "copies/one.db"]) == 0
    with sqlite3.connect("copies/one.db") as copy:
        assert copy.execute("pragma integrity_check").fetchone() == ("ok",)
        assert copy.execute("select count(*) from meta").fetchone() == (1,)
    copy.close()
    capsys.readouterr()
    assert main(["backup", "copies/one.db"]) == 1
    assert capsys.readouterr().err.splitlines() == ["copies/one.db exists already: name a file that does not."]


def test_an_expected_error_is_one_sentence_and_exit_1(workplace, capsys, monkeypatch):
    assert main(["import-history", "absent.jsonl"]) == 1
    assert capsys.readouterr().err == "absent.jsonl cannot be read: No such file or directory.\n"
    monkeypatch.setenv("RETAIN_DAYS", "soon")
    assert main(["purge"]) == 1
    assert capsys.readouterr().err.startswith("RETAIN_DAYS cannot be used")


def test_doctor_names_what_is_broken(workplace, capsys):
    main(["migrate"])
    with sqlite3.connect("var/nightshift.db") as plain:
        plain.execute("insert into suggestion_sources values ('nobody', null, 1)")
    plain.close()
    capsys.readouterr()
    assert main(["doctor", "--json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["ok"] is False
    assert "foreign_key_check" in err and err.count("\n") == 1


def test_settings_come_from_a_dot_env_in_the_working_directory(workplace):
    (workplace / ".env").write_text("DATABASE_PATH=elsewhere/store.db\nSLACK_BOT_TOKEN=unused\nRETAIN_DAYS=\n")
    root = Path(__file__).parents[1]
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_PATH"}
    done = subprocess.run(
        [sys.executable, "-m", "data", "stats", "--json"],
        env=environment | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["threads"] == 0
    assert (workplace / "elsewhere" / "store.db").exists()
