"""Can a question be answered from the passages that were found, and is it clear what it asks about? Pure.

`python -m data evaluate-refusal` measures both on questions that people labelled.
"""

import math
import re
from collections.abc import Sequence

from data.models import Passage
from data.sentences import sentences_of
from data.support import content_words, covered

ANSWERABLE = 0.3
"""Without vectors: below this score a question is refused before a model is asked."""
ANSWERABLE_BY_MEANING = 0.85
"""With them: below this `evidence`. MTRAG-UN, dev: 3% of the answerable and 35% of the unanswerable, where words alone
refuse 6% and 24%."""
QUOTABLE = 0.4
"""Without vectors: below this score nothing is quoted in the place of an answer that did not hold up."""
QUOTABLE_BY_MEANING = 1.15
"""With them: below this `evidence`. MTRAG-UN, dev, refused before or here: 5% of the answerable and 67% of the
unanswerable; other sets: docs/search.md."""
NEAR = 2.0
"""What the nearest passage's cosine counts, where the score of the question counts 1."""
STRONG = 0.5
"""What the best passage's strength counts."""
BY_CHANCE = 0.3
"""How much better the best passage is by chance where ten times as many are searched."""

# What a question can be about without saying which one. From the underspecified questions of MTRAG-UN, dev, with the
# things of a support desk.
_KINDS = re.findall(
    r"\w+",
    """
    country state city town county park library language animal person team show movie film series song game company
    store restaurant product service system program plan policy university school hospital clinic department station
    event award actor actress character player season episode book author drug medicine disease law bill agency bank
    stock fund war president king queen river island lake mountain museum area region version model device
    """,
)
_SOME = re.compile(
    rf"\b(?:the|this|that|these|those)\s+(?:(?!of\b|in\b|for\b|to\b|with\b)[\w'\u2019-]+\s+){{0,2}}?({'|'.join(_KINDS)})s?\b",
    re.IGNORECASE,
)
_WHICH = re.compile(
    r"\w+ behind \w|(?:version|model|device|plan|program|product|service|system)s?\s+(?:of|for|from|called|named)\s+"
    r"(?!(?:the|this|that|these|those|my|our|your|an?)\b)\w",
    re.IGNORECASE,
)
"""Said of which one, as in "the version of npm" or "the company behind it"; a city of California may still be any."""
_VERSION = re.compile(r"\b[A-Z][\w+#.]*\s+v?(\d+(?:\.\d+)*)\b")
"""The number behind a name: "Windows 95", "Python v2.2"."""
_POINTING = re.compile(r"\b(it|its|they|them|this|that|these|those)\b", re.IGNORECASE)


def answerability(question: str, asked_before: str, passages: Sequence[str]) -> float:
    """From 0 to 1: how much of the question one sentence speaks of, and of it and what was asked before, one passage.

    A passage is its title, a line break and its text. `asked_before` is the person's own last question in the thread.
    """
    asked = [one for one in sentences_of(question) if one.endswith("?") and len(content_words(one)) > 1]
    # What is told before a question is not what an article speaks of.
    return max(_answerability(one, asked_before, passages) for one in (question, *asked))


def evidence(score: float, found: Sequence[Passage], among: int) -> float:
    """How much speaks for it that passages answer a question: higher is better, across help centres of any size.

    `score` is its `answerability`, and alone where no vectors were compared; `among` how many passages were searched.
    """
    nearness = _nearness(found)
    if not nearness:
        return score
    strength = max(one.strength for one in found)
    return score + NEAR * nearness + STRONG * strength - BY_CHANCE * math.log10(max(among, 1))


def can_be_answered(score: float, found: Sequence[Passage], among: int) -> bool:
    """Does enough speak for it that a model may be asked?"""
    return evidence(score, found, among) >= (ANSWERABLE_BY_MEANING if _nearness(found) else ANSWERABLE)


def can_be_quoted(question: str, score: float, found: Sequence[Passage], among: int) -> bool:
    """The same where no model's words held up, so that a passage's own are all there is to show.

    What is said of other versions does not answer a question about one that no passage names.
    """
    said = "\n".join(f"{one.title}\n{one.text}" for one in found)
    if any(not re.search(rf"(?<![\d.]){re.escape(number)}(?!\d)", said) for number in _VERSION.findall(question)):
        return False
    return evidence(score, found, among) >= (QUOTABLE_BY_MEANING if _nearness(found) else QUOTABLE)


def _nearness(found: Sequence[Passage]) -> float:
    return max((one.nearness for one in found), default=0.0)


def _answerability(question: str, asked_before: str, passages: Sequence[str]) -> float:
    words = content_words(question)
    together = list(dict.fromkeys([*words, *content_words(asked_before)]))
    # A passage's first line, its title, says what all its sentences are about.
    titled = ((text.split("\n", 1)[0], sentence) for text in passages for sentence in sentences_of(text))
    sentence = max((covered(words, frozenset(content_words(" ".join(one)))) for one in titled), default=0.0)
    passage = max((covered(together, frozenset(content_words(p))) for p in passages), default=0.0)
    return (sentence + passage) / 2


def unclear(question: str, said_before: str) -> str:
    """What a question leaves open: a kind of thing, as in "the park", where nobody has named one, or a word that points
    at what nobody has said, as in "How do I remove it?"; else empty."""
    known = frozenset(content_words(said_before))
    for found in _SOME.finditer(question):
        if any(word.istitle() for word in found[0].split()[1:]):
            # "The Tour plan" says which one.
            continue
        if not frozenset(content_words(found[1])) <= known and not _WHICH.match(question, found.start(1)):
            return found[1].lower()
    pointing = _POINTING.search(question)
    told = [word for word in content_words(question) if not word.endswith("n't")]
    return pointing[1].lower() if pointing and not said_before.strip() and len(told) < 2 else ""


def points(word: str) -> bool:
    """Does this word of `unclear` point at something, where others are a kind of thing?"""
    return _POINTING.fullmatch(word) is not None
