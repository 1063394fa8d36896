"""Tune search by the passages that agents kept, behind a gate on held-out threads. A night's own step.

What is tuned: the weights that add words, pairs, history and meaning; and, with more evidence, how a question's vector
is turned towards the passages that answered questions like it. Passages' vectors stay as they are.
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray
from sqlite_utils import Database

from data import ranking, store_tunings, tuning
from data.ranking import Weights
from data.search import Scene, scene
from data.store_connection import immediate
from data.store_tunings import Tuning
from data.tuning import Tuned
from finetune.evidence import p_values
from finetune.search_rows import Kept, kept_passages

log = logging.getLogger(__name__)

MIN_THREADS = 60
"""Threads with a kept passage that are not held out: fewer say too little about the weights."""
MIN_HELD_OUT_THREADS = 30
MIN_THREADS_TO_TURN = 200
"""Threads from which a question's vector is turned: it has far more numbers than there are weights."""
ALPHA = 0.01
"""Probability that a night's tuning passes without a real gain. A tuning is one row to take back, not an adapter."""
STEPS = {"history": (0.05, 0.1, 0.2), "pairs": (0.6, 0.9, 1.2, 1.6), "cosine": (0.4, 0.8, 1.2, 1.6, 2.2)}
ERASED_MEANWHILE = "Not used: a text that it learned from was erased while it was tuned; the next night tunes anew."
RIDGE = 30.0
"""How much evidence holds a turned question back: as much as so many questions that stay where they are."""


@dataclass(frozen=True)
class Case:
    """A question with what search would weigh for it, and which of the passages was kept."""

    suggestion_id: str
    thread_id: str
    held_out: bool
    scene: Scene
    right: NDArray[np.bool_]


@dataclass(frozen=True)
class TuningVerdict:
    """The gate's word on a night's tuning of search, as a sentence and as numbers."""

    passed: bool
    reason: str
    weights: Weights
    turned: bool
    threads: int
    held_out_threads: int
    before: float | None = None
    after: float | None = None
    p: float | None = None


@dataclass(frozen=True)
class Tried:
    """A tuning with the gate's word on it, the suggestions that taught it, and the tuning that it was built upon."""

    candidate: Tuned
    verdict: TuningVerdict
    learned: frozenset[str]
    built_upon: Tuning | None


def tune_search(db: Database, *, run_id: str | None) -> TuningVerdict:
    """Tune on the threads that are not held out, judge on those that are, and record the verdict and the evidence.

    Search uses what passed from the next question on; else the incumbent stays.
    """
    tried = try_tuning(db)
    return tried if isinstance(tried, TuningVerdict) else record(db, tried, run_id=run_id)


def try_tuning(db: Database) -> Tried | TuningVerdict:
    """A tuning that nobody uses yet, with the gate's word on it; a verdict alone where there is too little evidence."""
    serving = store_tunings.newest_passed(db)
    incumbent = tuning.read(serving)
    kept = kept_passages(db)
    # A search for each of them takes seconds: not where there are too few anyhow.
    if (lacking := _too_few(kept, incumbent)) is not None:
        return lacking
    cases = [case for one in kept if (case := _case(db, one, incumbent)) is not None]
    if (lacking := _too_few(cases, incumbent)) is not None:
        return lacking
    learned = [case for case in cases if not case.held_out]
    judged = [case for case in cases if case.held_out]
    threads = _threads(learned)
    candidate = tune(learned, incumbent, turn=threads >= MIN_THREADS_TO_TURN)
    verdict = judge(judged, candidate, incumbent, threads=threads)
    return Tried(candidate, verdict, frozenset(case.suggestion_id for case in learned), serving)


def record(db: Database, tried: Tried, *, run_id: str | None) -> TuningVerdict:
    """Append the verdict; a tuning that learned from a text which was erased meanwhile does not pass."""
    verdict, built_upon = tried.verdict, tried.built_upon
    with immediate(db):
        # Under the write lock: an erasure is done by now, and seen here, or it finds this tuning's evidence.
        if store_tunings.blanked_since(db, tried.learned, built_upon):
            verdict = replace(verdict, passed=False, reason=ERASED_MEANWHILE)
        store_tunings.record_tuning(
            db,
            run_id=run_id,
            weights=tuning.as_json(tried.candidate.weights),
            turn=None if tried.candidate.turn is None else tuning.as_bytes(tried.candidate.turn),
            passed=verdict.passed,
            report=asdict(verdict),
            # Tuning starts from the incumbent, so what that one learned is in the candidate as well.
            evidence=tried.learned | (store_tunings.learned_from(db, built_upon.id) if built_upon else set()),
        )
    return verdict


def _too_few(found: Sequence[Kept | Case], incumbent: Tuned) -> TuningVerdict | None:
    """The verdict where passages were kept in too few threads to learn from, or to judge by."""
    threads, held_out = (_threads([one for one in found if one.held_out is side]) for side in (False, True))
    if threads >= MIN_THREADS and held_out >= MIN_HELD_OUT_THREADS:
        return None
    reason = (
        f"Insufficient evidence: passages were kept in {threads} threads and {held_out} held-out ones; "
        f"{MIN_THREADS} and {MIN_HELD_OUT_THREADS} are needed."
    )
    return TuningVerdict(False, reason, incumbent.weights, False, threads, held_out)


