"""Real tokens per second of the night's training, beside transformers' Trainer on the same pairs: `make bench`.

Three ways in one run, three rounds each, medians: packed as the night packs; Trainer with each batch padded to its
longest; Trainer with batches of like lengths. Same base, adapter, dtype, rate and batches of 16.
"""

import gc
import json
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import torch
from peft import get_peft_model
from torch.utils.data import Dataset as TorchDataset
from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments, set_seed
from transformers.utils import logging as transformers_logging

from bot.demo import threads
from data import store
from data.history import import_history
from finetune import base_model, dataset
from finetune.chat import end_tokens
from finetune.dataset import Dataset
from finetune.plan import matmul_rate
from finetune.run_directory import LOSSES, Recipe, read_lines, recipe_for, write_recipe
from finetune.settings import FinetuneSettings
from finetune.train import Example, encode_pairs, lora, train
from serving.base import identify, parameter_count
from serving.settings import STARTER

TICKETS, ROUNDS = 300, 3
IGNORED = -100


class Rows(TorchDataset):
    """Examples as Trainer reads them; prompts carry no loss."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, at: int) -> dict[str, list[int]]:
        tokens = self.examples[at].tokens
        ids = [*tokens.prompt, *tokens.target]
        return {"input_ids": ids, "labels": [IGNORED] * len(tokens.prompt) + list(tokens.target), "length": [len(ids)]}


def main() -> int:
    transformers_logging.set_verbosity_error()
    logging.disable(logging.WARNING)
    settings = FinetuneSettings(epochs=1, _env_file=None)
    base = identify(str(STARTER))
    recipe = recipe_for(settings, base)
    pairs = _pairs()
    tokenizer = base_model.load_tokenizer(base)
    model = base_model.load_model(base, base_model.training_dtype())
    examples, _ = encode_pairs(
        tokenizer, pairs.train, limit=recipe.max_length, ends=end_tokens(tokenizer, model.generation_config)
    )
    tokens = sum(len(e.tokens) for e in examples)
    del model
    peak = matmul_rate(base_model.training_dtype())
    ways: dict[str, Callable[[], tuple[float, float]]] = {
        "packed, as the night does": lambda: _packed(recipe, pairs),
        "Trainer, padded to the longest of the batch": lambda: _trainer(recipe, examples, grouped=False),
        "Trainer, batches of like lengths": lambda: _trainer(recipe, examples, grouped=True),
    }
    print(
        f"{len(examples)} pairs, {tokens} tokens, {recipe.threads} threads, {base_model.training_dtype()}", flush=True
    )
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    losses: dict[str, float] = {}
    for number in range(ROUNDS):
        for way, run in ways.items():
            took, losses[way] = run()
            seconds[way].append(took)
            print(f"  round {number + 1}: {way}: {tokens / took:.0f} tokens/s", file=sys.stderr, flush=True)
            gc.collect()
    rates = {way: tokens / statistics.median(took) for way, took in seconds.items()}
    ours = next(iter(rates.values()))
    flops = 4 * parameter_count(base)
    for way, rate in rates.items():
        print(
            f"{way:45} {rate:6.0f} tokens/s  {rate * flops / peak:4.0%} of the matmul peak  "
            f"loss {losses[way]:.2f}  {'' if way == next(iter(ways)) else f'{ours / rate:.1f} times slower'}"
        )
    print(json.dumps({"tokens_per_second": rates, "loss": losses, "matmul_flops": peak}))
    return 0


def _pairs() -> Dataset:
    """Pairs of the demo's closed tickets, all for training."""
    with tempfile.TemporaryDirectory() as folder, store.connect(Path(folder) / "bench.db") as db:
        tickets = Path(folder) / "tickets.jsonl"
        threads.write_history(threads.history(count=TICKETS), tickets, until=datetime.now(UTC))
        import_history(db, tickets)
        built = dataset.build(db)
        return Dataset(train=[*built.train, *built.validation], validation=[], held_out=built.held_out)


def _packed(recipe: Recipe, pairs: Dataset) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        run_dir = Path(folder)
        dataset.freeze(pairs, run_dir)
        write_recipe(run_dir, recipe)
        seconds = train(run_dir).seconds
        losses = [line["loss"] for line in read_lines(run_dir / LOSSES) if "loss" in line]
        return seconds, statistics.fmean(losses[-5:])


def _trainer(recipe: Recipe, examples: Sequence[Example], *, grouped: bool) -> tuple[float, float]:
    set_seed(recipe.seed)
    torch.set_num_threads(recipe.threads)
    tokenizer = base_model.load_tokenizer(recipe.base)
    model = base_model.load_model(recipe.base, base_model.training_dtype(), attention="sdpa")
    model = get_peft_model(model, lora(recipe))
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=recipe.batch_sequences,
            num_train_epochs=1,
            learning_rate=recipe.learning_rate or base_model.default_rate(model),
            lr_scheduler_type="cosine",
            warmup_steps=0.05,
            weight_decay=0.0,
            bf16=base_model.training_dtype() == torch.bfloat16,
            train_sampling_strategy="group_by_length" if grouped else "random",
            length_column_name="length",
            save_strategy="no",
            logging_steps=1,
            report_to=[],
            disable_tqdm=True,
            seed=recipe.seed,
        )
        collate = DataCollatorForSeq2Seq(tokenizer, label_pad_token_id=IGNORED)
        trainer = Trainer(model=model, args=arguments, train_dataset=Rows(examples), data_collator=collate)
        started = time.monotonic()
        trainer.train()
        seconds = time.monotonic() - started
        losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
        return seconds, statistics.fmean(losses[-5:])


if __name__ == "__main__":
    sys.exit(main())
