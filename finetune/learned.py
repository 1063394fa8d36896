"""What an adapter has learned from, by its own manifest: held against the frozen dataset that it was given."""

from pathlib import Path

from data.errors import BrokenAdapter
from finetune.pairs import Dataset
from finetune.run_directory import MANIFEST, pair_hash, read_json
from finetune.split_check import LeakedThreads
from serving.verification import learned_rows


def check_manifest(candidate: Path, dataset: Dataset) -> None:
    """Raise unless the candidate learned from this dataset's pairs alone, and from no thread that is scored."""
    if leaked := learned_threads(candidate) & {c.pair.thread_id for c in dataset.held_out}:
        raise LeakedThreads(leaked)
    manifest = read_json(candidate / MANIFEST)
    named = {pair["id"]: pair.get("sha256") for pair in manifest["pairs"]}
    frozen = {pair.id: pair_hash(pair) for pair in (*dataset.train, *dataset.validation)}
    strange = [pair_id for pair_id, sha256 in named.items() if frozen.get(pair_id) != sha256]
    rated = {pair_hash(thumb.pair) for thumb in dataset.thumbs}
    strange += [one["id"] for one in manifest.get("rated", []) if one.get("sha256") not in rated]
    preferred = {one.id for one in dataset.preferences}
    strange += [one["id"] for one in manifest.get("preferred", []) if one["id"] not in preferred]
    if strange:
        raise BrokenAdapter(
            f"The candidate {candidate} has learned from {len(strange)} pairs that its dataset does not hold, "
            f"{min(strange)} among them: train it anew."
        )


def learned_threads(directory: Path) -> set[str]:
    """The threads that an adapter learned from, as its own manifest says."""
    return {one["thread_id"] for one in learned_rows(read_json(directory / MANIFEST))}
