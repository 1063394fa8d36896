"""Refuse an adapter that vLLM would refuse, or serve broken in silence."""

import hashlib
import json
import math
import warnings
from pathlib import Path

from data.errors import BrokenAdapter
from data.models import Base

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
MANIFEST = "nightshift.json"
"""What the trainer writes beside the weights: the base's hash, the recipe, the pairs."""
REWRITTEN = ("base_model_name_or_path", "inference_mode")
"""Of the configuration: what publishing writes anew."""
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")

TIED = "Model has `tie_word_embeddings=True` and a tied layer is part of the adapter"
"""PEFT's warning that merging such an adapter changes the embeddings as well. Adapters are served, never merged."""

UNSERVED = {
    "bias": ("none",),
    "modules_to_save": (None, []),
    "use_dora": (False, None),
    "use_bdlora": (False, None),
    "use_qalora": (False, None),
    "lora_bias": (False, None),
    "fan_in_fan_out": (False, None),
    "layer_replication": (None,),
    "target_parameters": (None, []),
    "trainable_token_indices": (None,),
    "alora_invocation_tokens": (None,),
    # Others, such as pissa, change the base's weights too.
    "init_lora_weights": (True, False, "gaussian"),
}
"""Of PEFT's configuration: what vLLM serves. It refuses other values, or passes over them in silence."""


def verify(directory: Path, base: Base, *, max_lora_rank: int) -> None:
    """Refuse an adapter that vLLM would refuse, or serve broken in silence (facts/vllm.md). Raises BrokenAdapter."""
    require(directory, directory.is_dir(), "there is no such directory")
    pickles = [file.name for file in directory.iterdir() if file.suffix in PICKLES]
    require(directory, not pickles, f"{', '.join(pickles)} may hold programs; only safetensors are taken")
    manifest = read_json(directory, MANIFEST)
    require(
        directory,
        manifest.get("base_hash") == base.hash,
        f"it was trained on another base ({str(manifest.get('base_hash'))[:12]}, not {base.hash[:12]})",
    )
    # The gate asks which threads an incumbent has learned from, erasure which pairs.
    lists = (manifest.get("pairs"), manifest.get("rated", []), manifest.get("preferred", []))
    named = all(
        isinstance(found, list) and all(isinstance(p, dict) and {"id", "thread_id"} <= p.keys() for p in found)
        for found in lists
    )
    require(directory, named, f"{MANIFEST} does not name the pairs and threads that it has learned from")
    config = read_json(directory, CONFIG)
    _check_config(directory, config, max_lora_rank)
    _check_weights(directory, _expected_shapes(directory, base))


def learned_rows(manifest: dict) -> list[dict]:
    """What a manifest names that its adapter learned from, with `id` and `thread_id` each.

    Pairs, rated texts, and drafts to which others were preferred.
    """
    return [*manifest["pairs"], *manifest.get("rated", []), *manifest.get("preferred", [])]


def weights_hash(directory: Path) -> str:
    """sha256 of an adapter's weights; raises BrokenAdapter."""
    file = directory / WEIGHTS
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise BrokenAdapter(f"The adapter's weights {file} cannot be read ({error.strerror}).") from error


def fingerprint(directory: Path) -> str:
    """sha256 of an adapter's weights and configuration, the same before and after it was published.

    Raises BrokenAdapter.
    """
    config = {name: value for name, value in read_json(directory, CONFIG).items() if name not in REWRITTEN}
    content = json.dumps([weights_hash(directory), config], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def require(directory: Path, holds: bool, why_not: str) -> None:
    """Raise BrokenAdapter unless `holds`."""
    if not holds:
        raise BrokenAdapter(f"The adapter in {directory} cannot be served: {why_not}.")


def read_json(directory: Path, name: str) -> dict:
    """One JSON object of an adapter's directory; raises BrokenAdapter."""
    try:
        found = json.loads((directory / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BrokenAdapter(f"The adapter in {directory} cannot be served: it has no readable {name}.") from error
    require(directory, isinstance(found, dict), f"{name} holds no JSON object")
    return found


def _check_config(directory: Path, config: dict, max_lora_rank: int) -> None:
    require(directory, config.get("peft_type") == "LORA", "it is no LoRA adapter")
    for field, served in UNSERVED.items():
        if field in config:
            require(directory, config[field] in served, f"vLLM does not serve {field} = {config[field]}")
    ranks = [config.get("r"), *(config.get("rank_pattern") or {}).values()]
    whole = all(isinstance(rank, int) and rank > 0 for rank in ranks)
    require(directory, whole, "its rank is no whole number above 0")
    highest = max(ranks)
    require(directory, highest <= max_lora_rank, f"rank {highest} exceeds MAX_LORA_RANK {max_lora_rank}")
    alphas = [config.get("lora_alpha"), *(config.get("alpha_pattern") or {}).values()]
    sane = all(isinstance(alpha, int | float) and math.isfinite(alpha) and alpha > 0 for alpha in alphas)
    require(directory, sane, "its lora_alpha is no number above 0")


def _expected_shapes(directory: Path, base: Base) -> dict[str, tuple[int, ...]]:
    """Key → shape of the tensors that PEFT would write for this configuration on this base. Loads no weights."""
    # Here and not above: starting vLLM sweeps, and need not wait for torch.
    import torch
    from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(base.root))
    try:
        config = LoraConfig.from_pretrained(str(directory))
        # A name is no evidence: the base's hash was compared, and publishing writes the name anew.
        config.base_model_name_or_path = None
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", TIED)
            peft_model = get_peft_model(model, config, low_cpu_mem_usage=True)
    except (ValueError, TypeError) as error:
        reason = str(error).split(". ")[0].rstrip(".")
        raise BrokenAdapter(f"The adapter in {directory} does not fit the base {base.model}: {reason}.") from error
    expected = get_peft_model_state_dict(peft_model, save_embedding_layers=False)
    return {key: tuple(tensor.shape) for key, tensor in expected.items()}


def _check_weights(directory: Path, expected: dict[str, tuple[int, ...]]) -> None:
    import torch
    from safetensors import SafetensorError, safe_open

    require(directory, (directory / WEIGHTS).is_file(), f"it has no {WEIGHTS}")
    try:
        with safe_open(directory / WEIGHTS, framework="pt") as weights:
            keys = set(weights.keys())
            require(directory, keys <= expected.keys(), f"unexpected tensor {min(keys - expected.keys(), default='')}")
            require(directory, expected.keys() <= keys, f"it lacks {min(expected.keys() - keys, default='')}")
            learned = False
            for key in sorted(keys):
                tensor = weights.get_tensor(key)
                shape = tuple(tensor.shape)
                require(directory, shape == expected[key], f"{key} is {shape}, the base needs {expected[key]}")
                require(directory, tensor.is_floating_point(), f"{key} is {tensor.dtype}, not floating point")
                require(directory, bool(torch.isfinite(tensor).all()), f"{key} holds NaN or infinity")
                # A fresh B is zero: the adapter then changes nothing.
                learned = learned or (".lora_B." in key and bool(tensor.any()))
    except SafetensorError as error:
        raise BrokenAdapter(f"The adapter in {directory} cannot be served: {WEIGHTS} is broken ({error}).") from error
    require(directory, learned, "all its B matrices are zero: it has learned nothing")
