"""PDF → blocks (pdfplumber reads it): a PDF has no structure, so letter sizes, fonts and ruled lines stand for it."""

import io
import logging
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

from data.readers.page import BadDocument, Page, Reading

if TYPE_CHECKING:
    from pdfminer.layout import LTChar, LTTextLine
    from pdfplumber.page import Page as PdfPage

HEADING_SIZE = 1.12
"""Letters this much larger than most are a heading."""
HEADING_WORDS = 18
MARGIN = 0.08
"""Of a page's height: what stands there on half of the pages is no part of the text."""
FEWEST_PAGES = 3
BULLET = re.compile(r"(?:[·∙*\u2013-]\s+|(?:[•◦▪●‣]|\(cid:\d+\))\s*)(?=\S)")
LONE_MARKER = re.compile(r"[•◦▪●‣∙·*\u2013-]|\(cid:\d+\)|\d{1,3}[.)]")
UNTITLED = ("untitled", "(anonymous)")
LETTER = 0.6
"""A letter's width in fonts whose letters are all as wide, as a share of its height."""
NAMELESS = re.compile(r"\(cid:\d+\)")
"""A letter of which the PDF does not say what it is: at a line's start mostly a bullet."""
NUMBER = re.compile(r"\d{1,3}[.)]\s+(?=\S)")
MONOSPACED = re.compile(r"courier|mono|consol|menlo|typewriter|cmtt", re.IGNORECASE)
CONTENTS = re.compile(r"(?:\.\s?){6,}\s*\w*\Z")
"""A line of a table of contents, which answers nothing."""
BOLD = re.compile(r"bold|black|heavy|semibold", re.IGNORECASE)


@dataclass(frozen=True)
class Line:
    """One line of letters, and where it stands: in shares of the page's width and height, from its upper left."""

    text: str
    left: float
    right: float
    top: float
    bottom: float
    size: float
    letter: float
    is_bold: bool
    is_code: bool


Table = list[list[str]]


def read_pdf(content: bytes, *, name: str) -> Reading:
    """A PDF's text. Its title is the largest heading of its first page, else the one in its properties, else the name.

    Raises BadDocument, also when it is protected or has only pictures.
    """
    # Here, since only an import needs it: who searches does without.
    import pdfplumber
    from pdfminer.pdfdocument import PDFPasswordIncorrect

    # It tells about odd colours and fonts, which are no matter of ours.
    logging.getLogger("pdfminer").setLevel(logging.ERROR)
    try:
        with pdfplumber.open(io.BytesIO(content), laparams={}) as pdf:
            titled = str(pdf.metadata.get("Title") or "").strip()
            titled = "" if titled.casefold() in UNTITLED else titled
            has_pictures, pages, monospaced = False, [], set()
            for page in pdf.pages:
                has_pictures = has_pictures or bool(page.images)
                pages.append(_page(page, monospaced))
                page.close()
    # What a parser meets in a damaged file is of any kind.
    except Exception as error:
        if isinstance(error, PDFPasswordIncorrect) or isinstance((error.args or [None])[0], PDFPasswordIncorrect):
            raise BadDocument("it is protected by a password") from error
        raise BadDocument(f"it is no PDF, or damaged ({type(error).__name__})") from error
    parts = _without_margins(pages)
    if not parts:
        reason = "it has only pictures and no text: let a program read it first (OCR)" if has_pictures else None
        raise BadDocument(reason or "there is no text in it")
    page = Page()
    _fill(page, parts)
    return Reading(_title(parts) or titled or name, page.blocks)


def _title(parts: Sequence[Line | Table]) -> str:
    """The largest line, where it is the first, and the only one so large (or the first of several in a row)."""
    lines = [part for part in parts if isinstance(part, Line)]
    usual = _usual_size(lines)
    largest = max((line.size for line in lines), default=0.0)
    places = [n for n, line in enumerate(lines) if line.size == largest]
    if (
        not lines
        or largest <= HEADING_SIZE * usual
        or places != list(range(places[0], places[-1] + 1))
        or places[0] > 3
    ):
        return ""
    return " ".join(lines[n].text for n in places)


def _usual_size(lines: Sequence[Line]) -> float:
    letters: Counter[float] = Counter()
    for line in lines:
        letters[line.size] += len(line.text)
    return letters.most_common(1)[0][0] if letters else 0.0


