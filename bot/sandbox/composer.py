"""What a person types into Slack's message box → the rich_text block that Slack's client sends with it. Pure."""

import re
import secrets
from collections.abc import Iterator

from bot.sandbox.events import ENTITY
from bot.sandbox.workspace import Json

STYLED = re.compile(
    r"`(?P<code>[^`\n]+)`|(?<!\w)\*(?=\S)(?P<bold>[^*\n]+)(?<=\S)\*(?!\w)"
    r"|(?<!\w)_(?=\S)(?P<italic>[^_\n]+)(?<=\S)_(?!\w)|(?<!\w)~(?=\S)(?P<strike>[^~\n]+)(?<=\S)~(?!\w)"
)
ITEM = re.compile(r"(?P<indent> *)(?:(?P<bullet>[-•*])|(?P<number>\d+)\.) (?P<text>.*)")
EMOJI = re.compile(r":(?P<name>[a-z0-9_+-]*[a-z][a-z0-9_+-]*|\+1|-1):")
UNICODE = {"smile": "1f604", "tada": "1f389", "+1": "1f44d", "-1": "1f44e", "heart": "2764-fe0f", "eyes": "1f440"}
"""The shortcodes that the sandbox knows the character of; Slack sends none for a workspace's own emoji."""


def rich_text(text: str) -> list[Json]:
    """The blocks of a typed message: code, quotes, lists, styles, mentions, links, emoji, as Slack's client sends."""
    parts: list[Json] = []
    for number, part in enumerate(re.split(r"```\n?(.+?)\n?```\n?", text, flags=re.DOTALL)):
        code = {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": part}], "border": 0}
        parts += [code] if number % 2 else _lines(part)
    return [{"type": "rich_text", "block_id": secrets.token_urlsafe(4), "elements": parts}]


def _lines(text: str) -> Iterator[Json]:
    kept: list[str] = []
    kind = ""
    for line in [*text.split("\n"), None]:
        item = ITEM.fullmatch(line) if line is not None else None
        now = "" if line is None else "quote" if line.startswith(">") else "section"
        if item:
            now = f"{'bullet' if item['bullet'] else 'ordered'} {len(item['indent']) // 2} {item['number'] or 1}"
            # One list goes on until its kind or its indent changes.
            now = kind if kind.split(" ")[:2] == now.split(" ")[:2] else now
        if kept and now != kind:
            yield from _part(kind, kept)
            kept = []
        kind = now
        line = line or ""
        kept.append(item["text"] if item else re.sub("^> ?", "", line) if now == "quote" else line)


def _part(kind: str, lines: list[str]) -> Iterator[Json]:
    if kind in ("section", "quote"):
        if "".join(lines).strip():
            yield {"type": f"rich_text_{kind}", "elements": list(_leaves("\n".join(lines), {}))}
        return
    style, indent, first = kind.split(" ")
    items = [{"type": "rich_text_section", "elements": list(_leaves(line, {}))} for line in lines]
    offset = {"offset": int(first) - 1} if int(first) > 1 else {}
    yield {"type": "rich_text_list", "style": style, "indent": int(indent), "elements": items, "border": 0, **offset}


def _leaves(text: str, style: Json) -> Iterator[Json]:
    """Mentions and links first, since their addresses may hold marks; then styles, then emoji."""
    styled = {"style": style} if style else {}
    for pattern, leaf in ((ENTITY, _entity), (STYLED, None), (EMOJI, _emoji)):
        found = pattern.search(text)
        if found is None:
            continue
        yield from _leaves(text[: found.start()], style)
        if leaf is not None:
            yield {**leaf(found), **styled}
        elif found["code"]:
            yield {"type": "text", "text": found["code"], "style": {**style, "code": True}}
        else:
            name = str(found.lastgroup)
            yield from _leaves(found[name], {**style, name: True})
        yield from _leaves(text[found.end() :], style)
        return
    if text:
        yield {"type": "text", "text": text, **styled}


def _entity(found: re.Match[str]) -> Json:
    body = found.group()[1:-1]
    address, _, label = body.partition("|")
    if body.startswith("@"):
        return {"type": "user", "user_id": address[1:]}
    if body.startswith("#"):
        return {"type": "channel", "channel_id": address[1:]}
    if body.startswith("!subteam"):
        return {"type": "usergroup", "usergroup_id": address.partition("^")[2]}
    if body.startswith("!"):
        return {"type": "broadcast", "range": address[1:]}
    return {"type": "link", "url": address, **({"text": label} if label else {})}


def _emoji(found: re.Match[str]) -> Json:
    name = found["name"]
    return {"type": "emoji", "name": name, **({"unicode": UNICODE[name]} if name in UNICODE else {})}
