"""Compare a candidate adapter with the incumbent and the base on held-out threads, one verdict per task.

Target: the loss of every human-written target, candidate against incumbent and against base, each with the prompt it
would really get. Beside it, with stated margins: generated texts, and texts that were accepted unchanged.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from data.errors import BrokenAdapter
from data.models import BASE, TASKS, Base, Message, Task
from data.prompts import without_examples
from finetune import closed_book
from finetune.chat import Tokens, encode, prompt_ids
from finetune.checks import Check, text_checks
from finetune.closed_book import Probe
from finetune.dataset import Case, Dataset, LeakedThreads
from finetune.evidence import Effect, effect
from finetune.run_directory import MANIFEST, Recipe, read_json
from finetune.scoring import Stage, Written

CANDIDATE = "candidate"
ACCEPTED_MARGIN = 0.5
"""Nats per token that drafts accepted unchanged may cost more than under the incumbent, who wrote them; unless
they cost the candidate no more than what humans wrote."""
MIN_ACCEPTED_THREADS = 10
LONGEST_TEXT = 160
"""Tokens of a generated text, at most; humans' longest may ask for less."""
TEXT_ROOM = 1.5


class Contender(NamedTuple):
    """An adapter's name and its folder; the base has none."""

    name: str
    directory: Path | None = None


@dataclass(frozen=True)
class Scored:
    """A case with the nats of its target under each contender."""

    case: Case
    tokens: int
    candidate: float
    incumbent: float
    base: float


@dataclass(frozen=True)
class WrittenCase:
    """What incumbent and candidate write for one held-out thread: before and after, were it promoted."""

    pair_id: str
    before: str
    after: str


@dataclass(frozen=True)
class Verdict:
    """The gate's word on one task. `passed` promotes; `reason` is a sentence fit to show a person."""

    task: Task
    passed: bool
    reason: str
    incumbent: str
    alpha: float
    threads: int
    cases: int
    against_incumbent: Effect | None = None
    against_base: Effect | None = None
    losses: dict[str, float] = field(default_factory=dict)
    wins: float | None = None
    checks: list[Check] = field(default_factory=list)
    strata: dict[str, dict[str, float]] = field(default_factory=dict)
    worse: list[dict[str, object]] = field(default_factory=list)
    differences: list[float] = field(default_factory=list)
    leaked_into_incumbent: int = 0
    written: list[WrittenCase] = field(default_factory=list)
    recited: list[dict[str, object]] = field(default_factory=list)
    """Facts of the help centre that the candidate says without their passage (closed_book.Recited)."""


@dataclass(frozen=True)
class Rules:
    """What a task needs in order to pass."""

    night_alpha: float
    min_held_out_threads: int
    generated_cases: int
    probes: Sequence[Probe] = ()
    """Facts of the help centre that nobody should know without their passage."""

    @property
    def alpha(self) -> float:
        """The level of one task: the night's is shared by all of them."""
        return self.night_alpha / len(TASKS)


def hold_gate(
    dataset: Dataset, recipe: Recipe, candidate: Path, incumbents: Mapping[Task, Contender], rules: Rules
) -> list[Verdict]:
    """Judge a candidate's folder for every task. Raises LeakedThreads, BrokenAdapter and BadFile."""
    torch.set_num_threads(recipe.threads)
    check_manifest(candidate, recipe.base, dataset)
    eligible = {task: _eligible(dataset, task, incumbents[task]) for task in TASKS}
    enough = {task for task in TASKS if _threads(_human(eligible[task][0])) >= rules.min_held_out_threads}
    if not enough:
        return [_insufficient(task, *eligible[task], incumbents[task], rules) for task in TASKS]
    known = {c.name: c.directory for task, c in incumbents.items() if task in enough and c.directory is not None}
    stage = Stage(recipe.base, {CANDIDATE: candidate, **known})
    seen = {p.target.strip() for p in (*dataset.train, *dataset.validation)}
    return [
        _judge(stage, task, *eligible[task], incumbents[task], recipe, rules, seen)
        if task in enough
        else _insufficient(task, *eligible[task], incumbents[task], rules)
        for task in TASKS
    ]


def check_manifest(candidate: Path, base: Base, dataset: Dataset) -> None:
    """Raise unless the candidate learned on this base and from no thread that is scored."""
    manifest = read_json(candidate / MANIFEST)
    if manifest["base_hash"] != base.hash:
        raise BrokenAdapter(f"The candidate {candidate} was trained on another base than {base.model}: train it anew.")
    if leaked := _learned_threads(candidate) & {c.pair.thread_id for c in dataset.held_out}:
        raise LeakedThreads(leaked)


