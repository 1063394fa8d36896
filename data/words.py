"""Texts → the word stems that the full-text index knows, as numbers. SQLite itself cuts and stems, so both agree."""

import sqlite3
import threading
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from data.query import WORD

Numbers = NDArray[np.int64]

TOKENIZER = "porter unicode61 remove_diacritics 2"
"""As chunks_fts has it."""
TEXTS_REMEMBERED = 20_000
"""About a kilobyte each; a passage's text never changes."""

_lock = threading.Lock()
_numbers: dict[str, int] = {}
_stems: list[str] = []
_of_word: dict[str, tuple[int, ...]] = {}
_remembered: dict[str, Numbers] = {}


def numbers_of(text: str) -> Numbers:
    """A number for each stem of the text, in order. The same stem has the same number in this process."""
    return numbers_of_each([text])[0]


def numbers_of_each(texts: Sequence[str]) -> list[Numbers]:
    """As numbers_of, for many texts at once. Those of passages come up again and are remembered."""
    found = {text: known for text in texts if (known := _remembered.get(text)) is not None}
    new = {text: [word.lower() for word in WORD.findall(text)] for text in texts if text not in found}
    _learn([word for words in new.values() for word in words if word not in _of_word])
    for text, words in new.items():
        found[text] = np.array([number for word in words for number in _of_word[word]], dtype=np.int64)
    if len(_remembered) > TEXTS_REMEMBERED:
        _remembered.clear()
    _remembered.update(found)
    return [found[text] for text in texts]


def stem(number: int) -> str:
    """The stem that has this number."""
    return _stems[number]


def _learn(words: Sequence[str]) -> None:
    if not words:
        return
    with _lock:
        new = [word for word in dict.fromkeys(words) if word not in _of_word]
        found: dict[int, list[int]] = {place: [] for place in range(len(new))}
        index = _index()
        index.executemany("insert into said (rowid, word) values (?, ?)", enumerate(new))
        for place, term in index.execute("select doc, term from stems order by doc, offset"):
            if term not in _numbers:
                _stems.append(term)
                _numbers[term] = len(_stems) - 1
            found[place].append(_numbers[term])
        index.execute("insert into said (said) values ('delete-all')")
        for place, word in enumerate(new):
            _of_word[word] = tuple(found[place])


@lru_cache(maxsize=1)
def _index() -> sqlite3.Connection:
    index = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    index.execute(f"create virtual table said using fts5 (word, content = '', tokenize = '{TOKENIZER}')")
    index.execute("create virtual table stems using fts5vocab (said, 'instance')")
    return index
