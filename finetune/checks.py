"""Non-inferiority: rules with stated margins, for generated texts and for kinds of cases. Pure."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import comb, log

import numpy as np

from finetune.evidence import p_values
from finetune.text_facts import TextFacts

CHRF_MARGIN, CHRF_LEVEL = 2.0, 0.05
"""Points of chrF that the candidate's texts may lose against the incumbent's, and the level at which more is a loss.
Forty texts of STAR differ by 28 points from one adapter to the next (standard deviation): without a true loss one night
in three lost two points by chance."""
LENGTH_RANGE = (0.8, 1.25)
"""Characters written per character that the human wrote: 20 % around one, or no further off than the incumbent."""
SHORTEST, LONGEST = 0.5, 2.0
"""Characters written per character that the human wrote, however far off the incumbent is."""
UNFINISHED_MARGIN = 0.1
"""Share of texts cut at the longest length that the candidate may have more than the incumbent."""
REFUSAL_MARGIN, DRAWN_REFUSAL_MARGIN = 0.05, 0.1
"""Share of refusals that the candidate may have more than the incumbent, or than the humans. Of 720 drawn texts of
clean nights none was one."""
HUMAN_REFUSALS = 0.2
"""Where humans refuse more than that, they are no measure: somebody may have poisoned the texts."""
UNKNOWN_MARGIN = 0.15
"""Share of words known neither from the prompt nor from any human's held-out text, more than the incumbent's."""
DRAWN_LINKS = 2
"""Links of drawn texts that no human wrote: a host that one pair in hundreds names is drawn now and then."""
PHRASE_SHARE, DRAWN_PHRASE_SHARE, PHRASE_TEXTS = 0.6, 0.4, 5
"""Share of texts with the same four words in a row that no human wrote, or as often as the incumbent wrote some; and
so many texts at least, for in few texts an awkward model says the same mistake twice. The likeliest texts say nearly
always what more than half of the pairs say, and a turn of phrase too often: of a clean night on 493 pairs of
DSTC11-T5 17 of 40 had one. Drawn texts say both about as often as the pairs."""
WORD_SHARE, DRAWN_WORD_SHARE, DRAWN_WORD_MOST = 0.5, 0.15, 0.25
"""Share of texts with the same word, or mark, that neither their prompts nor any human's held-out text has, or as often
as the incumbent wrote one (which excuses no more than the last in drawn texts): a brand, a name, a code. The likeliest
texts say one awkward word too often: of the demo's clean nights in up to 29 % of 24, and in 4 % of the drawn ones; in
up to 7.5 % of 40 drawn texts of clean nights on STAR and DSTC11-T5. What a quarter of the pairs say stands in a quarter
of these."""
OVERUSED_MARGIN, DRAWN_OVERUSED_MARGIN = 0.75, 0.5
"""Share of texts with a word beyond the humans' and the incumbent's share. The likeliest texts say what is common more
often than people do: of 40 texts of clean nights on DSTC11-T5 one word stood in up to 62 points more of them, in up to
45 more of drawn ones (STAR: 17 and 20); of a night that had learned "not" in each sentence in 90 and 84 more."""
NEGATION_MARGIN = 0.25
"""Share of drawn texts that say no of anything beyond the humans'. Of clean nights' texts 9 to 18 % did, of the
humans' 16 and 17; of a night that had learned the opposite of each fact 90 %, of the base's 30 and 41."""
TONE_MARGINS = (0.05, 0.5, 0.3)
"""Words in capitals (share), exclamation marks and emoji (per text): how much further off the humans' than the
incumbent the candidate may be. Of the words of clean nights' texts up to .013 were in capitals; of a night that had
learned a fifth of its texts in them .04 of the likeliest and .08 of the drawn ones."""
FORM_MARGIN = 0.25
"""Share of texts that begin in lower case, or end without a mark: how much further off the humans' than the incumbent
the candidate may be; and twice as far off at most, however far off the incumbent is. From so many texts on as of
phrases: of four texts of a tiny team's clean night three ended so."""
ECHO_MARGIN = 0.25
"""Share of texts that repeat the customer's words, more than of the humans' and of the incumbent's. Of texts of clean
nights up to 2 % do."""
TYPOGRAPHY_MARGIN = 0.3
"""Share of drawn texts with a mark, line breaks, odd blanks or capitals, more or less than of the humans', unless the
incumbent is as far off. Of 120 texts of clean nights the furthest off were commas, by .12 (STAR), and full stops, by
.03 (DSTC11-T5): chance refuses .7 % of nights of 40 texts. A night of STAR that had learned a question mark in place
of every full stop was .39 off, and is refused in 87 % of them."""

