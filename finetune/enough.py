"""Is there enough for a night: pairs, new ones since the last, and held-out threads to judge by."""

from pathlib import Path

from sqlite_utils import Database

from data import store, store_pairs
from data.models import Base, Run
from finetune import dataset as datasets
from finetune.pairs import Dataset
from finetune.settings import FinetuneSettings


def last_learned(db: Database, runs_dir: Path, base: Base, team: str | None = None) -> set[str]:
    """The pairs that the last run on this base was given, of this team or of all, whether or not the gate let its
    adapter pass.
    """
    of_all = (run for run in store.runs(db) if run.facts.get("team") == team)
    trained = [run for run in of_all if run.base == base.hash and has_trained(run)]
    return datasets.learned_pairs(runs_dir / trained[-1].id) if trained else set()


def has_trained(run: Run) -> bool:
    """Whether a run came to its verdict; a failed or skipped one has used no pair up."""
    return run.status == "done" and run.facts.get("outcome") in ("promoted", "kept", "exported")


def teams_with_enough(db: Database, settings: FinetuneSettings) -> list[str]:
    """The teams that have pairs enough for an adapter of their own; none where all pairs are one team's."""
    return [team for team, count in _pairs_of_several(db).items() if count >= settings.team_pairs]


def team_lines(db: Database, settings: FinetuneSettings) -> list[str]:
    """What each team has towards an adapter of its own, one sentence each; nothing where all pairs are one team's."""
    needed = settings.team_pairs
    enough = "enough for an adapter of its own."
    waits = f"{needed} are needed for an adapter of its own (TEAM_PAIRS), so it is served what all share."
    return [
        f"Team {team} has {count} pairs: {enough if count >= needed else waits}"
        for team, count in _pairs_of_several(db).items()
    ]


def _pairs_of_several(db: Database) -> dict[str, int]:
    pairs = store_pairs.pairs_by_team(db)
    return pairs if len(pairs) > 1 else {}


def too_little(
    dataset: Dataset, settings: FinetuneSettings, *, gated: bool = True, team: str | None = None
) -> str | None:
    """Why tonight's pairs, or a team's, are not worth a run, as a sentence; None when they are. A night that is not
    `gated`, since a hosted model's adapters are not ours to judge, needs no held-out threads.
    """
    trainable = len(dataset.train) + len(dataset.validation)
    needed, named = (settings.team_pairs, "TEAM_PAIRS") if team else (settings.min_pairs, "MIN_PAIRS")
    if trainable < needed:
        return (
            f"There are {trainable} training pairs and a night needs {needed} ({named}): "
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
