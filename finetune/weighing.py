"""What each pair weighs in training: its kind, its thumbs, its age, how it was decided, and caps. Pure.

The weights are finetuning.md's table: edited 1.0, accepted unchanged 0.5 (the store's view says so), half-life 60 days,
at most max(5 %, 2 / number of agents) from one agent and max(2 %, 2 / number of threads) from one thread.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime

from data.edits import edit_of
from data.models import Pair
from data.store_circumstances import Circumstances, Manner

HALF_LIFE_DAYS = 60
LEAST_AGE_FACTOR = 0.1
"""However old, a pair that is still kept says a tenth: a year's tickets must not vanish beside a week's decisions."""
HURRIED_SECONDS = 2.0
"""Accepted sooner than this after it was shown, a draft was not read."""
HURRIED = 0.5
ALWAYS_ACCEPTS, FEWEST_DECISIONS = 0.95, 20
"""Who takes so great a share of so many drafts as they are says little by accepting one more."""
ALWAYS = 0.5
SUPERVISORS_UP, AGENTS_UP = 1.5, 1.2
"""A liked text weighs more, but never more than one that was edited."""
DISPUTED = 0.5
AGENT_SHARE, THREAD_SHARE = 0.05, 0.02
MULTIPLE = 2
"""Where there are few agents or threads, one may have this multiple of an equal share."""


@dataclass(frozen=True)
class Weighed:
    """The pairs with their weights, and how many of them each rule has touched."""

    pairs: list[Pair]
    touched: dict[str, int]
    always_accept: list[str]


def weigh(
    pairs: Sequence[Pair],
    circumstances: Mapping[str, Circumstances],
    manners: Iterable[Manner],
    *,
    earlier: Set[str] = frozenset(),
    earlier_share: float = 0.0,
) -> Weighed:
    """Weigh each pair, see that the `earlier` ones (ids) keep their share, then bring threads and agents that outweigh
    the others down to their caps.
    """
    always = {m.user_id for m in manners if always_accepts(m)}
    newest = max((p.created_at for p in pairs), default="")
    touched: dict[str, int] = defaultdict(int)
    weighed = []
    for pair in pairs:
        factors = _factors(pair, circumstances.get(pair.id), always)
        for rule in factors:
            touched[rule] += 1
        weight = pair.weight
        for factor in factors.values():
            weight *= factor
        weighed.append(replace(pair, weight=min(1.0, weight) * age_factor(pair.created_at, newest)))
    weighed, lightened = _with_share(weighed, earlier, earlier_share)
    touched["lighter beside earlier nights'"] = lightened
    agents = {pair_id: found.decided_by for pair_id, found in circumstances.items()}
    weighed, touched["a thread's cap"] = capped(weighed, lambda p: p.thread_id, THREAD_SHARE)
    weighed, touched["an agent's cap"] = capped(weighed, lambda p: agents.get(p.id), AGENT_SHARE)
    return Weighed(weighed, {rule: count for rule, count in touched.items() if count}, sorted(always))


def always_accepts(manner: Manner) -> bool:
    """Does this agent take nearly every draft as it is?"""
    return manner.decisions >= FEWEST_DECISIONS and manner.accepted >= ALWAYS_ACCEPTS * manner.decisions


def age_factor(created_at: str, newest: str) -> float:
    """Half after each HALF_LIFE_DAYS, counted from the newest pair, so that old conversations alone weigh whole."""
    days = (datetime.fromisoformat(newest) - datetime.fromisoformat(created_at)).total_seconds() / 86400
    return max(LEAST_AGE_FACTOR, 0.5 ** (days / HALF_LIFE_DAYS))


def _factors(pair: Pair, found: Circumstances | None, always: set[str]) -> dict[str, float]:
    if found is None:
        return {}
    factors = {}
    if found.kind == "accepted":
        if found.seconds is not None and found.seconds < HURRIED_SECONDS:
            factors["accepted unread"] = HURRIED
        if found.decided_by in always:
            factors["by who always accepts"] = ALWAYS
    elif found.draft is not None and edit_of(found.draft, pair.target) == "none":
        factors["an edit of nothing"] = 0.5
    if found.up and found.down:
        factors["raters disagree"] = DISPUTED
    elif found.supervisors > 0:
        factors["liked by supervisors"] = SUPERVISORS_UP
    elif found.agents > 0:
        factors["liked by agents"] = AGENTS_UP
    return factors


def _with_share(pairs: list[Pair], earlier: Set[str], share: float) -> tuple[list[Pair], int]:
    """The new pairs scaled down until the earlier ones are `share` of the whole, and how many were scaled."""
    old = sum(p.weight for p in pairs if p.id in earlier)
    new = sum(p.weight for p in pairs) - old
    if not share or not old or old >= share * (old + new):
        return pairs, 0
    factor = old * (1 - share) / (share * new)
    scaled = [p if p.id in earlier else replace(p, weight=p.weight * factor) for p in pairs]
    return scaled, sum(p.id not in earlier for p in pairs)


def capped(pairs: list[Pair], group_of: Callable[[Pair], str | None], least: float) -> tuple[list[Pair], int]:
    """Scale down the groups that outweigh their share of the whole, measured after scaling, and count their pairs.

    None is nobody's group and never scaled.
    """
    totals: dict[str, float] = defaultdict(float)
    free = 0.0
    for pair in pairs:
        group = group_of(pair)
        if group is None:
            free += pair.weight
        else:
            totals[group] += pair.weight
    share = max(least, MULTIPLE / max(len(totals), 1))
    limit = _limit(sorted(totals.values(), reverse=True), free, share)
    if limit is None:
        return pairs, 0
    scaled, count = [], 0
    for pair in pairs:
        total = totals.get(group_of(pair) or "", 0.0)
        if total > limit:
            pair, count = replace(pair, weight=pair.weight * limit / total), count + 1
        scaled.append(pair)
    return scaled, count


def _limit(totals: Sequence[float], free: float, share: float) -> float | None:
    """The weight t for which t = share * (free + Σ min(total, t)), of totals from the greatest down.

    None where no total is above it.
    """
    rest = free + sum(totals)
    for above, total in enumerate([*totals, 0.0]):
        if share * above >= 1:
            return None
        limit = share * rest / (1 - share * above)
        if total <= limit:
            return limit if above else None
        rest -= total
    return None
