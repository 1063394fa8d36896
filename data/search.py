"""Find passages of the help centre for a question, and measure how well that works."""

import tempfile
import time
from dataclasses import replace
from pathlib import Path

from sqlite_utils import Database
from tqdm import tqdm

from data import query, store
from data.errors import BadFile
from data.jsonlines import BadLine, objects, read_lines
from data.knowledge import chunk_markdown
from data.models import Audience, Passage

HISTORY_WEIGHT = 0.2
"""Of what was said before, against the question's 1 (MTRAG-UN, dev: MRR .77 without, .85 with .15 or .3)."""
REACH = 200
"""Passages whose scores are added up when there is a history."""
CHUNKS_PER_DOCUMENT = 5
"""Chunks asked for per document wanted, since several of one document may match."""


def customers_read(db: Database) -> Audience:
    """Which sources a draft for a customer stands on, where a colleague reads it before it is sent.

    The customer-safe ones as soon as there are any: a team that has marked none yet would have drafts without sources.
    """
    return "customer_safe" if store.any_customer_safe(db) else "internal"


def search(
    db: Database, text: str, *, history: str = "", limit: int = 5, audience: Audience = "internal"
) -> list[Passage]:
    """The passages that match any telling word of the text, best first (BM25). Empty when none does.

    `audience`: who will read them; customers only see what is customer-safe.
    `history` is what was said before: it moves passages up and down, with less weight, but finds none by itself.
    """
    expression, before = query.any_of(text), query.any_of(history)
    if not expression:
        return []
    found = store.passages_matching(db, expression, limit=REACH if before else limit, audience=audience)
    if not before:
        return found
    said = {p.chunk_id: p.score for p in store.passages_matching(db, before, limit=REACH)}
    scored = [replace(p, score=p.score + HISTORY_WEIGHT * said.get(p.chunk_id, 0.0)) for p in found]
    return sorted(scored, key=lambda passage: -passage.score)[:limit]


def search_documents(db: Database, text: str, *, history: str = "", limit: int) -> list[str]:
    """The ids of the documents whose best passage matches best."""
    found = search(db, text, history=history, limit=limit * CHUNKS_PER_DOCUMENT)
    return list(dict.fromkeys(passage.document_id for passage in found))[:limit]


def evaluate_search(docs: Path, questions: Path, *, progress: bool = False) -> dict[str, float]:
    """Hit rates, recall, mean reciprocal rank and the 95th percentile of the time, in ms, over labelled questions.

    Documents are cut as import-knowledge cuts them, in a store of their own. A question finds a document by its
    best passage. Raises BadFile naming the first line that cannot be used.
    """
    ranks: list[int | None] = []
    recalls: dict[int, list[float]] = {5: [], 10: []}
    milliseconds: list[float] = []
    bar = None if progress else True
    with tempfile.TemporaryDirectory() as folder, store.connect(Path(folder) / "evaluation.db") as db:
        with store.immediate(db):
            for document in tqdm(_lines(docs, ("id", "text")), unit="document", disable=bar):
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
        for question in tqdm(_lines(questions, ("question", "gold")), unit="question", disable=bar):
            gold = {str(one) for one in question["gold"]} if isinstance(question["gold"], list) else set()
            if not gold:
                continue
            started = time.perf_counter()
            history = _said(question.get("history"))
            found = search_documents(db, str(question["question"]), history=history, limit=10)
            milliseconds.append(1000 * (time.perf_counter() - started))
            ranks.append(next((n for n, one in enumerate(found, start=1) if one in gold), None))
            for k, recall in recalls.items():
                recall.append(len(gold & set(found[:k])) / len(gold))
    if not ranks:
        raise BadFile(f"{questions} holds no question with a gold document.")
    count = len(ranks)
    return {
        "questions": count,
        **{f"hit@{k}": sum(rank is not None and rank <= k for rank in ranks) / count for k in (1, 5, 10)},
        **{f"recall@{k}": sum(recall) / count for k, recall in recalls.items()},
        "mrr": sum(1 / rank for rank in ranks if rank) / count,
        "p95_ms": sorted(milliseconds)[max(0, -(-95 * count // 100) - 1)],
    }


def _lines(path: Path, keys: tuple[str, ...]) -> list[dict[str, object]]:
    found = []
    for line in objects(read_lines(path)):
        if isinstance(line, BadLine):
            raise BadFile(f"{path}: line {line.number}: {line.reason}.")
        number, value = line
        missing = [key for key in keys if key not in value]
        if missing:
            raise BadFile(f'{path}: line {number} has no "{missing[0]}".')
        found.append(value)
    return found


def _said(history: object) -> str:
    """The texts of a question's earlier turns (texts, or {"role", "text"}), newest first: a long query is cut."""
    if not isinstance(history, list):
        return ""
    return "\n".join(str(turn.get("text", "")) if isinstance(turn, dict) else str(turn) for turn in reversed(history))
