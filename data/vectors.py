"""Passages → vectors in the store, and the passages whose vectors are nearest to a question's.

In memory stand only the signs of the vectors, 48 bytes for a passage: they name a few hundred passages that may be
near, and only the vectors of those are read from the store (docs/search.md has the figures).
"""

import logging
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from sqlite_utils import Database
from tqdm import tqdm

from data import store, store_vectors
from data.embedding import embed, load
from data.errors import EmbedderMissing, StoreError
from data.models import Audience
from data.store_vectors import Unembedded, Vector

log = logging.getLogger(__name__)

PASSAGES_PER_TURN = 64
"""Passages that get their vectors in one transaction."""
SHORTLIST = 600
"""Passages whose signs differ least from the question's: their vectors are read."""
QUESTIONS_REMEMBERED = 512
LOOKED_AGAIN_AFTER = 20.0
"""Seconds between two looks for passages without a vector."""

Floats = NDArray[np.float32]


def embed_passages(db: Database, model: str, *, progress: bool = False, stop: threading.Event | None = None) -> int:
    """Give each passage without a vector one, and return to how many. Raises EmbedderMissing.

    `stop` ends it after some tens of passages; what was done by then stays done.
    """
    if not store_vectors.newest_passage(db):
        return 0
    if not store_vectors.count_unembedded(db) and store_vectors.embedding_model(db) == model:
        return 0
    load(model)
    store_vectors.begin_vectors(db, model)
    done = 0
    with tqdm(total=store_vectors.count_unembedded(db), unit="vector", disable=None if progress else True) as bar:
        while not (stop and stop.is_set()) and (found := store_vectors.unembedded(db, limit=PASSAGES_PER_TURN)):
            store_vectors.put_vectors(db, model, _vectors(found, model))
            done += len(found)
            bar.update(len(found))
    return done


def make_ready(db: Database, model: str) -> None:
    """Read the model from disk where there are passages to search; without the model, say so once."""
    if store_vectors.newest_passage(db):
        try:
            load(model)
        except EmbedderMissing as error:
            say_once(error)


def embed_passages_in_the_background(database: Path, model: str, stop: threading.Event) -> threading.Thread:
    """A thread that gives vectors to the passages that have none, now and whenever new ones come; `stop` ends it.

    Nothing waits for it: until then, search is by words.
    """

    def work() -> None:
        with store.connect(database) as db:
            while True:
                try:
                    if made := embed_passages(db, model, stop=stop):
                        log.info("%d passages got their vectors", made)
                except EmbedderMissing as error:
                    say_once(error)
                    return
                except StoreError as error:
                    log.warning("passages get their vectors later: %s", error)
                if stop.wait(LOOKED_AGAIN_AFTER):
                    return

    thread = threading.Thread(target=work, name="vectors", daemon=True)
    thread.start()
    return thread


@lru_cache(maxsize=QUESTIONS_REMEMBERED)
def question_vector(model: str, question: str) -> Floats:
    """The question's vector, [dimensions]. Raises EmbedderMissing."""
    return embed([question], model=model)[0]


def nearness(model: str, question: str, texts: Sequence[str]) -> list[float]:
    """The cosine of each text to the question. Raises EmbedderMissing."""
    return (embed(texts, model=model) @ question_vector(model, question)).tolist()


def remember_question(model: str, question: str) -> None:
    """Have the question's vector ready for the search that follows; search itself says when there is no model."""
    with suppress(EmbedderMissing):
        question_vector(model, question)


def near(
    db: Database, question: Floats, chunk_ids: Sequence[int], *, nearest: int, least: float, audience: Audience
) -> dict[int, Floats]:
    """The vectors of these passages and of the `nearest` ones that this audience may read, of at least this cosine.

    Passages without a vector are left out.
    """
    kept = _signs.setdefault(db, _Signs())
    kept.read(db)
    shortlist = kept.nearest(question, SHORTLIST)
    found = store_vectors.vectors_of(db, list(dict.fromkeys([*chunk_ids, *shortlist])), audience)
    if audience == "internal" and any(one not in found for one in shortlist):
        # Some were taken out since their signs were read.
        del _signs[db]
    if not found:
        return {}
    rows = np.frombuffer(b"".join(found.values()), np.float16).reshape(len(found), -1).astype(np.float32)
    vectors, cosines = dict(zip(found, rows, strict=True)), dict(zip(found, (rows @ question).tolist(), strict=True))
    best = [one for one in sorted(cosines, key=lambda one: -cosines[one])[:nearest] if cosines[one] >= least]
    return {one: vectors[one] for one in dict.fromkeys([*chunk_ids, *best]) if one in vectors}


def say_once(error: EmbedderMissing) -> None:
    """Log that search is by words alone, once in a process."""
    if str(error) not in _said:
        _said.add(str(error))
        log.warning("search is by words alone: %s", error)


class _Signs:
    """The signs of every vector in one database, as far as they were read.

    [words of 64 bits, passages]: to add up six long rows takes a third of the time that many rows of six take.
    """

    def __init__(self) -> None:
        self.last = 0
        self.ids = np.zeros(0, np.int64)
        self.signs = np.zeros((0, 0), np.uint64)

    def read(self, db: Database) -> None:
        new, self.last = store_vectors.signs_after(db, self.last)
        if not new:
            return
        signs = np.frombuffer(b"".join(one for _, one in new), np.uint64).reshape(len(new), -1).T
        ids = np.array([chunk_id for chunk_id, _ in new])
        same = len(self.signs) == len(signs)
        self.ids = np.concatenate([self.ids, ids]) if same else ids
        self.signs = np.concatenate([self.signs, signs], axis=1) if same else np.ascontiguousarray(signs)

    def nearest(self, question: Floats, count: int) -> list[int]:
        if not len(self.ids):
            return []
        apart = np.bitwise_count(self.signs ^ _signs_of(question[None]).view(np.uint64).T).sum(axis=0, dtype=np.uint16)
        if len(apart) <= count:
            return self.ids.tolist()
        return self.ids[np.argpartition(apart, count)[:count]].tolist()


_signs: "WeakKeyDictionary[Database, _Signs]" = WeakKeyDictionary()
_said: set[str] = set()


def _vectors(found: Sequence[Unembedded], model: str) -> list[Vector]:
    made = embed([f"{one.title}\n{one.text}".strip() for one in found], model=model)
    signs = _signs_of(made)
    halves = made.astype(np.float16)
    return [Vector(one.chunk_id, signs[place].tobytes(), halves[place].tobytes()) for place, one in enumerate(found)]


def _signs_of(vectors: Floats) -> NDArray[np.uint8]:
    """[vectors, bytes]: one bit for each dimension, filled up to whole words of 64 bits."""
    bits = np.packbits(vectors > 0, axis=1)
    return np.pad(bits, ((0, 0), (0, -bits.shape[1] % 8)))