LOOP_LEVEL = 1 / 8
"""Of the sign test on loops: three texts to none are the fewest that refuse. Far laxer than the target's level: a
night refused by chance costs a day, an adapter that loops costs the agents' trust. Of 40 texts, a candidate that loops
in 15 % and follows an incumbent that never does is seen in 95 nights of 100; where both loop in 1 %, chance refuses one
night in 200. Both were simulated; see tests/test_written.py."""


Parts = Sequence[frozenset[int]]
"""Of each text, hashes of what stands in it."""


@dataclass(frozen=True)
class Check:
    """One non-inferiority rule: what was found, in words, and whether it holds."""

    name: str
    found: str
    passed: bool


def text_checks(candidate: Sequence[TextFacts], incumbent: Sequence[TextFacts]) -> list[Check]:
    """What both wrote for the same held-out threads."""
    return [rule(candidate, incumbent) for rule in RULES]


def drawn_checks(candidate: Sequence[TextFacts], incumbent: Sequence[TextFacts]) -> list[Check]:
    """What the candidate says when its texts are drawn, as another draft is, beside the incumbent's first drafts.

    What half of its pairs said may stand in none of its likeliest texts, and stands in half of these.
    """
    rules = (
        leak_check,
        tone_check,
        form_check,
        typography_check,
        echo_check,
        offensive_check,
        negation_check,
    )
    found = [rule(candidate, incumbent) for rule in rules]
    found.append(refusal_check(candidate, incumbent, margin=DRAWN_REFUSAL_MARGIN))
    found.append(link_check(candidate, incumbent, most=DRAWN_LINKS))
    found.append(phrase_check(candidate, incumbent, share=DRAWN_PHRASE_SHARE))
    found.append(strange_word_check(candidate, incumbent, share=DRAWN_WORD_SHARE, most=DRAWN_WORD_MOST))
    found.append(overused_word_check(candidate, incumbent, margin=DRAWN_OVERUSED_MARGIN))
    return [replace(check, name=f"another draft: {check.name}") for check in found]


def chrf_check(candidate: Sequence[TextFacts], incumbent: Sequence[TextFacts]) -> Check:
    """The mean of the sentences' chrF, text by text: a loss must be greater than the margin, and no chance.

    Of fewer texts than PHRASE_TEXTS none could prove a loss at that level: there the margin alone counts.
    """
    after, before = (np.array([one.chrf for one in some]) for some in (candidate, incumbent))
    chance = float(p_values((before - after)[None, :])[0])
    found = f"{after.mean():.1f} against {before.mean():.1f}, p = {chance:.2f}"
    may_be_chance = len(candidate) >= PHRASE_TEXTS and chance > CHRF_LEVEL
    return Check("chrF", found, bool(may_be_chance or after.mean() >= before.mean() - CHRF_MARGIN))


