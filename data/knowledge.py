"""Help-centre files → documents and chunks."""

import hashlib
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token
from sqlite_utils import Database
from tqdm import tqdm

from data import store
from data.errors import BadFile
from data.models import Audience
from data.store import Chunk

log = logging.getLogger(__name__)

SUFFIXES = (".md", ".txt")
WORDS = 120
"""A chunk's length: two of them leave a small model room for the thread, and 80 to 180 search about as well."""
FRONT_MATTER = re.compile(r"\A---\r?\n(.*?)\r?\n---\s*\n", re.DOTALL)
FRONT_TITLE = re.compile(r"^title:\s*[\"']?(.+?)[\"']?\s*$", re.MULTILINE)
SENTENCE_END = re.compile(r"(?<=[.!?…])\s+")
TAG = re.compile(r"<[^>]*>")


class BadDocument(ValueError):
    """Why one file is no document. It never leaves this file."""


markdown = MarkdownIt("commonmark").enable("table")


@dataclass(frozen=True)
class Imported:
    """How many files were added, changed, left alone and taken out, and why others failed."""

    added: int
    changed: int
    unchanged: int
    removed: int
    failed: dict[str, str]


def import_knowledge(
    db: Database, paths: Sequence[Path], *, audience: Audience | None = None, progress: bool = False
) -> Imported:
    """Store every .md and .txt file of the given files and folders.

    `audience`: who may read them. Without it, a new file is internal and a known one stays as it is.

    A file that did not change is left alone, one that did is replaced, one that is gone from an imported folder
    is taken out, and one that cannot be read is named and skipped. Raises BadFile when a path does not exist or
    holds nothing to import.
    """
    files = {path: _files(db, path) for path in paths}
    counts = dict.fromkeys(("added", "changed", "unchanged", "removed"), 0)
    failed: dict[str, str] = {}
    wanted = list(dict.fromkeys(file for found in files.values() for file in found))
    for file in tqdm(wanted, unit="file", disable=None if progress else True):
        try:
            counts[_import_file(db, file, audience)] += 1
        except (BadDocument, OSError) as error:
            reason = str(error)
            log.warning("%s skipped: %s", file, reason)
            failed[str(file)] = reason
    for path in paths:
        for source in store.sources_below(db, path.resolve()):
            if Path(source) not in wanted:
                store.remove_document(db, source)
                counts["removed"] += 1
    return Imported(**counts, failed=failed)


def chunk_markdown(text: str, *, title: str) -> list[Chunk]:
    """One chunk per section, at most WORDS words, cut between paragraphs; titled by the path of headings."""
    tokens = markdown.parse(FRONT_MATTER.sub("", text))
    chunks: list[Chunk] = []
    for headings, paragraphs in _sections(tokens):
        path = [heading for heading in headings if heading]
        # The first heading mostly repeats the document's title.
        names = path if path and path[0].casefold() == title.casefold() else [title, *path]
        chunks += [Chunk(" / ".join(filter(None, names)), piece) for piece in _pieces(paragraphs)]
    return chunks


def chunk_plain(text: str, *, title: str) -> list[Chunk]:
    """Chunks of a text without headings, cut between paragraphs."""
    paragraphs = [paragraph.strip() for paragraph in re.split(r"\n\s*\n", text) if paragraph.strip()]
    return [Chunk(title, piece) for piece in _pieces(paragraphs)]


def title_of(text: str, *, fallback: str) -> str:
    """A Markdown document's title: from its front matter, else its first level-one heading, else the fallback."""
    front = FRONT_MATTER.search(text)
    named = FRONT_TITLE.search(front.group(1)) if front else None
    if named:
        return named.group(1)
    tokens = markdown.parse(FRONT_MATTER.sub("", text))
    for token, inline in pairwise(tokens):
        if token.type == "heading_open" and token.tag == "h1":
            return _plain(inline) or fallback
    return fallback


