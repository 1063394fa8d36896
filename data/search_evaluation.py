"""Measure search on labelled questions: hit rates, recall, reciprocal rank, each with its interval, and time."""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlite_utils import Database
from tqdm import tqdm

from data import store, vectors
from data.embedding import DEFAULT_MODEL
from data.errors import BadFile, EmbedderMissing
from data.jsonlines import objects_with
from data.knowledge import chunk_markdown
from data.models import Turn
from data.search import said_before, search_documents

DEPTH = 10
RESAMPLES = 2_000
COVERAGE = 0.95
DOCUMENTS_PER_TURN = 200


def evaluate_search(
    docs: Path, questions: Path, *, model: str = DEFAULT_MODEL, progress: bool = False
) -> dict[str, object]:
    """Hit rates, recall, mean reciprocal rank and the 95th percentile of the time, in ms, over labelled questions.

    Documents are cut as import-knowledge cuts them, in a store of their own. A question finds a document by its best
    passage. `intervals` has, for each rate, the bounds of 95 % by a bootstrap over questions. Without the model, search
    is by words alone. Raises BadFile naming the first line that cannot be used.
    """
    asked = [one for one in objects_with(questions, ("question", "gold")) if _gold(one)]
    if not asked:
        raise BadFile(f"{questions} holds no question with a gold document.")
    with tempfile.TemporaryDirectory() as folder, store.connect(Path(folder) / "evaluation.db") as db:
        fill(db, docs, progress=progress)
        embed_or_say(db, model, progress=progress)
        found, milliseconds = [], []
        for question in tqdm(asked, unit="question", disable=None if progress else True):
            started = time.perf_counter()
            found.append(documents_for(db, question))
            milliseconds.append(1000 * (time.perf_counter() - started))
    rates = rates_of(found, [_gold(one) for one in asked])
    return {
        "questions": len(asked),
        **{name: float(each.mean()) for name, each in rates.items()},
        "p95_ms": sorted(milliseconds)[max(0, -(-95 * len(asked) // 100) - 1)],
        "intervals": {name: interval(each) for name, each in rates.items()},
    }


def fill(db: Database, docs: Path, *, progress: bool = False) -> None:
    """Put a file's documents into a store. Raises BadFile."""
    documents = objects_with(docs, ("id", "text"))
    with tqdm(total=len(documents), unit="document", disable=None if progress else True) as bar:
        for start in range(0, len(documents), DOCUMENTS_PER_TURN):
            with store.immediate(db):
                for document in documents[start : start + DOCUMENTS_PER_TURN]:
                    title, text = str(document.get("title") or ""), str(document["text"])
                    store.put_document(
                        db,
                        source=str(document["id"]),
                        title=title,
                        text=text,
                        sha256="",
                        chunks=chunk_markdown(text, title=title),
                        document_id=str(document["id"]),
                    )
                    bar.update()


def embed_or_say(db: Database, model: str, *, progress: bool = False) -> None:
    """Give the passages vectors; without the model, say so once."""
    try:
        vectors.embed_passages(db, model, progress=progress)
    except EmbedderMissing as error:
        vectors.say_once(error)


def documents_for(db: Database, question: dict[str, object]) -> list[str]:
    """The ids of the documents that search finds for a labelled question, best first."""
    return search_documents(db, str(question["question"]), history=_said(question.get("history")), limit=DEPTH)


def rates_of(found: Sequence[Sequence[str]], gold: Sequence[set[str]]) -> dict[str, NDArray[np.float64]]:
    """Each rate, question by question."""
    ranks = [
        next((n for n, one in enumerate(ids, start=1) if one in right), None)
        for ids, right in zip(found, gold, strict=True)
    ]
    pairs = list(zip(found, gold, strict=True))
    return {
        **{f"hit@{k}": np.array([float(rank is not None and rank <= k) for rank in ranks]) for k in (1, 5, 10)},
        **{f"recall@{k}": np.array([len(right & {*ids[:k]}) / len(right) for ids, right in pairs]) for k in (5, 10)},
        "mrr": np.array([1 / rank if rank else 0.0 for rank in ranks]),
    }


def interval(each: NDArray[np.float64]) -> list[float]:
    """The bounds within which the mean lies with 95 % confidence, by a bootstrap over questions."""
    means = np.random.default_rng(0).choice(each, (RESAMPLES, len(each))).mean(axis=1)
    outside = (1 - COVERAGE) / 2
    return [float(np.quantile(means, outside)), float(np.quantile(means, 1 - outside))]


def _gold(question: dict[str, object]) -> set[str]:
    gold = question["gold"]
    return {str(one) for one in gold} if isinstance(gold, list) else set()


def _said(history: object) -> str:
    """A question's earlier turns (texts, or {"role", "text"}); a text alone is taken for the customer's."""
    if not isinstance(history, list):
        return ""
    turns = [turn if isinstance(turn, dict) else {"text": turn} for turn in history]
    return said_before([Turn("agent" if _is_ours(one) else "customer", str(one.get("text", ""))) for one in turns])


def _is_ours(turn: dict[str, object]) -> bool:
    return turn.get("role", turn.get("speaker")) in ("agent", "assistant")