def _page(page: "PdfPage", monospaced: set[str]) -> list[Line | Table]:
    """The lines of one page in reading order, each table before the first line below it.

    Adds to the fonts that are known to be code's.
    """
    from pdfminer.layout import LTTextBox

    height = float(page.height) or 1.0
    tables = [(table.bbox, table.extract()) for table in page.find_tables()]
    # One row or one column is a frame around text.
    tables = [(box, rows) for box, rows in tables if len(rows) > 1 and max(map(len, rows)) > 1]
    written = [line for box in page.layout if isinstance(box, LTTextBox) for line in box]
    monospaced |= {_font(letters) for letters in map(_letters, written) if letters and _are_all_as_wide(letters)}
    found = (_line(one, float(page.width), height, monospaced) for one in written)
    lines = [line for line in found if line]
    lines = [line for line in lines if not any(_is_in(line, page, table) for table, _ in tables)]
    lines = _in_columns(_with_markers(lines))
    parts: list[Line | Table] = list(lines)
    for (left, top, right, _), rows in sorted(tables, key=lambda table: table[0][1]):
        left, right, top = left / float(page.width), right / float(page.width), top / height
        below = (
            n
            for n, part in enumerate(parts)
            # In the other of two columns, it comes before the table or after it whatever its height.
            if isinstance(part, Line) and part.top > top and not (part.right < 0.5 < left or right < 0.5 < part.left)
        )
        parts.insert(next(below, len(parts)), [[cell or "" for cell in row] for row in rows])
    return parts


def _line(written: "LTTextLine", width: float, height: float, monospaced: set[str]) -> Line | None:
    letters = _letters(written)
    if not letters or not written.get_text().strip() or CONTENTS.search(written.get_text().rstrip()):
        return None
    font = _font(letters)
    is_code = font in monospaced or bool(MONOSPACED.search(font))
    size = Counter(round(letter.size, 1) for letter in letters).most_common(1)[0][0]
    return Line(
        text=written.get_text().rstrip() if is_code else " ".join(written.get_text().split()),
        left=written.x0 / width,
        right=written.x1 / width,
        top=1 - written.y1 / height,
        bottom=1 - written.y0 / height,
        size=size,
        letter=LETTER * size / width,
        is_bold=bool(BOLD.search(font)),
        is_code=is_code,
    )


def _letters(written: "LTTextLine") -> "list[LTChar]":
    from pdfminer.layout import LTChar

    return [letter for letter in written if isinstance(letter, LTChar)]


def _font(letters: "Sequence[LTChar]") -> str:
    return Counter(letter.fontname for letter in letters).most_common(1)[0][0]


def _are_all_as_wide(letters: "Sequence[LTChar]") -> bool:
    """Are an i and an m as wide here? Then it is code, whatever the font is called."""
    latin = [letter for letter in letters if letter.get_text().isascii() and letter.get_text().isalpha()]
    different = {letter.get_text() for letter in latin}
    return len(different) > 4 and len({round(letter.width / letter.size, 2) for letter in latin}) == 1


def _is_in(line: Line, page: "PdfPage", table: tuple[float, float, float, float]) -> bool:
    left, top, right, bottom = table
    x, y = float(page.width) * (line.left + line.right) / 2, float(page.height) * (line.top + line.bottom) / 2
    return left <= x <= right and top <= y <= bottom


def _with_markers(lines: Sequence[Line]) -> list[Line]:
    """The lines, with each bullet or number that stands by itself before the line beside it."""
    made = list(lines)
    for marker in (line for line in lines if LONE_MARKER.fullmatch(line.text)):
        height = marker.bottom - marker.top
        beside = [
            line
            for line in made
            if line.left >= marker.right and abs(line.top - marker.top) < height / 2 and line is not marker
        ]
        if beside:
            nearest = min(beside, key=lambda line: line.left)
            made[made.index(nearest)] = replace(nearest, text=f"{marker.text} {nearest.text}")
            made.remove(marker)
    return made


def _in_columns(lines: Sequence[Line]) -> list[Line]:
    """From above to below; between lines that cross the middle of the page, its left half before its right one."""
    ordered: list[Line] = []
    halves: tuple[list[Line], list[Line]] = ([], [])
    for line in sorted(lines, key=lambda line: (line.top, line.left)):
        if line.left < 0.5 < line.right:
            ordered += [*halves[0], *halves[1], line]
            halves = ([], [])
        else:
            halves[line.left >= 0.5].append(line)
    return [*ordered, *halves[0], *halves[1]]


