import hashlib

from sqlite_utils import Database

from data.schema import migrations

ENTRIES = {
    "adapter": "select name, run_id, base, sha256, created_at from adapters order by created_at, rowid",
    "gate_report": "select id, run_id, task, passed, report, created_at from gate_reports order by created_at, rowid",
    "promotion": """
        select id, task, base, adapter, cause, gate_report_id, forced, created_at from promotions order by id
    """,
}


@migrations()
def m023_ledger_chain(db: Database) -> None:
    """What the ledger says is hashed in a chain, so that a verdict that was changed afterwards is noticed."""
    db.executescript("""
        create table ledger_chain (
            id integer primary key autoincrement,
            kind text not null check (kind in ('adapter', 'gate_report', 'promotion')),
            row_id text not null,
            sha256 text not null,
            -- Of the link before and of this one: changing any row changes every link behind it.
            chained text not null
        );
        create index ledger_chain_row on ledger_chain (kind, row_id);
        """)
    chained = ""
    for kind, select in ENTRIES.items():
        for found in db.execute(select).fetchall():
            pairs = "select pair_id from adapter_pairs where adapter = ? order by pair_id"
            learned = [one for (one,) in db.execute(pairs, [found[0]])] if kind == "adapter" else []
            content = "\x1f".join("" if one is None else str(one) for one in (*found, *learned))
            sha256 = hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()
            chained = hashlib.sha256(f"{chained} {kind} {found[0]} {sha256}".encode()).hexdigest()
            db.execute(
                "insert into ledger_chain (kind, row_id, sha256, chained) values (?, ?, ?, ?)",
                [kind, str(found[0]), sha256, chained],
            )
