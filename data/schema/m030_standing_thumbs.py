from sqlite_utils import Database

from data.schema import migrations


@migrations()
def m030_standing_thumbs(db: Database) -> None:
    """Which thumbs stand on a reply: whoever takes the newer of two away means the older one again."""
    db.executescript("""
        -- Empty for a thumb that waited when this came.
        alter table waiting_thumbs add column reaction text not null default '';
        alter table waiting_thumbs add column event_ts text not null default '';
        create table standing_thumbs (
            channel_id text not null,
            message_ts text not null,
            user_id text not null,
            -- The emoji's whole name: skin tones are reactions of their own.
            reaction text not null,
            value integer not null check (value in (-1, 1)),
            removed integer not null check (removed in (0, 1)),
            -- When Slack saw it, by which events that come in another order are put right.
            event_ts text not null,
            primary key (channel_id, message_ts, user_id, reaction)
        ) without rowid;
        """)
