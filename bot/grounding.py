"""What a model wrote as an answer → what of it may be shown: each sentence with the passage that says it. Pure.

A sentence that no passage bears out is struck. Where nothing is left, the passage itself is quoted. The text only
ever grows while it is written: a sentence is shown when it is whole and checked, and not before.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bot.harmless import without_false_citations
from data.code import without_code
from data.models import Passage
from data.sentences import finished, sentences_of, split_sentences
from data.store_connection import clean
from data.support import content_words, covered, plain, support_of

SHORT = 600
"""Characters of an answer that are shown at first; the rest is a click away."""
MOST_READ = 4 * SHORT
"""Characters of an unfinished answer that are read for what may be shown of it."""
QUOTE = 300
"""Characters of a passage that are quoted at most, in whole sentences."""
SHARED = 0.25
"""What the share of the question's words that a quote and its title have counts, where its cosine counts 1."""
OF_PASSAGE = 0.5
"""What the cosine of the quote's whole passage counts."""

Near = Callable[[Sequence[str]], Sequence[float]]

_CITED = re.compile(r"\[(\d+)\]")
_LEANS = re.compile(r"[ \t]+\S|(?:[2-9]|[1-9]\d+)[.)]\s|```|~~~|(?:This|These|That|Those|It|They|However|Also)\b")
"""What begins a piece that belongs to the one before it: a second step, what is part of a step, code, "This"."""
_END = re.compile(r"(?:[.!?…:]+[\"'\u201d\u2019)*_]*)?(\s*)\Z")


@dataclass(frozen=True)
class Grounded:
    """An answer whose every sentence names its passage. `struck` sentences are not in it."""

    text: str
    struck: int
    cited: frozenset[int]


def grounded(text: str, passages: Sequence[Passage], *, word_for_word: bool = False) -> Grounded:
    """The sentences of a whole answer that a passage bears out, each with its citation.

    `word_for_word`: only those that are a passage's own sentences. A model that cannot write strings the words of its
    passages together to what they never said, and by words alone that looks well founded.
    """
    return _grounded(split_sentences(clean(text).strip()), passages, word_for_word=word_for_word)


def settled(text: str, passages: Sequence[Passage], *, word_for_word: bool = False) -> str:
    """What may be shown of an answer that is still being written: the beginning of all that will be shown of it."""
    pieces = finished(clean(text[:MOST_READ]).lstrip())
    return short(_grounded(pieces, passages, word_for_word=word_for_word).text)


def short(text: str) -> str:
    """The first sentences of an answer, at least one and at most SHORT characters where there are more."""
    kept = ""
    for piece in split_sentences(text):
        if kept and len((kept + piece).rstrip()) > SHORT:
            break
        kept += piece
    return kept.rstrip()


def quoted(question: str, asked_before: str, passages: Sequence[Passage], near: Near | None = None) -> str:
    """The sentences of a passage that answer the question best, word for word, with its citation.

    As many as fit: what follows a sentence mostly belongs to it. `near` gives the cosines of texts to the question;
    without it, words alone say with which sentence to begin.
    """
    words = content_words(question) or content_words(asked_before)
    number, quote = _by_words(words, passages) if near is None else _by_meaning(words, passages, near)
    return _grounded(split_sentences(quote), passages, only=number).text


def texts_of(passages: Sequence[Passage]) -> list[str]:
    """What the check reads of passages: titles count."""
    return [_whole(passage) for passage in passages]


def citations(text: str) -> list[tuple[str, list[int]]]:
    """The sentences of a grounded answer, each with the passages that it names."""
    return [(sentence, _every(sentence)) for sentence in sentences_of(text)]


def _grounded(
    pieces: Sequence[str], passages: Sequence[Passage], *, only: int | None = None, word_for_word: bool = False
) -> Grounded:
    texts = texts_of(passages)
    sentences = [{_spoken(one) for one in split_sentences(p.text)} for p in passages] if word_for_word else []
    shown, struck, cited = "", 0, set()
    for piece in pieces:
        if not re.search(r"\w", piece):
            # A rule, or the line below a table's head: nothing is said with it.
            shown += piece if shown else ""
            continue
        if not re.search(r"\w", plain(piece)):
            continue
        named = [one for one in _every(piece) if 1 <= one <= len(passages)]
        if only is not None:
            by: int | None = only
        elif word_for_word:
            having = [number for number, own in enumerate(sentences, start=1) if _spoken(piece) in own]
            by = next((one for one in [*named, *having] if one in having), None)
        else:
            support = support_of(piece, texts, preferred=named[0] if named else None)
            by = support.passage if support.is_enough else None
        if by is None:
            struck += 1
            continue
        cited.add(by)
        shown += piece if only is None and named == [by] == _every(piece) else _with_citation(piece, by)
    return Grounded(shown.strip(), struck, frozenset(cited))


