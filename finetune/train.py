"""Train one LoRA adapter on a run's frozen pairs. A process of its own, that reads nothing but the run's folder."""

import shutil
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from data.errors import BadFile, NotEnoughPairs
from data.models import Pair
from finetune import base_model, memory, parallel, replay
from finetune.canary import make_canary
from finetune.chat import encode, end_tokens
from finetune.dataset import load
from finetune.fitting import Example, Outcome, fit, say
from finetune.kto import encode_thumbs, learn_thumbs
from finetune.low_rank import LowRankLinear
from finetune.norms import slice_norms
from finetune.pairs import Dataset
from finetune.preference import MIN_PREFERENCES, encode_preferences, prefer
from finetune.run_directory import (
    ADAPTER,
    CANARY,
    CHECKPOINT,
    MANIFEST,
    Recipe,
    pair_hash,
    read_recipe,
    write_json,
)
from finetune.thumbs import counts, enough, sentence
from serving.base import EXPERTS, parameter_count

ATTENTION_LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj")
LINEAR_LAYERS = (*ATTENTION_LAYERS, "gate_proj", "up_proj", "down_proj")
VOCABULARY_SERVED = ("llama", "qwen3")
"""Architectures of whose vocabulary layer vLLM takes an adapter; of Mistral's and Gemma's it refuses one."""


def train(run_dir: Path) -> Outcome:
    """Train as the run's recipe says and leave `adapter/` in its folder, whole or not at all.

    In the folder of a training that was killed it goes on from the last checkpoint, to the same adapter.

    Raises BadFile, ModelMissing, NotEnoughPairs and TrainingFailed.
    """
    recipe, dataset = read_recipe(run_dir), load(run_dir)
    if (run_dir / ADAPTER).exists():
        raise BadFile(f"{run_dir} holds a trained adapter already: freeze a dataset in a new folder.")
    torch.set_num_threads(recipe.threads)
    dtype = base_model.training_dtype()
    config, free = base_model.load_config(recipe.base), memory.free_memory(base_model.device())
    needed = memory.choose(config, parameter_count(recipe.base), recipe, dtype, free)
    say(f"loading {recipe.base.model}: training takes about {needed.total:.1f} GiB, {free:.1f} GiB are free")
    tokenizer = base_model.load_tokenizer(recipe.base)
    with parallel.leader_first():
        rows, replayed = replay.rows_for(run_dir, dataset, recipe, tokenizer)
    # Only now: a training that goes on reads the rows that were written, and begins with the same adapter.
    torch.manual_seed(recipe.seed)
    model = base_model.load_model(recipe.base, dtype, quantized=recipe.quantized)
    ends = end_tokens(tokenizer, model.generation_config)
    limit = min(recipe.max_length, model.config.get_text_config().max_position_embeddings)
    examples, too_long = encode_pairs(tokenizer, [*dataset.train, *rows], limit=limit, ends=ends)
    validation, _ = encode_pairs(tokenizer, dataset.validation, limit=limit, ends=ends)
    if not examples:
        raise NotEnoughPairs(found=0, needed=1)
    if too_long:
        say(f"{too_long} pairs are left out: their answers alone are longer than {limit} tokens")
    slice_norms(model)
    model = get_peft_model(model, lora(recipe, model))
    if not needed.kept:
        say("to save memory, activations are computed anew: this takes a third longer")
        model.enable_input_require_grads()
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    outcome = fit(model, examples, validation, run_dir, recipe)
    preferences = encode_preferences(tokenizer, dataset.preferences, limit=limit, ends=ends)
    preferred = prefer(model, preferences, validation, recipe) if len(preferences) >= MIN_PREFERENCES else None
    thumbed = None
    if dataset.thumbs:
        rated = encode_thumbs(tokenizer, dataset.thumbs, limit=limit, ends=ends)
        found = counts(rated)
        say(sentence(**found))
        thumbed = learn_thumbs(model, rated, validation, recipe) if enough(**found) else None
    say("writing the adapter and its canary")
    if parallel.leads():
        stages = {"outcome": outcome, "preferences": preferred, "thumbs": thumbed, "replay": replayed}
        _write_adapter(
            model, run_dir, recipe, dataset, {name: stage and asdict(stage) for name, stage in stages.items()}
        )
    say(f"trained: {outcome.updates} updates in {outcome.seconds:.0f} s ({outcome.stopped})")
    return outcome


def encode_pairs(
    tokenizer: PreTrainedTokenizerBase, pairs: Sequence[Pair], *, limit: int, ends: set[int]
) -> tuple[list[Example], int]:
    """The pairs as tokens, and how many were left out because their target alone is too long."""
    encoded = [(encode(tokenizer, p.messages, p.target, limit=limit, ends=ends), p) for p in pairs]
    found = [Example(tokens, p.weight, p.thread_id) for tokens, p in encoded if tokens is not None]
    return found, len(encoded) - len(found)


def lora(recipe: Recipe, model: PreTrainedModel) -> LoraConfig:
    """The adapter that the recipe asks for: plain LoRA."""
    found = LoraConfig(
        r=recipe.lora_r,
        lora_alpha=recipe.lora_alpha,
        lora_dropout=recipe.lora_dropout,
        target_modules=adapted_layers(model),
        bias="none",
        task_type="CAUSAL_LM",
    )
    found._register_custom_module({torch.nn.Linear: LowRankLinear})
    return found


def adapted_layers(model: PreTrainedModel) -> list[str] | str:
    """All linear layers; of a mixture of experts attention's; of a small base that of the vocabulary, too.

    A small base has seen too little to know which words a team uses: docs/training.md.
    """
    config = model.config.get_text_config()
    # all-linear would adapt the router of some: one expert would then be asked for another's tokens.
    if any(getattr(config, name, None) for name in EXPERTS):
        return list(ATTENTION_LAYERS)
    if config.model_type in VOCABULARY_SERVED and model.num_parameters() < base_model.SMALL_BASE:
        return [*LINEAR_LAYERS, "lm_head"]
    return "all-linear"


def _write_adapter(
    model: PeftModel, run_dir: Path, recipe: Recipe, dataset: Dataset, stages: dict[str, dict | None]
) -> None:
    """Beside its final place, then renamed: `adapter/` is whole whenever it is there."""
    beside = run_dir / f".{ADAPTER}.tmp"
    shutil.rmtree(beside, ignore_errors=True)
    # Else the base's own vocabulary is written beside the adapter of it.
    model.save_pretrained(beside, save_embedding_layers=False)
    (beside / "README.md").unlink(missing_ok=True)
    thumbed, preferred = stages["thumbs"], stages["preferences"]
    manifest = {
        "base_hash": recipe.base.hash,
        "base_model": recipe.base.model,
        "recipe": asdict(recipe),
        **stages,
        "pairs": [_named(pair) for pair in (*dataset.train, *dataset.validation)],
        "rated": [_named(thumb.pair) for thumb in dataset.thumbs] if thumbed and thumbed["kept"] else [],
        "preferred": [{"id": one.id, "thread_id": one.thread_id} for one in dataset.preferences]
        if preferred and preferred["kept"]
        else [],
        "versions": {name: version(name) for name in ("nightshift", "torch", "transformers", "peft")},
    }
    write_json(beside / MANIFEST, manifest)
    write_json(beside / CANARY, make_canary(recipe.base, beside))
    beside.rename(run_dir / ADAPTER)
    (run_dir / CHECKPOINT).unlink(missing_ok=True)


def _named(pair: Pair) -> dict[str, str]:
    return {"id": pair.id, "sha256": pair_hash(pair), "thread_id": pair.thread_id}
