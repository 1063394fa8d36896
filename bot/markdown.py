"""The markdown that the model and the agents write → Slack's mrkdwn, in pieces that Slack takes. Pure.

Every character that Slack could read as a ping or a link is escaped where text becomes mrkdwn (slack.escape), and the
markup is made here, so what was written decides how a text looks and never what it does. Where two marks meet, or a
mark should be read as a character, a zero-width space stands between: Slack's rules for that are not documented.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from bot.slack import escape, mrkdwn

ZERO_WIDTH = "\u200b"
GRAVE = "\u02cb"
WIDEST_TABLE = 76
"""Columns of a monospaced table; Slack breaks the lines of a wider one, and then nobody can read it."""
LINKED = ("http", "https", "mailto")

_parser = (
    MarkdownIt("commonmark")
    .enable(["table", "strikethrough"])
    # Text that these would hide is shown as it stands. `text_join` would make \* and * the same.
    .disable(["reference", "html_block", "html_inline", "entity", "text_join"])
)

# Addresses stay as they were written: a person shall see where a link leads.
_parser.normalizeLink = str  # type: ignore[method-assign]

_language = re.compile(r"\s*[\w+#.-]*\s*")
# A mark that Slack would take for formatting although the markdown meant the character.
_mark = re.compile(r"(?<![^\W_])([*_~`])(?=\S(?:[^\n]{0,300}?\S)?\1(?![^\W_]))")
# `**「太字」**です` is no strong text by CommonMark's rules, which know words with spaces between them only.
_strong = re.compile(r"\*\*(?=\S)([^*\n]+)(?<=\S)\*\*")


@dataclass(frozen=True)
class Piece:
    """A part of a text as it was written, whole with its white space, and as Slack shows it."""

    written: str
    mrkdwn: str


def size(text: str) -> int:
    """Length as Slack counts it, in UTF-16 units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def pieces(text: str, limit: int) -> list[Piece]:
    """The text in order, cut where a block, line or word ends, so that each piece fits in `limit` both ways.

    Joined, what was `written` is the text itself.
    """
    return [fitting for piece in _blocks(text) for fitting in _fitting(piece, limit)]


def rendered(text: str) -> str:
    """The text as mrkdwn, however long."""
    return "\n".join(piece.mrkdwn for piece, _ in _blocks(text))


def words_of(text: str) -> str:
    """What a text says on one line, without its markup."""
    return " ".join(" ".join(_said(SyntaxTreeNode(_parser.parse(text)))).split())


def as_is(text: str) -> str:
    """Words → mrkdwn that shows just them: no mark formats, no address becomes a link."""
    return escape(_mark.sub(rf"\1{ZERO_WIDTH}", text))


def _said(node: SyntaxTreeNode) -> Iterator[str]:
    for child in node.children:
        if child.type in ("inline", "fence", "code_block"):
            yield _words(child)
            continue
        if child.type == "list_item":
            yield f"{child.info}." if child.info else "•"
        yield from _said(child)


def block_starts(text: str) -> list[int]:
    """Where each paragraph, heading, list, table, rule and the like of a text begins."""
    ends = [0, *(line.end() for line in re.finditer(r"\r\n?|\n", text))]
    return [ends[node.map[0]] for node in SyntaxTreeNode(_parser.parse(text)).children if node.map]


def _blocks(text: str) -> Iterator[tuple[Piece, SyntaxTreeNode | None]]:
    lines = re.split(r"(?<=\n)", re.sub(r"\r\n?", "\n", text))
    nodes = SyntaxTreeNode(_parser.parse("".join(lines))).children
    if not nodes:
        return
    starts = [node.map[0] if node.map else 0 for node in nodes]
    for node, start, end in zip(nodes, [0, *starts[1:]], [*starts[1:], len(lines)], strict=True):
        written = "".join(lines[start:end])
        shown = _block(node)
        whole = shown.strip() and not _missing(node, written, shown)
        yield Piece(written, shown if whole else mrkdwn(written.strip())), node if whole else None


def _missing(node: SyntaxTreeNode, written: str, shown: str) -> bool:
    # Cells beyond a table's head and quotes in twenty quotes are what the parser drops.
    languages = "".join(
        child.info for child in node.walk() if child.type == "fence" and _language.fullmatch(child.info)
    )
    shown = shown.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")
    return bool(_letters(written) - _letters(shown) - _letters(languages))


def _letters(text: str) -> Counter[str]:
    return Counter(filter(str.isalnum, text))


