"""Find passages of the help centre for a question: by its words, its pairs of words, what was said before, its meaning.

The full-text index and the vectors name the passages that may fit; data/ranking.py then scores these few exactly.
"""

from collections.abc import Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from sqlite_utils import Database

from data import query, ranking, store, store_vectors, tuning, vectors, words
from data.errors import EmbedderMissing
from data.models import Audience, Passage, Turn
from data.ranking import Asked, Candidate
from data.tuning import Floats, Tuned

MATCHING = 200
"""Passages that are scored because their words match."""
NEAR = 40
"""Passages that are scored because their meaning is near."""
NEAR_ENOUGH = 0.4
"""The cosine from which a passage that shares no telling word is found by its meaning alone."""
POSTINGS = 7_000
"""Places in the index that are read for a question, rarest words first: what bounds its time in a large help centre."""
QUESTION_WORDS = 100
"""Words of a question whose neighbours are looked for."""
WORDS_BEFORE = 40
"""Words of what was said before that the question's vector takes in."""
CHUNKS_PER_DOCUMENT = 5
"""Chunks asked for per document wanted, since several of one document may match."""


@dataclass(frozen=True)
class Scene:
    """A question and the passages that may fit it, before they are scored. `near` has vectors by chunk id, `stems` what
    the store knows of title and text."""

    asked: Asked
    passages: list[Passage]
    question: Floats | None
    near: Mapping[int, Floats]
    stems: Mapping[int, tuple[bytes, bytes]]

    def features(self, tuned: Tuned) -> NDArray[np.float64]:
        """[passages, ranking.FEATURES]."""
        candidates = [self._candidate(one) for one in self.passages]
        return ranking.features(self.asked, candidates, self.cosines(tuned), tuned.weights)

    def _candidate(self, one: Passage) -> Candidate:
        if known := self.stems.get(one.chunk_id):
            return Candidate(*map(words.read, known))
        return Candidate(*words.numbers_of_each([one.title, one.text]))

    def cosines(self, tuned: Tuned) -> NDArray[np.float64]:
        """[passages]; 0 where a passage has no vector, or the question."""
        cosines = np.zeros(len(self.passages))
        if self.question is not None:
            known = [place for place, one in enumerate(self.passages) if one.chunk_id in self.near]
            vectors = [self.near[self.passages[place].chunk_id] for place in known]
            cosines[known] = np.stack(vectors) @ tuned.turned(self.question) if known else 0.0
        return cosines


def customers_read(db: Database) -> Audience:
    """Which sources a draft for a customer stands on, where a colleague reads it before it is sent.

    The customer-safe ones as soon as there are any: a team that has marked none yet would have drafts without sources.
    """
    return "customer_safe" if store.any_customer_safe(db) else "internal"


def search(
    db: Database, text: str, *, history: str = "", limit: int = 5, audience: Audience = "internal"
) -> list[Passage]:
    """The passages that fit the text, best first. Empty when none shares a telling word or comes near in meaning.

    `audience`: who will read them; customers only see what is customer-safe.
    `history` is what was said before, newest first: it moves passages up and down, with less weight, but finds none by
    itself. Scores of different questions can be compared: words reach about 1, pairs of words and meaning 1 more each.
    """
    tuned = tuning.tuned(db)
    found = scene(db, text, history=history, audience=audience, tuned=tuned)
    features = found.features(tuned)
    scores, cosines = ranking.added(features, tuned.weights), features[:, ranking.FEATURES.index("cosine")]
    strengths = ranking.added(features, ranking.Weights())
    passages = found.passages
    order = sorted(range(len(passages)), key=lambda place: (-scores[place], passages[place].chunk_id))[:limit]
    return [
        replace(
            passages[place],
            score=float(scores[place]),
            nearness=float(cosines[place]),
            strength=float(strengths[place]),
        )
        for place in order
    ]


