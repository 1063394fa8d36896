"""What a mention of the bot in a thread asks for when it is no question: the next reply, or a summary. Pure."""

import re

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


def task_of(text: str) -> Task | None:
    """What this text, said to the bot in a thread, asks for; None for a question. Saying nothing asks for a draft."""
    said = _POLITE.sub("", " ".join(text.casefold().strip(" \t\n.,:;!?").split()))
    if not said:
        return "reply"
    return next((task for pattern, task in _SAID if pattern.fullmatch(said)), None)
