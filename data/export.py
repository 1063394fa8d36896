"""Write what may be learned from as a hosted model's fine-tuning takes it, masked as for our own training."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from sqlite_utils import Database
from tqdm import tqdm

from data import store, store_names
from data.errors import BadFile, NightshiftError
from data.export_formats import FORMATS, Format
from data.masking import learn_pair, learn_preference, masked_pair, masked_preference, maskers
from data.models import Pair, Task

EXPORTED = "export"
"""In a run's folder: what a night on a hosted model writes."""


class CannotExport(NightshiftError):
    """The service would refuse the file."""


def export(
    db: Database,
    name: str,
    out: Path,
    *,
    task: Task | None = None,
    validation: Path | None = None,
    progress: bool = False,
) -> dict[str, int]:
    """Write pairs in a format (a key of FORMATS) and return how many; held-out threads go to `validation` alone.

    Pairs come from consented channels and imported history only. Raises CannotExport where the service would refuse
    the file, and BadFile where it cannot be written.
    """
    form = FORMATS[name]
    records = _records(db, form, task, progress=progress)
    held_out = store.held_out_threads(db)
    lines = {out: [line for thread, line in records if thread not in held_out]}
    if validation is not None:
        lines[validation] = [line for thread, line in records if thread in held_out]
    _write_all(name, lines)
    return {"train": len(lines[out]), "validation": len(lines.get(validation, []))}


def write_pairs(name: str, files: Mapping[Path, Sequence[Pair]]) -> dict[Path, int]:
    """Write pairs that are masked already in a format of pairs, the first file being the one to train on.

    Returns how many are in each. Raises CannotExport and BadFile as `export` does.
    """
    form = FORMATS[name]
    assert form.of_pair is not None
    lines = {path: [_fitting(form, pair.id, form.of_pair(pair)) for pair in pairs] for path, pairs in files.items()}
    _write_all(name, lines)
    return {path: len(written) for path, written in lines.items()}


def _write_all(name: str, lines: dict[Path, list[dict[str, Any]]]) -> None:
    """Write the files, the first being the one to train on: that is cut to what the service takes."""
    form, out = FORMATS[name], next(iter(lines))
    if len(lines[out]) < form.least:
        kind = "preference pairs" if form.of_preference else "pairs"
        raise CannotExport(
            f"There are {len(lines[out])} {kind} to train on and {name} takes no fewer than {form.least}: "
            "let agents decide on more drafts, or import history."
        )
    if form.most is not None:
        # The newest: what a team wrote last is what it wants to hear.
        lines[out] = lines[out][-form.most :]
    for path, records in lines.items():
        _write(path, records)


def _records(db: Database, form: Format, task: Task | None, *, progress: bool) -> list[tuple[str, dict[str, Any]]]:
    """Thread and line of every pair, masked."""
    names = store_names.known_names(db)
    bar = partial(tqdm, desc="export", unit="pair", disable=None if progress else True)
    if form.of_pair is not None:
        pairs = [pair for pair in store.training_pairs(db) if task in (None, pair.task)]
        masker_of = maskers((pair.thread_id for pair in pairs), names)
        for pair in pairs:
            learn_pair(pair, masker_of[pair.thread_id])
        of_pair = form.of_pair
        return [
            (pair.thread_id, _fitting(form, pair.id, of_pair(masked_pair(pair, masker_of[pair.thread_id]))))
            for pair in bar(pairs)
        ]
    assert form.of_preference is not None
    of_preference = form.of_preference
    edits = [edit for edit in store.preference_pairs(db) if task in (None, edit.task)]
    masker_of = maskers((edit.thread_id for edit in edits), names)
    for edit in edits:
        learn_preference(edit, masker_of[edit.thread_id])
    return [
        (edit.thread_id, _fitting(form, edit.id, of_preference(masked_preference(edit, masker_of[edit.thread_id]))))
        for edit in bar(edits)
    ]


def _fitting(form: Format, pair_id: str, record: dict[str, Any]) -> dict[str, Any]:
    try:
        form.line.model_validate(record)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CannotExport(f"The pair {pair_id} does not fit the format ({where}: {first['msg']}).") from error
    return record


def _write(path: Path, records: Sequence[dict[str, Any]]) -> None:
    beside = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(
            "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8"
        )
        beside.replace(path)
    except OSError as error:
        raise BadFile(f"{path} cannot be written ({error.strerror}): name another file.") from error
