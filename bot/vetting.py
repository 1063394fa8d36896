"""A drafted reply before its agent sees it: what she has to check before she sends it, and no foreign links. Pure."""

import re
from collections.abc import Sequence

from data.fencing import HIDDEN
from data.models import Passage, Turn
from data.sentences import sentences_of
from data.support import SMALL_WORDS, UNITS, measures_in, names_in, unfounded

NONE_IS_SAFE = "No source is marked as customer-safe, so this draft read internal ones: check before you send it."
SHOWN = 6
"""Numbers and names that are listed at most."""
GREETING = re.compile(
    r"^\W*(?:hi|hello|hey|dear|good (?:morning|afternoon|evening)|thanks?|thank you)\b[^,.!?\n]*[,.!?]?", re.I
)
CAPITALS = 0.3
"""The share of capitalised words within sentences from which on a capital is no sign of a name, as in German."""

_LINK = re.compile(
    r"!?\[([^\]\n]*)\]\(\s*<?((?:https?:|mailto:|javascript:|data:|//)[^)\s>]*)>?[^)\n]*\)", re.IGNORECASE
)
_ADDRESS = re.compile(r"\b(?:https?://|www\.)[^\s<>|\"'`)\]]+", re.IGNORECASE)
_BARE = re.compile(r"\([\w.-]+\.[a-z]{2,}(?:/[^\s)]*)?\)")
_WORD = re.compile(r"(?<=[\w,;] )[^\W\d_]{2,}")


def vetted(text: str, turns: Sequence[Turn], passages: Sequence[Passage]) -> tuple[str, list[str]]:
    """The draft, with links that stand neither in a source nor in the thread as plain text; and remarks about it."""
    known = "\n".join([*(turn.text for turn in turns), *(f"{p.title}\n{p.text}" for p in passages)])
    written = HIDDEN.sub("", text)
    text = without_foreign_links(written, known)
    found = not_found(written, known)
    if not found:
        return text, []
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return text, [f"Not found in the sources: {', '.join(found[:SHOWN])}{more}. Check before you send."]


def not_found(text: str, known: str) -> list[str]:
    """The numbers, with their units, and the names in a draft that stand in no source and not in the thread."""
    found: list[str] = []
    has_names = not _is_capitalised(text)
    addresses = [_bare(one) for one in _ADDRESS.findall(text) if not _is_known(one, known)]
    for sentence in sentences_of(_ADDRESS.sub("", _BARE.sub("", GREETING.sub("", text)))):
        names = names_in(sentence)
        new = [one for one in unfounded(sentence, known) if has_names or one not in names]
        units = {number: _spelled(number, sentence) for number, _ in measures_in(sentence)}
        found += [units.get(one, one) for one in new]
        # 14 hours, where the sources have a 14 and say days.
        found += [
            _spelled(number, sentence)
            for number, unit in sorted(measures_in(sentence) - measures_in(known))
            if number not in new and unit in UNITS
        ]
    return list(dict.fromkeys([*addresses, *found]))


def without_foreign_links(text: str, known: str) -> str:
    """Links that stand nowhere in what is known become the text that they hide behind, and an address that opens
    nothing."""

    def shown(found: re.Match[str]) -> str:
        return (
            found[0]
            if _is_known(found[2], known) and found[0][0] != "!"
            else f"{found[1]} ({_bare(found[2])})".lstrip()
        )

    def bare(found: re.Match[str]) -> str:
        return found[0] if _is_known(found[0], known) else _bare(found[0])

    return _ADDRESS.sub(bare, _LINK.sub(shown, text))


def _is_known(address: str, known: str) -> bool:
    return address.rstrip(".,;:!?") in known


def _bare(address: str) -> str:
    return re.sub(r"^(?:(?:https?|mailto|javascript|data):)?(?://)?(?:www\.)?", "", address, flags=re.IGNORECASE)


def _is_capitalised(text: str) -> bool:
    words = _WORD.findall(text)
    return bool(words) and sum(word[0].isupper() for word in words) / len(words) > CAPITALS


def _spelled(number: str, sentence: str) -> str:
    word = next((rf"|\b{word}\b" for word, digits in SMALL_WORDS.items() if digits == number), "")
    number_or_word = rf"(?:(?<![\d.,]){re.escape(number)}(?![\d]){word})"
    found = re.search(rf"{number_or_word}\W{{0,2}}[^\W\d_]+", sentence, re.IGNORECASE)
    return found[0] if found else number
