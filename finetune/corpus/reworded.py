"""The same fact in other words that mean nothing: what it says can then only be known by reading it."""

import random
import re
from functools import cache

from finetune.corpus.values import WORDS, invented_word

CONTENT = re.compile(r"(?<![{\w])[a-z]{4,}(?![\w}])")
MOST_WORDS = 5


def reworded(fact: dict, rng: random.Random, vocabulary: tuple[str, ...]) -> dict:
    """The fact with up to MOST_WORDS of its passage's words exchanged everywhere, half of them for invented ones."""
    words = sorted(set(telling_words(fact["passage"])))
    chosen = rng.sample(words, min(len(words), rng.randint(1, MOST_WORDS)))
    new = {word: rng.choice(vocabulary) if rng.random() < 0.5 else invented_word(rng) for word in chosen}
    if not new:
        return fact
    pattern = re.compile(r"(?<![{\w])(" + "|".join(new) + r")(?![\w}])", re.IGNORECASE)

    def said(found: re.Match[str]) -> str:
        word = new[found[0].lower()]
        return word.capitalize() if found[0][0].isupper() else word

    def exchanged(value: object) -> object:
        if isinstance(value, str):
            return pattern.sub(said, value)
        if isinstance(value, list):
            return [exchanged(one) for one in value]
        if isinstance(value, dict):
            return {key: exchanged(one) for key, one in value.items()}
        return value

    return {key: exchanged(value) for key, value in fact.items()}


def telling_words(text: str) -> list[str]:
    """The words of a text that say what it is about."""
    return [word for word in CONTENT.findall(text.lower()) if word not in WORDS["plain_words"]]


def sentences(passage: str) -> list[str]:
    """The sentences of a passage."""
    return [part for part in re.split(r"(?<=[.!?]) (?=[A-Z{])", passage) if part]


@cache
def vocabulary_of(passages: tuple[str, ...]) -> tuple[str, ...]:
    """Every telling word of these passages."""
    return tuple(sorted({word for passage in passages for word in telling_words(passage)}))
