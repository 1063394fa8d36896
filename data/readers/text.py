"""Bytes → text in whatever encoding they are, within limits; and files that are nothing but text."""

import codecs
import re
from itertools import pairwise

from charset_normalizer import from_bytes

from data.readers.page import BadDocument, Page, Reading

BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
DECLARED = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w-]+)", re.IGNORECASE)
DECLARED_WITHIN = 4096
WRAPPED = 50
"""Characters of a paragraph's longest line from which on its lines may have been broken to fit a width."""
ITEM = re.compile(r"\s*(?:[-*+•]|\d{1,3}[.)])\s")
RST = re.compile(r"^\.\. (?:_[^:\n]+:|[\w:-]+::)", re.MULTILINE)
"""A target or a directive of reStructuredText."""
COLUMNS = re.compile(r"\S\s{3,}\S|\|")


def decoded(content: bytes, *, is_html: bool = False) -> str:
    """The text: by its byte order mark, as UTF-8, by what the page declares, else as it reads best.

    Raises BadDocument when it reads as text in no encoding.
    """
    for mark, encoding in BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return _by(content, encoding)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        declared = DECLARED.search(content[:DECLARED_WITHIN]) if is_html else None
        if declared:
            return _by(content, declared[1].decode("ascii"))
        found = from_bytes(content).best()
        if found is None:
            raise BadDocument("it is text in no encoding that is known") from None
        text = str(found)
    if "\x00" in text:
        raise BadDocument("it is no text, but binary data")
    return text


def read_text(text: str, *, name: str) -> Reading:
    """Paragraphs, as blank lines divide them; the title is the name."""
    page = Page()
    for paragraph in re.split(r"\n\s*\n", text.replace("\r\n", "\n")):
        page.text(_unwrapped(paragraph))
    return Reading(name, page.blocks)


def is_rst(text: str) -> bool:
    """Is it reStructuredText? Some projects call that `.txt`."""
    return RST.search(text) is not None


def _unwrapped(paragraph: str) -> str:
    """The paragraph without the breaks within its sentences: those where the next word would not have fitted."""
    lines = [line.rstrip() for line in paragraph.split("\n")]
    width = max(map(len, lines))
    made = lines[0]
    for before, line in pairwise(lines):
        word = re.match(r"\s*(\S+)", line)
        is_wrapped = width >= WRAPPED and word is not None and len(before) + 1 + len(word[1]) > width
        goes_on = is_wrapped and not ITEM.match(line) and not COLUMNS.search(before) and not COLUMNS.search(line)
        made += f" {line.strip()}" if goes_on else f"\n{line}"
    return made


def _by(content: bytes, encoding: str) -> str:
    try:
        # A page's maker calls Latin-1 what every browser reads as Windows-1252.
        known = "cp1252" if codecs.lookup(encoding).name == "iso8859-1" else encoding
        return content.decode(known, "replace" if known == "cp1252" else "strict")
    except (LookupError, UnicodeDecodeError) as error:
        raise BadDocument(f"it says that it is {encoding}, and is not") from error
