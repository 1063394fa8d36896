"""The same fact in other words that mean nothing: what it says can then only be known by reading it."""

import random
import re
from collections.abc import Callable
from functools import cache

from finetune.corpus.values import WORDS, invented_word

CONTENT = re.compile(r"(?<![{\w])[a-z]{4,}(?![\w}])")
FEW_WORDS = 5
ALL_WORDS = 0.4
"""Share in which every telling word is exchanged, not only up to FEW_WORDS."""


def reworded(fact: dict, rng: random.Random, vocabulary: tuple[str, ...]) -> dict:
    """The fact with words of its passage exchanged everywhere it says them."""
    exchange = exchanger(fact["passage"], rng, vocabulary)

    def exchanged(value: object) -> object:
        if isinstance(value, str):
            return exchange(value)
        if isinstance(value, list):
            return [exchanged(one) for one in value]
        if isinstance(value, dict):
            return {key: exchanged(one) for key, one in value.items()}
        return value

    return {key: exchanged(value) for key, value in fact.items()}


def exchanger(text: str, rng: random.Random, vocabulary: tuple[str, ...]) -> Callable[[str], str]:
    """A function that exchanges a few telling words of `text`, or all of them; one in three for an invented one."""
    words = sorted(set(telling_words(text)))
    count = len(words) if rng.random() < ALL_WORDS else min(len(words), rng.randint(1, FEW_WORDS))
    new = {
        word: invented_word(rng) if rng.random() < 0.33 else rng.choice(vocabulary) for word in rng.sample(words, count)
    }
    if not new:
        return str
    pattern = re.compile(r"(?<![{\w])(" + "|".join(new) + r")(?![\w}])", re.IGNORECASE)

    def said(found: re.Match[str]) -> str:
        word = new[found[0].lower()]
        return word.capitalize() if found[0][0].isupper() else word

    return lambda other: pattern.sub(said, other)


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
