"""Real tokens per second of the night's training, beside transformers' Trainer on the same pairs: `make bench`.

Four ways in one run, three rounds each, medians: packed as the night packs; Trainer with every batch padded to the
longest pair of the set, and each to its own longest; Trainer with batches of like lengths. Same base, adapter, dtype,
rate, batches of 16 and threads. Three sets of pairs: the demo's closed tickets, and, where ../shared/data is there,
conversations of STAR and of DSTC11-T5, which people wrote. Then the share of the matmul peak on a random base thirty
times the size. THREADS=1 for a busy machine.
"""

import gc
import gzip
import json
import logging
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import torch
from backtest_conversations import DIALOGUES, conversations
from peft import get_peft_model
from torch.utils.data import Dataset as TorchDataset
from transformers import (
    AutoModelForCausalLM,
    DataCollatorForSeq2Seq,
    LlamaConfig,
    PreTrainedModel,
    PrinterCallback,
    Trainer,
    TrainingArguments,
    set_seed,
)
from transformers.utils import logging as transformers_logging

from bot.demo import threads
from data import store
from data.history import import_history
from finetune import base_model, dataset
from finetune.attention import ATTENTION
from finetune.chat import end_tokens
from finetune.fitting import Example, batches, step
from finetune.norms import slice_norms
from finetune.pairs import Dataset
from finetune.plan import matmul_rate
from finetune.run_directory import LOSSES, Recipe, read_lines, recipe_for, write_recipe
from finetune.settings import FinetuneSettings
from finetune.train import encode_pairs, lora, train
from serving.base import identify
from serving.settings import STARTER

TICKETS, PAIRS, ROUNDS = 200, 160, 3
STAR_CONVERSATIONS, DSTC_CONVERSATIONS = 60, 400
IGNORED = -100
QUARTERS = 4


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
    base = identify(str(STARTER))
    recipe = recipe_for(FinetuneSettings(epochs=1, _env_file=None), base)
    torch.set_num_threads(recipe.threads)
    found = {"threads": recipe.threads, "dtype": str(base_model.training_dtype())}
    sets = {"the demo's closed tickets": _tickets()}
    if DIALOGUES.exists():
        sets["STAR's conversations"] = _conversations(_star())
        sets["DSTC11-T5's conversations"] = _conversations(islice(conversations("dstc11t5"), DSTC_CONVERSATIONS))
    else:
        print("../shared/data is not here: the conversations of STAR and DSTC11-T5 are left out", flush=True)
    for name, pairs in sets.items():
        found[name] = _compare(name, pairs, recipe)
    found["larger base"] = _larger(recipe)
    print(json.dumps(found))
    return 0


def _compare(name: str, pairs: Dataset, recipe: Recipe) -> dict[str, object]:
    tokenizer = base_model.load_tokenizer(recipe.base)
    model = base_model.load_model(recipe.base, base_model.training_dtype())
    ends = end_tokens(tokenizer, model.generation_config)
    examples, _ = encode_pairs(tokenizer, pairs.train, limit=recipe.max_length, ends=ends)
    tokens, flops = sum(len(e.tokens) for e in examples), _flops(model, examples)
    longest = max(len(e.tokens) for e in examples)
    del model
    ways: dict[str, Callable[[], tuple[float, list[float]]]] = {
        "packed, as the night does": lambda: _packed(recipe, pairs),
        "Trainer, padded to the longest of the set": lambda: _trainer(recipe, examples, width=longest),
        "Trainer, padded to the longest of the batch": lambda: _trainer(recipe, examples),
        "Trainer, batches of like lengths": lambda: _trainer(recipe, examples, grouped=True),
    }
    print(
        f"{name}: {len(examples)} pairs of {tokens / len(examples):.0f} tokens (longest {longest}), "
        f"{recipe.threads} threads, {base_model.training_dtype()}",
        flush=True,
    )
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    losses: dict[str, list[float]] = {}
    peaks = []
    for number in range(ROUNDS):
        peaks.append(matmul_rate(base_model.training_dtype()))
        for way, run in ways.items():
            took, losses[way] = run()
            seconds[way].append(took)
            print(f"  round {number + 1}: {way}: {tokens / took:.0f} tokens/s", file=sys.stderr, flush=True)
            gc.collect()
    peak = statistics.median(peaks)
    rates = {way: tokens / statistics.median(took) for way, took in seconds.items()}
    ours = next(iter(rates.values()))
    for way, rate in rates.items():
        curve = " ".join(f"{loss:.2f}" for loss in losses[way])
        share = flops / tokens * rate / peak
        print(f"  {way:44} {rate:6.0f} tokens/s {ours / rate:5.2f} times slower {share:4.0%} of peak, loss {curve}")
    return {"tokens": tokens, "tokens_per_second": rates, "loss_by_quarter": losses, "matmul_flops": peak}


