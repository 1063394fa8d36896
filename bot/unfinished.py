"""What of an answer that is still being written may be shown already, and how it is made safe. Pure.

A streamed message can only grow, so every text shown must be the beginning of every later one: what a few more
characters could change (half a word, `[1`, an open code span) is held back.
"""

import re
from collections.abc import Callable

from bot.slack import escape
from data.store_connection import clean

CODE = re.compile(
    r"(?m:^) {0,3}```[^`\n]*\n.*?(?:```|\Z)"
    r"|(?<![`\\])`(?!`)[^`\n]+`(?!`)",
    re.DOTALL,
)
"""A fence, also one that is not closed yet, or a code span; only what CommonMark reads as code as well."""
OPEN_SPAN = re.compile(r"`[^`\n]*\Z")
LAST_WORD = re.compile(r"(?:\A|\s+)\S*\Z")
LONGEST_WORD = 64
"""Characters. Some languages put no spaces between words, and their text must flow all the same."""
OPEN_MARK = re.compile(r"(?:\s*\[\d*\]?|\s*\]|@\w*)\Z")
JOINER = "\u2060"
"""Takes no room and is no letter: between two characters of a mark it leaves the text and undoes the mark."""


def without_false_citations(text: str, passages: int) -> str:
    """The text without `[n]` that name no passage; those that exist stay, and so does code."""

    def kept(cited: re.Match[str]) -> str:
        return cited[0] if 1 <= int(cited[1]) <= passages else ""

    return _outside_code(text, lambda part: re.sub(r"\s?\[(\d+)\]", kept, part))


def settled(text: str, passages: int) -> str:
    """The beginning of an unfinished answer that no further character can change, without false citations."""
    text = clean(text).lstrip()
    ends = [found.end() for found in CODE.finditer(text) if found.end() < len(text) or "\n" in found[0]]
    closed = max(ends, default=0)
    tail = OPEN_SPAN.sub("", text[closed:])
    word = LAST_WORD.search(tail)
    held = word if word and len(word[0]) <= LONGEST_WORD else OPEN_MARK.search(tail)
    return without_false_citations(text[:closed] + tail[: held.start() if held else None], passages).lstrip()


def safe_markdown(text: str) -> str:
    """What the model wrote, as Markdown in which nothing pings and no link hides behind other words.

    Slack's Markdown is not documented as closely as its mrkdwn. The three characters are escaped in it as well, as
    `<@U1>` would ping; whether a bare `@here` can is not certain, so it is undone.
    """
    return escape(_outside_code(text, _without_marks))


def _without_marks(part: str) -> str:
    part = re.sub(r"\](?=[(:\[])", "]" + JOINER, part)
    return re.sub(r"@(?=(?:here|channel|everyone)\b)", "@" + JOINER, part)


def _outside_code(text: str, change: Callable[[str], str]) -> str:
    out, end = [], 0
    for found in CODE.finditer(text):
        out += [change(text[end : found.start()]), found[0]]
        end = found.end()
    return "".join([*out, change(text[end:])])
