"""Is there enough for a night: pairs, new ones since the last, and held-out threads to judge by."""

from pathlib import Path

from sqlite_utils import Database

from data import store
from data.models import Base, Run
from finetune import dataset as datasets
from finetune.dataset import Dataset
from finetune.settings import FinetuneSettings


def last_learned(db: Database, runs_dir: Path, base: Base) -> set[str]:
    """The pairs that the last run on this base was given, whether or not the gate let its adapter pass."""
    trained = [run for run in store.runs(db) if run.base == base.hash and has_trained(run)]
    return datasets.learned_pairs(runs_dir / trained[-1].id) if trained else set()


def has_trained(run: Run) -> bool:
    """Whether a run came to its verdict; a failed or skipped one has used no pair up."""
    return run.status == "done" and run.facts.get("outcome") in ("promoted", "kept", "exported")


def too_little(dataset: Dataset, settings: FinetuneSettings, *, gated: bool = True) -> str | None:
    """Why tonight's pairs are not worth a run, as a sentence; None when they are. A night that is not `gated`, since a
    hosted model's adapters are not ours to judge, needs no held-out threads.
    """
    trainable = len(dataset.train) + len(dataset.validation)
    if trainable < settings.min_pairs:
        return (
            f"There are {trainable} training pairs and a night needs {settings.min_pairs} (MIN_PAIRS): "
            "let agents decide on more drafts, or import history."
        )
    if dataset.new_pairs < settings.min_new_pairs:
        return (
            f"There are {dataset.new_pairs} new training pairs since the last run and a night needs "
            f"{settings.min_new_pairs} (MIN_NEW_PAIRS)."
        )
    threads = max(task["held_out_threads"] for task in datasets.summary(dataset)["tasks"].values())
    if gated and threads < settings.min_held_out_threads:
        return (
            f"Insufficient evidence: no task has more than {threads} held-out threads and its gate needs "
            f"{settings.min_held_out_threads} (MIN_HELD_OUT_THREADS)."
        )
    return None
