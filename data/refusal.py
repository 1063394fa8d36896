"""Measure on labelled questions what is refused, and what is asked back."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from data import agreement, store, store_vectors
from data.answerability import answerability, can_be_answered, can_be_quoted, evidence, unclear
from data.embedding import DEFAULT_MODEL
from data.errors import BadFile
from data.jsonlines import objects_with
from data.query import any_of
from data.search import search
from data.search_evaluation import embed_or_say, fill

PASSAGES = 3
"""As many as an answer's prompt has."""


def evaluate_refusal(
    docs: Path, questions: Path, *, model: str = DEFAULT_MODEL, progress: bool = False
) -> dict[str, float]:
    """How well answerable questions are told from others: AUROC, beside that of the best BM25 score, which is the
    baseline, and what the thresholds do: refused before a model is asked, and before or where a passage would be quoted
    in the place of what it wrote. Nothing is fitted, so nothing is held out.

    QUESTIONS have a question, a history and `answerability`: answerable, unanswerable, underspecified or another word.
    Raises BadFile.
    """
    labels: list[str] = []
    scores: list[float] = []
    sums: list[float] = []
    refused: list[bool] = []
    not_quoted: list[bool] = []
    bm25: list[float] = []
    asks_back: list[bool] = []
    with tempfile.TemporaryDirectory() as folder, store.connect(Path(folder) / "evaluation.db") as db:
        fill(db, docs, progress=progress)
        embed_or_say(db, model, progress=progress)
        among = store_vectors.count_passages(db)
        rows = objects_with(questions, ("question", "answerability"))
        for row in tqdm(rows, unit="question", disable=None if progress else True):
            question, turns = str(row["question"]), _turns(row.get("history"))
            before = "\n".join(str(turn["text"]) for turn in reversed(turns))
            found = search(db, question, history=before, limit=PASSAGES) or search(db, before, limit=PASSAGES)
            words = any_of(question)
            alone = store.passages_matching(db, words, limit=1) if words else []
            asked = [str(turn["text"]) for turn in turns if turn.get("role") == "customer"]
            labels.append(str(row["answerability"]))
            texts = [f"{p.title}\n{p.text}" for p in found]
            scores.append(answerability(question, asked[-1] if asked else "", texts))
            sums.append(evidence(scores[-1], found, among))
            refused.append(not can_be_answered(scores[-1], found, among))
            not_quoted.append(refused[-1] or not can_be_quoted(question, scores[-1], found, among))
            bm25.append(alone[0].score if alone else 0.0)
            asks_back.append(bool(unclear(question, before)))
    if not {"answerable", "unanswerable"} <= set(labels):
        raise BadFile(f"{questions} needs answerable and unanswerable questions.")
    return {
        "questions": len(labels),
        "answerable": labels.count("answerable"),
        "unanswerable": labels.count("unanswerable"),
        "auroc": _auroc(sums, labels, "answerable", "unanswerable"),
        "auroc_words": _auroc(scores, labels, "answerable", "unanswerable"),
        "auroc_bm25": _auroc(bm25, labels, "answerable", "unanswerable"),
        "refused_of_answerable": _share(refused, labels, "answerable"),
        "refused_of_unanswerable": _share(refused, labels, "unanswerable"),
        "not_quoted_of_answerable": _share(not_quoted, labels, "answerable"),
        "not_quoted_of_unanswerable": _share(not_quoted, labels, "unanswerable"),
        "underspecified": labels.count("underspecified"),
        "asked_back_of_underspecified": _share(asks_back, labels, "underspecified"),
        "asked_back_of_answerable": _share(asks_back, labels, "answerable"),
        "auroc_underspecified": _auroc([float(one) for one in asks_back], labels, "underspecified", "answerable"),
    }


def _turns(history: object) -> list[dict[str, object]]:
    return [turn for turn in history if isinstance(turn, dict) and "text" in turn] if isinstance(history, list) else []


def _auroc(scores: Sequence[float], labels: Sequence[str], yes: str, no: str) -> float:
    chosen = [(score, label == yes) for score, label in zip(scores, labels, strict=True) if label in (yes, no)]
    return agreement.auroc([score for score, _ in chosen], [so for _, so in chosen])


def _share(made: Sequence[bool], labels: Sequence[str], of: str) -> float:
    chosen = [one for one, label in zip(made, labels, strict=True) if label == of]
    return sum(chosen) / len(chosen) if chosen else float("nan")