def tune(cases: Sequence[Case], incumbent: Tuned, *, turn: bool) -> Tuned:
    """The weights, and with `turn` also the turn, that place the kept passages highest in these cases.

    The turn is a ridge regression from questions to the nearest kept passages. It fits whatever it was made of, so it
    is tried only when one made of half the threads helps the other half.
    """
    starts = [incumbent]
    threads = sorted({case.thread_id for case in cases})
    half = set(threads[::2])
    made_of, others = [c for c in cases if c.thread_id in half], [c for c in cases if c.thread_id not in half]
    tried = replace(incumbent, turn=_turn(made_of)) if turn else incumbent
    if tried.turn is not None and mean_rank(others, tried) > mean_rank(others, incumbent):
        starts.append(replace(incumbent, turn=_turn(cases)))
    best, best_rank = incumbent, mean_rank(cases, incumbent)
    for start in starts:
        seen = [(case, case.scene.features(start)) for case in cases]
        for history, pairs, cosine in product(*STEPS.values()):
            weights = replace(incumbent.weights, history=history, pairs=pairs, cosine=cosine)
            rank = float(np.mean([_reciprocal(case, found, weights) for case, found in seen]))
            # Only for more than a rounding: of equals, what serves already.
            if rank > best_rank + 1e-6:
                best, best_rank = replace(start, weights=weights), rank
    return best


def judge(cases: Sequence[Case], candidate: Tuned, incumbent: Tuned, *, threads: int) -> TuningVerdict:
    """The paired difference of reciprocal rank on held-out threads, by the adapters' gate's own test. Pure."""
    before, after = rank_by_thread(cases, incumbent), rank_by_thread(cases, candidate)
    gains = np.array([after[one] - before[one] for one in sorted(before)])
    p = float(p_values(gains[None, :])[0]) if gains.any() else 1.0
    was, would_be = float(np.mean(list(before.values()))), float(np.mean(list(after.values())))
    passed = p <= ALPHA and would_be > was
    told = f"mean reciprocal rank {was:.3f} → {would_be:.3f} on {len(gains)} held-out threads, p = {p:.4f}"
    reason = f"Better: {told}." if passed else f"No proof of a gain: {told}, needed {ALPHA}."
    turned = candidate.turn is not None
    return TuningVerdict(passed, reason, candidate.weights, turned, threads, len(gains), was, would_be, p)


def mean_rank(cases: Sequence[Case], tuned: Tuned) -> float:
    """The mean reciprocal rank of the first kept passage."""
    return float(np.mean([_reciprocal(case, case.scene.features(tuned), tuned.weights) for case in cases]))


def rank_by_thread(cases: Sequence[Case], tuned: Tuned) -> dict[str, float]:
    """The mean reciprocal rank of the first kept passage in each thread."""
    ranks: dict[str, list[float]] = {}
    for case in cases:
        found = case.scene.features(tuned)
        ranks.setdefault(case.thread_id, []).append(_reciprocal(case, found, tuned.weights))
    return {thread: float(np.mean(found)) for thread, found in ranks.items()}


def _case(db: Database, kept: Kept, tuned: Tuned) -> Case | None:
    found = scene(db, kept.question, history=kept.history, audience="internal", tuned=tuned, also=kept.chunk_ids)
    right = np.isin([one.chunk_id for one in found.passages], kept.chunk_ids)
    if not right.any() or right.all():
        return None
    return Case(kept.suggestion_id, kept.thread_id, kept.held_out, found, right)


def _reciprocal(case: Case, found: NDArray[np.float64], weights: Weights) -> float:
    scores = ranking.added(found, weights)
    return 1.0 / (1 + int((scores > scores[case.right].max()).sum()))


def _turn(cases: Sequence[Case]) -> NDArray[np.float32] | None:
    known = [case for case in cases if case.scene.question is not None and len(_right(case))]
    if not known:
        return None
    questions = np.stack([case.scene.question for case in known])
    passages = np.stack([_nearest_right(case) for case in known])
    square = questions.T @ questions + RIDGE * np.eye(questions.shape[1], dtype=np.float32)
    return np.linalg.solve(square, questions.T @ (passages - questions)).astype(np.float32)


def _nearest_right(case: Case) -> NDArray[np.float32]:
    right = _right(case)
    return right[np.argmax(right @ case.scene.question)]


def _right(case: Case) -> NDArray[np.float32]:
    chosen = zip(case.scene.passages, case.right, strict=True)
    near = case.scene.near
    return np.array([near[one.chunk_id] for one, is_right in chosen if is_right and one.chunk_id in near])


def _threads(cases: Sequence[Kept | Case]) -> int:
    return len({case.thread_id for case in cases})
