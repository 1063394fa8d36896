"""Read JSON-lines files, gzipped or not: a bad line is named by its number, never fatal."""

import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.errors import BadFile

GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class BadLine:
    """A line that cannot be used: its number (from 1) and why."""

    number: int
    reason: str


def read_lines(path: Path) -> list[bytes]:
    """All lines of a file, unzipped when it is gzipped. Raises BadFile."""
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == GZIP_MAGIC
        with gzip.open(path) if zipped else path.open("rb") as file:
            return file.read().removeprefix(b"\xef\xbb\xbf").splitlines()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BadFile(f"{path} is a damaged gzip file ({error}): copy it again.") from error
    except OSError as error:
        raise BadFile(f"{path} cannot be read: {error.strerror or error}.") from error


def objects(lines: list[bytes]) -> Iterator[tuple[int, dict[str, object]] | BadLine]:
    """Each line's number and object, or a BadLine; empty lines are passed over."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield BadLine(number, f"it is not JSON ({error})")
            continue
        if not isinstance(value, dict):
            yield BadLine(number, "it is not a JSON object")
            continue
        yield number, value


def objects_with(path: Path, keys: Sequence[str]) -> list[dict[str, object]]:
    """Every object of a file. Raises BadFile naming the first line that is none, or has not all of these keys."""
    found = []
    for line in objects(read_lines(path)):
        if isinstance(line, BadLine):
            raise BadFile(f"{path}: line {line.number}: {line.reason}.")
        number, value = line
        missing = [key for key in keys if key not in value]
        if missing:
            raise BadFile(f'{path}: line {number} has no "{missing[0]}".')
        found.append(value)
    return found
