"""An answer before it is shown: asked back where the question is unclear, checked, quoted, or refused."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from sqlite_utils import Database

from bot import grounding
from bot.errors import NothingFound
from data import store_vectors, vectors
from data.answerability import answerability, can_be_answered, can_be_quoted, points, unclear
from data.conflicts import conflicts
from data.models import Passage, Turn
from data.prompts import NOT_FOUND
from data.search import question_to_embed, said_before
from data.store_knowledge import source_of_document
from data.support import content_words, covered

QUOTED = "What the model wrote is not what the sources say, so this quotes them."
CHOICES = 3
"""Titles that a question asked back offers."""
AS_WELL = 0.8
"""The share of the words of a question that the best article speaks of, from which on another one may be meant too."""


@dataclass(frozen=True)
class Answer:
    """What may be shown, and sentences about it for who asked."""

    text: str
    remarks: list[str]


def expect_answerable(
    db: Database, turns: Sequence[Turn], passages: Sequence[Passage], *, word_for_word: bool = False
) -> None:
    """Raise NothingFound where no passage speaks of the question, whatever a model would write.

    `word_for_word`: of a model that can only copy nothing comes but a quote, so that it needs as much as one.
    """
    question, among = turns[-1].text, store_vectors.count_passages(db)
    score = answerability(question, _asked_before(turns), grounding.texts_of(passages))
    if not can_be_answered(score, passages, among):
        raise NothingFound(passages)
    if word_for_word and not can_be_quoted(question, score, passages, among):
        raise NothingFound(passages)


def question_back(turns: Sequence[Turn], passages: Sequence[Passage]) -> str:
    """What to ask where the question leaves open which thing it is about, and several may be meant; else empty.

    Those may be meant that speak of all else that is asked about as well as the best one.
    """
    kind = unclear(turns[-1].text, "\n".join(turn.text for turn in turns[:-1]))
    if not kind or not passages:
        return ""
    words = [word for word in content_words(turns[-1].text) if word not in content_words(kind)]
    shares: dict[str, float] = {}
    titles: dict[str, str] = {}
    for number, (passage, text) in enumerate(zip(passages, grounding.texts_of(passages), strict=True), start=1):
        titles.setdefault(passage.document_id, f"{passage.title.split(' / ')[0]} [{number}]")
        share = covered(words, frozenset(content_words(text)))
        shares[passage.document_id] = max(shares.get(passage.document_id, 0.0), share)
    meant = [titles[one] for one in titles if shares[one] >= AS_WELL * max(shares.values())]
    if len(meant) < 2:
        return ""
    asks = f"What do you mean by “{kind}”?" if points(kind) else f"Which {kind} do you mean?"
    return f"{asks} The nearest that I have: {'; '.join(meant[:CHOICES])}."


async def checked(
    db: Database, written: str, turns: Sequence[Turn], passages: Sequence[Passage], *, word_for_word: bool = False
) -> Answer:
    """What of a written answer the passages bear out, or a quote in its place. Raises NothingFound.

    `word_for_word`: see grounding.py.
    """
    if not passages or NOT_FOUND.rstrip(".") in written:
        raise NothingFound(passages)
    found = grounding.grounded(written, passages, word_for_word=word_for_word)
    remarks = []
    if found.text:
        if found.struck:
            what = "One sentence was" if found.struck == 1 else f"{found.struck} sentences were"
            remarks.append(f"{what} left out, because no source says so.")
    else:
        question, before = turns[-1].text, _asked_before(turns)
        score = answerability(question, before, grounding.texts_of(passages))
        if not can_be_quoted(question, score, passages, store_vectors.count_passages(db)):
            raise NothingFound(passages)
        near = _near(db, turns, passages)
        # Each sentence's vector takes some milliseconds: beside the thread that acks.
        quote = await asyncio.to_thread(grounding.quoted, question, before, passages, near)
        found = grounding.Grounded(quote, 0, frozenset())
        remarks.append(QUOTED)
    return Answer(found.text, [*remarks, *_doubts(db, found.text, passages)])


def _doubts(db: Database, text: str, passages: Sequence[Passage]) -> list[str]:
    """What the sources do not agree on, and which of those that are cited are out of date."""
    texts = grounding.texts_of(passages)
    differing, cited = [], []
    for sentence, numbers in grounding.citations(text):
        cited += numbers
        for number in numbers:
            differing += [
                f"The sources differ: [{number}] says {one.says}, [{one.other}] says {one.other_says}."
                for one in conflicts(sentence, texts, but=number)
            ]
    stale = []
    for number in sorted(set(cited)):
        source = source_of_document(db, passages[number - 1].document_id)
        if source is not None and source.is_stale:
            asks = f" Ask {source.owner}, who looks after it." if source.owner else ""
            stale.append(f"[{number}] was to be checked again after {source.stale_after}: it may be out of date.{asks}")
    return [*dict.fromkeys(differing), *stale]


def _near(db: Database, turns: Sequence[Turn], passages: Sequence[Passage]) -> grounding.Near | None:
    """How texts are compared with the question by meaning; None where search went by words alone."""
    model = store_vectors.embedding_model(db)
    if model is None or not any(passage.nearness for passage in passages):
        return None
    *earlier, question = turns
    return partial(vectors.nearness, model, question_to_embed(question.text, said_before(earlier)))


def _asked_before(turns: Sequence[Turn]) -> str:
    return next((turn.text for turn in reversed(turns[:-1]) if turn.speaker == "customer"), "")