def _by_words(words: Sequence[str], passages: Sequence[Passage]) -> tuple[int, str]:
    """The passage that shares most with the question, from its sentence on that does."""
    number, passage = max(
        enumerate(passages, start=1), key=lambda one: covered(words, frozenset(content_words(_whole(one[1]))))
    )
    pieces = split_sentences(passage.text)
    # In its title a passage says what all its sentences are about.
    asked = [word for word in words if word not in content_words(passage.title)] or words
    shares = [covered(asked, frozenset(content_words(piece))) for piece in pieces]
    return number, _quote_from(pieces, shares.index(max(shares)))


def _by_meaning(words: Sequence[str], passages: Sequence[Passage], near: Near) -> tuple[int, str]:
    """The quote that comes nearest to the question, of all that passages have and that begin where something is said.

    Measured in docs/search.md on five projects' documentation: words alone chose fewer that held what was asked for.
    """
    quotes: list[tuple[int, str]] = []
    for number, passage in enumerate(passages, start=1):
        pieces = split_sentences(passage.text)
        said = [n for n, one in enumerate(pieces) if re.search(r"\w", one)]
        begun = dict.fromkeys(_beginning(pieces, n) for n in said)
        quotes += [(number, _quote_from(pieces, first)) for first in begun]
    quotes = [one for one in quotes if not _introduces(one[1])] or quotes
    texts = [f"{passages[number - 1].title}\n{quote}" for number, quote in quotes]
    scores = [
        cosine + SHARED * covered(words, frozenset(content_words(text))) + OF_PASSAGE * passages[number - 1].nearness
        for (number, _), text, cosine in zip(quotes, texts, near(texts), strict=True)
    ]
    return quotes[scores.index(max(scores))]


def _beginning(pieces: Sequence[str], piece: int) -> int:
    """Where what this piece says begins: with its paragraph, or with what introduces that, its first step, the
    sentence before its code; or with the piece itself, where it would not fit into the quote then."""
    paragraph = first = _paragraph(pieces, piece)
    while first > 0 and (_LEANS.match(pieces[first]) or _introduces(pieces[first - 1])):
        first = _paragraph(pieces, first - 1)
    room = SHORT if pieces[piece].startswith(("```", "~~~")) else QUOTE
    fits = (start for start in (first, paragraph) if len("".join(pieces[start : piece + 1]).rstrip()) <= room)
    return next(fits, piece)


def _paragraph(pieces: Sequence[str], piece: int) -> int:
    while piece > 0 and not pieces[piece - 1].endswith("\n"):
        piece -= 1
    return piece


def _quote_from(pieces: Sequence[str], first: int) -> str:
    kept = [*_table_head(pieces, first), pieces[first]]
    for piece in pieces[first + 1 :]:
        if len("".join(kept)) + len(piece.rstrip()) > (SHORT if _introduces(kept[-1]) else QUOTE):
            break
        kept.append(piece)
    while len(kept) > 1 and _introduces(kept[-1]):
        kept.pop()
    return "".join(kept).strip()


def _spoken(sentence: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\w+", plain(sentence).casefold()))


def _every(piece: str) -> list[int]:
    return [int(one) for one in _CITED.findall(without_code(piece))]


def _introduces(piece: str) -> bool:
    """Does it say nothing without what follows it, as "Run this:"?"""
    return piece.rstrip().endswith(":")


def _table_head(pieces: Sequence[str], row: int) -> Sequence[str]:
    """The head of the table in which this piece is a row, and the line below it; empty where it is none."""
    start = row
    while start >= 0 and pieces[start].lstrip().startswith("|"):
        start -= 1
    return pieces[start + 1 : min(start + 3, row)]


def _with_citation(piece: str, number: int) -> str:
    body, space = piece.rstrip(), piece[len(piece.rstrip()) :]
    if body.startswith(("```", "~~~")):
        return f"{body}\n[{number}]{space or chr(10)}"
    body = without_false_citations(body, 0).rstrip()
    if body.startswith("|") and body.endswith("|"):
        return f"{body[:-1].rstrip()} [{number}] |{space}"
    end = _END.search(body)
    at = end.start() if end else len(body)
    return f"{body[:at].rstrip()} [{number}]{body[at:]}{space}"


def _whole(passage: Passage) -> str:
    return f"{passage.title}\n{passage.text}"
