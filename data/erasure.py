"""Erase a person's or a thread's text everywhere, and show that it is gone: store, runs, adapters' folders, backups."""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlite_utils import Database

from data import store, store_erasure
from data.errors import NightshiftError, StoreError
from data.export import EXPORTED
from data.models import Promotion
from data.store_erasure import ERASED, Found

Finder = Callable[[Database], Found]
SUFFIXES = (".json", ".jsonl", ".md")
"""Files of runs and adapters that hold text."""


class StillThere(NightshiftError):
    """The text was found after it had been erased."""

    def __init__(self, places: Sequence[str]) -> None:
        super().__init__(
            f"Erased, but the text still stands in {', '.join(places)}: stop what has that file open, or remove it, "
            "then run the same command again."
        )


class NothingFound(NightshiftError):
    """Nobody and nothing by that name."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"Nothing here is of {name}: give a Slack user id, a name or address as it is written in the threads, "
            "or a thread's id, CHANNEL/TS or permalink."
        )


@dataclass
class Erased:
    """What was erased, and what was not. `remaining` are places where the text was found afterwards."""

    suggestions: int = 0
    history_pairs: int = 0
    threads: int = 0
    files: list[str] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)
    """Sources that held the text: gone from search, and to be mended where they come from."""
    adapters: list[str] = field(default_factory=list)
    """They learned from it: out of service by the next night at the latest."""
    tunings: int = 0
    """So many tunings of search learned from it: they serve no more, and search goes back to what it was before."""
    now_serving: list[Promotion] = field(default_factory=list)
    backups: dict[str, str] = field(default_factory=dict)
    """Every backup ever written, and every other store in the folders (a backtest's): `erased`, or why not."""
    remaining: list[str] = field(default_factory=list)


def look(db: Database, find: Finder, folders: Sequence[Path]) -> Erased:
    """What `erase` would erase; nothing is changed."""
    found = find(db)
    return Erased(
        suggestions=len(found.suggestions),
        history_pairs=len(found.history),
        threads=len(found.threads),
        documents=store_erasure.documents_with(db, found.texts),
        files=[str(path) for path in _text_files(folders) if _scrubbed(path, found) is not None],
        backups=dict.fromkeys(_other_stores(db, folders), "not looked at"),
    )


def erase(db: Database, find: Finder, *, kind: str, database: Path, folders: Sequence[Path], at_once: bool) -> Erased:
    """Erase what `find` finds, and then look for it in every file. `at_once`: adapters leave service now.

    It may be repeated: what is gone is gone.
    """
    found = find(db)
    erased = Erased(
        suggestions=len(found.suggestions),
        history_pairs=len(found.history),
        threads=len(found.threads),
        documents=store_erasure.documents_with(db, found.texts),
    )
    for path in _text_files(folders):
        scrubbed = _scrubbed(path, found)
        if scrubbed is not None:
            beside = path.with_name(f".{path.name}.tmp")
            beside.write_text(scrubbed, encoding="utf-8")
            beside.replace(path)
            erased.files.append(str(path))
    # The store comes last: a killed erasure still finds what to look for.
    for backup in _other_stores(db, folders):
        erased.backups[backup] = _erase_backup(Path(backup), find, kind)
    erased.adapters, erased.tunings = store_erasure.blank(db, found, kind=kind)
    if at_once:
        erased.now_serving = store_erasure.leave_erased(db)
    files = [*_text_files(folders), *(database.with_name(database.name + end) for end in ("", "-wal", "-journal"))]
    files += [Path(backup) for backup, what in erased.backups.items() if what == "erased"]
    erased.remaining = [str(path) for path in files if _holds(path, found.texts)]
    return erased


def _other_stores(db: Database, folders: Iterable[Path]) -> list[str]:
    """Backups, and what an interrupted backtest has left."""
    left = sorted(str(path.resolve()) for folder in folders for path in folder.rglob("*.db"))
    return list(dict.fromkeys([*store_erasure.backups(db), *left]))


def _erase_backup(path: Path, find: Finder, kind: str) -> str:
    if not path.is_file():
        return "not found: erase it where it was moved to, or delete it"
    try:
        with store.connect(path) as db:
            found = find(db)
            if found.pairs or store_erasure.documents_with(db, found.texts):
                store_erasure.blank(db, found, kind=kind)
    except StoreError as error:
        return f"not erased: {error}"
    return "erased"


def _text_files(folders: Iterable[Path]) -> list[Path]:
    found = (path for folder in folders for path in folder.rglob("*") if path.suffix in SUFFIXES)
    return sorted(path for path in found if path.is_file())


def _scrubbed(path: Path, found: Found) -> str | None:
    """The file without the text; None when it holds none."""
    text = path.read_text(encoding="utf-8")
    if path.parent.name == EXPORTED and _exported_pairs(path.parent) & found.pairs:
        # A service's format has no place for a pair's id, so which line is whose is not known.
        return "" if text else None
    if path.suffix == ".jsonl":
        lines = text.splitlines(keepends=True)
        kept = [line for line in lines if not (_is_of(line, found) or _any_in(line, found.texts))]
        return "".join(kept) if len(kept) < len(lines) else None
    if not _any_in(text, found.texts):
        return None
    if path.suffix == ".json":
        scrubbed = store_erasure.scrub(json.loads(text), found.texts)
        return None if scrubbed is None else json.dumps(scrubbed, ensure_ascii=False, indent=1) + "\n"
    # A text may run over several lines; then each line in which one stands is gone whole.
    for said in sorted(found.texts, key=len, reverse=True):
        text = re.sub(re.escape(said), ERASED, text, flags=re.IGNORECASE)
    return "\n".join(ERASED if ERASED in line else line for line in text.split("\n"))


def _exported_pairs(folder: Path) -> set[str]:
    manifest = folder.with_name("dataset") / "manifest.json"
    return set(json.loads(manifest.read_text(encoding="utf-8"))["pairs"]) if manifest.is_file() else set()


def _is_of(line: str, found: Found) -> bool:
    try:
        record = json.loads(line)
    except ValueError:
        return False
    pair = record.get("pair", record) if isinstance(record, dict) else {}
    ids = {pair.get("id"), record.get("pair_id")} if isinstance(pair, dict) else set()
    return bool(ids & found.pairs) or (isinstance(pair, dict) and pair.get("thread_id") in found.threads)


def _any_in(text: str, said: Iterable[str]) -> bool:
    """Whether a text, as it is or as JSON writes it, stands in this one, whatever its case."""
    text = text.casefold()
    return any(form in text for one in said for form in _forms(one))


def _forms(said: str) -> tuple[str, str]:
    return said.casefold(), json.dumps(said, ensure_ascii=False)[1:-1].casefold()


def _holds(path: Path, texts: Iterable[str]) -> bool:
    if not path.is_file():
        return False
    content = path.read_bytes().decode("utf-8", "replace").casefold()
    return any(form in content for one in texts for form in _forms(one))
