"""Every text that stands in any table of the store: the proof that a name is gone, and the words it is a part of."""

import json
from collections.abc import Iterable, Iterator

from sqlite_utils import Database

from data.scrubbing import as_name, holds, longer_words
from data.store_connection import rows


def tables(db: Database) -> list[str]:
    """The tables' names, without SQLite's own."""
    found = rows(db, "select name from pragma_table_list where schema = 'main' and type = 'table'")
    return [table["name"] for table in found if not table["name"].startswith("sqlite_")]


def still_says(db: Database, texts: Iterable[str]) -> bool:
    """Whether a value of any table holds one of the texts that are looked for as names. In the bytes of the file values
    stand side by side, so that such a one may run into the letters of the one before."""
    names = [text for text in texts if as_name(text)]
    return bool(names) and any(holds(value, names) for value in _values(db))


def words_around(db: Database, name: str) -> list[str]:
    """Longer words of the store that a name stands in, the rarest first; one of them may be the same person's."""
    return longer_words((text for value in _values(db) for text in _parts(value)), name)


def _values(db: Database) -> Iterator[str]:
    for table in tables(db):
        for row in rows(db, f'select * from "{table}"'):
            yield from (value for value in row.values() if isinstance(value, str))


def _parts(value: str) -> Iterator[str]:
    """The strings in a JSON value, or the text itself: in JSON a letter before a name may be that of an escape."""
    try:
        waiting = [json.loads(value)]
    except ValueError:
        waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            yield part
        elif isinstance(part, (list, dict)):
            waiting += part.values() if isinstance(part, dict) else part
