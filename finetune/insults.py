"""Which texts insult those whom they are written to? By a linear model of rated English texts. Pure, offline."""

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from data.code import without_code
from data.sentences import sentences_of

WINDOW = 8
"""Words of a sentence that are judged together: in a whole reply one insult is outweighed by what stands around it."""
SURE = 0.9
"""Of 10,170 replies of STAR two are above it, "lol idiot" and "God damn right it is.", of 1,105 of DSTC11-T5 none, and
of 15,000 paragraphs of AWS's documentation two, on what was shut down."""


def insulting(texts: Sequence[str]) -> list[bool]:
    """Whether, of each text, any eight words of a sentence in a row are most likely offensive. Code is not judged."""
    parts = [
        (place, part)
        for place, text in enumerate(texts)
        for sentence in sentences_of(without_code(text))
        for part in _windows(sentence.split())
    ]
    scores = _judge()([part for _, part in parts]) if parts else ()
    found = {place for (place, _), score in zip(parts, scores, strict=True) if score >= SURE}
    return [place in found for place in range(len(texts))]


def _windows(words: Sequence[str]) -> list[str]:
    starts = range(0, max(1, len(words) - WINDOW // 2), WINDOW // 2)
    return [" ".join(words[at : at + WINDOW]) for at in starts]


@cache
def _judge() -> Callable[[Sequence[str]], np.ndarray]:
    # Here, since scikit-learn takes two seconds to import.
    from profanity_check import predict_prob

    return predict_prob