def scene(
    db: Database, text: str, *, history: str = "", audience: Audience, tuned: Tuned, also: Sequence[int] = ()
) -> Scene:
    """A question with the passages that may fit it, and with `also` (ids) among them."""
    telling = query.terms(text)
    if not telling:
        return Scene(Asked([], [], [], {}), [], None, {}, {})
    # Half the time is the question's vector: it is made on another core while the index is read.
    model = store_vectors.embedding_model(db)
    question_vector = _EMBEDDER.submit(_question, model, text, history)
    asked = _asked(db, text, telling, history)
    passages = store.passages_matching(db, _rarest(db, telling), limit=MATCHING, audience=audience)
    by_words = {one.chunk_id for one in passages}
    question = question_vector.result()
    near = {}
    if question is not None:
        wanted = [*by_words, *also]
        turned = tuned.turned(question)
        near = vectors.near(db, turned, wanted, nearest=NEAR, least=NEAR_ENOUGH, audience=audience)
    if others := [one for one in dict.fromkeys([*near, *also]) if one not in by_words]:
        passages += store_vectors.passages(db, others, audience)
    return Scene(asked, passages, question, near, store_vectors.stems_of(db, [one.chunk_id for one in passages]))


def search_documents(db: Database, text: str, *, history: str = "", limit: int) -> list[str]:
    """The ids of the documents whose best passage matches best."""
    found = search(db, text, history=history, limit=limit * CHUNKS_PER_DOCUMENT)
    return list(dict.fromkeys(passage.document_id for passage in found))[:limit]


def said_before(turns: Sequence[Turn]) -> str:
    """A conversation as search's `history`: what the customer said, newest first, then what the agent did."""
    newest_first = sorted(reversed(turns), key=lambda turn: turn.speaker != "customer")
    return "\n".join(turn.text for turn in newest_first)


def question_to_embed(text: str, history: str) -> str:
    """What a question's vector is made of."""
    return "\n".join(filter(None, [text, " ".join(history.split()[:WORDS_BEFORE])]))


@dataclass
class _Counts:
    """How many passages there are, and how many have a stem, as far as it was asked."""

    newest: int
    passages: int
    having: dict[int, int] = field(default_factory=dict)


_EMBEDDER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="question")
_counts: "WeakKeyDictionary[Database, _Counts]" = WeakKeyDictionary()


def _asked(db: Database, text: str, telling: Sequence[str], history: str) -> Asked:
    sought = words.numbers_of(" ".join(telling)).tolist()
    before = words.numbers_of(" ".join(query.terms(history))).tolist()
    in_order = words.numbers_of(" ".join(text.split()[:QUESTION_WORDS])).tolist()
    # Looking the rest up would take longer than all else: "the" stands almost everywhere.
    common = {number for number in in_order if number not in sought}
    counts = _counted(db, {*sought, *before} - common)
    rarity = {one: ranking.rarity(counts.having[one], counts.passages) for one in {*sought, *before} - common}
    return Asked(sought, in_order, before, rarity)


def _counted(db: Database, numbers: Set[int]) -> _Counts:
    newest = store_vectors.newest_passage(db)
    counts = _counts.get(db)
    if counts is None or counts.newest != newest:
        counts = _counts[db] = _Counts(newest, store_vectors.count_passages(db))
    if unknown := {words.stem(number): number for number in numbers if number not in counts.having}:
        found = store_vectors.passages_with(db, list(unknown))
        counts.having |= {number: found.get(stem, 0) for stem, number in unknown.items()}
    return counts


def _rarest(db: Database, telling: Sequence[str]) -> str:
    """An FTS5 expression of the telling words, without the commonest where reading them all would take too long."""
    having = _counts[db].having
    places = {word: min((having[one] for one in words.numbers_of(word).tolist()), default=0) for word in telling}
    kept: list[str] = []
    read = 0
    for word in sorted(places, key=places.__getitem__):
        if read >= MATCHING and read + places[word] > POSTINGS:
            break
        kept.append(word)
        read += places[word]
    return query.any_of_words(kept)


def _question(model: str | None, text: str, history: str) -> Floats | None:
    if model is None:
        return None
    try:
        return vectors.question_vector(model, question_to_embed(text, history))
    except EmbedderMissing as error:
        vectors.say_once(error)
        return None
