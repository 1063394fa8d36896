"""Compare a candidate adapter with the incumbent and the base on held-out threads, one verdict per task.

Target: the loss of every human-written target, candidate against incumbent and against base, each with the prompt it
would really get. Beside it, with stated margins: generated texts, kinds of cases, and general skills (docs/gate.md).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from data.models import BASE, TASKS, Message, Task
from data.prompts import without_examples
from finetune import closed_book, general
from finetune.chat import encode, prompt_ids
from finetune.checks import Check, drawn_checks, text_checks
from finetune.closed_book import Probe
from finetune.evidence import Effect
from finetune.learned import check_manifest, learned_threads
from finetune.likelihoods import CANDIDATE, Contender, general_nats, one_per_thread, score
from finetune.misled import reading_checks
from finetune.pairs import Case, Dataset
from finetune.run_directory import Recipe
from finetune.scored import (
    Scored,
    case_checks,
    clustered_effect,
    distinct,
    loss,
    newest,
    strata,
    threads,
)
from finetune.scoring import Stage
from finetune.text_facts import Known, facts_of, known
from finetune.verdict import Verdict, WrittenCase
from serving.engine import ANOTHER_TEMPERATURE
from serving.verification import fingerprint, verify

WORST_WRITTEN = 5
"""Of the cases that got worse the most, so many are written too."""
WORST_TOLD = 50
"""So many are told with their texts, the others by their ids."""
LONGEST_TEXT = 160
"""Tokens of a generated text, at most; humans' longest may ask for less."""
TEXT_ROOM = 1.5


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
    # Before the weights are read: whatever takes their place afterwards has another.
    judged = fingerprint(candidate)
    verify(candidate, recipe.base, max_lora_rank=recipe.lora_r)
    check_manifest(candidate, dataset)
    eligible = {task: _eligible(dataset, task, incumbents[task]) for task in TASKS}
    enough = {task for task in TASKS if _threads(_human(eligible[task][0])) >= rules.min_held_out_threads}
    if not enough:
        return [_insufficient(task, *eligible[task], incumbents[task], rules) for task in TASKS]
    directories = {c.name: c.directory for task, c in incumbents.items() if task in enough and c.directory is not None}
    stage = Stage(recipe.base, {CANDIDATE: candidate, **directories})
    forgets = general.check(general_nats(stage, CANDIDATE), general_nats(stage, BASE))
    verdicts = [
        _judge(stage, task, *eligible[task], incumbents[task], recipe, rules, dataset, forgets)
        if task in enough
        else _insufficient(task, *eligible[task], incumbents[task], rules)
        for task in TASKS
    ]
    return [replace(verdict, candidate=judged) for verdict in verdicts]


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


def _judge(
    stage: Stage,
    task: Task,
    cases: Sequence[Case],
    leaked: int,
    incumbent: Contender,
    recipe: Recipe,
    rules: Rules,
    dataset: Dataset,
    forgets: Check,
) -> Verdict:
    scored, misled = score(stage, cases, incumbent, recipe)
    human = [one for one in scored if one.case.kind != "accepted"]
    if threads(human) < rules.min_held_out_threads:
        return _insufficient(task, [one.case for one in scored], leaked, incumbent, rules)
    gains = sorted((((one.incumbent - one.candidate) / one.tokens, one) for one in human), key=lambda pair: pair[0])
    worst = [one for gain, one in gains[:WORST_WRITTEN] if gain < 0]
    liked = [thumb.pair for thumb in dataset.thumbs if thumb.liked]
    seen = {p.target.strip() for p in (*dataset.train, *dataset.validation, *liked)}
    checks, written = ([], [])
    if rules.generated_cases:
        checks, written = _generated(stage, human, worst, incumbent, rules.generated_cases, _known(dataset))
    checks += [*reading_checks(misled, newest(human)), forgets]
    checks += case_checks(scored, seen, dataset.agents)
    recalled, recited = closed_book.hold(stage, task, rules.probes, candidate=CANDIDATE, incumbent=incumbent.name)
    checks += recalled
    against_incumbent, against_base = clustered_effect(human, "incumbent"), clustered_effect(human, "base")
    passed, reason = decide(
        against_incumbent=against_incumbent, against_base=against_base, checks=checks, alpha=rules.alpha
    )
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
        losses={name: loss(human, name) for name in ("candidate", "incumbent", "base")},
        wins=sum(gain > 0 for gain, _ in gains) / len(gains),
        checks=checks,
        strata=strata(scored, seen),
        worse=_worse(gains, written),
        differences=[gain for gain, _ in gains],
        leaked_into_incumbent=leaked,
        written=written,
        recited=closed_book.as_json(recited),
    )


