"""The ledger's hash chain: what adapters, gate reports and promotions say can't be changed afterwards unnoticed."""

import hashlib
from typing import Any, Literal

from sqlite_utils import Database

from data.store_connection import immediate, row, rows

Kind = Literal["adapter", "gate_report", "promotion"]
KEYS: dict[Kind, tuple[str, str, str]] = {
    "adapter": ("adapters", "name", "name, run_id, base, sha256, created_at"),
    "gate_report": ("gate_reports", "id", "id, run_id, task, passed, report, created_at"),
    "promotion": ("promotions", "id", "id, task, base, adapter, cause, gate_report_id, forced, created_at, team"),
}


def link(db: Database, kind: Kind, row_id: object) -> None:
    """Append a link for a row as it is now; a row that was lawfully changed (a text was erased) gets another."""
    with immediate(db):
        sha256 = _hash_of_row(db, kind, row_id)
        last = row(db, "select chained from ledger_chain order by id desc limit 1")
        chained = _chained(last["chained"] if last else "", kind, row_id, sha256)
        db.execute(
            "insert into ledger_chain (kind, row_id, sha256, chained) values (?, ?, ?, ?)",
            [kind, str(row_id), sha256, chained],
        )


def breaks(db: Database) -> list[str]:
    """Where the chain does not hold, one line each; empty when it is whole."""
    found, before, newest = [], "", {}
    for one in rows(db, "select * from ledger_chain order by id"):
        if one["chained"] != _chained(before, one["kind"], one["row_id"], one["sha256"]):
            found.append(
                f"ledger: link {one['id']} ({one['kind']} {one['row_id']}) does not follow from the one before"
            )
        before = one["chained"]
        newest[one["kind"], one["row_id"]] = one["sha256"]
    for kind, (table, key, _) in KEYS.items():
        there = {str(one[key]) for one in rows(db, f"select {key} from {table}")}
        linked = {row_id for of, row_id in newest if of == kind}
        found += [f"ledger: {kind} {row_id} was never linked" for row_id in sorted(there - linked)]
        found += [f"ledger: {kind} {row_id} is gone" for row_id in sorted(linked - there)]
        found += [
            f"ledger: {kind} {row_id} was changed after it was written"
            for row_id in sorted(there & linked)
            if _hash_of_row(db, kind, row_id) != newest[kind, row_id]
        ]
    return found


def _hash_of_row(db: Database, kind: Kind, row_id: object) -> str:
    table, key, columns = KEYS[kind]
    found = row(db, f"select {columns} from {table} where {key} = ?", [row_id])
    assert found is not None
    values: list[Any] = list(found.values())
    if kind == "promotion" and values[-1] is None:
        # As before there were teams, when these rows were chained.
        values.pop()
    if kind == "adapter":
        learned = rows(db, "select pair_id from adapter_pairs where adapter = ? order by pair_id", [row_id])
        values += [one["pair_id"] for one in learned]
    content = "\x1f".join("" if one is None else str(one) for one in values)
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()


def _chained(before: str, kind: str, row_id: object, sha256: str) -> str:
    return hashlib.sha256(f"{before} {kind} {row_id} {sha256}".encode()).hexdigest()
