"""Conversations as a table, one message in each row → one record for each conversation."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data.errors import BadFile
from data.exports.messages import Said, record
from data.models import Speaker
from data.readers.faq import LONGEST_FIELD
from data.readers.page import BadDocument
from data.readers.text import decoded

COLUMNS = {
    "id": ("id", "conversation_id", "ticket_id", "thread_id", "conversation", "ticket"),
    "role": ("role", "speaker", "author_role", "sender_type", "author_type", "from"),
    "text": ("text", "message", "body", "content", "comment"),
    "time": ("time", "created_at", "timestamp", "date", "sent_at"),
    "closed_at": ("closed_at", "solved_at"),
    "team": ("team", "group"),
    "summary": ("summary",),
    "public": ("public", "is_public"),
    "private": ("private", "is_private", "internal"),
}
"""The names that a column may have, most telling first."""
NEEDED = ("id", "role", "text")
SPEAKERS: dict[str, Speaker] = {
    **dict.fromkeys(
        ("customer", "user", "end-user", "end user", "requester", "client", "contact", "visitor"), "customer"
    ),
    **dict.fromkeys(("agent", "admin", "support", "operator", "staff", "representative"), "agent"),
}
YES = frozenset({"true", "yes", "1", "y", "t"})


def read_table(content: bytes, path: Path) -> tuple[list[tuple[str, dict[str, Any], int]], list[tuple[str, str]]]:
    """Conversations as (place, record, private notes), in the order of their first rows; rows passed over as (place,
    why). Raises BadFile."""
    csv.field_size_limit(LONGEST_FIELD)
    try:
        text = decoded(content)
        delimiter = _delimiter(text)
        rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
        columns = _columns(rows.fieldnames or [], path)
        numbered = [(rows.line_num, row) for row in rows]
    except (BadDocument, csv.Error) as error:
        raise BadFile(f"{path} is no CSV ({error}).") from error
    grouped: dict[str, list[Mapping[str, str]]] = {}
    places: dict[str, str] = {}
    faults = []
    for number, row in numbered:
        cells = {name: (row[column] or "").strip() for name, column in columns.items()}
        fault = _fault(cells)
        if fault:
            faults.append((f"row {number}", fault))
            continue
        grouped.setdefault(cells["id"], []).append(cells)
        places.setdefault(cells["id"], f"row {number}")
    return [(places[identity], *_conversation(identity, found)) for identity, found in grouped.items()], faults


def _conversation(identity: str, rows: list[Mapping[str, str]]) -> tuple[dict[str, Any], int]:
    public = [row for row in rows if not _is_private(row)]
    # Only times that sort as texts order anything: ISO 8601.
    dated = all(row.get("time", "")[:4].isdecimal() and row["time"][4:5] == "-" for row in public)
    said = [Said(SPEAKERS[row["role"].casefold()], row["text"], row["time"] if dated else None) for row in public]
    last = {name: next((row[name] for row in rows[::-1] if row.get(name)), None) for name in ("closed_at", "time")}
    closed_at = last["closed_at"] or (max(row["time"] for row in public) if dated and public else None)
    team = next((row["team"] for row in rows if row.get("team")), "")
    value = record(identity, said, closed_at=closed_at, team=team)
    summary = next((row["summary"] for row in rows if row.get("summary")), None)
    return value | ({"summary": summary} if summary else {}), len(rows) - len(public)


def _fault(cells: Mapping[str, str]) -> str | None:
    if not cells["id"]:
        return "it names no conversation"
    if cells["role"].casefold() not in SPEAKERS:
        return f"its role is none of {', '.join(sorted(SPEAKERS))}"
    return None


def _is_private(cells: Mapping[str, str]) -> bool:
    if cells.get("public"):
        return cells["public"].casefold() not in YES
    return cells.get("private", "").casefold() in YES


def _columns(names: list[str], path: Path) -> dict[str, str]:
    known = {str(name).strip().casefold().replace(" ", "_"): name for name in names if name is not None}
    found = {
        meaning: next(known[alias] for alias in aliases if alias in known)
        for meaning, aliases in COLUMNS.items()
        if set(aliases) & set(known)
    }
    for meaning in NEEDED:
        if meaning not in found:
            raise BadFile(f"{path} has no column {meaning}: one message in each row, with {', '.join(NEEDED)}.")
    return found


def _delimiter(text: str) -> str:
    try:
        return csv.Sniffer().sniff(text[:20_000].partition("\n")[0], delimiters=",;\t").delimiter
    except csv.Error:
        return ","
