"""Help-centre files → documents and chunks."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path

from sqlite_utils import Database
from tqdm import tqdm

from data import store
from data.chunking import chunks_of
from data.errors import BadFile
from data.models import Audience
from data.readers import files
from data.readers.markdown import read_markdown
from data.readers.page import BadDocument, NothingSaid, Upkeep
from data.readers.sitemap import file_of, pages_of
from data.store import Chunk, Source

log = logging.getLogger(__name__)

SITEMAP = "sitemap.xml"


@dataclass(frozen=True)
class Imported:
    """How many files were added, changed, left alone and taken out, and why others, or parts of them, failed.

    `without_text` names readable files that say nothing, such as a page of links, and `unread` counts the documents of
    kinds that are not read.
    """

    added: int
    changed: int
    unchanged: int
    removed: int
    failed: dict[str, str]
    without_text: list[str]
    unread: dict[str, int]


@dataclass
class _Wanted:
    """What was asked for: files, the addresses of those that a sitemap names, what is gone, and what fails already."""

    files: list[Path] = field(default_factory=list)
    addresses: dict[Path, str] = field(default_factory=dict)
    known: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    unread: Counter[str] = field(default_factory=Counter)


def import_knowledge(
    db: Database,
    paths: Sequence[Path],
    *,
    audience: Audience | None = None,
    owner: str | None = None,
    stale_after: date | int | None = None,
    progress: bool = False,
) -> Imported:
    """Store what the given files, folders and sitemaps hold.

    `audience` says who may read them, `owner` who answers for them, `stale_after` until when they hold: a date, or
    days after the import of what a file says. What a file's front matter says counts before that. Without both, a
    known file stays as it is, and a new one is internal.

    A file that did not change is left alone, one that did is replaced, one that has no text any more or is gone from an
    imported folder or sitemap is taken out, and one that cannot be read is named and skipped; what it said before
    stays. Raises BadFile when a path does not exist or holds nothing to import.
    """
    wanted = _Wanted()
    for path in paths:
        _want(db, path.resolve(), wanted)
    counts = dict.fromkeys(("added", "changed", "unchanged", "removed"), 0)
    given = Upkeep(owner, audience, stale_after)
    chosen = list(dict.fromkeys(wanted.files))
    without_text: list[str] = []
    for file in tqdm(chosen, unit="file", disable=None if progress else True):
        try:
            counts[_import_file(db, file, given, wanted)] += 1
        except NothingSaid:
            without_text.append(str(file))
        except (BadDocument, OSError) as error:
            wanted.failed[str(file)] = (error.strerror if isinstance(error, OSError) else None) or str(error)
    emptied = {source for source in without_text if store.source(db, source)}
    for source in set(wanted.known) - {str(file) for file in chosen} | emptied:
        store.remove_document(db, source)
        counts["removed"] += 1
    store.forget_uncited_chunks(db)
    return Imported(**counts, failed=wanted.failed, without_text=without_text, unread=dict(wanted.unread.most_common()))


def chunk_markdown(text: str, *, title: str) -> list[Chunk]:
    """The chunks of a Markdown text, as an import cuts it."""
    return chunks_of(read_markdown(text, name=title).blocks, title=title)


def _want(db: Database, path: Path, wanted: _Wanted) -> None:
    """Add what a given path stands for. Raises BadFile."""
    if path.is_file() and path.suffix.lower() == ".xml":
        try:
            pages, missing = pages_of(path)
        except BadDocument as error:
            raise BadFile(f"{path} cannot be imported: {error}.") from error
        if not pages:
            raise BadFile(f"{path} names no page that lies on disk beside it: put the site's files into {path.parent}.")
        wanted.files += [file for file in pages if files.suffix_of(file)]
        wanted.addresses |= pages
        wanted.failed |= missing
        wanted.failed |= {str(file): "it is of no known kind" for file in pages if not files.suffix_of(file)}
        # Other files in the folder may have been imported by themselves.
        wanted.known += [one for one in store.sources_below(db, path.parent) if Path(one).suffix.lower() in files.PAGES]
    elif path.is_file():
        if files.suffix_of(path) is None:
            kinds = ", ".join(files.SUFFIXES)
            raise BadFile(f"{path} cannot be imported: give a folder, a sitemap.xml or a file of these kinds: {kinds}.")
        wanted.files.append(path)
    elif path.is_dir():
        below = files.files_below(path)
        known = store.sources_below(db, path)
        if not below.files and not known:
            raise BadFile(f"There is no file to import in {path}: these kinds are known: {', '.join(files.SUFFIXES)}.")
        wanted.files += below.files
        wanted.failed |= below.outside
        wanted.unread.update(below.unread)
        wanted.known += known
        wanted.addresses |= _addresses_in(path)
    else:
        raise BadFile(f"{path} does not exist: give a folder or a file of the help centre.")


def _addresses_in(folder: Path) -> dict[Path, str]:
    """What a folder's sitemap says where its files stand on the web."""
    sitemap = file_of(SITEMAP, folder)
    if sitemap is None:
        return {}
    try:
        return pages_of(sitemap)[0]
    except BadDocument as error:
        log.warning("%s is not used: %s", sitemap, error)
        return {}


def _import_file(db: Database, file: Path, given: Upkeep, wanted: _Wanted) -> str:
    content = files.content_of(file)
    sha256 = files.hash_of(content)
    known = store.source(db, str(file))
    if known and known.sha256 == sha256:
        upkeep = _upkeep(files.own_upkeep(file, content), given, known, known.imported_at)
        url = wanted.addresses.get(file, known.url)
        if (known.owner, known.audience, known.stale_after, known.url) == (*upkeep, url):
            return "unchanged"
        store.set_upkeep(db, str(file), *upkeep, url=url)
        return "changed"
    reading = files.read(file, content)
    chunks = chunks_of(reading.blocks, title=reading.title)
    upkeep = _upkeep(reading.upkeep, given, known, store.now())
    text = "\n\n".join(block.text for block in reading.blocks)
    with store.immediate(db):
        store.put_document(db, source=str(file), title=reading.title, text=text, sha256=sha256, chunks=chunks)
        store.set_upkeep(db, str(file), *upkeep, url=wanted.addresses.get(file) or reading.url)
    wanted.failed |= {f"{file}, {part}": reason for part, reason in reading.faults.items()}
    return "changed" if known else "added"


def _upkeep(
    own: Upkeep, given: Upkeep, known: Source | None, imported_at: str
) -> tuple[str | None, Audience, str | None]:
    """Owner, audience and stale date: what the file says, else what was given, else what is known of it."""
    stale_after = given.stale_after if own.stale_after is None else own.stale_after
    if isinstance(stale_after, int):
        stale_after = datetime.fromisoformat(imported_at).date() + timedelta(days=stale_after)
    return (
        own.owner or given.owner or (known.owner if known else None),
        own.audience or given.audience or (known.audience if known else "internal"),
        stale_after.isoformat() if stale_after else known.stale_after if known else None,
    )
