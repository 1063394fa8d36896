"""Questions with their answers, as CSV or JSON lines → blocks: each question is the heading of its answer."""

import csv
import io
from collections.abc import Iterator, Mapping

from data.jsonlines import BadLine, objects
from data.readers.markdown import fill
from data.readers.page import BadDocument, Page, Reading

QUESTIONS = ("question", "title", "q", "frage", "pregunta")
ANSWERS = ("answer", "text", "body", "content", "a", "antwort", "respuesta")
LONGEST_FIELD = 1_000_000


def read_csv(text: str, *, name: str) -> Reading:
    """A table with a column for questions and one for answers; commas, semicolons or tabs between them."""
    csv.field_size_limit(LONGEST_FIELD)
    try:
        dialect = csv.Sniffer().sniff(text[:20_000].partition("\n")[0], delimiters=",;\t")
    except csv.Error:
        dialect = csv.excel
    try:
        rows = csv.DictReader(io.StringIO(text, newline=""), dialect=_quoted_as_usual(dialect.delimiter))
        numbered = [(rows.line_num, row) for row in rows]
    except csv.Error as error:
        raise BadDocument(f"it is not CSV ({error})") from error
    columns = [str(column).strip().casefold() for column in rows.fieldnames or []]
    for needed, known in (("questions", QUESTIONS), ("answers", ANSWERS)):
        if not set(known) & set(columns):
            raise BadDocument(f"it has no column of {needed} (named {' or '.join(known[:2])})")
    return _read(numbered, {}, name=name)


def read_jsonl(text: str, *, name: str) -> Reading:
    """One object per line with a question and an answer (or a title and a text)."""
    numbered: list[tuple[int, Mapping[str, object]]] = []
    faults: dict[str, str] = {}
    for line in objects(text.encode("utf-8", "replace").splitlines()):
        if isinstance(line, BadLine):
            faults[f"line {line.number}"] = line.reason
        else:
            numbered.append(line)
    return _read(numbered, faults, name=name)


def _read(rows: list[tuple[int, Mapping[str, object]]], faults: dict[str, str], *, name: str) -> Reading:
    page = Page()
    for number, row in rows:
        values = {str(key).strip().casefold(): value for key, value in row.items()}
        question, answer = (next(_texts(values, known), "") for known in (QUESTIONS, ANSWERS))
        missing = "question" if not question else "answer" if not answer else None
        if missing:
            faults[f"line {number}"] = f"it has no {missing}"
            continue
        page.heading(1, " ".join(question.split()))
        fill(page, answer)
    return Reading(name, page.blocks, faults=faults)


def _texts(values: Mapping[str, object], names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        value = values.get(name)
        if isinstance(value, (str, int, float)) and str(value).strip():
            yield str(value).strip()


def _quoted_as_usual(delimiter: str) -> type[csv.Dialect]:
    """Quotes are doubled within quotes, whatever a guess from one line says."""
    return type("Divided", (csv.excel,), {"delimiter": delimiter})
