"""Gather what the help centre does not have, or has wrong, into the queue of gaps, by words and by meaning."""

import asyncio

from sqlite_utils import Database

from data import store_gathering, store_vectors, vectors
from data.embedding import embed
from data.errors import EmbedderMissing

QUESTIONS_PER_PASS = 64


async def gather(db: Database) -> None:
    """Put what is new into the queue. Without vectors, or without their model, it is compared by words alone."""
    if model := store_vectors.embedding_model(db):
        await _understand(db, model)
    store_gathering.gather(db)


async def _understand(db: Database, model: str) -> None:
    """Give the questions vectors, beside the thread that acks."""
    while missing := store_gathering.without_vector(db, limit=QUESTIONS_PER_PASS):
        try:
            made = await asyncio.to_thread(embed, [question for _, question in missing], model=model)
        except EmbedderMissing as error:
            vectors.say_once(error)
            return
        of_suggestions = {one: vector for (one, _), vector in zip(missing, made, strict=True)}
        store_gathering.put_question_vectors(db, model, of_suggestions)
