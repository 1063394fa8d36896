"""What people wrote in Slack → the markdown that the model reads: from rich_text and tables, else from mrkdwn. Pure.

A payload may hold anything: what is not shaped as Slack documents it is left out, and the message's `text` counts.
"""

import re
from collections.abc import Mapping
from typing import Any

from markdown_it import MarkdownIt

from data.store_connection import clean

Names = Mapping[str, str]
"""User id → plain name. An empty name leaves the mention out."""

_inline = MarkdownIt("commonmark").enable("strikethrough")
_marks = re.compile(r"([\\`*_~\[\]])")
_mrkdwn = re.compile(
    r"```(?P<block>.+?)```|`(?P<code>[^`\n]+)`|<(?P<entity>[^<>]+)>"
    r"|(?<![\w*])\*(?=\S)(?P<bold>[^*\n]+)(?<=\S)\*(?![\w*])|(?<![\w~])~(?=\S)(?P<strike>[^~\n]+)(?<=\S)~(?![\w~])",
    re.DOTALL,
)


def markdown_of(message: Mapping[str, Any], names: Names | None = None) -> str:
    """What a message says. People's mentions become plain names, so a prompt holds no ids."""
    names = names or {}
    blocks = _dicts(message.get("blocks"))
    shown = [_block(block, names) for block in blocks if block.get("type") in ("rich_text", "table")]
    said = "\n".join(filter(None, shown)) or from_mrkdwn(_string(message.get("text")), names)
    if not said.strip():
        # A program's message may have its words in blocks alone.
        said = "\n".join(filter(None, (_words(block, names) for block in blocks)))
    return clean(said).strip()


def from_mrkdwn(text: str, names: Names | None = None) -> str:
    """Slack's mrkdwn as it arrives → markdown."""

    def shown(found: re.Match[str]) -> str:
        kind, inside = str(found.lastgroup), found[str(found.lastgroup)]
        if kind == "block":
            return _fenced(_unescaped(inside).strip("\n"))
        if kind == "code":
            return _code(_unescaped(inside))
        if kind == "entity":
            return entity(inside, names or {})
        mark = {"bold": "**", "strike": "~~"}[kind]
        return f"{mark}{from_mrkdwn(inside, names)}{mark}"

    lines = re.sub(r"^(\s*)[•◦▪] ", r"\1- ", text, flags=re.MULTILINE)
    return _unescaped(_mrkdwn.sub(shown, lines))


def entity(inside: str, names: Names) -> str:
    """What stands between Slack's angle brackets → what people see there; a link keeps its address."""
    target, _, label = inside.partition("|")
    if target.startswith("@"):
        name = label or names.get(target[1:], "someone")
        return f"@{name}" if name else ""
    if target.startswith("#"):
        return "#" + (label or "channel")
    if target.startswith("!"):
        word = target[1:].split("^")[0]
        return label or ("@" + word if word in ("here", "channel", "everyone") else "")
    address = target.removeprefix("mailto:").removeprefix("tel:")
    return address if label in ("", address, address.split("://")[-1]) else f"[{label}]({target})"


def _unescaped(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


# Blocks


def _block(block: Mapping[str, Any], names: Names) -> str:
    if block["type"] == "table":
        return _table(block, names)
    return "\n".join(filter(None, (_part(part, names) for part in _dicts(block.get("elements")))))


def _part(part: Mapping[str, Any], names: Names) -> str:
    elements = _dicts(part.get("elements"))
    if part.get("type") == "rich_text_list":
        return _list(part, [_line(item, names) for item in elements])
    if part.get("type") == "rich_text_preformatted":
        # Nothing has a look of its own in code.
        return _fenced("".join(_said(leaf, names) for leaf in elements), _string(part.get("language")))
    line = _line(part, names).strip("\n")
    return "\n".join(f"> {one}" for one in line.split("\n")) if part.get("type") == "rich_text_quote" else line


def _list(part: Mapping[str, Any], items: list[str]) -> str:
    indent, offset = _number(part.get("indent")), _number(part.get("offset"))
    ordered = part.get("style") == "ordered"
    lines = []
    for number, item in enumerate(items, start=1 + offset):
        mark = f"{number}. " if ordered else "- "
        lines.append("    " * indent + mark + item.replace("\n", "\n" + " " * (4 * indent + len(mark))))
    return "\n".join(lines)


def _table(block: Mapping[str, Any], names: Names) -> str:
    rows = [[_cell(cell, names) for cell in _dicts(row)] for row in _list_of(block.get("rows"))]
    rows = [row for row in rows if row]
    if not rows:
        return ""
    width = max(map(len, rows))
    lines = ["| " + " | ".join(row + [""] * (width - len(row))) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * width, *lines[1:]])


