"""A file of closed conversations, in whatever format → records as `import-history` has them, each with its place."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.errors import BadFile
from data.exports import intercom, zendesk
from data.exports.messages import NotUsable
from data.exports.table import read_table
from data.jsonlines import BadLine, objects, read_lines

TABLES = frozenset({".csv", ".tsv"})
LISTS = ("tickets", "conversations", "data", "results")
"""Under these names an export has its records, where it is one JSON document."""


@dataclass(frozen=True)
class Record:
    """One conversation: {"id", "turns", …}, where it stands in the file, and how many private notes it had."""

    place: str
    value: dict[str, Any]
    notes: int = 0


@dataclass(frozen=True)
class Unusable:
    """A record that is passed over, and why."""

    place: str
    reason: str


@dataclass(frozen=True)
class Records:
    """All of a file, read as they are asked for. `total` is about how many there are."""

    total: int
    found: Iterator[Record | Unusable]


def read_records(path: Path) -> Records:
    """The conversations of a file: JSON lines, one JSON document, or CSV by its name; each may be gzipped.

    Raises BadFile when the file cannot be read, or is none of these.
    """
    lines = read_lines(path)
    if TABLES & set(path.suffixes):
        return _of_table(lines, path)
    document = _document(lines, path)
    if document is None:
        return Records(len(lines), map(_of_line, objects(lines)))
    listed, roles = document
    numbered = enumerate(listed, start=1)
    return Records(len(listed), (_record(f"record {number}", one, roles) for number, one in numbered))


def _of_table(lines: list[bytes], path: Path) -> Records:
    conversations, faults = read_table(b"\n".join(lines), path)
    unusable = [Unusable(place, reason) for place, reason in faults]
    found = [Record(place, value, notes) for place, value, notes in conversations]
    return Records(len(found), iter([*unusable, *found]))


def _document(lines: list[bytes], path: Path) -> tuple[list[object], Mapping[str, str]] | None:
    """The records of one JSON document and its users' roles; None where each line is a document of its own."""
    first = next((line.strip() for line in lines if line.strip()), b"")
    is_list = first.startswith(b"[")
    if not is_list and (not first.startswith(b"{") or any(map(_is_object, lines))) and not _is_envelope(first):
        return None
    try:
        document = json.loads(b"\n".join(lines))
    except (ValueError, RecursionError) as error:
        if is_list and not any(map(_is_object, lines)):
            raise BadFile(f"{path} is no whole JSON document ({error}): export it again.") from error
        return None
    if isinstance(document, list):
        return document, {}
    listed = next((document[name] for name in LISTS if isinstance(document.get(name), list)), [document])
    return listed, zendesk.roles_of(document.get("users"))


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _is_envelope(line: bytes) -> bool:
    return _is_object(line) and any(isinstance(json.loads(line).get(name), list) for name in LISTS)


def _of_line(found: tuple[int, dict[str, Any]] | BadLine) -> Record | Unusable:
    if isinstance(found, BadLine):
        return Unusable(f"line {found.number}", found.reason)
    number, value = found
    return _record(f"line {number}", value, {})


def _record(place: str, value: object, roles: Mapping[str, str]) -> Record | Unusable:
    if not isinstance(value, dict):
        return Unusable(place, "it is not a JSON object")
    try:
        if "turns" in value:
            return Record(place, value)
        if intercom.is_conversation(value):
            return Record(place, *intercom.read(value))
        if zendesk.is_ticket(value):
            return Record(place, *zendesk.read(value, roles))
    except NotUsable as reason:
        return Unusable(place, str(reason))
    return Record(place, value)
