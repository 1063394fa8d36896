"""Which texts are offensive: rude, coarse or insulting? By a linear model of rated English texts. Pure, offline."""

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from data.code import without_code
from data.sentences import sentences_of

WINDOW = 8
"""Words of a sentence that are judged together: in a whole reply what stands around one such word outweighs it."""
SURE = 0.9
"""Above it are two of 10,170 replies of STAR, both rightly, none of 1,105 of DSTC11-T5, and two of 15,000 paragraphs of
AWS's documentation, on what was shut down."""


def offensive(texts: Sequence[str]) -> list[bool]:
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