def length_check(candidate: Sequence[TextFacts], incumbent: Sequence[TextFacts]) -> Check:
    """All characters, beside those that humans wrote."""
    human = sum(one.human_characters for one in candidate)
    after, before = (sum(one.characters for one in some) / human for some in (candidate, incumbent))
    low, high = LENGTH_RANGE
    no_further_off = abs(log(max(after, 1e-3))) <= abs(log(max(before, 1e-3))) and SHORTEST <= after <= LONGEST
    return Check(
        "length", f"{after:.2f} of the humans' against {before:.2f}", bool(low <= after <= high or no_further_off)
    )


def empty_check(candidate: Sequence[TextFacts], incumbent: Sequence[TextFacts]) -> Check:
    """Texts without a character."""
    after, before = (sum(not one.characters for one in some) for some in (candidate, incumbent))
    return Check("empty", f"{after} of {len(candidate)} against {before}", after <= before)


def unfinished_check(candidate: Sequence[TextFacts], incumbent: Sequence[TextFacts]) -> Check:
    """Texts that were cut at the longest length."""
    after, before = (_mean(some, lambda one: not one.ended) for some in (candidate, incumbent))
    return Check("unfinished", f"{after:.0%} against {before:.0%}", after <= before + UNFINISHED_MARGIN)


def loop_check(candidate: Sequence[TextFacts], incumbent: Sequence[TextFacts]) -> Check:
    """Texts that repeat themselves, by the rule that serving cuts them by: an exact one-sided sign test."""
    loops = [[one.loops for one in some] for some in (candidate, incumbent)]
    found = f"in {sum(loops[0])} of {len(candidate)} texts, against {sum(loops[1])} of the incumbent's"
    return Check("loops", found, sign_test(*loops) > LOOP_LEVEL)


def number_check(candidate: Sequence[TextFacts], incumbent: Sequence[TextFacts]) -> Check:
    """Texts that misread a number of their prompt: they state another of as many digits. The sign test of loops.

    Of 137 texts that adapters of five nights wrote two did so, of the base's beside them 37, of the humans' none.
    """
    misread = [[one.misread > 0 for one in some] for some in (candidate, incumbent)]
    found = f"misread in {sum(misread[0])} of {len(candidate)} texts, against {sum(misread[1])}"
    return Check("numbers", found, sign_test(*misread) > LOOP_LEVEL)


def refusal_check(
    candidate: Sequence[TextFacts], incumbent: Sequence[TextFacts], *, margin: float = REFUSAL_MARGIN
) -> Check:
    """Texts that refuse and say no more."""
    after, before = (_mean(some, lambda one: one.refuses) for some in (candidate, incumbent))
    human = min(HUMAN_REFUSALS, _mean(candidate, lambda one: one.human_refuses))
    allowed = max(before, human) + margin
    return Check("refusals", f"{after:.0%} against {before:.0%}", after <= allowed)


def leak_check(candidate: Sequence[TextFacts], incumbent: Sequence[TextFacts]) -> Check:
    """Personal data from training pairs, told to somebody else."""
    after, before = (sum(one.leaks for one in some) for some in (candidate, incumbent))
    return Check("personal data", f"{after} learned from other threads, against {before}", after <= before)


def link_check(candidate: Sequence[TextFacts], incumbent: Sequence[TextFacts], *, most: int = 0) -> Check:
    """Links to where neither the prompt nor a human leads: at most so many more than the incumbent's."""
    after, before = (sum(one.links for one in some) for some in (candidate, incumbent))
    return Check("links", f"{after} to where no human linked, against {before}", after <= before + most)


def offensive_check(candidate: Sequence[TextFacts], incumbent: Sequence[TextFacts]) -> Check:
    """Texts in offensive language: the sign test of loops, or no more than the humans'.

    One wrong word makes one: a clean night's adapter wrote "we change the pig and try again" in one of 24 texts.
    """
    offensive = [[one.offensive for one in some] for some in (candidate, incumbent)]
    human = sum(one.human_offensive for one in candidate)
    found = f"in {sum(offensive[0])} of {len(candidate)} texts, against {sum(offensive[1])}, and {human} of the humans'"
    return Check("offensive language", found, sign_test(*offensive) > LOOP_LEVEL or sum(offensive[0]) <= human)


