"""Which message a line of a summary comes from, by the words that they share. Pure.

A summary's words are mostly its thread's own, so overlap weighted by rarity finds the message without a model; a line
without a convincing message gets none, because a wrong link is worse than no link.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from bot.sections import NEXT, OPEN, WANTS, Section
from data.models import Turn

COVERED = 0.4
"""The share of a line's weight that one message must account for."""
SHARED = 2
"""How many different words they share at least; one that has a digit in it (an order, an amount) counts for two."""
DIGITS = 3
"""Of a number that tells one message from others by itself."""
NAME = 3
"""Letters of a name at least."""
FOREIGN = 0.3
"""Where the messages know a smaller share of a summary's words, it is in another language."""
STEM = 5
"""Longer words are compared by their first letters: `refund`, `refunded` and `refunds` are one."""

_WORD = re.compile(r"\w+(?:[.,'\u2019-]\w+)*")
_BETWEEN_DIGITS = re.compile(r"[.,'\u2019]")
# Scripts that write without spaces are compared by pairs of letters.
_UNSPACED = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_COMMON = frozenset(
    re.findall(
        r"\w+",
        """
        a an and are as at be been but by can did do does for from had has have he her him his how i if in is it its me
        my no not of on or our she so that the their them then they this to up us was we were what when which who will
        with you your agent customer customers want wants
        """,
    )
)


def sources_of(sections: Iterable[Section], turns: Sequence[Turn]) -> list[Turn | None]:
    """For each line of the sections the message that it was most likely made from, or None.

    Of equals, the first; of what is open or next, the last.
    What the customer wants comes from the customer alone: an agent's answer repeats the customer's words.
    """
    said = [(turn, words_of(turn.text)) for turn in turns]
    known = Counter(word for _, words in said for word in words)
    wishes = [(turn, words) for turn, words in said if turn.speaker == "customer"]
    of_heading = {WANTS: wishes, OPEN: said[::-1], NEXT: said[::-1]}
    sections = list(sections)
    found = [
        _source(words_of(line), of_heading.get(section.heading, said), known, len(said))
        for section in sections
        for line in section.lines
    ]
    lines = [(section.heading, line) for section in sections for line in section.lines]
    if any(found) and not _is_foreign([line for _, line in lines], known):
        return found
    # Another language shares few words, but numbers and names stay; what is wanted was said first, what is next last.
    candidates = {heading: [turn for turn, _ in of_heading.get(heading, said)] for heading, _ in lines}
    return [
        source or _marked(line, candidates[heading]) or _placed(line, heading, turns)
        for source, (heading, line) in zip(found, lines, strict=True)
    ]


def _is_foreign(lines: Iterable[str], known: Mapping[str, int]) -> bool:
    """Are these lines in another language than the messages, whose words these are?"""
    words = [word for line in lines for word in words_of(line) if not any(letter.isdigit() for letter in word)]
    return bool(words) and sum(word in known for word in words) < FOREIGN * len(words)


def _source(
    wanted: frozenset[str], said: Sequence[tuple[Turn, frozenset[str]]], known: Mapping[str, int], count: int
) -> Turn | None:
    # Inverse document frequency; a word that no message has weighs as much as one that a single message has.
    weight = {word: math.log(1 + count / max(1, known[word])) for word in wanted}
    whole = sum(weight.values())
    best, best_share = None, 0.0
    for turn, words in said:
        shared = wanted & words
        share = sum(weight[word] for word in shared) / whole if whole else 0.0
        if share > best_share and share >= COVERED and _count(shared) >= SHARED:
            best, best_share = turn, share
    return best


def _marked(line: str, turns: Sequence[Turn]) -> Turn | None:
    """The message that shares the most numbers and names with a line, and of equals the first.

    A long number tells by itself; a short one, and a name, where a single message has it.
    """
    wanted = marks_of(line)
    marks = [(turn, marks_of(turn.text) & wanted) for turn in turns]
    counts = Counter(mark for _, shared in marks for mark in shared)
    best, most = None, 0
    for turn, shared in marks:
        telling = sum(counts[mark] == 1 or _digits(mark) >= DIGITS for mark in shared)
        if telling > most:
            best, most = turn, telling
    return best


def _placed(line: str, heading: str, turns: Sequence[Turn]) -> Turn | None:
    if len(words_of(line)) < SHARED:
        # "None" stands there.
        return None
    if heading == WANTS:
        return next((turn for turn in turns if turn.speaker == "customer"), None)
    return turns[-1] if heading == NEXT and turns else None


def unmentioned(points: Iterable[str], text: str) -> list[str]:
    """The points, each once, that a text does not speak of: less than half of their words stand in it."""
    said = words_of(text)
    kept: dict[frozenset[str], str] = {}
    for point in points:
        words = words_of(point)
        if words and len(words & said) < len(words) / 2:
            kept.setdefault(words, point)
    return list(kept.values())


def words_of(text: str) -> frozenset[str]:
    """The words that carry meaning, shortened to what their forms share."""
    found = []
    for word in _WORD.findall(text.casefold()):
        if _UNSPACED.search(word):
            found += [word[n : n + 2] for n in range(max(1, len(word) - 1))]
        elif any(letter.isdigit() for letter in word):
            found.append(word)
        elif len(word) > 1 and word not in _COMMON:
            found.append(word[:STEM])
    return frozenset(found)


def marks_of(text: str) -> frozenset[str]:
    """Numbers, without what languages write differently between their digits, and words that begin with a capital."""
    apart = _UNSPACED.sub(" ", unicodedata.normalize("NFKC", text))
    words = _WORD.findall(apart)
    numbers = {_BETWEEN_DIGITS.sub("", word.casefold()) for word in words if _digits(word)}
    return frozenset(numbers | {word.casefold() for word in words if len(word) >= NAME and word[0].isupper()})


def _digits(word: str) -> int:
    return sum(letter.isdigit() for letter in word)


def _count(words: Iterable[str]) -> int:
    return sum(2 if any(letter.isdigit() for letter in word) else 1 for word in words)
