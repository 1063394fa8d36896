"""The end of a night on a hosted model: a file for the service's fine-tuning, in place of an adapter."""

from pathlib import Path

from sqlite_utils import Database

from data import store
from data.export import EXPORTED, write_pairs
from data.models import Run
from finetune import dataset as datasets
from finetune.night import Night
from finetune.pairs import Dataset
from finetune.run_directory import REPORT, file_hash

HANDED_OVER = (
    "{train} pairs to train on and {validation} for early stopping were written as {name} to {file}. Give that file to "
    "the service's fine-tuning; {model} serves on until HOSTED_MODEL names another."
)


def export(db: Database, night: Night, dataset: Dataset, run_dir: Path, *, name: str, model: str) -> None:
    """Write the frozen pairs in the format `name`, and the morning's report. Held-out threads are in neither file.

    Raises CannotExport where the service would refuse the file.
    """
    train, validation = (run_dir / EXPORTED / f"{side}.jsonl" for side in ("train", "validation"))
    files = {train: dataset.train} | ({validation: dataset.validation} if dataset.validation else {})
    counts = write_pairs(name, files)
    written = {str(path): {"pairs": count, "sha256": file_hash(path)} for path, count in counts.items()}
    store.update_run(db, night.run_id, status="export", format=name, exported=written)
    night.outcome, night.exported = "exported", str(train)
    night.reason = HANDED_OVER.format(
        train=counts[train], validation=counts.get(validation, 0), name=name, file=train, model=model
    )
    lines = report_lines(store.run(db, night.run_id), dataset, night.reason)
    (run_dir / REPORT).write_text("\n".join(lines) + "\n", encoding="utf-8")
    night.report = str(run_dir / REPORT)


def report_lines(run: Run, dataset: Dataset, told: str) -> list[str]:
    """The report in Markdown. It quotes no text."""
    pairs = [f"- {line.strip()}" for line in datasets.lines(dataset)]
    search = [f"- search: {run.facts['search']}"] if "search" in run.facts else []
    head = [f"# Night of {run.created_at[:10]}", "", told, ""]
    return [*head, *search, *pairs, "", f"Run {run.id} on base {run.base[:12]}."]
