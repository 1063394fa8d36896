"""Erase a person's or a thread's text everywhere, and show that it is gone: store, runs, adapters' folders, backups."""

import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlite_utils import Database

from data import store, store_erasure, store_texts
from data.errors import NightshiftError, StoreError
from data.export import EXPORTED
from data.models import Promotion, pointer_name
from data.scrubbing import Found, holds, scrub, scrub_lines, scrub_text

Finder = Callable[[Database], Found]
BINARY = (".safetensors", ".pt", ".png", ".lock", ".db", ".db-wal", ".db-shm", ".db-journal")
"""Files that hold no text, or that are stores."""
STORE = b"SQLite format 3\0"
"""How a store's file begins."""
BESIDE = (".json", ".jsonl", ".csv", ".md", ".txt", ".html", ".log", ".gz")
"""Files that are looked into beside the store."""
FEW = 12
"""Longer words that the terminal shows; --json has all."""
LONG_ID = 9
"""Characters of a Slack user's id, at least."""


class StillThere(NightshiftError):
    """The text was found after it had been erased."""

    def __init__(self, places: Sequence[str]) -> None:
        super().__init__(
            f"Erased, but the text still stands in {', '.join(places)}: stop what has that file open, or remove it, "
            "then run the same command again."
        )


class NothingFound(NightshiftError):
    """Nobody and nothing by that name; `longer` words that it stands in are told."""

    def __init__(self, name: str, longer: Sequence[str]) -> None:
        stands = f" It stands in longer words: {_some(longer)}." if longer else ""
        super().__init__(
            f"Nothing here is of {name}: give a Slack user id, a name or address as it is written in the threads, "
            f"or a thread's id, CHANNEL/TS or permalink.{stands}"
        )


@dataclass
class Erased:
    """What was erased, and what was not. `remaining` are places where the text was found afterwards."""

    suggestions: int = 0
    history_pairs: int = 0
    threads: int = 0
    comments: int = 0
    """Words of supervisors beside a thumb that hold the text."""
    files: list[str] = field(default_factory=list)
    longer: list[str] = field(default_factory=list)
    """Words of other letters before or behind that a name stands in: not erased, but one may be the same person's."""
    documents: list[str] = field(default_factory=list)
    """Sources that held the text: gone from search, and to be mended where they come from."""
    adapters: list[str] = field(default_factory=list)
    """They learned from it: out of service by the next night at the latest."""
    tunings: int = 0
    """So many tunings of search learned from it: they serve no more, and search goes back to what it was before."""
    now_serving: list[Promotion] = field(default_factory=list)
    backups: dict[str, str] = field(default_factory=dict)
    """Every backup and export ever written, and other stores in the folders (a backtest's): `erased`, or why not."""
    elsewhere: list[str] = field(default_factory=list)
    """Files beside the store that hold the text and that nobody here has written: an import's, a log."""
    remaining: list[str] = field(default_factory=list)


def look(db: Database, find: Finder, folders: Sequence[Path]) -> Erased:
    """What `erase` would erase; nothing is changed."""
    found = find(db)
    return Erased(
        suggestions=len(found.suggestions),
        history_pairs=len(found.history),
        threads=len(found.threads),
        comments=store_erasure.comments_with(db, found.texts),
        longer=store_texts.words_around(db, found.name),
        documents=store_erasure.documents_with(db, found.texts),
        files=[str(path) for path in _text_files(folders) if _scrubbed(path, found) is not None],
        backups=dict.fromkeys(_other_stores(db, folders), "not looked at"),
    )


def _beside(folder: Path, ours: Sequence[Path]) -> list[Path]:
    """Files in the store's folder that are not in ours, and in no hidden one."""
    own = [one.resolve() for one in ours]
    found = (path for path in folder.resolve().rglob("*") if path.name.endswith(BESIDE) and path.is_file())
    hidden = len(folder.resolve().parts)
    return sorted(
        path
        for path in found
        if not any(part.startswith(".") for part in path.parts[hidden:-1]) and not any(map(path.is_relative_to, own))
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
        comments=store_erasure.comments_with(db, found.texts),
        documents=store_erasure.documents_with(db, found.texts),
    )
    for path in _text_files(folders):
        if (scrubbed := _scrubbed(path, found)) is not None:
            _write(path, scrubbed)
            erased.files.append(str(path))
    # The store comes last: a killed erasure still finds what to look for.
    for backup in _other_stores(db, folders):
        erased.backups[backup] = _erase_backup(Path(backup), find, kind)
    erased.adapters, erased.tunings = store_erasure.blank(db, found, kind=kind)
    if at_once:
        erased.now_serving = store_erasure.leave_erased(db)
    erased.longer = store_texts.words_around(db, found.name)
    erased.elsewhere = [str(path) for path in _beside(database.parent, folders) if _holds(path, found)]
    files = [*_text_files(folders), *(database.with_name(database.name + end) for end in ("", "-wal", "-journal"))]
    files += [Path(backup) for backup, what in erased.backups.items() if what == "erased"]
    says = {database} if store_texts.still_says(db, found.texts) else set()
    erased.remaining = [str(path) for path in files if path in says or _holds(path, found)]
    return erased


