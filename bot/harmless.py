"""What a model wrote, made harmless to show: nothing pings, no link hides, no citation is of nothing. Pure."""

import re

from bot.slack import escape
from data.code import outside_code

JOINER = "\u2060"
"""Takes no room and is no letter: between two characters of a mark it leaves the text and undoes the mark."""


def without_false_citations(text: str, passages: int) -> str:
    """The text without `[n]` that name no passage; those that exist stay, and so does code."""

    def kept(cited: re.Match[str]) -> str:
        return cited[0] if 1 <= int(cited[1]) <= passages else ""

    return outside_code(text, lambda part: re.sub(r"\s?\[(\d+)\]", kept, part))


def safe_markdown(text: str) -> str:
    """What the model wrote, as Markdown in which nothing pings and no link hides behind other words.

    Slack's Markdown is not documented as closely as its mrkdwn. The three characters are escaped in it as well, as
    `<@U1>` would ping; whether a bare `@here` can is not certain, so it is undone.
    """
    return escape(outside_code(text, _without_marks))


def _without_marks(part: str) -> str:
    part = re.sub(r"\](?=[(:\[])", "]" + JOINER, part)
    return re.sub(r"@(?=(?:here|channel|everyone)\b)", "@" + JOINER, part)
