"""What is left out of training, pair by pair: each rule says why. Pure, offline. What is held out is not filtered."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache

from py3langid.langid import MODEL_DIR, MODEL_FILE, LanguageIdentifier

from data.masking import PLACEHOLDER, tells_what_nobody_asked
from data.models import Pair
from data.prompts import asked_thread
from finetune.near_duplicates import Index
from finetune.offensive import offensive

FEWEST_WORDS, MOST_CHARACTERS = 2, 6000
"""A target of one word says nothing of a team's manner; a longer one than a page is a pasted document."""
FEWEST_LETTERS, SURE = 40, 0.95
"""Of shorter texts the language is not told apart, nor where the guess is less sure."""
LEAST_REPEATS, REPEATED_SHARE = 20, 0.02
"""A target may be repeated so often, or in so great a share of the pairs, whichever is more."""
LETTER = re.compile(r"[^\W\d_]")


def unusable(pairs: Sequence[Pair]) -> list[str | None]:
    """Of each pair why it teaches nothing, or nothing good, by itself; None when it may be learned from."""
    rude = offensive([pair.target for pair in pairs])
    return ["in offensive language" if bad else _unusable(pair) for pair, bad in zip(pairs, rude, strict=True)]


def _unusable(pair: Pair) -> str | None:
    if len(pair.target.split()) < FEWEST_WORDS:
        return "too short"
    if len(pair.target) > MOST_CHARACTERS:
        return "too long"
    if tells_what_nobody_asked(pair):
        return "tells personal data that its prompt does not"
    if speaks_another_language(pair):
        return "in another language than asked in"
    return None


def speaks_another_language(pair: Pair) -> bool:
    """Is the target in another language than what it answers, though the prompt wishes for none?"""
    if "Write in " in pair.messages[0]["content"]:
        return False
    asked, answered = language_of(_said(asked_thread(pair.messages))), language_of(pair.target)
    return None not in (asked, answered) and asked != answered


def language_of(text: str) -> str | None:
    """The ISO 639-1 code of a text's language, None where it is too short or not clear."""
    plain = PLACEHOLDER.sub("", text)
    if len(LETTER.findall(plain)) < FEWEST_LETTERS:
        return None
    language, confidence = _identifier().classify(plain)
    return language if confidence >= SURE else None


def without_templates(pairs: Sequence[Pair]) -> tuple[list[Pair], int]:
    """The pairs, heaviest and newest first, with no target repeated too often; and how many were left out.

    An order number in it makes another target: that the model copies it is what is to be learned.
    """
    most = max(LEAST_REPEATS, int(REPEATED_SHARE * len(pairs)))
    seen: Counter[str] = Counter()
    kept = []
    for pair in pairs:
        template = " ".join(pair.target.casefold().split())
        seen[template] += 1
        if seen[template] <= most:
            kept.append(pair)
    return kept, len(pairs) - len(kept)


def without_near_duplicates(pairs: Iterable[Pair]) -> tuple[list[Pair], int]:
    """The pairs, heaviest and newest first, without those that nearly repeat one of another thread; and their number.

    Within a thread each prompt holds the one before, and is no repetition.
    """
    index, kept, dropped = Index(), [], 0
    for pair in pairs:
        text = f"{asked_thread(pair.messages)}\n{pair.target}"
        if index.near(text, but=pair.thread_id) is not None:
            dropped += 1
            continue
        index.add(text, group=pair.thread_id)
        kept.append(pair)
    return kept, dropped


def near_prompts(pairs: Iterable[Pair], others: Iterable[Pair]) -> set[str]:
    """The ids of the pairs whose prompt repeats, or nearly repeats, that of one of the others."""
    index = Index()
    for other in others:
        index.add(prompt_key(other))
    return {pair.id for pair in pairs if index.near(prompt_key(pair)) is not None}


def prompt_key(pair: Pair) -> str:
    """What a pair asks, without case, spacing, examples and passages: pairs with the same key are the same question."""
    return f"{pair.task} {' '.join(asked_thread(pair.messages).lower().split())}"


def _said(thread: str) -> str:
    """What customers say in a prompt's thread, without the names of the speakers."""
    said = [line.split(": ", 1)[1] for line in thread.split("\n") if line.startswith(("Customer: ", "Question: "))]
    return " ".join(said) or thread


@cache
def _identifier() -> LanguageIdentifier:
    return LanguageIdentifier.from_modelpath(MODEL_DIR / MODEL_FILE, norm_probs=True)
