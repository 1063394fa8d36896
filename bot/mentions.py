"""What a mention of the bot in a thread asks for when it is no question: the next reply, or a summary. Pure."""

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from data.models import Task

KIND = "asked"
"""The kind of such a request."""

_THREAD = r"(?: (?:to|of|for|in))?(?: (?:this|the)(?: thread| conversation| customer)?)?"
_SAID: tuple[tuple[re.Pattern[str], Task], ...] = (
    (
        re.compile(
            rf"(?:(?:draft|suggest|write)(?: me)?(?: an?| the)?(?: next)? (?:reply|response)|draft|reply){_THREAD}"
        ),
        "reply",
    ),
    (re.compile(rf"(?:summari[sz]e|(?:a )?summary){_THREAD}"), "summary"),
)
_POLITE = re.compile(r"^(?:please|can you|could you)\b[, ]*|[, ]*\bplease$")


@dataclass(frozen=True)
class Words:
    """A language's words for it. `every` is what a word, or where none are set apart a whole request, is made of."""

    reply: frozenset[str]
    summary: frozenset[str]
    every: re.Pattern[str]
    is_unspaced: bool


def task_of(text: str) -> Task | None:
    """What this text, said to the bot in a thread, asks for; None for a question. Saying nothing asks for a draft."""
    said = _POLITE.sub("", " ".join(text.casefold().strip(" \t\n.,:;!?").split()))
    words = _plain(text).split()
    if not said or not words:
        return "reply"
    in_english = next((task for pattern, task in _SAID if pattern.fullmatch(said)), None)
    return in_english or next((task for one in languages().values() if (task := _asked_in(one, words))), None)


def _asked_in(language: Words, words: list[str]) -> Task | None:
    """What is asked for in this language: every word belongs to such a request, and they name one of the two."""
    names = language.reply | language.summary
    if language.is_unspaced:
        whole = language.every.fullmatch("".join(words)) is not None
        named = {name for name in names if name in "".join(words)}
    else:
        whole = all(map(language.every.fullmatch, words))
        named = names & set(words)
    if not whole or not named or (named & language.reply and named & language.summary):
        return None
    return "reply" if named & language.reply else "summary"


@cache
def languages() -> Mapping[str, Words]:
    """The languages but English: in mention_words.json stand what names a reply, what names a summary, and what else
    may stand beside either and asks for nothing by itself.
    """
    rows = json.loads(Path(__file__).with_name("mention_words.json").read_text(encoding="utf-8"))
    return {language: _words(**row) for language, row in rows.items()}


def _words(reply: str, summary: str, beside: list[str], is_unspaced: bool = False) -> Words:
    named = [frozenset(_plain(row).split()) for row in (reply, summary, " ".join(beside))]
    any_of = "|".join(map(re.escape, sorted(frozenset.union(*named), key=len, reverse=True)))
    return Words(named[0], named[1], re.compile(f"(?:{any_of})+" if is_unspaced else any_of), is_unspaced)


def _plain(text: str) -> str:
    """The text in small letters without accents, which people leave out, and with spaces for all that is no letter."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    bare = (letter for letter in apart if not unicodedata.combining(letter))
    # The vowel signs of Hindi are marks, too, but no accents: they are spelling.
    return "".join(letter if unicodedata.category(letter)[0] in "LMN" else " " for letter in bare)