def decide(
    *,
    against_incumbent: Effect,
    against_base: Effect,
    checks: Sequence[Check],
    alpha: float,
) -> tuple[bool, str]:
    """Pass or not, and why, in one sentence. Pure: the rule itself."""
    for name, found in (("the incumbent", against_incumbent), ("the base", against_base)):
        if found.p > alpha:
            return False, (
                f"No proof of a gain over {name}: {found.mean:+.3f} nats per token "
                f"({found.low:+.3f} to {found.high:+.3f}), p = {found.p:.4f}, needed {alpha:.4f}."
            )
    if failed := [check for check in checks if not check.passed]:
        return False, "Better in loss, but worse elsewhere: " + "; ".join(f"{c.name} {c.found}" for c in failed) + "."
    return True, (
        f"Better than the incumbent by {against_incumbent.mean:.3f} nats per token "
        f"({against_incumbent.low:+.3f} to {against_incumbent.high:+.3f}), p = {against_incumbent.p:.5f}."
    )


def clustered_effect(scored: Sequence[Scored], other: str) -> Effect:
    """The candidate's gain over a contender ("incumbent" or "base"), summed per thread first."""
    gains: dict[str, float] = defaultdict(float)
    tokens: dict[str, int] = defaultdict(int)
    for one in scored:
        gains[one.case.pair.thread_id] += getattr(one, other) - one.candidate
        tokens[one.case.pair.thread_id] += one.tokens
    order = sorted(gains)
    return effect(np.array([gains[t] for t in order]), np.array([tokens[t] for t in order], dtype=np.float64))


def accepted_check(accepted: Sequence[Scored], human: Sequence[Scored]) -> Check:
    """Drafts accepted unchanged: the incumbent wrote them and wins by construction, so only a margin is asked."""
    candidate, incumbent = _loss(accepted, "candidate"), _loss(accepted, "incumbent")
    allowed = max(incumbent + ACCEPTED_MARGIN, _loss(human, "candidate"))
    return Check("accepted unchanged", f"{candidate:.2f} nats per token, {allowed:.2f} allowed", candidate <= allowed)


def _judge(
    stage: Stage,
    task: Task,
    cases: Sequence[Case],
    leaked: int,
    incumbent: Contender,
    recipe: Recipe,
    rules: Rules,
    seen: set[str],
) -> Verdict:
    scored = _score(stage, cases, incumbent, recipe)
    human = [one for one in scored if one.case.kind != "accepted"]
    if _threads([one.case for one in human]) < rules.min_held_out_threads:
        return _insufficient(task, [one.case for one in scored], leaked, incumbent, rules)
    accepted = [one for one in scored if one.case.kind == "accepted"]
    checks, written = _generated(stage, human, incumbent, rules.generated_cases) if rules.generated_cases else ([], [])
    if _threads([one.case for one in accepted]) >= MIN_ACCEPTED_THREADS:
        checks.append(accepted_check(accepted, human))
    recalled, recited = closed_book.hold(stage, task, rules.probes, candidate=CANDIDATE, incumbent=incumbent.name)
    checks += recalled
    against_incumbent, against_base = clustered_effect(human, "incumbent"), clustered_effect(human, "base")
    passed, reason = decide(
        against_incumbent=against_incumbent, against_base=against_base, checks=checks, alpha=rules.alpha
    )
    strata = {
        "target seen in training": [one for one in human if one.case.pair.target.strip() in seen],
        "target not seen": [one for one in human if one.case.pair.target.strip() not in seen],
        "accepted unchanged": accepted,
    }
    gains = sorted((((one.incumbent - one.candidate) / one.tokens, one) for one in human), key=lambda pair: pair[0])
    return Verdict(
        task=task,
        passed=passed,
        reason=reason,
        incumbent=incumbent.name,
        alpha=rules.alpha,
        threads=against_incumbent.threads,
        cases=len(human),
        against_incumbent=against_incumbent,
        against_base=against_base,
        losses={name: _loss(human, name) for name in ("candidate", "incumbent", "base")},
        wins=sum(gain > 0 for gain, _ in gains) / len(gains),
        checks=checks,
        strata={
            name: {"cases": len(some), "candidate": _loss(some, "candidate"), "incumbent": _loss(some, "incumbent")}
            for name, some in strata.items()
            if some
        },
        worse=[
            {"pair_id": one.case.pair.id, "thread_id": one.case.pair.thread_id, "nats_per_token": gain}
            for gain, one in gains
            if gain < 0
        ],
        differences=[gain for gain, _ in gains],
        leaked_into_incumbent=leaked,
        written=written,
        recited=closed_book.as_json(recited),
    )


