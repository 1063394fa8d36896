"""Write what may be learned from as a hosted model's fine-tuning takes it, masked as for our own training."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from sqlite_utils import Database
from tqdm import tqdm

from data import store, store_names
from data.errors import BadFile, NightshiftError
from data.export_formats import FORMATS, Format
from data.masking import Masker, learn_pair, masked_messages, masked_pair
from data.models import Pair, PreferencePair, Task


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
    pairs: Sequence[Pair | PreferencePair] = store.training_pairs(db) if form.of_pair else store.preference_pairs(db)
    pairs = _masked(db, [pair for pair in pairs if task in (None, pair.task)])
    held_out = store.held_out_threads(db)
    lines = {
        path: [
            _line(form, pair)
            for pair in tqdm(pairs, desc="export", unit="pair", disable=None if progress else True)
            if (pair.thread_id in held_out) == is_held_out
        ]
        for path, is_held_out in ((out, False), (validation, True))
        if path is not None
    }
    if len(lines[out]) < form.least:
        kind = "preference pairs" if form.of_preference else "pairs"
        raise CannotExport(
            f"There are {len(lines[out])} {kind} to train on and {name} takes no fewer than {form.least}: "
            "let agents decide on more drafts, or import history."
        )
    if form.most is not None and len(lines[out]) > form.most:
        # The newest: what a team wrote last is what it wants to hear.
        lines[out] = lines[out][-form.most :]
    for path, records in lines.items():
        _write(path, records)
    return {"train": len(lines[out]), "validation": len(lines.get(validation, []))}


def _line(form: Format, pair: Pair | PreferencePair) -> dict[str, Any]:
    convert = form.of_pair or form.of_preference
    assert convert is not None
    record = convert(pair)  # type: ignore[arg-type]
    try:
        form.line.model_validate(record)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CannotExport(f"The pair {pair.id} does not fit the format ({where}: {first['msg']}).") from error
    return record


def _masked(db: Database, pairs: Sequence[Pair | PreferencePair]) -> list[Pair | PreferencePair]:
    names = store_names.known_names(db)
    everywhere = names.get(store_names.EVERYWHERE, frozenset())
    maskers = {
        thread: Masker(thread, names=everywhere | names.get(thread, frozenset()))
        for thread in {pair.thread_id for pair in pairs}
    }
    for pair in pairs:
        masker = maskers[pair.thread_id]
        if isinstance(pair, Pair):
            learn_pair(pair, masker)
            continue
        for text in (*(one["content"] for one in pair.messages[1:]), pair.chosen, pair.rejected):
            masker.learn(text)
    return [_masked_one(pair, maskers[pair.thread_id]) for pair in pairs]


def _masked_one(pair: Pair | PreferencePair, masker: Masker) -> Pair | PreferencePair:
    if isinstance(pair, Pair):
        return masked_pair(pair, masker)
    return replace(
        pair,
        messages=masked_messages(pair.messages, masker),
        chosen=masker.mask(pair.chosen),
        rejected=masker.mask(pair.rejected),
    )


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
