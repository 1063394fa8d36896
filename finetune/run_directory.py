"""A run's folder: what lies where, and the recipe that says all that its training needs."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from data.errors import BadFile
from data.models import Base, Pair
from finetune.settings import FinetuneSettings

ADAPTER = "adapter"
"""The finished adapter, with its manifest and its canary; it appears by a rename."""
MANIFEST = "nightshift.json"
"""In the adapter: base hash, recipe, pairs, versions."""
CANARY = "canary.json"
"""In the adapter: one known completion."""
DATASET = "dataset"
RECIPE = "recipe.json"
REPLAY = "replay.jsonl"
"""General prompts with the base's own answers; no text of a team's."""
LOSSES = "loss.jsonl"
CHECKPOINT = "checkpoint.pt"
"""From which a killed training goes on; gone when the adapter is there."""
GATE = "gate.json"
REPORT = "report.md"
PLOT = "night.png"


@dataclass(frozen=True)
class Recipe:
    """Everything that a training depends on beside its pairs. Written before it starts, so it can be repeated."""

    base: Base
    lora_r: int
    lora_alpha: int
    lora_dropout: float
    learning_rate: float | None
    epochs: int | None
    batch_sequences: int
    max_length: int
    tokens_per_pass: int
    max_train_minutes: float
    seed: int
    threads: int
    replay_share: float = 0.0
    quantized: bool = False
    """The base is in 4 bits while it trains."""
    team: str | None = None
    """Whose pairs are learned, and for whom; None: everybody's, for all."""


def recipe_for(settings: FinetuneSettings, base: Base, team: str | None = None) -> Recipe:
    """The settings' recipe on one base, for all or for one team."""
    return Recipe(
        base=base,
        lora_r=settings.lora_r,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        learning_rate=settings.learning_rate,
        epochs=settings.epochs,
        batch_sequences=settings.batch_sequences,
        max_length=settings.max_length,
        tokens_per_pass=settings.tokens_per_pass,
        max_train_minutes=settings.max_train_minutes,
        seed=settings.seed,
        threads=settings.cpu_threads,
        replay_share=settings.replay_share,
        quantized=settings.quantize_base,
        team=team,
    )


def write_recipe(run_dir: Path, recipe: Recipe) -> None:
    """Write the recipe into a run's folder, which is made when missing."""
    run_dir.mkdir(parents=True, exist_ok=True)
    write_json(run_dir / RECIPE, asdict(recipe))


def read_recipe(run_dir: Path) -> Recipe:
    """The recipe of a run; raises BadFile."""
    found = read_json(run_dir / RECIPE)
    try:
        return Recipe(**(found | {"base": Base(**found["base"])}))
    except (TypeError, KeyError) as error:
        raise BadFile(f"{run_dir / RECIPE} is not a recipe of this version ({error}): start a new run.") from error


def pair_hash(pair: Pair) -> str:
    """sha256 of what a pair teaches: its messages and its target."""
    text = json.dumps([pair.messages, pair.target], ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def file_hash(path: Path) -> str:
    """sha256 of a file."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def write_json(path: Path, value: object) -> None:
    """Write one JSON document; a reader sees the old one or the new one, never a part."""
    beside = path.with_name(f".{path.name}.tmp")
    beside.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    beside.replace(path)


def read_json(path: Path) -> dict:
    """One JSON object; raises BadFile."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadFile(f"{path} cannot be read ({error.strerror}): name the folder of a run.") from error
    except ValueError as error:
        raise BadFile(f"{path} is no JSON: {error}.") from error
    if not isinstance(found, dict):
        raise BadFile(f"{path} holds no JSON object.")
    return found


def write_lines(path: Path, records: Iterable[dict]) -> None:
    """Write JSON lines."""
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")


def read_lines(path: Path) -> list[dict]:
    """JSON lines; raises BadFile with the line's number."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise BadFile(f"{path} cannot be read ({error.strerror}): name the folder of a run.") from error
    records = []
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            records.append(json.loads(line))
        except ValueError as error:
            raise BadFile(f"{path}, line {number}, is no JSON: {error}.") from error
    return records