def _fitting(block: tuple[Piece, SyntaxTreeNode | None], limit: int) -> list[Piece]:
    piece, node = block
    if _fits(piece, limit):
        return [piece]
    if node is not None and node.type in ("fence", "code_block"):
        fence = re.escape(node.markup)
        edge = re.compile(rf"^ *{fence}[\w+#.-]*(?=\n)|\n? *{fence}\s*$") if fence else re.compile("$^")
        return _cut(piece.written, limit, lambda part: _code(edge.sub("", part).strip("\n")), marks="\n")
    if node is not None and node.type == "table":
        head = "".join(piece.written.splitlines(keepends=True)[:2])
        # The first part has the head already; the others get it again.
        whole = lambda part: rendered(part if part.startswith(head) else head + part)  # noqa: E731
        return _cut(piece.written, limit, whole, marks="\n")
    return _cut(piece.written, limit, rendered, marks="\n ")


def _fits(piece: Piece, limit: int) -> bool:
    return size(piece.mrkdwn) <= limit and size(escape(piece.written)) <= limit


def _cut(written: str, limit: int, render: Callable[[str], str], *, marks: str) -> list[Piece]:
    made, rest = [], written
    while rest:
        length = min(len(rest), limit)
        while True:
            # As near to the end as a line or a word ends, else right through it.
            at = length if length == len(rest) else next(
                (n + 1 for mark in marks if (n := rest.rfind(mark, 0, length)) > length // 2), length
            )  # fmt: skip
            part = rest[:at]
            piece = Piece(part, render(part) if part.strip() else "")
            if _fits(piece, limit):
                break
            length = at * 3 // 4
            if length < 8:
                piece = Piece(part := rest[:8], mrkdwn(rest[:8]))
                break
        made.append(piece)
        rest = rest[len(part) :]
    return made


# Blocks


def _block(node: SyntaxTreeNode) -> str:
    if node.type in ("fence", "code_block"):
        # Slack has no place for a language; anything else was meant to be read.
        before = "" if _language.fullmatch(node.info) else f"{node.info.strip()}\n"
        return _code(f"{before}{node.content}".rstrip("\n"))
    if node.type == "heading":
        return _wrapped(_inline(node, frozenset("*")), "*")
    if node.type == "blockquote":
        return "\n".join(_quoted(_block(child)) for child in node.children)
    if node.type in ("bullet_list", "ordered_list"):
        # A dash alone is a dash.
        return "\n".join(_items(node)) if any(item.children for item in node.children) else ""
    if node.type == "table":
        return _table(node)
    if node.type == "hr":
        return "———"
    # A literal > at a line's start would be a quote.
    return re.sub(r"^(?=&gt;)", ZERO_WIDTH, _inline(node), flags=re.MULTILINE)


def _code(content: str) -> str:
    return f"```\n{escape(re.sub('`(?=``)', '`' + ZERO_WIDTH, content))}\n```" if content.strip() else ""


def _quoted(block: str) -> str:
    # A quote is a line's own in Slack, so code in it would fall apart.
    return block if block.startswith("```") else "\n".join(f">{line}" for line in block.split("\n"))


def _items(node: SyntaxTreeNode) -> Iterator[str]:
    depth = sum(parent.type == "list_item" for parent in _above(node))
    for item in node.children:
        mark = "•◦▪"[depth % 3] if node.type == "bullet_list" else f"{item.info}."
        inside = [_block(child) for child in item.children]
        first = inside.pop(0) if inside and item.children[0].type == "paragraph" else ""
        yield f"{mark} {first}".rstrip().replace("\n", "\n   ")
        for block in inside:
            yield block if block.startswith("```") else "\n".join(f"    {line}" for line in block.split("\n"))


def _above(node: SyntaxTreeNode) -> Iterator[SyntaxTreeNode]:
    while node.parent is not None:
        yield (node := node.parent)


def _table(node: SyntaxTreeNode) -> str:
    rows = [[_words(cell) for cell in row.children] for part in node.children for row in part.children]
    right = ["right" in str(cell.attrs.get("style", "")) for cell in node.children[0].children[0].children]
    widths = [max(_width(row[n]) for row in rows) for n in range(len(right))]
    if sum(widths) + 3 * len(widths) > WIDEST_TABLE:
        return "\n".join(_record(rows[0], row) for row in rows[1:]) or " · ".join(map(escape, rows[0]))
    lines = [" | ".join(map(_padded, row, widths, right)).rstrip() for row in rows]
    return _code("\n".join([lines[0], "-+-".join("-" * width for width in widths), *lines[1:]]))


def _record(head: Sequence[str], row: Sequence[str]) -> str:
    named = [f"{_wrapped(_literal(name), '*')}: {_literal(cell)}" for name, cell in zip(head, row, strict=True)]
    return "• " + "\n   ".join(named)


def _padded(cell: str, width: int, right: bool) -> str:
    space = " " * (width - _width(cell))
    return space + cell if right else cell + space


def _width(text: str) -> int:
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) > 0 for c in text)


