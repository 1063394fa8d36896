"""Whether the candidate reads what it answers: another thread's prompt must make a target less likely. Pure.

Targets that were shuffled over their prompts teach the house's manner, and that the prompt says nothing; garbage and
templates are learned without a prompt, too. Asked of all threads, of the newest, for what was poisoned last night is
among them, and of those that bring the gain, for what few threads gain hugely may pay for the rest.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from finetune.checks import Check
from finetune.evidence import Effect
from finetune.scored import MIN_STRATUM_THREADS, by_thread

LEVEL = 0.05
SHARE = 0.5
"""Under another thread's prompt the candidate's loss must rise by so much of what the incumbent's rises by, or of its
own: where replies are near templates, a good adapter has little left to lose. Of the newest threads and of those that
bring the gain, by so much of what it rises by over all."""
GAIN_SHARES = (0.5, 0.7)
"""So great shares of the gain are brought by the threads that gained the most. Chance is among what put them there,
so that they are refused only where it is shown (LEVEL) that too little rises: in few threads the first is garbage
alone, and in more the second shows it (ten of 90 threads did not, fifteen did)."""


@dataclass(frozen=True)
class Misled:
    """A case with the nats of its target under its own prompt and under another thread's."""

    thread_id: str
    tokens: int
    candidate: float
    candidate_misled: float
    incumbent: float
    incumbent_misled: float


def reading_checks(misled: Sequence[Misled], newest: Collection[str]) -> list[Check]:
    """The rules, for one case of each thread. `newest`: the ids of the newest threads, of which few may be here."""
    before = sum(one.incumbent_misled - one.incumbent for one in misled) / _tokens(misled)
    whole = _rise(misled)
    checks = [_check("reads the prompt", misled, whole, before, passed=_reads(misled, whole, before))]
    latest = [one for one in misled if one.thread_id in newest]
    if len(latest) >= MIN_STRATUM_THREADS:
        rise = _rise(latest)
        passed = _reads(latest, rise, whole.mean)
        checks.append(_check("reads the newest threads", latest, rise, whole.mean, passed=passed))
    gained = [some for share in GAIN_SHARES if len(some := bringing_the_gain(misled, share)) < len(misled)]
    if gained and len(gained[0]) >= MIN_STRATUM_THREADS:
        chances = [_missing(some, _needed(some, whole.mean)).p for some in gained]
        worst = gained[chances.index(min(chances))]
        passed = min(chances) > LEVEL
        checks.append(_check("reads where it gained the most", worst, _rise(worst), whole.mean, passed=passed))
    return checks


def bringing_the_gain(misled: Sequence[Misled], share: float) -> list[Misled]:
    """The fewest cases that bring this share of the gain, in nats."""
    gains = [(max(0.0, one.incumbent - one.candidate), one) for one in misled]
    missing = share * sum(gain for gain, _ in gains)
    found: list[Misled] = []
    for gain, one in sorted(gains, key=lambda pair: pair[0], reverse=True):
        if missing <= 0 and len(found) >= MIN_STRATUM_THREADS:
            break
        found.append(one)
        missing -= gain
    return found


def _check(name: str, some: Sequence[Misled], rise: Effect, beside: float, *, passed: bool) -> Check:
    found = f"{rise.mean:+.2f} on {_own(some):.2f} nats per token with another thread's prompt, against {beside:+.2f}"
    return Check(name, f"{found}, in {len(some)} threads", passed)


def _reads(some: Sequence[Misled], rise: Effect, beside: float) -> bool:
    return rise.p <= LEVEL and rise.mean >= _needed(some, beside)


def _needed(some: Sequence[Misled], beside: float) -> float:
    return SHARE * min(beside, _own(some))


def _own(some: Sequence[Misled]) -> float:
    return sum(one.candidate for one in some) / _tokens(some)


def _rise(some: Sequence[Misled]) -> Effect:
    return by_thread(((one.thread_id, one.candidate_misled - one.candidate, one.tokens) for one in some), 0.0)


def _missing(some: Sequence[Misled], needed: float) -> Effect:
    """What is missing to a rise of so many nats per token."""
    rises = ((one, one.candidate_misled - one.candidate) for one in some)
    return by_thread(((one.thread_id, needed * one.tokens - rise, one.tokens) for one, rise in rises), 0.0)


def _tokens(some: Sequence[Misled]) -> int:
    return sum(one.tokens for one in some)