def _cell(cell: Mapping[str, Any], names: Names) -> str:
    said = _string(cell.get("text")) if cell.get("type") == "raw_text" else _block({**cell, "type": ""}, names)
    return " ".join(said.replace("|", "\\|").split())


def _words(block: Mapping[str, Any], names: Names) -> str:
    texts = [block.get("text"), *_list_of(block.get("fields"))]
    if block.get("type") in ("section", "header"):
        return "\n".join(from_mrkdwn(_string(text.get("text")), names) for text in _dicts(texts))
    return _string(block.get("text")) if block.get("type") == "markdown" else ""


# Inside a line


def _line(part: Mapping[str, Any], names: Names) -> str:
    return "".join(_leaf(leaf, names) for leaf in _dicts(part.get("elements")))


def _leaf(leaf: Mapping[str, Any], names: Names) -> str:
    said, style = _said(leaf, names), leaf.get("style")
    style = style if isinstance(style, dict) else {}
    if leaf.get("type") == "link":
        url = _string(leaf.get("url"))
        said = entity(f"{url}|{said}" if said != url else url, names)
    elif style.get("code"):
        return _code(said) if said.strip() else said
    elif leaf.get("type") == "text":
        said = _literal(said)
    mark = "".join(m for name, m in (("strike", "~~"), ("bold", "**"), ("italic", "*")) if style.get(name))
    return re.sub(r"^(\s*)(.*\S)(\s*)$", rf"\1{mark}\2{mark[::-1]}\3", said, flags=re.MULTILINE) if mark else said


def _said(leaf: Mapping[str, Any], names: Names) -> str:
    kind = leaf.get("type")
    if kind == "text":
        return _string(leaf.get("text"))
    if kind == "link":
        return _string(leaf.get("text")) or _string(leaf.get("url"))
    if kind == "user":
        return entity("@" + _string(leaf.get("user_id")), names)
    if kind == "channel":
        return "#channel"
    if kind == "usergroup":
        return "@group"
    if kind == "broadcast":
        return "@" + _string(leaf.get("range"))
    if kind == "emoji":
        return _emoji(leaf)
    return _string(leaf.get("fallback")) or _string(leaf.get("value"))


def _emoji(leaf: Mapping[str, Any]) -> str:
    """The character itself; a workspace's own emoji has only a name."""
    points = _string(leaf.get("unicode"))
    if re.fullmatch(r"[0-9a-fA-F]{2,5}(-[0-9a-fA-F]{2,5})*", points):
        return "".join(chr(int(point, 16)) for point in points.split("-"))
    return f":{_string(leaf.get('name'))}:"


def _literal(text: str) -> str:
    """A text as markdown that shows just it; escaped only where it would look otherwise."""
    children = [child for token in _inline.parseInline(text) for child in token.children or ()]
    plain = all(child.type in ("text", "softbreak") for child in children)
    return text if plain else _marks.sub(r"\\\1", text)


def _code(text: str) -> str:
    ticks = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    return f"{ticks} {text} {ticks}" if text.startswith("`") or text.endswith("`") else f"{ticks}{text}{ticks}"


def _fenced(code: str, language: str = "") -> str:
    ticks = "`" * max(3, max(map(len, re.findall("`+", code)), default=0) + 1)
    return f"\n{ticks}{language}\n{code}\n{ticks}\n"


# What a payload may hold


def _list_of(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _dicts(value: object) -> list[dict[str, Any]]:
    return [one for one in _list_of(value) if isinstance(one, dict)]


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> int:
    return min(value, 8) if isinstance(value, int) and value > 0 else 0
