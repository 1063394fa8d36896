"""What a night's tuning of search gains on labelled questions, cross-validated: learn_search.py DOCS QUESTIONS.

The passages of the gold document stand for those that an agent kept, and the questions about one document for a thread.
Two incumbents: the measured weights, and weights that nobody has tuned (words, and a little of the cosine).
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

from data import store, vectors
from data.embedding import DEFAULT_MODEL
from data.jsonlines import objects, read_lines
from data.ranking import Weights
from data.search import scene
from data.search_evaluation import fill
from data.tuning import Tuned
from finetune.evidence import p_values
from finetune.search_night import Case, rank_by_thread, tune

FOLDS = 5
UNTUNED = Weights(saturation=1.2, length=0.75, title=2.0, pairs=0.0, cosine=0.35)


def main() -> None:
    docs, questions = map(Path, sys.argv[1:3])
    with tempfile.TemporaryDirectory() as folder, store.connect(Path(folder) / "learn.db") as db:
        fill(db, docs)
        vectors.embed_passages(db, DEFAULT_MODEL, progress=True)
        cases = list(cases_of(db, questions))
    print(f"{len(cases)} questions about {len({case.thread_id for case in cases})} documents, {FOLDS} folds")
    print("| incumbent | turned | before | after | gain | p |")
    print("|---|---|---|---|---|---|")
    for name, weights in (("untuned", UNTUNED), ("measured", Weights())):
        for turn in (False, True):
            before, after = cross_validated(cases, Tuned(weights), turn=turn)
            gains = after - before
            p = p_values(gains[None, :])[0] if gains.any() else 1.0
            print(
                f"| {name} | {'yes' if turn else 'no'} | {before.mean():.3f} | {after.mean():.3f} "
                f"| {gains.mean():+.3f} | {p:.4f} |",
                flush=True,
            )


def cases_of(db, questions: Path):
    """The questions whose gold document is there and that are not marked as unsure."""
    for _, row in objects(read_lines(questions)):
        if not row.get("gold_ok", True):
            continue
        gold = [str(one) for one in row["gold"]]
        of_document = "select id from chunks where document_id = ?"
        kept = [one["id"] for document in gold for one in db.query(of_document, [document])]
        found = scene(db, str(row["question"]), audience="internal", tuned=Tuned(), also=kept)
        right = np.isin([one.chunk_id for one in found.passages], kept)
        if right.any():
            yield Case(str(row["id"]), gold[0], False, found, right)


def cross_validated(cases, incumbent: Tuned, *, turn: bool):
    """Mean reciprocal rank of each document's questions under the incumbent and under what the other folds taught."""
    threads = sorted({case.thread_id for case in cases})
    fold = dict(zip(threads, np.random.default_rng(0).integers(0, FOLDS, len(threads)), strict=True))
    before = rank_by_thread(cases, incumbent)
    after: dict[str, float] = {}
    for number in range(FOLDS):
        learned = tune([case for case in cases if fold[case.thread_id] != number], incumbent, turn=turn)
        after |= rank_by_thread([case for case in cases if fold[case.thread_id] == number], learned)
    return np.array([before[one] for one in threads]), np.array([after[one] for one in threads])


if __name__ == "__main__":
    main()
