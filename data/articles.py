"""An article that was written in Slack → a document of the help centre, found by the next search."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import cast

from sqlite_utils import Database

from data import store
from data.chunking import chunks_of
from data.knowledge import chunk_markdown
from data.models import AUDIENCES, Audience
from data.readers.page import Block


@dataclass(frozen=True)
class Article:
    """What a person wrote, and who looks after it. `stale_after` is the last day on which it holds."""

    title: str
    text: str
    audience: Audience = "internal"
    owner: str = ""
    stale_after: date | None = None


def put_article(
    db: Database, source: str, article: Article, *, url: str | None = None, blocks: Sequence[Block] | None = None
) -> None:
    """Store an article under this source's name, in the place of what stood there.

    `blocks` are its text where that was read from another form than Markdown.
    """
    text = article.text
    if blocks is None:
        chunks = chunk_markdown(text, title=article.title)
    else:
        text = "\n\n".join(block.text for block in blocks)
        chunks = chunks_of(blocks, title=article.title)
    sha256 = hashlib.sha256(f"{article.title}\n{text}".encode("utf-8", "surrogatepass")).hexdigest()
    stale_after = article.stale_after.isoformat() if article.stale_after else None
    with store.immediate(db):
        store.put_document(db, source=source, title=article.title, text=text, sha256=sha256, chunks=chunks)
        store.set_upkeep(db, source, article.owner or None, article.audience, stale_after, url=url)


def as_json(article: Article) -> dict[str, str | None]:
    """An article as a row keeps it."""
    return asdict(article) | {"stale_after": article.stale_after.isoformat() if article.stale_after else None}


def of_json(kept: Mapping[str, str | None]) -> Article:
    """An article as a row kept it."""
    stale_after, audience = kept["stale_after"], kept["audience"]
    return Article(
        title=kept["title"] or "",
        text=kept["text"] or "",
        audience=cast(Audience, audience) if audience in AUDIENCES else "internal",
        owner=kept["owner"] or "",
        stale_after=date.fromisoformat(stale_after) if stale_after else None,
    )