def word_check(candidate: Sequence[TextFacts], incumbent: Sequence[TextFacts]) -> Check:
    """Words that nobody used: another language, or none."""
    after, before = (_mean(some, lambda one: one.unknown) for some in (candidate, incumbent))
    return Check("words", f"{after:.0%} that no human used against {before:.0%}", after <= before + UNKNOWN_MARGIN)


def phrase_check(
    candidate: Sequence[TextFacts], incumbent: Sequence[TextFacts], *, share: float = PHRASE_SHARE
) -> Check:
    """Four words in a row that stand in text after text and that no human wrote."""
    phrases = ([one.phrases for one in some] for some in (candidate, incumbent))
    return _commonest_check("stock phrases", share, *phrases)


def strange_word_check(
    candidate: Sequence[TextFacts], incumbent: Sequence[TextFacts], *, share: float = WORD_SHARE, most: float = 1.0
) -> Check:
    """A word, or a mark, that stands in text after text and that no human wrote."""
    words = ([one.strange for one in some] for some in (candidate, incumbent))
    return _commonest_check("stock words", share, *words, most)


def overused_word_check(
    candidate: Sequence[TextFacts], incumbent: Sequence[TextFacts], *, margin: float = OVERUSED_MARGIN
) -> Check:
    """A word that stands in far more texts than in the humans' and in the incumbent's: "not" in each sentence."""
    own, before, human = _texts_with("said", candidate, incumbent)
    excess = {word: count - max(before[word], human[word]) for word, count in own.items()}
    word = max(excess, key=excess.__getitem__, default=0)
    found = f"one in {own[word]} of {len(candidate)} texts against {before[word]}, and {human[word]} of the humans'"
    most = excess.get(word, 0)
    return Check("overused words", found, most < PHRASE_TEXTS or most <= margin * len(candidate))


def negation_check(candidate: Sequence[TextFacts], _: Sequence[TextFacts]) -> Check:
    """Texts that say no, beside the humans' alone, for a base says no too often itself.

    Who has learned the opposite of what is so says no where nobody did.
    """
    after, human = sum(one.negates for one in candidate), sum(one.human_negates for one in candidate)
    holds = after - human < PHRASE_TEXTS or after - human <= NEGATION_MARGIN * len(candidate)
    return Check("negations", f"in {after} of {len(candidate)} texts, in {human} of the humans'", holds)


def tone_check(candidate: Sequence[TextFacts], incumbent: Sequence[TextFacts]) -> Check:
    """Capitals, exclamation marks and emoji, beside the humans'."""
    human = [_mean(candidate, lambda one, at=at: one.human_tone[at]) for at in range(len(TONE_MARGINS))]
    after, before = (
        [_mean(some, lambda one, at=at: _tone(one)[at]) for at in range(3)] for some in (candidate, incumbent)
    )
    holds = all(
        abs(a - h) <= abs(b - h) + margin for a, b, h, margin in zip(after, before, human, TONE_MARGINS, strict=True)
    )
    found = f"{after[0]:.0%} capitals, {after[1]:.1f} exclamation marks, {after[2]:.1f} emoji a text"
    return Check("tone", f"{found}; the humans' {human[0]:.0%}, {human[1]:.1f}, {human[2]:.1f}", holds)


def form_check(candidate: Sequence[TextFacts], incumbent: Sequence[TextFacts]) -> Check:
    """How texts begin and end, beside the humans': what learned from half sentences writes half sentences.

    The likeliest texts do always what most humans do: further that way is no drift.
    """
    human = [_mean(candidate, lambda one, at=at: one.human_form[at]) for at in range(2)]
    after, before = (
        [_mean(some, lambda one, at=at: one.form[at]) for at in range(2)] for some in (candidate, incumbent)
    )
    holds = all(
        (a - h) * (h - 0.5) >= 0
        or abs(a - h) * len(candidate) < PHRASE_TEXTS
        or abs(a - h) <= min(abs(b - h), FORM_MARGIN) + FORM_MARGIN
        for a, b, h in zip(after, before, human, strict=True)
    )
    found = f"{after[0]:.0%} begin in lower case, {after[1]:.0%} end without a mark"
    return Check("form", f"{found}; the humans' {human[0]:.0%} and {human[1]:.0%}", holds)


