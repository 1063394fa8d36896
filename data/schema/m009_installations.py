from sqlite_utils import Database

from data.schema import migrations


@migrations()
def m009_installations(db: Database) -> None:
    """The workspaces and organisations where the app was installed by OAuth, and installs under way."""
    db.executescript("""
        create table installations (
            id text primary key,
            enterprise_id text not null,
            team_id text not null,
            is_org_wide integer not null check (is_org_wide in (0, 1)),
            installation text not null,
            created_at text not null,
            unique (is_org_wide, enterprise_id, team_id)
        );
        create table oauth_states (
            state text primary key,
            created_at text not null
        ) without rowid;
        """)