def _without_margins(pages: Sequence[list[Line | Table]]) -> list[Line | Table]:
    """All parts, without the lines at the top and the bottom that come again on every second page."""
    seen: Counter[str] = Counter()
    for page in pages:
        seen.update({_pattern(part.text) for part in page if isinstance(part, Line) and _in_margin(part)})
    often = max(FEWEST_PAGES, len(pages) / 2)
    return [
        part
        for page in pages
        for part in page
        if not (isinstance(part, Line) and _in_margin(part) and seen[_pattern(part.text)] >= often)
    ]


def _in_margin(line: Line) -> bool:
    return line.bottom < MARGIN or line.top > 1 - MARGIN


def _pattern(text: str) -> str:
    """Page numbers differ, and are the same line."""
    return re.sub(r"\d+", "0", text)


def _fill(page: Page, parts: Sequence[Line | Table]) -> None:
    lines = [part for part in parts if isinstance(part, Line)]
    usual = _usual_size(lines)
    levels = {size: n for n, size in enumerate(sorted({one.size for one in lines if _is_large(one, usual)})[::-1], 1)}
    for kind, group in groupby(parts, key=lambda part: _kind(part, usual)):
        if kind == "table":
            for table in group:
                page.table(table)
        elif kind == "code":
            page.code(_indented(list(group)))
        elif kind == "heading":
            for size, same in groupby(group, key=lambda line: line.size):
                for heading in _paragraphs(list(same)):
                    page.heading(levels.get(size, len(levels) + 1), " ".join(line.text for line in heading))
        else:
            for paragraph in _paragraphs(list(group)):
                _add(page, paragraph)


def _kind(part: Line | Table, usual: float) -> str:
    if isinstance(part, list):
        return "table"
    if part.is_code:
        return "code"
    few = len(part.text.split()) <= HEADING_WORDS
    ends = part.text.rstrip().endswith((".", ",", ";", ":"))
    if few and (_is_large(part, usual) or (part.is_bold and part.size >= usual and not ends)):
        return "heading"
    return "text"


def _is_large(line: Line, usual: float) -> bool:
    return line.size > HEADING_SIZE * usual


def _paragraphs(lines: Sequence[Line]) -> Iterator[list[Line]]:
    """Lines that stand close together; a bullet or a number begins a new one."""
    paragraph: list[Line] = []
    for line in lines:
        before = paragraph[-1] if paragraph else None
        if before and (BULLET.match(line.text) or NUMBER.match(line.text) or not _goes_on(before, line)):
            yield paragraph
            paragraph = []
        paragraph.append(line)
    if paragraph:
        yield paragraph


def _goes_on(before: Line, line: Line) -> bool:
    """On the next line, or, in the middle of a sentence, in the next column or on the next page."""
    gap = line.top - before.bottom
    if line.top >= before.top:
        return gap < 0.7 * (before.bottom - before.top)
    return line.text[:1].islower()


def _add(page: Page, lines: Sequence[Line]) -> None:
    text = lines[0].text
    for line in lines[1:]:
        # A hyphen at a line's end divides a word.
        divided = text.endswith("-") and line.text[:1].islower()
        text = text[:-1] + line.text if divided else f"{text} {line.text}"
    marker = NUMBER.match(text) or BULLET.match(text)
    if not marker:
        page.text(NAMELESS.sub("", text))
        return
    page.open_item(f"{marker[0].strip()[:-1]}. " if NUMBER.match(text) else "- ")
    page.text(NAMELESS.sub("", text[marker.end() :]))
    page.close_item()


def _indented(lines: Sequence[Line]) -> str:
    """Code with each piece in the column where it stands, since all letters are as wide."""
    left = min(line.left for line in lines)
    rows: list[str] = []
    before: Line | None = None
    for line in lines:
        column = round((line.left - left) / line.letter)
        if before and abs(line.top - before.top) < (before.bottom - before.top) / 2:
            rows[-1] = f"{rows[-1]} ".ljust(column) + line.text
        else:
            rows.append(" " * column + line.text)
        before = line
    return "\n".join(rows)
