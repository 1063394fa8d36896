"""Blocks → chunks: one per section, cut between blocks, never inside a table's row. Pure."""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise

from data.readers.page import Block
from data.store_knowledge import Chunk

WORDS = 120
"""A chunk's length: two of them leave a small model room for the thread, and 80 to 180 search about as well."""
CHARACTERS = 10 * WORDS
"""And its length where words are long, or not divided by spaces."""
WORD = re.compile(r"\S*\w\S*")
SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|(?<=[。\uff01\uff1f])")


def chunks_of(blocks: Sequence[Block], *, title: str) -> list[Chunk]:
    """One chunk per section, at most WORDS words; its title is the path of headings, from the document's on."""
    chunks: list[Chunk] = []
    for headings, section in groupby(blocks, key=lambda block: block.headings):
        # The first heading mostly repeats the document's title.
        path = headings if headings and headings[0].casefold() == title.casefold() else (title, *headings)
        chunks += [Chunk(" / ".join(filter(None, path)), piece) for piece in _pieces(list(section))]
    return chunks


def _pieces(section: Sequence[Block]) -> Iterator[str]:
    piece: list[Block] = []
    for part in (part for block in section for part in _cut(block)):
        if piece and not _fits([*piece, part]):
            # "Run this:" belongs to what follows it.
            introduces = len(piece) > 1 and piece[-1].text.endswith(":") and _fits([piece[-1], part])
            kept = [piece.pop()] if introduces else []
            yield _joined(piece)
            piece = kept
        piece.append(part)
    if piece:
        yield _joined(piece)


def _joined(blocks: Sequence[Block]) -> str:
    text = blocks[0].text
    for before, block in pairwise(blocks):
        text += ("\n" if before.kind == block.kind == "item" else "\n\n") + block.text
    return text


def _fits(blocks: Sequence[Block]) -> bool:
    return _short("\n".join(block.text for block in blocks))


def _short(text: str) -> bool:
    return len(text) <= CHARACTERS and len(WORD.findall(text)) <= WORDS


def _cut(block: Block) -> Iterator[Block]:
    if _short(block.text):
        yield block
        return
    lines = block.text.split("\n")
    if block.kind == "table":
        texts = _grouped(lines[2:], above=lines[:2], below=[])
    elif block.kind == "code":
        pieces = [piece for line in lines[1:-1] for piece in _cut_text(line)]
        texts = _grouped(pieces, above=lines[:1], below=lines[-1:])
    else:
        texts = _cut_text(block.text)
    for text in texts:
        yield Block(block.kind, text, block.headings)


def _grouped(lines: Sequence[str], *, above: list[str], below: list[str]) -> Iterator[str]:
    """Whole lines, as many as fit, with the same lines above and below each group."""
    group: list[str] = []
    for line in lines:
        if group and not _short("\n".join([*above, *group, line, *below])):
            yield "\n".join([*above, *group, *below])
            group = []
        group.append(line)
    yield "\n".join([*above, *group, *below])


def _cut_text(text: str) -> Iterator[str]:
    """Whole sentences, as many as fit; a longer one is cut between words, a longer word between characters."""
    if _short(text):
        yield text
        return
    part = ""
    for sentence in SENTENCE_END.split(text):
        if part and _short(f"{part} {sentence}"):
            part = f"{part} {sentence}"
            continue
        if part:
            yield part
        *whole, part = _cut_words(sentence) or [""]
        yield from whole
    if part:
        yield part


def _cut_words(sentence: str) -> list[str]:
    if _short(sentence):
        return [sentence]
    parts: list[list[str]] = [[]]
    length = 0
    for word in sentence.split():
        for piece in (word[n : n + CHARACTERS] for n in range(0, len(word), CHARACTERS)):
            if len(parts[-1]) == WORDS or length + len(piece) + 1 > CHARACTERS:
                parts.append([])
                length = 0
            parts[-1].append(piece)
            length += len(piece) + 1
    return [" ".join(words) for words in parts if words]