def _larger(recipe: Recipe) -> dict[str, float]:
    """The night's step on random weights: 32 layers of 960, 0.31 billion parameters in linear layers."""
    shape = {"hidden_size": 960, "intermediate_size": 2560, "num_hidden_layers": 32, "vocab_size": 6144}
    heads = {"num_attention_heads": 15, "num_key_value_heads": 5, "head_dim": 64}
    config = LlamaConfig(**shape, **heads, tie_word_embeddings=True, max_position_embeddings=2048)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=base_model.training_dtype(), attn_implementation=ATTENTION)
    model.to(base_model.device())
    tokenizer = base_model.load_tokenizer(recipe.base)
    examples, _ = encode_pairs(tokenizer, _tickets().train, limit=recipe.max_length, ends={2})
    chosen = [examples[first : first + recipe.batch_sequences] for first in range(0, 64, recipe.batch_sequences)]
    flops = [_flops(model, batch) for batch in chosen]
    slice_norms(model)
    tuned = get_peft_model(model, lora(recipe, model))
    weights = [p for p in tuned.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=1e-4)
    shares, rates = [], []
    for batch, work in zip(chosen, flops, strict=True):
        peak = matmul_rate(base_model.training_dtype())
        started = time.monotonic()
        step(tuned, batch, recipe, weights, optimizer)
        took = time.monotonic() - started
        rates.append(sum(len(e.tokens) for e in batch) / took)
        shares.append(work / took / peak)
    found = {"tokens_per_second": statistics.median(rates), "share_of_peak": statistics.median(shares)}
    print(f"a base of {sum(p.numel() for p in model.parameters()) / 1e9:.2f}B parameters: {found}", flush=True)
    return found


def _flops(model: PreTrainedModel, examples: Sequence[Example]) -> float:
    """Forth and back, 4 for each weight of a linear layer and token; of the vocabulary's for each target alone."""
    head = model.get_output_embeddings().weight.numel()
    linear = sum(m.weight.numel() for m in model.modules() if isinstance(m, torch.nn.Linear)) - head
    return 4 * (linear * sum(len(e.tokens) for e in examples) + head * sum(len(e.tokens.target) for e in examples))


def _tickets() -> Dataset:
    """Pairs of the demo's closed tickets, all for training."""
    with tempfile.TemporaryDirectory() as folder:
        tickets = Path(folder) / "tickets.jsonl"
        threads.write_history(threads.history(count=TICKETS), tickets, until=datetime.now(UTC))
        return _pairs(tickets)


def _star() -> Iterator[dict]:
    """Conversations of the training split."""
    with gzip.open(DIALOGUES / "star.train.jsonl.gz", "rt") as lines:
        for line in islice(lines, STAR_CONVERSATIONS):
            one = json.loads(line)
            turns = [{"role": t["role"], "text": t["text"]} for t in one["turns"] if t.get("text")]
            yield one | {"turns": turns}


def _conversations(spoken: Iterable[dict]) -> Dataset:
    """Pairs of conversations that people wrote."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "conversations.jsonl"
        file.write_text("\n".join(map(json.dumps, spoken)))
        pairs = _pairs(file)
    threads_of = list(dict.fromkeys(pair.thread_id for pair in pairs.train))
    # Whole conversations, as a night has them.
    place = {thread: at for at, thread in enumerate(random.Random(0).sample(threads_of, len(threads_of)))}
    train = sorted(pairs.train, key=lambda pair: place[pair.thread_id])
    return Dataset(train=train[:PAIRS], validation=[], held_out=pairs.held_out)


def _pairs(file: Path) -> Dataset:
    with tempfile.TemporaryDirectory() as folder, store.connect(Path(folder) / "bench.db") as db:
        import_history(db, file)
        built = dataset.build(db)
        return Dataset(train=[*built.train, *built.validation], validation=[], held_out=built.held_out)


def _packed(recipe: Recipe, pairs: Dataset) -> tuple[float, list[float]]:
    with tempfile.TemporaryDirectory() as folder:
        run_dir = Path(folder)
        dataset.freeze(pairs, run_dir)
        write_recipe(run_dir, recipe)
        seconds = train(run_dir).seconds
        return seconds, _by_quarter([line["loss"] for line in read_lines(run_dir / LOSSES) if "loss" in line])


def _in_order(examples: Sequence[Example], recipe: Recipe) -> list[Example]:
    """As the night's first epoch takes them, so that losses can be compared update by update."""
    return [one for batch in batches(examples, recipe, 1, done=0) for one in batch]


def _by_quarter(losses: Sequence[float]) -> list[float]:
    count = len(losses)
    parts = [losses[count * n // QUARTERS : count * (n + 1) // QUARTERS] for n in range(QUARTERS)]
    return [statistics.fmean(part) for part in parts]


def _trainer(
    recipe: Recipe, examples: Sequence[Example], *, width: int | None = None, grouped: bool = False
) -> tuple[float, list[float]]:
    """Seconds and losses. `width`: tokens that every batch is padded to; None: its own longest."""
    set_seed(recipe.seed)
    torch.set_num_threads(recipe.threads)
    tokenizer = base_model.load_tokenizer(recipe.base)
    model = base_model.load_model(recipe.base, base_model.training_dtype(), attention="sdpa")
    model = get_peft_model(model, lora(recipe, model))
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=recipe.batch_sequences,
            num_train_epochs=1,
            learning_rate=recipe.learning_rate or base_model.default_rate(model),
            lr_scheduler_type="cosine",
            warmup_steps=0.05,
            weight_decay=0.0,
            use_cpu=base_model.device().type == "cpu",
            bf16=base_model.training_dtype() == torch.bfloat16,
            train_sampling_strategy="group_by_length" if grouped else "sequential",
            length_column_name="length",
            save_strategy="no",
            logging_steps=1,
            report_to=[],
            disable_tqdm=True,
            seed=recipe.seed,
        )
        collate = DataCollatorForSeq2Seq(
            tokenizer, padding="max_length" if width else True, max_length=width, label_pad_token_id=IGNORED
        )
        trainer = Trainer(
            model=model,
            args=arguments,
            train_dataset=Rows(examples if grouped else _in_order(examples, recipe)),
            data_collator=collate,
        )
        trainer.remove_callback(PrinterCallback)
        started = time.monotonic()
        trainer.train()
        seconds = time.monotonic() - started
        losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
        return seconds, _by_quarter(losses)


if __name__ == "__main__":
    sys.exit(main())
