from sqlite_utils import Database

from data.schema import migrations


@migrations()
def m003_ledger_of_nights(db: Database) -> None:
    """What was trained, judged, published and promoted, on which base."""
    db.executescript("""
        create table bases (
            id integer primary key autoincrement,
            hash text not null,
            model text not null,
            root text not null,
            created_at text not null
        );
        create index bases_model on bases (model);
        create table runs (
            id text primary key,
            base text not null,
            status text not null,
            error text,
            facts text not null default '{}',
            created_at text not null,
            updated_at text not null
        );
        create table adapters (
            name text primary key,
            run_id text not null,
            base text not null,
            path text not null,
            sha256 text not null,
            config text not null default '{}',
            created_at text not null
        );
        create table adapter_pairs (
            adapter text not null references adapters (name) on delete cascade,
            pair_id text not null,
            primary key (adapter, pair_id)
        ) without rowid;
        create index adapter_pairs_pair on adapter_pairs (pair_id);
        create table gate_reports (
            id text primary key,
            run_id text not null,
            task text not null check (task in ('reply', 'summary', 'answer')),
            passed integer not null check (passed in (0, 1)),
            report text not null,
            created_at text not null
        );
        create table promotions (
            id integer primary key autoincrement,
            task text not null check (task in ('reply', 'summary', 'answer')),
            base text not null,
            adapter text not null,
            cause text not null check (cause in ('gate', 'manual', 'rollback')),
            gate_report_id text references gate_reports (id),
            forced integer not null default 0 check (forced in (0, 1)),
            created_at text not null
        );
        create index promotions_pointer on promotions (task, base, id);
        """)