def _import_file(db: Database, file: Path, audience: Audience | None) -> str:
    content = file.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    known = store.document_sha256(db, str(file))
    if known == sha256:
        if audience in (None, store.document_audience(db, str(file))):
            return "unchanged"
        store.set_audience(db, str(file), audience)
        return "changed"
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadDocument(f"it is not UTF-8 text (byte {error.start})") from error
    if file.suffix.lower() == ".md":
        title = title_of(text, fallback=file.stem)
        chunks = chunk_markdown(text, title=title)
    else:
        title = file.stem
        chunks = chunk_plain(text, title=title)
    if not chunks:
        raise BadDocument("there is no text in it")
    with store.immediate(db):
        store.put_document(db, source=str(file), title=title, text=text, sha256=sha256, chunks=chunks)
        if audience is not None:
            store.set_audience(db, str(file), audience)
    return "changed" if known else "added"


def _files(db: Database, path: Path) -> list[Path]:
    path = path.resolve()
    if path.is_file():
        if path.suffix.lower() not in SUFFIXES:
            raise BadFile(f"{path} cannot be imported: give a folder, or a file that ends in {' or '.join(SUFFIXES)}.")
        return [path]
    if not path.is_dir():
        raise BadFile(f"{path} does not exist: give a folder or a file of the help centre.")
    found = sorted(
        file
        for file in path.rglob("*")
        if file.suffix.lower() in SUFFIXES
        and file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
    )
    if not found and not store.sources_below(db, path):
        raise BadFile(f"There is no file that ends in {' or '.join(SUFFIXES)} in {path}.")
    return found


def _sections(tokens: Sequence[Token]) -> Iterator[tuple[list[str], list[str]]]:
    """The headings above each section, outermost first, and the section's paragraphs as plain text."""
    headings = [""] * 6
    paragraphs: list[str] = []
    in_heading = 0
    in_row: list[str] | None = None
    for token in tokens:
        if token.type == "heading_open":
            if paragraphs:
                yield list(headings), paragraphs
                paragraphs = []
            in_heading = int(token.tag[1])
        elif token.type == "heading_close":
            in_heading = 0
        elif token.type == "tr_open":
            in_row = []
        elif token.type == "tr_close" and in_row is not None:
            paragraphs.append(" | ".join(in_row))
            in_row = None
        elif token.type == "inline" and in_heading:
            headings[in_heading - 1 :] = [_plain(token), *[""] * (6 - in_heading)]
        elif token.type == "inline" and in_row is not None:
            in_row.append(_plain(token))
        else:
            text = _plain(token)
            if text:
                paragraphs.append(text)
    if paragraphs:
        yield list(headings), paragraphs


def _plain(token: Token) -> str:
    if token.type in ("fence", "code_block"):
        return token.content.strip()
    if token.type == "html_block":
        return " ".join(TAG.sub(" ", token.content).split())
    parts = []
    for child in token.children or []:
        if child.type in ("softbreak", "hardbreak"):
            parts.append(" ")
        elif child.type != "html_inline":
            parts.append(child.content)
    return "".join(parts).strip()


def _pieces(paragraphs: Sequence[str]) -> Iterator[str]:
    """Whole paragraphs up to WORDS words; a longer paragraph is cut between sentences, else between words."""
    piece: list[str] = []
    length = 0
    for part in (part for paragraph in paragraphs for part in _cut(paragraph)):
        words = len(part.split())
        if piece and length + words > WORDS:
            yield "\n".join(piece)
            piece, length = [], 0
        piece.append(part)
        length += words
    if piece:
        yield "\n".join(piece)


def _cut(paragraph: str) -> Iterator[str]:
    if len(paragraph.split()) <= WORDS:
        yield paragraph
        return
    part: list[str] = []
    for sentence in SENTENCE_END.split(paragraph):
        words = sentence.split()
        if part and len(part) + len(words) > WORDS:
            yield " ".join(part)
            part = []
        part += words
        while len(part) > WORDS:
            yield " ".join(part[:WORDS])
            part = part[WORDS:]
    if part:
        yield " ".join(part)
