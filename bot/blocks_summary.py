"""A summary → Block Kit: bold headings, and behind each line whose it is and a link to its message. Pure."""

from collections.abc import Iterable, Mapping

from bot.blocks import MESSAGE_LIMIT, SECTION_LIMIT, Message, clip, split
from bot.markdown import as_is, pieces, size
from bot.sections import Section, sections_of
from bot.slack import Json, escape

PIECE_LIMIT = 2500
"""Of one line; its link and its bullet need the rest of a section."""
SOURCE = "→\u00a0message"
"""What a link to a line's message says, on one line. Of the slanted arrow Slack makes an emoji."""
NAME_LIMIT = 40
"""Of the agent's name behind a line."""
EMPTY = "-"
"""Stands under a heading without lines."""
BLOCKS_PER_MESSAGE = 40
"""Of the 50 that Slack takes: notes and buttons follow."""


def summary_messages(text: str, links: Mapping[str, str], authors: Mapping[str, str]) -> list[Message]:
    """A summary as one or more messages; `links` maps a line to the address of its message.

    `authors` maps a line that an agent wrote into an earlier summary to the agent's name.

    Empty when the text is not in the form of sections: it is then shown as it is.
    """
    pages: list[list[str]] = [[]]
    for block in _blocks(sections_of(text), links, authors):
        page = pages[-1]
        if page and (len(page) == BLOCKS_PER_MESSAGE or sum(map(size, page)) + size(block) > MESSAGE_LIMIT):
            pages.append(page := [])
        page.append(block)
    tops = split(text, MESSAGE_LIMIT, escape)
    return [
        # The top-level text is what notifications and screen readers say.
        (escape(tops[min(number, len(tops) - 1)]), [_section(block) for block in page])
        for number, page in enumerate(pages)
        if page
    ]


def _blocks(sections: Iterable[Section], links: Mapping[str, str], authors: Mapping[str, str]) -> list[str]:
    """The mrkdwn of each block: a heading with as many of its lines as fit, the others in blocks after it."""
    found = []
    for section in sections:
        block = f"*{section.heading}*" if section.heading else ""
        for line in section.lines or (EMPTY,):
            bullet = bool(section.heading) and bool(section.lines)
            shown = _line(line, links.get(line), authors.get(line), bullet=bullet)
            for piece in shown:
                if block and size(block) + size(piece) + 1 > SECTION_LIMIT:
                    found.append(block)
                    block = ""
                block = f"{block}\n{piece}" if block else piece
        found.append(block)
    return found


def _line(line: str, link: str | None, author: str | None, *, bullet: bool) -> list[str]:
    *before, last = [piece.mrkdwn for piece in pieces(line, PIECE_LIMIT)]
    last += f"  (kept from {as_is(clip(author, NAME_LIMIT))}'s edit)" if author else ""
    shown = [*before, f"{last}  <{escape(link)}|{SOURCE}>" if link else last]
    return [f"• {shown[0]}" if bullet else shown[0], *shown[1:]]


def _section(text: str) -> Json:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}
