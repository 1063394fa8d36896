"""Find the base model on this machine and say which one it is: by its content, not its path."""

import hashlib
import json
import os
import re
from contextlib import suppress
from functools import lru_cache, partial
from pathlib import Path

from data.errors import ModelMissing
from data.models import Base

WANTED = ["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt"]
"""Of a hub's repository: weights, configuration, tokenizer. Weights in other formats stay where they are."""
UNWANTED = ["*/*", "consolidated*.safetensors"]
HUB_SECONDS = 10.0
WRITER = 100_000_000
"""Parameters. A base of 15 million wrote word salad about a help centre that was new to it; none between was tried."""
EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts")
"""What configurations call the number of their experts: Mixtral's, Qwen's and DeepSeek's."""
NOT_HERE = "The base model {model} is not whole on this machine and {why}: download it first, or name a directory."


def identify(model: str) -> Base:
    """The identity of a model given by directory or hub id. Raises ModelMissing.

    For a hub id the local cache counts; the hub is asked only for what is not whole there, unless HF_HUB_OFFLINE
    forbids it. So a base stays the same until somebody fetches a newer one: `hf download ID`.
    """
    root = _root(model)
    files = [root / "config.json", *weight_files(model, root)]
    # One line per file, in the order of names: shards may be read in any order, and renaming one is a change.
    lines = "".join(f"{_sha256(file)}  {file.name}\n" for file in sorted(files))
    return Base(hash=hashlib.sha256(lines.encode()).hexdigest(), model=model, root=str(root))


def weight_files(model: str, root: Path) -> list[Path]:
    """The safetensors files of a model's directory. Raises ModelMissing when the model is not whole."""
    if not (root / "config.json").is_file():
        raise ModelMissing(f"The base model {model} has no config.json in {root}: set BASE_MODEL to a whole model.")
    index = root / "model.safetensors.index.json"
    if index.is_file():
        shards = sorted({root / name for name in json.loads(index.read_text())["weight_map"].values()})
    else:
        shards = sorted(root.glob("*.safetensors"))
    if not shards:
        raise ModelMissing(f"The base model {model} has no safetensors in {root}: other formats are not served.")
    for shard in shards:
        if not shard.is_file():
            raise ModelMissing(f"The base model {model} lacks {shard.name} in {root}: download it again.")
    return shards


def parameter_count(base: Base) -> int:
    """How many numbers the weights hold, from the files' headers alone. Raises ModelMissing for a broken file."""
    count = 0
    for file in weight_files(base.model, Path(base.root)):
        try:
            with file.open("rb") as weights:
                # https://github.com/huggingface/safetensors#format: eight bytes of length, then a JSON header.
                header = json.loads(weights.read(int.from_bytes(weights.read(8), "little")))
        except (ValueError, OverflowError, MemoryError) as error:
            raise ModelMissing(f"{file} of the base model {base.model} is broken: download it again.") from error
        header.pop("__metadata__", None)
        whole = 8 + max((tensor["data_offsets"][1] for tensor in header.values()), default=0)
        if file.stat().st_size < whole:
            raise ModelMissing(f"{file} of the base model {base.model} is cut short: download it again.")
        for tensor in header.values():
            size = 1
            for dimension in tensor["shape"]:
                size *= dimension
            count += size
    return count


@lru_cache
def can_write(base: Base) -> bool:
    """Whether a base strings words together to what they mean, or can only copy: by its size.

    One whose weights are not on this machine counts as a writer.
    """
    try:
        return parameter_count(base) >= WRITER
    except ModelMissing:
        return True


def has_chat_template(base: Base) -> bool:
    """Whether the tokenizer can make a prompt of messages."""
    root = Path(base.root)
    config = root / "tokenizer_config.json"
    return (root / "chat_template.jinja").is_file() or (
        config.is_file() and bool(json.loads(config.read_text()).get("chat_template"))
    )


def has_experts(base: Base) -> bool:
    """Whether the base is a mixture of experts, such as Mixtral."""
    config = json.loads((Path(base.root) / "config.json").read_text())
    return any(config.get("text_config", config).get(name) for name in EXPERTS)


def _root(model: str) -> Path:
    directory = Path(model).expanduser()
    if directory.is_dir():
        return directory.resolve()
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", model):
        raise ModelMissing(f"The base model {model} is no directory on this machine: mend BASE_MODEL.")
    # Here and not above: a directory needs no hub.
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    download = partial(snapshot_download, model, allow_patterns=WANTED, ignore_patterns=UNWANTED)
    try:
        with suppress(LocalEntryNotFoundError):
            cached = Path(download(local_files_only=True))
            if _is_whole(model, cached):
                return cached
        if not constants.HF_HUB_OFFLINE:
            _expect_hub(model, constants.ENDPOINT)
        return Path(download())
    except HFValidationError as error:
        raise ModelMissing(
            f"The base model {model} is no directory on this machine and no hub id: mend BASE_MODEL."
        ) from error
    except LocalEntryNotFoundError as error:
        why = "HF_HUB_OFFLINE forbids fetching it" if constants.HF_HUB_OFFLINE else "the hub cannot be reached"
        raise ModelMissing(NOT_HERE.format(model=model, why=why)) from error
    except HfHubHTTPError as error:
        raise ModelMissing(
            f"The hub does not give out the base model {model}: check its name, and HF_TOKEN if it is a private one."
        ) from error


def _expect_hub(model: str, endpoint: str) -> None:
    """Raise ModelMissing when no hub answers: its client would try again for minutes, without a word."""
    import httpx

    try:
        httpx.head(f"{endpoint}/api/models/{model}", timeout=HUB_SECONDS)
    except httpx.HTTPError as error:
        raise ModelMissing(NOT_HERE.format(model=model, why="the hub cannot be reached")) from error


def _is_whole(model: str, root: Path) -> bool:
    """Whether a snapshot has its weights and a tokenizer: a download may have been ended half-way."""
    tokenizer = (root / "tokenizer.json").is_file() or any(root.glob("*.model"))
    try:
        return bool(weight_files(model, root)) and tokenizer and (root / "tokenizer_config.json").is_file()
    except ModelMissing:
        return False


def _sha256(file: Path) -> str:
    # The hub's cache names each large file by its sha256: 16 GB need not be read again at every start.
    target = Path(os.path.realpath(file)).name
    if file.is_symlink() and re.fullmatch("[0-9a-f]{64}", target):
        return target
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
