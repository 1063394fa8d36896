"""What a model wrote, made harmless to show: nothing pings, no link hides, no citation is of nothing. Pure."""

import re
from collections.abc import Callable

from bot.slack import escape

CODE = re.compile(
    r"(?m:^) {0,3}```[^`\n]*\n.*?(?:```|\Z)"
    r"|(?<![`\\])`(?!`)[^`\n]+`(?!`)",
    re.DOTALL,
)
"""A fence, also one that is not closed yet, or a code span; only what CommonMark reads as code as well."""
JOINER = "\u2060"
"""Takes no room and is no letter: between two characters of a mark it leaves the text and undoes the mark."""


def without_false_citations(text: str, passages: int) -> str:
    """The text without `[n]` that name no passage; those that exist stay, and so does code."""

    def kept(cited: re.Match[str]) -> str:
        return cited[0] if 1 <= int(cited[1]) <= passages else ""

    return _outside_code(text, lambda part: re.sub(r"\s?\[(\d+)\]", kept, part))


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