def _worse(gains: Sequence[tuple[float, Scored]], written: Sequence[WrittenCase]) -> list[dict[str, object]]:
    """The cases that got worse, the worst first: with what the human wrote there and what both contenders write."""
    texts = {one.pair_id: {"before": one.before, "after": one.after} for one in written}
    return [
        {"pair_id": one.case.pair.id, "thread_id": one.case.pair.thread_id, "nats_per_token": gain}
        | ({"text": one.case.pair.target} | texts.get(one.case.pair.id, {}) if place < WORST_TOLD else {})
        for place, (gain, one) in enumerate(gains)
        if gain < 0
    ]


def _known(dataset: Dataset) -> Known:
    return known(
        (case.pair.target for case in dataset.held_out if case.kind != "accepted"),
        (
            text
            for pair in (*dataset.train, *(thumb.pair for thumb in dataset.thumbs))
            for text in (pair.messages[-1]["content"], pair.target)
        ),
    )


def _generated(
    stage: Stage,
    human: Sequence[Scored],
    worst: Sequence[Scored],
    incumbent: Contender,
    count: int,
    humans: Known,
) -> tuple[list[Check], list[WrittenCase]]:
    """Texts of candidate and incumbent for a sample of threads, which is judged, and for the worst cases."""
    sample = [human[at] for at in one_per_thread([one.case for one in human])][:count]
    both = [*sample, *(one for one in worst if one not in sample)]
    longest = min(LONGEST_TEXT, round(TEXT_ROOM * max(one.tokens for one in sample)))

    def prompts(contender: Contender) -> list[tuple[int, ...]]:
        return [_prompt(stage, contender, one.case, longest) for one in both]

    before = stage.write(incumbent.name, prompts(incumbent), longest=longest)
    own = prompts(Contender(CANDIDATE, Path(CANDIDATE)))
    after = stage.write(CANDIDATE, own, longest=longest)
    drawn = stage.draw(CANDIDATE, own[: len(sample)], longest=longest, temperature=ANOTHER_TEMPERATURE)
    targets = [one.case.pair.target for one in sample]
    asked = [one.case.pair.messages[-1]["content"] for one in sample]
    first, standing, another = (
        facts_of(some[: len(sample)], targets, asked, humans) for some in (after, before, drawn)
    )
    cases = [WrittenCase(s.case.pair.id, b.text, a.text) for s, b, a in zip(both, before, after, strict=True)]
    return [*text_checks(first, standing), *drawn_checks(another, standing)], cases


def _prompt(stage: Stage, contender: Contender, case: Case, longest: int) -> tuple[int, ...]:
    messages: Sequence[Message] = without_examples(case.pair.messages) if contender.directory else case.base_messages
    ids = prompt_ids(stage.tokenizer, messages)
    if len(ids) + longest <= stage.context:
        return ids
    cut = encode(stage.tokenizer, messages, case.pair.target, limit=stage.context - longest, ends=stage.ends)
    return cut.prompt if cut else ids[-(stage.context - longest) :]


def _eligible(dataset: Dataset, task: Task, incumbent: Contender) -> tuple[list[Case], int]:
    """The task's held-out cases whose threads the incumbent has not learned from, and how many it has."""
    learned = learned_threads(incumbent.directory) if incumbent.directory is not None else set()
    cases = [case for case in dataset.held_out if case.pair.task == task]
    clean = [case for case in cases if case.pair.thread_id not in learned]
    return distinct(clean), _threads(cases) - _threads(clean)


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
