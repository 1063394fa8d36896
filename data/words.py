"""Texts → the word stems that the full-text index knows, as numbers. SQLite itself cuts and stems, so both agree.

A stem's number is its CRC-32 without the highest bit, the same in every process: so the store keeps those of passages.
Of 60,000 stems about one pair shares a number, which moves a passage a little where both are asked for.
"""

import sqlite3
import threading
import zlib
from collections.abc import Sequence, Set
from functools import lru_cache
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from data.query import WORD

Numbers = NDArray[np.int64]
STORED = np.dtype("<i4")

TOKENIZER = "porter unicode61 remove_diacritics 2"
"""As chunks_fts has it."""
TEXTS_REMEMBERED = 20_000
"""About a kilobyte each; a passage's text never changes."""

_lock = threading.Lock()
_stems: dict[int, str] = {}
_of_word: dict[str, tuple[int, ...]] = {}
_remembered: dict[str, Numbers] = {}


def numbers_of(text: str) -> Numbers:
    """A number, 0 to 2^31 - 1, for each stem of the text, in order."""
    return numbers_of_each([text])[0]


def numbers_of_each(texts: Sequence[str]) -> list[Numbers]:
    """As numbers_of, for many texts at once. Those of passages come up again and are remembered."""
    found = {text: known for text in texts if (known := _remembered.get(text)) is not None}
    new = {text: WORD.findall(text) for text in texts if text not in found}
    _learn(set().union(*new.values()).difference(_of_word))
    for text, words in new.items():
        found[text] = np.fromiter(chain.from_iterable(map(_of_word.__getitem__, words)), dtype=np.int64)
    if len(_remembered) > TEXTS_REMEMBERED:
        _remembered.clear()
    _remembered.update(found)
    return [found[text] for text in texts]


def stem(number: int) -> str:
    """The stem that has this number, of those that were met in this process."""
    return _stems[number]


def stored(numbers: Numbers) -> bytes:
    """Numbers as the store keeps them: int32, little-endian."""
    return numbers.astype(STORED).tobytes()


def read(blob: bytes) -> Numbers:
    """What `stored` made."""
    return np.frombuffer(blob, dtype=STORED).astype(np.int64)


def _learn(words: Set[str]) -> None:
    if not words:
        return
    with _lock:
        new = sorted(words.difference(_of_word))
        # A word of plain letters and digits has one stem: many of them fit into one row, and each is a place in it.
        plain = [word for word in new if word.isascii() and word.isalnum()]
        others = [word for word in new if not (word.isascii() and word.isalnum())]
        learned = {word: (_number_of(term),) for word, term in zip(plain, _terms([" ".join(plain)])[0], strict=True)}
        for word, terms in zip(others, _terms(others), strict=True):
            learned[word] = tuple(map(_number_of, terms))
        _of_word.update(learned)


def _terms(texts: Sequence[str]) -> list[list[str]]:
    """The stems of each text, in order."""
    found: list[list[str]] = [[] for _ in texts]
    index = _index()
    index.executemany("insert into said (rowid, word) values (?, ?)", enumerate(texts))
    for place, term in index.execute("select doc, term from stems order by doc, offset"):
        found[place].append(term)
    index.execute("insert into said (said) values ('delete-all')")
    return found


def _number_of(term: str) -> int:
    number = zlib.crc32(term.encode()) & 0x7FFFFFFF
    _stems[number] = term
    return number


@lru_cache(maxsize=1)
def _index() -> sqlite3.Connection:
    index = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    index.execute(f"create virtual table said using fts5 (word, content = '', tokenize = '{TOKENIZER}')")
    index.execute("create virtual table stems using fts5vocab (said, 'instance')")
    return index
