"""What the exports of help desks have in common: bodies in HTML, quoted mail, and times to order by."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lxml import etree, html

from data.models import Speaker
from data.readers.html import read_fragment
from data.readers.page import BadDocument, Page

QUOTED = (
    "//*[contains(concat(' ', @class, ' '), ' gmail_quote ') or @id = 'appendonsend' or @id = 'divRplyFwdMsg']"
    " | //blockquote[@type = 'cite']"
    " | //*[contains(@class, 'signature')]"
)
"""An earlier mail that a mail program repeats below the new one, and what it signs with."""


class NotUsable(ValueError):
    """Why a record is not imported. It never leaves the import."""


@dataclass(frozen=True)
class Said:
    """One public message. `at` is its time as the export writes it, None where it has none."""

    speaker: Speaker
    text: str
    at: str | int | float | None
    name: object = None
    """Who wrote it, where the export says so."""


def html_text(body: str) -> str:
    """What a message in HTML says, as Markdown, without quoted mail and signature. Raises NotUsable."""
    if not body.strip():
        return ""
    try:
        root = html.fragment_fromstring(body, create_parent="div")
        for quoted in root.xpath(QUOTED):
            if quoted is not root and quoted.getparent() is not None:
                quoted.drop_tree()
        page = Page()
        read_fragment(etree.tostring(root, encoding="unicode"), page)
    except (etree.LxmlError, ValueError) as error:
        if isinstance(error, BadDocument):
            raise NotUsable(str(error)) from error
        raise NotUsable(f"a message is no HTML ({error})") from error
    text = ""
    for before, block in zip([None, *page.blocks], page.blocks, strict=False):
        near = before is not None and before.kind == block.kind == "item"
        text += ("" if before is None else "\n" if near else "\n\n") + block.text
    return text or " ".join("".join(root.itertext()).split())


def record(identity: str, said: Iterable[Said], *, closed_at: object, team: object) -> dict[str, Any]:
    """The conversation as `import-history` takes it, in the order of time where every message has one."""
    messages = [one for one in said if one.text.strip()]
    if len({type(one.at) for one in messages}) == 1 and messages[0].at is not None:
        messages = sorted(messages, key=lambda one: one.at)
    return {
        "id": identity,
        "turns": [{"role": one.speaker, "text": one.text.strip(), "name": one.name} for one in messages],
        "closed_at": closed_at,
        "team": str(team) if isinstance(team, (str, int)) else "",
    }