def told(erased: Erased, *, dry_run: bool, at_once: bool) -> list[str]:
    """What the terminal says of it."""
    verb, when = "would erase" if dry_run else "erased", "out of service" + ("" if at_once else " at the next night")
    lines = [
        f"{verb} {erased.suggestions} suggestions, {erased.history_pairs} imported pairs in {erased.threads} threads, "
        f"{erased.comments} comments of supervisors",
        *(f"{verb} from {path}" for path in erased.files),
        *(f"{verb} from the help centre: {source} (mend it where it comes from)" for source in erased.documents),
        *(f"learned from it, {when}: {adapter}" for adapter in erased.adapters),
        *([f"learned from it, out of service: {erased.tunings} tunings of search"] if erased.tunings else []),
        *(f"now serving {pointer_name(one.task, one.team)}: {one.adapter}" for one in erased.now_serving),
        *(f"backup {path}: {what}" for path, what in erased.backups.items()),
        *(f"still in {path}, which was not written here: remove it there" for path in erased.elsewhere),
    ]
    if erased.longer:
        lines.append(f"not erased, being longer words: {_some(erased.longer)} (erase what is the same person's)")
    if not (dry_run or erased.remaining or erased.elsewhere):
        lines.append("looked for the text in every file afterwards: it is in none")
    return lines


def _some(words: Sequence[str]) -> str:
    more = len(words) - FEW
    return ", ".join(words[:FEW]) + (f" and {more} more" if more > 0 else "")


def _other_stores(db: Database, folders: Iterable[Path]) -> list[str]:
    """Backups, and what an interrupted backtest has left."""
    left = sorted(str(path.resolve()) for folder in folders for path in folder.rglob("*.db"))
    return list(dict.fromkeys([*store_erasure.backups(db), *left]))


def _erase_backup(path: Path, find: Finder, kind: str) -> str:
    if not path.is_file():
        return "not found: erase it where it was moved to, or delete it"
    with path.open("rb") as content:
        if content.read(len(STORE)) != STORE:
            return "not erased: an export's lines name no pair; delete it, there and at the service, or export anew"
    try:
        with store.connect(path) as db:
            found = find(db)
            if found.pairs or store_erasure.documents_with(db, found.texts):
                store_erasure.blank(db, found, kind=kind)
            if store_texts.still_says(db, found.texts):
                return "not erased: a name still stands in it; delete it, or make a new one"
    except StoreError as error:
        return f"not erased: {error}"
    return "erased"


def _text_files(folders: Iterable[Path]) -> list[Path]:
    """All files that may hold text, hidden ones of a killed night and packed ones too."""
    found = (path for folder in folders for path in folder.rglob("*") if not path.name.endswith(BINARY))
    return sorted(path for path in found if path.is_file())


def _read(path: Path) -> str | None:
    """A file's text, unpacked; None where it is none."""
    content = path.read_bytes()
    try:
        return (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8")
    except (UnicodeDecodeError, OSError, EOFError, zlib.error):
        return None


def _write(path: Path, text: str) -> None:
    content = text.encode("utf-8")
    beside = path.with_name(f".{path.name}.tmp")
    beside.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    beside.replace(path)


def _scrubbed(path: Path, found: Found) -> str | None:
    """The file without the text; None when it holds none."""
    text = _read(path)
    if text is None:
        return None
    if path.parent.name == EXPORTED and _exported_pairs(path.parent) & found.pairs:
        # A service's format has no place for a pair's id, so which line is whose is not known.
        return "" if text else None
    if ".jsonl" in path.name:
        return scrub_lines(text, found)
    try:
        value = json.loads(text) if ".json" in path.name else None
    except ValueError:
        # Half a document, that a killed process has left.
        value = None
    if value is None:
        return scrub_text(text, found)
    scrubbed = scrub(value, found)
    return None if scrubbed is None else json.dumps(scrubbed, ensure_ascii=False, indent=1) + "\n"


def _exported_pairs(folder: Path) -> set[str]:
    manifest = folder.with_name("dataset") / "manifest.json"
    return set(json.loads(manifest.read_text(encoding="utf-8"))["pairs"]) if manifest.is_file() else set()


def _holds(path: Path, found: Found) -> bool:
    """Whether a file still holds it: a text by its words, any other file by its bytes."""
    if not path.is_file():
        return False
    text = _read(path)
    if text is not None:
        return _scrubbed(path, found) is not None
    content = path.read_bytes()
    # Of a database the values stand side by side: a short id may be a part of another.
    user = len(found.user) >= LONG_ID and found.user.encode() in content
    return user or holds(content.decode("utf-8", "replace"), found.texts)
