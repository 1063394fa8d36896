"""Free text → an FTS5 query. Pure: whatever a customer types is searched for, never parsed as syntax."""

import re
from collections.abc import Sequence

WORD = re.compile(r"\w+", re.UNICODE)

STOP_WORDS = frozenset(
    WORD.findall(
        "a about after all also am an and any are as at be because been but by can could did do does doing for "
        "from get got had has have he hello help hey hi her here him his how i if in into is it its just like me "
        "my need no not of off on or our out please she should so some such than thank thanks that the their them "
        "then there these they this those to too up us was we were what when where which while who why will with "
        "would yes you your customer agent conversation s t m ve re ll d "
    )
)


def terms(text: str, *, limit: int = 48) -> list[str]:
    """The words worth searching for, each once, in order. When nothing but stop words is there, those."""
    words = list(dict.fromkeys(word.lower() for word in WORD.findall(text)))
    telling = [word for word in words if word not in STOP_WORDS]
    return (telling or words)[:limit]


def any_of(text: str, *, limit: int = 48) -> str:
    """An FTS5 query that matches any of the text's words; an empty string when it has none."""
    return any_of_words(terms(text, limit=limit))


def any_of_words(words: Sequence[str]) -> str:
    """An FTS5 query that matches any of these words."""
    return " OR ".join(f'"{word}"' for word in words)