def _words(node: SyntaxTreeNode) -> str:
    """What an inline node says, without any markup."""
    if node.type in ("softbreak", "hardbreak"):
        return " "
    if node.type in ("link", "image"):
        label, address = "".join(map(_words, node.children)), _address(node)
        return label if label and label in unquote(address) else f"{label} ({address})".strip()
    return "".join(map(_words, node.children)) if node.children else node.content


# Inside a line


def _inline(node: SyntaxTreeNode, inside: frozenset[str] = frozenset()) -> str:
    shown, shown_mark = "", False
    for child in node.children:
        part = _leaf(child, inside)
        if not part:
            continue
        # Slack formats between word boundaries only.
        if (shown_mark and part[0].isalnum()) or (_is_mark(child) and shown[-1:].isalnum()):
            shown += ZERO_WIDTH
        shown, shown_mark = shown + part, _is_mark(child)
    return shown


def _leaf(node: SyntaxTreeNode, inside: frozenset[str]) -> str:
    mark = {"strong": "*", "em": "_", "s": "~"}.get(node.type)
    if mark is not None:
        within = _inline(node, inside | {mark})
        return within if mark in inside else _wrapped(within, mark)
    if node.type == "code_inline":
        # In Slack no code holds a backtick; this character looks like one.
        return f"`{escape(node.content.replace('`', GRAVE))}`" if node.content.strip() else "`"
    if node.type in ("softbreak", "hardbreak"):
        return "\n"
    if node.type in ("link", "image"):
        return _link(node)
    if node.type == "text_special":
        return mrkdwn(node.content) + (ZERO_WIDTH if node.content in "*_~`" else "")
    return _inline(node, inside) if node.children else _text(node.content, inside)


def _text(text: str, inside: frozenset[str]) -> str:
    shown, end = "", 0
    for found in _strong.finditer(text) if "*" not in inside else ():
        shown += _literal(text[end : found.start()]) + ZERO_WIDTH + _wrapped(_literal(found[1]), "*") + ZERO_WIDTH
        end = found.end()
    return shown + _literal(text[end:])


def _literal(text: str) -> str:
    return mrkdwn(_mark.sub(rf"\1{ZERO_WIDTH}", text))


def _wrapped(shown: str, mark: str) -> str:
    # A mark does not reach over a line's end, nor may it touch a space inside.
    return "\n".join(re.sub(r"^(\s*)(.*\S)(\s*)$", rf"\1{mark}\2{mark}\3", line) for line in shown.split("\n"))


def _is_mark(node: SyntaxTreeNode) -> bool:
    return node.type in ("strong", "em", "s", "code_inline")


def _link(node: SyntaxTreeNode) -> str:
    address = _address(node)
    label = " ".join("".join(map(_words, node.children)).split())
    title = node.attrs.get("title")
    after = f" ({escape(str(title))})" if title else ""
    if node.markup == "autolink" and "|" in address:
        return escape(f"<{address}>")
    if urlsplit(address).scheme not in LINKED:
        return _literal(f"{label} ({address})") + after
    target = re.sub(r"\s", "%20", escape(address).replace("|", "%7C"))
    if label in ("", address, unquote(address), address.removeprefix("mailto:")):
        return f"<{target}>{after}"
    if _names_another(label, address):
        return f"{escape(label)} (<{target}>){after}"
    return f"<{target}|{escape(label)}>{after}"


def _address(node: SyntaxTreeNode) -> str:
    return str(node.attrs.get("href") or node.attrs.get("src") or "")


def _names_another(label: str, address: str) -> bool:
    """Does the label look like an address, and not like the one that it leads to?"""
    named = re.search(r"(?:^|://|@|\s)(?:www\.)?([^\s/:?#@]+\.[^\s/:?#@.]{2,})", label)
    host = urlsplit(address).netloc or address.rpartition("@")[2]
    return named is not None and named[1].casefold() != host.casefold().removeprefix("www.")
