"""The nats of held-out targets under every contender, and of some of them under another thread's prompt as well."""

import hashlib
import math
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from data.errors import BrokenAdapter
from data.models import BASE, Message
from data.prompts import without_examples
from finetune import general
from finetune.chat import Tokens, encode
from finetune.misled import Misled
from finetune.pairs import Case
from finetune.run_directory import Recipe
from finetune.scored import Scored
from finetune.scoring import Stage

CANDIDATE = "candidate"
MISLED_CASES = 200
"""Cases that are also scored with another thread's prompt."""


class Contender(NamedTuple):
    """An adapter's name and its folder; the base has none."""

    name: str
    directory: Path | None = None


def score(
    stage: Stage, cases: Sequence[Case], incumbent: Contender, recipe: Recipe
) -> tuple[list[Scored], list[Misled]]:
    """The cases whose target fits; and, of one of each thread that a human wrote, what the next thread's prompt costs.

    Raises BrokenAdapter. What a prompt costs is computed once for both texts under it.
    """
    limit = min(recipe.max_length, stage.context)

    def asked(messages: Sequence[Message], target: str) -> Tokens | None:
        return encode(stage.tokenizer, messages, target, limit=limit, ends=stage.ends)

    prompts = ((case.base_messages, without_examples(case.pair.messages)) for case in cases)
    encoded = [
        (case, *(asked(messages, case.pair.target) for messages in both))
        for case, both in zip(cases, prompts, strict=True)
    ]
    fitting = [(case, base, adapter) for case, base, adapter in encoded if base and adapter]
    chosen, as_base, as_adapter = ([one[at] for one in fitting] for at in range(3))
    sample = one_per_thread(chosen)[:MISLED_CASES]
    strange = [
        (at, asked(without_examples(chosen[other].pair.messages), chosen[at].pair.target))
        for at, other in zip(sample, [*sample[1:], *sample[:1]], strict=True)
    ]
    places = [at for at, tokens in strange if tokens]
    misled = [tokens for _, tokens in strange if tokens]

    def nats(name: str, *parts: Sequence[Tokens]) -> Iterator[list[float]]:
        found = iter(_nats(stage, name, [tokens for part in parts for tokens in part], recipe.tokens_per_pass))
        return (list(islice(found, len(part))) for part in parts)

    candidate, candidate_misled = nats(CANDIDATE, as_adapter, misled)
    if incumbent.directory is None:
        # Without examples, as the misled are asked.
        base, own, incumbent_misled = nats(BASE, as_base, [as_adapter[at] for at in places], misled)
        standing = base
    else:
        (base,) = nats(BASE, as_base)
        standing, incumbent_misled = nats(incumbent.name, as_adapter, misled)
        own = [standing[at] for at in places]
    scored = [
        Scored(case, len(tokens.target), *found)
        for case, tokens, *found in zip(chosen, as_adapter, candidate, standing, base, strict=True)
    ]
    return scored, [
        Misled(chosen[at].pair.thread_id, scored[at].tokens, candidate[at], *found)
        for at, *found in zip(places, candidate_misled, own, incumbent_misled, strict=True)
    ]


def one_per_thread(cases: Sequence[Case]) -> list[int]:
    """The places of one case of each thread among those that humans wrote, the same ones whenever it is repeated."""
    human = [at for at, case in enumerate(cases) if case.kind != "accepted"]
    by_hash = sorted(human, key=lambda at: hashlib.sha256(cases[at].pair.id.encode()).digest())
    return list({cases[at].pair.thread_id: at for at in by_hash}.values())


def general_nats(stage: Stage, name: str) -> float:
    """Nats per token of the fixed general set under a contender."""
    encoded = [
        encode(stage.tokenizer, messages, target, limit=stage.context, ends=stage.ends)
        for messages, target in general.CASES
    ]
    fitting = [tokens for tokens in encoded if tokens is not None]
    return sum(_nats(stage, name, fitting, stage.context)) / sum(len(tokens.target) for tokens in fitting)


def _nats(stage: Stage, name: str, sequences: Sequence[Tokens], tokens_per_pass: int) -> list[float]:
    found = stage.nats(name, sequences, tokens_per_pass=tokens_per_pass)
    if not all(map(math.isfinite, found)):
        raise BrokenAdapter(f"Under the contender {name} a held-out text has no loss that is a number: train it anew.")
    return found