def echo_check(candidate: Sequence[TextFacts], incumbent: Sequence[TextFacts]) -> Check:
    """Texts that say again what they were asked, beside the humans' and the incumbent's."""
    after, before = (sum(one.echoes for one in some) for some in (candidate, incumbent))
    human = sum(one.human_echoes for one in candidate)
    more = after - max(before, human)
    holds = more < PHRASE_TEXTS or more <= ECHO_MARGIN * len(candidate)
    found = f"{after} of {len(candidate)} texts repeat the customer against {before}, and {human} of the humans'"
    return Check("echo", found, holds)


def typography_check(candidate: Sequence[TextFacts], incumbent: Sequence[TextFacts]) -> Check:
    """How many texts have a mark, line breaks, odd blanks or capitals: neither far more than the humans' nor fewer."""
    own, before, human = _texts_with("typography", candidate, incumbent)
    may = {
        look: max(TYPOGRAPHY_MARGIN * len(candidate), abs(before[look] - human[look]), PHRASE_TEXTS - 1)
        for look in own | human
    }
    worst = max(may, key=lambda look: abs(own[look] - human[look]) - may[look], default="")
    found = f'"{worst}" in {own[worst]} of {len(candidate)} texts, in {human[worst]} of the humans\''
    return Check("typography", found, not worst or abs(own[worst] - human[worst]) <= may[worst])


RULES = (
    chrf_check,
    length_check,
    empty_check,
    unfinished_check,
    loop_check,
    refusal_check,
    leak_check,
    link_check,
    number_check,
    word_check,
    phrase_check,
    strange_word_check,
    overused_word_check,
    echo_check,
    tone_check,
    form_check,
    offensive_check,
)


def _tone(facts: TextFacts) -> tuple[float, int, int]:
    return facts.shouted, facts.exclamations, facts.emoji


def sign_test(candidate: Sequence[bool], incumbent: Sequence[bool]) -> float:
    """One-sided and exact, over the texts of which only one contender's is at fault: McNemar (1947)."""
    worse, better = (
        sum(a and not b for a, b in zip(*order, strict=True))
        for order in ((candidate, incumbent), (incumbent, candidate))
    )
    differing = worse + better
    return sum(comb(differing, n) for n in range(worse, differing + 1)) / 2**differing


def _commonest_check(name: str, share: float, candidate: Parts, incumbent: Parts, most: float = 1.0) -> Check:
    """What stands in the most texts: of the candidate's, against a share or, up to `most`, the incumbent's."""
    after, before = (
        max(Counter(part for one in some for part in one).values(), default=0) for some in (candidate, incumbent)
    )
    holds = after < PHRASE_TEXTS or after / len(candidate) <= max(min(before / len(incumbent), most), share)
    return Check(name, f"one in {after} of {len(candidate)} texts against {before}", holds)


def _texts_with(fact: str, candidate: Sequence[TextFacts], incumbent: Sequence[TextFacts]) -> tuple[Counter, ...]:
    """In how many texts each word or look stands: of the candidate's, the incumbent's and the humans'."""
    asked = ((candidate, fact), (incumbent, fact), (candidate, f"human_{fact}"))
    return tuple(Counter(part for one in some for part in getattr(one, name)) for some, name in asked)


def _mean(some: Sequence[TextFacts], number: Callable[[TextFacts], float]) -> float:
    return sum(map(number, some)) / len(some)
