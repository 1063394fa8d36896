"""Which files are read, how large they may be, and by which reader."""

import gzip
import hashlib
import os
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from data.readers.docx import read_docx
from data.readers.faq import read_csv, read_jsonl
from data.readers.html import read_html
from data.readers.markdown import front_matter, read_markdown, upkeep_in
from data.readers.page import BadDocument, NothingSaid, Reading, Upkeep, name_set
from data.readers.pdf import read_pdf
from data.readers.text import decoded, is_rst, read_text


def _read_rst(text: str, *, name: str) -> Reading:
    # Nobody else waits for docutils to be imported, nor needs it.
    from data.readers.rst import read_rst

    return read_rst(text, name=name)


def _read_txt(text: str, *, name: str) -> Reading:
    return (_read_rst if is_rst(text) else read_text)(text, name=name)


TEXTS: dict[str, Callable[..., Reading]] = {
    ".md": read_markdown,
    ".markdown": read_markdown,
    ".mdx": read_markdown,
    ".rst": _read_rst,
    ".txt": _read_txt,
    ".html": read_html,
    ".htm": read_html,
    ".csv": read_csv,
    ".tsv": read_csv,
    ".jsonl": read_jsonl,
    ".jsonl.gz": read_jsonl,
}
PACKED: dict[str, Callable[..., Reading]] = {".pdf": read_pdf, ".docx": read_docx}
SUFFIXES = (*TEXTS, *PACKED)
PAGES = (".html", ".htm")
UNREAD = name_set("""
    .adoc .asciidoc .asc .org .textile .texi .texinfo .tex .wiki .mediawiki .pod .rtf .odt .doc .docm .pptx .ppt .odp
    .xlsx .xls .ods .epub .pages .dita
""")
"""Documents of kinds that no reader knows: an import says how many it passed over."""
SPHINX = "objects.inv"
"""Every site that Sphinx made has it, and beside it the sources and dresses of its pages and lists of what stands in
them."""
NO_PAGES_OF_SPHINX = frozenset({"_sources", "_static", "search.html", "genindex.html", "py-modindex.html"})
TEXT_LIMIT = 20_000_000
"""Bytes. A page of text has 3,000; parsing 20 MB takes a minute and a gigabyte."""
PACKED_LIMIT = 200_000_000
"""Bytes: most of a long manual is pictures, which are passed over."""
READERS_VERSION = 5
"""Part of each file's hash: when the readers cut differently, what was imported before is read again."""


def suffix_of(file: Path) -> str | None:
    """The suffix by which this file is read, or None."""
    name = file.name.lower()
    return next((suffix for suffix in sorted(SUFFIXES, key=len, reverse=True) if name.endswith(suffix)), None)


@dataclass(frozen=True)
class Below:
    """A folder's files that can be read, sorted, the links that lead out of it, with the reason, and how many documents
    of each kind that is not read."""

    files: list[Path]
    outside: dict[str, str]
    unread: dict[str, int]


def files_below(folder: Path) -> Below:
    """What an import reads in a folder.

    What is hidden is passed over, and what is no page of a site that Sphinx made; a link to a file in the folder is
    that file.
    """
    found: set[Path] = set()
    outside: dict[str, str] = {}
    unread: Counter[str] = Counter()
    for where, folders, names in os.walk(folder):
        passed_over = NO_PAGES_OF_SPHINX if SPHINX in names else frozenset[str]()
        folders[:] = [name for name in folders if not name.startswith(".") and name not in passed_over]
        names = [name for name in names if name not in passed_over]
        links = [name for name in folders if (Path(where) / name).is_symlink()]
        for name in [*links, *(name for name in names if not name.startswith("."))]:
            path = Path(where) / name
            if name not in links and suffix_of(path) is None:
                unread.update({path.suffix.lower()} & UNREAD)
                continue
            target = path.resolve()
            if not target.is_relative_to(folder):
                outside[str(path)] = "it is a link that leads out of the folder"
            elif target.is_file():
                found.add(target)
            elif name not in links:
                outside[str(path)] = "it is a link to nothing"
    return Below(sorted(found), outside, dict(unread.most_common()))


def content_of(file: Path) -> bytes:
    """A file's bytes, unpacked when it is gzipped. Raises BadDocument when there are too many of them."""
    suffix = suffix_of(file)
    limit = PACKED_LIMIT if suffix in PACKED else TEXT_LIMIT
    size = file.stat().st_size
    if size > limit:
        raise BadDocument(f"it has {size / 1e6:,.0f} MB, and at most {limit / 1e6:,.0f} MB are read: split it")
    if suffix != ".jsonl.gz":
        return file.read_bytes()
    try:
        with gzip.open(file) as packed:
            content = packed.read(limit + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BadDocument(f"it is a damaged gzip file ({error})") from error
    if len(content) > limit:
        raise BadDocument(f"it unpacks to more than {limit / 1e6:,.0f} MB: split it")
    return content


def hash_of(content: bytes) -> str:
    """What tells whether a file has to be read again."""
    return hashlib.sha256(f"{READERS_VERSION}\n".encode() + content).hexdigest()


def read(file: Path, content: bytes) -> Reading:
    """A file's title and blocks. Raises BadDocument, and NothingSaid where a readable file has no text."""
    suffix = suffix_of(file) or ""
    name = file.name[: -len(suffix)] if suffix else file.name
    if suffix in TEXTS and not content.strip():
        raise BadDocument("it is empty")
    try:
        if suffix in PACKED:
            reading = PACKED[suffix](content, name=name)
        else:
            reading = TEXTS[suffix](decoded(content, is_html=suffix in PAGES), name=name)
    except ModuleNotFoundError as error:
        raise BadDocument(f"reading it needs {error.name}: install nightshift[knowledge]") from error
    if not reading.blocks:
        # Of pages made of letters that is sure; a PDF may be a picture of them.
        raise (BadDocument if suffix in PACKED else NothingSaid)("there is no text in it")
    return reading


def own_upkeep(file: Path, content: bytes) -> Upkeep:
    """What a file says of its own owner, audience and stale date. Raises BadDocument."""
    if TEXTS.get(suffix_of(file) or "") is not read_markdown:
        return Upkeep()
    return upkeep_in(front_matter(decoded(content)))
