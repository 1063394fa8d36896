"""What a night would do and about how long it would take, without doing it: `nightly --dry-run`."""

import time
from dataclasses import dataclass

import torch

from data.models import Base
from finetune import base_model, memory
from finetune.chat import prompt_ids
from finetune.pairs import Case, Dataset
from finetune.run_directory import recipe_for
from finetune.settings import FinetuneSettings
from serving.base import parameter_count

BENCH_ROWS = 2048
BENCH_WIDTH = 512
BENCH_ROUNDS = 10
PEAK_SHARES = {torch.float32: 0.5, torch.bfloat16: 0.25}
"""Of the matmul rate that a night reaches. With the starter, whose matrices are small, trainings had .51 to .79 in
float32, and in bfloat16 from .11 (AMX, short texts) to .76 (docs/training.md)."""
TRAINING_FLOPS, SCORING_FLOPS = 4, 2
"""Per parameter and token: the base's weights get no gradient."""


@dataclass(frozen=True)
class Plan:
    """Tokens and seconds are estimates."""

    parameters: int
    training_tokens: int
    scoring_tokens: int
    training_seconds: float
    gate_seconds: float
    memory_gib: float
    free_gib: float


def plan(dataset: Dataset, base: Base, settings: FinetuneSettings) -> Plan:
    """Count tokens with the base's tokenizer and time this machine's matrix products. Raises ModelMissing,
    and TrainingFailed where the memory does not suffice."""
    torch.set_num_threads(settings.cpu_threads)
    tokenizer = base_model.load_tokenizer(base)

    def tokens(messages: list, target: str) -> int:
        return min(settings.max_length, len(prompt_ids(tokenizer, messages)) + len(tokenizer(target)["input_ids"]))

    parameters = parameter_count(base)
    epochs = settings.epochs or base_model.default_epochs(parameters, len(dataset.train))
    training = epochs * sum(tokens(p.messages, p.target) for p in dataset.train)
    scoring = sum(_scored_tokens(case, tokens) for case in dataset.held_out)
    training_rate = _reached(base_model.training_dtype()) / (TRAINING_FLOPS * parameters)
    scoring_rate = _reached(base_model.scoring_dtype()) / (SCORING_FLOPS * parameters)
    recipe, free = recipe_for(settings, base), memory.free_memory(base_model.device())
    needed = memory.choose(base_model.load_config(base), parameters, recipe, base_model.training_dtype(), free)
    return Plan(
        parameters=parameters,
        training_tokens=training,
        scoring_tokens=scoring,
        training_seconds=round(min(training / training_rate, settings.max_train_minutes * 60), 1),
        gate_seconds=round(scoring / scoring_rate, 1),
        memory_gib=needed.total,
        free_gib=round(free, 1),
    )


def _reached(dtype: torch.dtype) -> float:
    return PEAK_SHARES[dtype] * matmul_rate(dtype)


def matmul_rate(dtype: torch.dtype) -> float:
    """Floating-point operations per second of a matrix product of BENCH_ROWS rows, on the device of the night."""
    where = base_model.device()
    left = torch.randn(BENCH_ROWS, BENCH_WIDTH, dtype=dtype, device=where)
    right = torch.randn(BENCH_WIDTH, BENCH_WIDTH, dtype=dtype, device=where)
    float((left @ right)[0, 0])
    started = time.perf_counter()
    for _ in range(BENCH_ROUNDS):
        product = left @ right
    float(product[0, 0])
    return BENCH_ROUNDS * 2 * BENCH_ROWS * BENCH_WIDTH**2 / (time.perf_counter() - started)


def _scored_tokens(case: Case, tokens) -> int:
    """Candidate and base; an incumbent adapter reads what the candidate reads."""
    return tokens(case.pair.messages, case.pair.target) + tokens(case.base_messages, case.pair.target)
