"""A text → its sentences, each with the space after it. Pure.

Lines of lists and tables are sentences of their own, and so is a whole fence of code.
"""

import re
from collections.abc import Sequence

_FENCE = re.compile(r"(?ms)^ {0,3}(`{3,}|~{3,})[^\n]*\n.*?(?:^ {0,3}\1[ \t]*$|\Z)")
_SHORTENED = "".join(rf"(?<!\b{one}\.)" for one in (r"e\.g", r"i\.e", "etc", "vs", "No", "Mr", "Ms", "Dr", "St"))
_SHORTENED += "".join(rf"(?<!{start}{digits}\.)" for start in ("^", "\n", "\n ", "\n  ") for digits in (r"\d", r"\d\d"))
_STOP = "[.!?…]+[\"'\u201d\u2019)*\\]_]*"
_CITED = r"(?:[ \t]*\[\d+\])*"
_END = re.compile(
    rf"(?:{_STOP}{_SHORTENED}{_CITED}(?:[ \t]+|[ \t]*\n\s*)(?=\S)(?!\[\d+\])|[。\uff01\uff1f]{_CITED}|[ \t]*\n\s*)"
)


def split_sentences(text: str) -> list[str]:
    """The pieces of a text, in order: joined they are the text. A piece ends with the space after its sentence."""
    pieces: list[str] = []
    end = 0
    for fence in _FENCE.finditer(text):
        pieces += _prose(text[end : fence.start()])
        after = re.match(r"\s*", text[fence.end() :])
        end = fence.end() + (after.end() if after else 0)
        pieces.append(text[fence.start() : end])
    return [piece for piece in [*pieces, *_prose(text[end:])] if piece]


def sentences_of(text: str) -> list[str]:
    """The sentences of a text that have any words."""
    return [piece.strip() for piece in split_sentences(text) if re.search(r"\w", piece)]


def finished(text: str) -> list[str]:
    """The pieces of a text that is still being written which no further character can change."""
    pieces = split_sentences(text)[:-1]
    unfinished = text[sum(map(len, pieces)) :]
    # "Press it. [" may become the citation of what stands before it.
    return pieces[:-1] if unfinished.startswith("[") else pieces


def _prose(text: str) -> Sequence[str]:
    pieces, end = [], 0
    for found in _END.finditer(text):
        if found.end() <= end:
            continue
        pieces.append(text[end : found.end()])
        end = found.end()
    pieces.append(text[end:])
    return pieces
