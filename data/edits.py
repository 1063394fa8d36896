"""How much an agent changed of a draft: nothing, a touch, a light edit, or a rewrite. Pure."""

import re
from typing import Literal

from rapidfuzz.distance import Levenshtein

Edit = Literal["none", "touch", "light", "rewrite"]

TOUCH = 0.1
"""Up to here an edit prefers nothing (finetuning.md: a real edit changes more than 10 %)."""
REWRITE = 0.5
"""From here on more of the text is new than old."""

LINK = re.compile(r"(?:https?://|www\.)\S+")
SIGNATURE = re.compile(
    r"(?:\n|(?<=[.!?]) )[ \t]*(?:best|kind|warm|many)?[ ]?(?:regards|wishes|best|thanks|thank you|cheers|sincerely|"
    r"yours(?: \w+)?|viele grüße|mit freundlichen grüßen|cordialement|saludos)[,.!]?(?:\s*\n[^\n]{1,60}){0,3}\s*\Z",
    re.IGNORECASE,
)
"""A closing formula at the end of a text, with up to three short lines below it."""


def distance(draft: str, text: str) -> float:
    """Levenshtein's distance of two texts over the longer one's length: 0 the same, 1 nothing in common.

    White space, links and signatures do not count.
    """
    return Levenshtein.normalized_distance(_substance(draft), _substance(text))


def edit_of(draft: str, text: str) -> Edit:
    """What became of a draft. Where only a signature or a link differs, that is a touch."""
    if draft.split() == text.split():
        return "none"
    changed = distance(draft, text)
    if changed <= TOUCH:
        return "touch"
    return "light" if changed < REWRITE else "rewrite"


def _substance(text: str) -> str:
    return " ".join(LINK.sub("", SIGNATURE.sub("", text)).split())
