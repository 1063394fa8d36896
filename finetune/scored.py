"""Held-out cases with every contender's loss: gains by thread, and the kinds of cases that must not get worse. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from finetune.checks import Check
from finetune.evidence import Effect, effect
from finetune.filters import prompt_key
from finetune.pairs import Case

LEAST_GAIN = 0.02
"""Nats per token that a change must bring. Two trainings on the same pairs differ by their seed, and a large held-out
set would call that a gain: two of the starter differed by .002 (STAR) and .024 (DSTC11-T5)."""
ACCEPTED_MARGIN = 0.5
"""Nats per token that drafts accepted unchanged may cost more than under the incumbent, who wrote them; unless
they cost the candidate no more than what humans wrote."""
STRATUM_MARGIN = 0.1
"""Nats per token that a kind of cases may lose while all together gain."""
MIN_STRATUM_THREADS = 10
NEWEST_SHARE = 0.2
"""Of the held-out threads, so many are the newest: an adapter that fits what was asked last year only is no gain."""
ONE_AGENT = 0.9
"""The share of the evidence from which on it is called one agent's."""


@dataclass(frozen=True)
class Scored:
    """A case with the nats of its target under each contender."""

    case: Case
    tokens: int
    candidate: float
    incumbent: float
    base: float


def distinct(cases: Iterable[Case]) -> list[Case]:
    """The cases that have a target, each prompt and target once: a thread that was copied is one piece of evidence."""
    found: dict[tuple[str, str], Case] = {}
    for case in cases:
        if target := case.pair.target.strip():
            found.setdefault((prompt_key(case.pair), target), case)
    return list(found.values())


def clustered_effect(scored: Sequence[Scored], other: str, *, least: float = LEAST_GAIN) -> Effect:
    """The candidate's gain over a contender ("incumbent" or "base"), summed per thread first."""
    return by_thread(((s.case.pair.thread_id, getattr(s, other) - s.candidate, s.tokens) for s in scored), least)


def loss(scored: Sequence[Scored], contender: str) -> float:
    """Nats per token."""
    return sum(getattr(one, contender) for one in scored) / sum(one.tokens for one in scored)


def threads(scored: Iterable[Scored]) -> int:
    """How many threads they are of."""
    return len({one.case.pair.thread_id for one in scored})


def case_checks(scored: Sequence[Scored], seen: set[str], trained_agents: Mapping[str, int]) -> list[Check]:
    """The kinds of cases that must not get worse while all together get better."""
    human = [one for one in scored if one.case.kind != "accepted"]
    accepted = [one for one in scored if one.case.kind == "accepted"]
    unseen = [one for one in human if one.case.pair.target.strip() not in seen]
    checks = [stratum_check("targets not seen in training", unseen)] if threads(unseen) >= MIN_STRATUM_THREADS else []
    latest = newest(human)
    for name, new in (("newest threads", True), ("older threads", False)):
        some = [one for one in human if (one.case.pair.thread_id in latest) is new]
        if threads(some) >= MIN_STRATUM_THREADS:
            checks.append(stratum_check(name, some))
    if threads(accepted) >= MIN_STRATUM_THREADS:
        checks.append(accepted_check(accepted, human))
    return [*checks, *agent_checks(human, trained_agents)]


def strata(scored: Sequence[Scored], seen: set[str]) -> dict[str, dict[str, float]]:
    """The kinds of cases that a verdict tells apart: how many, and both contenders' losses in nats per token."""
    human = [one for one in scored if one.case.kind != "accepted"]
    latest = newest(human)
    kinds = {
        "target seen in training": [one for one in human if one.case.pair.target.strip() in seen],
        "target not seen": [one for one in human if one.case.pair.target.strip() not in seen],
        "newest threads": [one for one in human if one.case.pair.thread_id in latest],
        "accepted unchanged": [one for one in scored if one.case.kind == "accepted"],
    }
    return {
        name: {"cases": len(some), "candidate": loss(some, "candidate"), "incumbent": loss(some, "incumbent")}
        for name, some in kinds.items()
        if some
    }


def newest(scored: Sequence[Scored]) -> set[str]:
    """The ids of the newest fifth of the threads, by when the last of a thread's texts was written."""
    written: dict[str, str] = {}
    for one in scored:
        thread = one.case.pair.thread_id
        written[thread] = max(written.get(thread, ""), one.case.pair.created_at)
    order = sorted(written, key=lambda thread: (written[thread], thread))
    return set(order[len(order) - int(len(order) * NEWEST_SHARE) :])


def stratum_check(name: str, some: Sequence[Scored]) -> Check:
    """Cases of one kind, on which a margin is asked and no proof."""
    gain = loss(some, "incumbent") - loss(some, "candidate")
    return Check(name, f"{gain:+.3f} nats per token in {threads(some)} threads", gain >= -STRATUM_MARGIN)


def accepted_check(accepted: Sequence[Scored], human: Sequence[Scored]) -> Check:
    """Drafts accepted unchanged: the incumbent wrote them and wins by construction, so only a margin is asked."""
    candidate, incumbent = loss(accepted, "candidate"), loss(accepted, "incumbent")
    allowed = max(incumbent + ACCEPTED_MARGIN, loss(human, "candidate"))
    return Check("accepted unchanged", f"{candidate:.2f} nats per token, {allowed:.2f} allowed", candidate <= allowed)


def agent_checks(human: Sequence[Scored], trained: Mapping[str, int]) -> list[Check]:
    """The gain must not be one agent's alone where several are learned from. History names no agent."""
    by_agent: dict[str, list[Scored]] = defaultdict(list)
    for one in human:
        if one.case.agent:
            by_agent[one.case.agent].append(one)
    known = [one for some in by_agent.values() for one in some]
    if not known:
        return []
    busiest = max(by_agent, key=lambda agent: (threads(by_agent[agent]), agent))
    others = [one for one in human if one.case.agent != busiest]
    if threads(others) >= MIN_STRATUM_THREADS:
        return [stratum_check("texts of all but the busiest agent", others)]
    learned = Counter(trained)
    of_busiest = learned[busiest] / max(1, learned.total())
    found = f"nearly all held-out texts are of one agent, of whom {of_busiest:.0%} of the training pairs are"
    return [Check("more than one agent", found, of_busiest >= ONE_AGENT)]


def by_thread(gains: Iterable[tuple[str, float, int]], least: float) -> Effect:
    """The effect of gains (thread, nats, tokens), summed per thread first."""
    summed: dict[str, float] = defaultdict(float)
    tokens: dict[str, int] = defaultdict(int)
    for thread, gain, count in gains:
        summed[thread] += gain
        tokens[thread] += count
    order = sorted(summed)
    return effect(
        np.array([summed[t] for t in order]), np.array([tokens[t] for t in order], dtype=np.float64), least=least
    )