def _score(stage: Stage, cases: Sequence[Case], incumbent: Contender, recipe: Recipe) -> list[Scored]:
    limit = min(recipe.max_length, stage.context)
    encoded: list[tuple[Case, Tokens, Tokens]] = []
    for case in cases:
        with_base, with_adapter = (
            encode(stage.tokenizer, messages, case.pair.target, limit=limit, ends=stage.ends)
            for messages in (case.base_messages, without_examples(case.pair.messages))
        )
        if with_base and with_adapter:
            encoded.append((case, with_base, with_adapter))
    as_base, as_adapter = [b for _, b, _ in encoded], [a for _, _, a in encoded]
    candidate = stage.nats(CANDIDATE, as_adapter, tokens_per_pass=recipe.tokens_per_pass)
    base = stage.nats(BASE, as_base, tokens_per_pass=recipe.tokens_per_pass)
    standing = base
    if incumbent.directory is not None:
        standing = stage.nats(incumbent.name, as_adapter, tokens_per_pass=recipe.tokens_per_pass)
    return [
        Scored(case, len(tokens.target), *nats)
        for (case, tokens, _), *nats in zip(encoded, candidate, standing, base, strict=True)
    ]


def _generated(
    stage: Stage, human: Sequence[Scored], incumbent: Contender, count: int
) -> tuple[list[Check], list[WrittenCase]]:
    """Texts of candidate and incumbent for a sample: one case per thread, the same ones whenever it is repeated."""
    by_hash = sorted(human, key=lambda one: hashlib.sha256(one.case.pair.id.encode()).digest())
    sample = list({one.case.pair.thread_id: one for one in by_hash}.values())[:count]
    longest = min(LONGEST_TEXT, round(TEXT_ROOM * max(one.tokens for one in sample)))

    def texts(contender: Contender) -> list[Written]:
        prompts = [_prompt(stage, contender, one.case, longest) for one in sample]
        return stage.write(contender.name, prompts, longest=longest)

    candidate = Contender(CANDIDATE, Path(CANDIDATE))
    after, before = texts(candidate), texts(incumbent)
    cases = [WrittenCase(s.case.pair.id, b.text, a.text) for s, b, a in zip(sample, before, after, strict=True)]
    return text_checks(after, before, [one.case.pair.target for one in sample]), cases


def _prompt(stage: Stage, contender: Contender, case: Case, longest: int) -> tuple[int, ...]:
    messages: Sequence[Message] = without_examples(case.pair.messages) if contender.directory else case.base_messages
    ids = prompt_ids(stage.tokenizer, messages)
    if len(ids) + longest <= stage.context:
        return ids
    cut = encode(stage.tokenizer, messages, case.pair.target, limit=stage.context - longest, ends=stage.ends)
    return cut.prompt if cut else ids[-(stage.context - longest) :]


def _eligible(dataset: Dataset, task: Task, incumbent: Contender) -> tuple[list[Case], int]:
    """The task's held-out cases whose threads the incumbent has not learned from, and how many it has."""
    learned = _learned_threads(incumbent.directory) if incumbent.directory is not None else set()
    cases = [case for case in dataset.held_out if case.pair.task == task]
    clean = [case for case in cases if case.pair.thread_id not in learned]
    return clean, _threads(cases) - _threads(clean)


def _learned_threads(directory: Path) -> set[str]:
    """The threads that an adapter learned from, as its own manifest says."""
    return {pair["thread_id"] for pair in read_json(directory / MANIFEST)["pairs"]}


def _insufficient(task: Task, cases: Sequence[Case], leaked: int, incumbent: Contender, rules: Rules) -> Verdict:
    human = _human(cases)
    return Verdict(
        task=task,
        passed=False,
        reason=(
            f"Insufficient evidence: {_threads(human)} held-out threads with a human's text, "
            f"needed {rules.min_held_out_threads}."
        ),
        incumbent=incumbent.name,
        alpha=rules.alpha,
        threads=_threads(human),
        cases=len(human),
        leaked_into_incumbent=leaked,
    )


def _human(cases: Sequence[Case]) -> list[Case]:
    return [case for case in cases if case.kind != "accepted"]


def _threads(cases: Sequence[Case]) -> int:
    return len({case.pair.thread_id for case in cases})


def _loss(scored: Sequence[Scored], contender: str) -> float:
    """Nats per token."""
    return sum(getattr(one, contender) for one in scored) / sum(one.tokens for one in scored)


def as_json(verdict: Verdict) -> dict[str, object]:
    """The verdict as the store and gate.json keep it: ids and numbers, no texts."""
    return {name: value for name, value in asdict(verdict).items() if name != "written"}


def from_json(found: Mapping[str, Any]) -> Verdict:
    """The verdict that `as_json` gave: as it was, without its texts."""
    effects = {name: found[name] and Effect(**found[name]) for name in ("against_incumbent", "against_base")}
    return Verdict(**{**found, **effects, "checks": [Check(**check) for check in found["checks"]]})
