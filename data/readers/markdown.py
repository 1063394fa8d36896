"""Markdown, also with the components of MDX → blocks (markdown-it reads it, PyYAML its front matter)."""

import re
from collections.abc import Sequence
from datetime import date, datetime
from functools import cache

import yaml
from lxml.html.defs import tags as html_tags
from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.token import Token
from mdit_py_plugins.admon import admon_plugin
from mdit_py_plugins.admon.index import admonition
from mdit_py_plugins.container import container_plugin
from mdit_py_plugins.front_matter import front_matter_plugin

from data.models import AUDIENCES
from data.readers.html import ADDRESS, attributes_in, linked, pictured, read_fragment
from data.readers.page import BadDocument, Page, Reading, Upkeep

COMPONENT = re.compile(r"<(/?)([A-Z][\w.]*)(\s[^<]*)?>\Z", re.DOTALL)
HAS_COMPONENTS = re.compile(r"^\s*</?[A-Z][\w.]*[\s/>]", re.MULTILINE)
COMPONENT_LINES = 40
PARTS = frozenset({"accordion", "tab", "tabitem", "step", "expandable", "details", "collapse", "codegrouptab"})
"""Components whose title is a heading of what they hold."""
NOTES = frozenset(
    {"note", "tip", "info", "warning", "caution", "danger", "important", "check", "callout", "admonition"}
)
MODULE_LINE = re.compile(r"(import\s.+\sfrom\s+['\"]|import\s+['\"]|export\s+(const|default|function)\s)")
COMMENT = re.compile(r"\{/\*.*?\*/\}", re.DOTALL)
TAB = re.compile(r"===[!+]?[ \t]+\"(.+)\"[ \t]*$", re.MULTILINE)
"""A tab as MkDocs has it: what stands in it is indented below."""
DRAWN_IN = re.compile(r":::[ \t]+\w+(?:\.\w+)+[ \t]*$", re.MULTILINE)
"""What a tool puts in a place from a program's source, with its settings indented below."""
ATTRIBUTES = re.compile(r"[ \t]*(?<!\{)\{:?[ \t]*(?:(?:[#.][\w.:-]+|[\w-]+=(?:\"[^\"]*\"|[\w.%-]+))[ \t]*)+\}(?!\})")
"""How what stands before them looks: `{: #place }`, `{ .wide width=40% }`."""
ICON = re.compile(r":(?:material|octicons|fontawesome|simple)-[a-z0-9-]+:[ \t]?")


def read_markdown(text: str, *, name: str) -> Reading:
    """Blocks, and what the front matter says: title, owner, audience, stale_after, url."""
    page = Page()
    front, heading = _fill(page, text)
    title = str(front.get("title") or "").strip() or heading or name
    url = str(front.get("url") or "")
    return Reading(title, page.blocks, upkeep_in(front), url if ADDRESS.match(url) else None)


def fill(page: Page, text: str) -> None:
    """Add the blocks of a piece of Markdown to a page."""
    _fill(page, text)


def front_matter(text: str) -> dict[str, object]:
    """What stands in the front matter; empty where there is none. Raises BadDocument."""
    tokens = MarkdownIt("zero").use(front_matter_plugin).parse(text)
    return _front(tokens[0].content) if tokens and tokens[0].type == "front_matter" else {}


def upkeep_in(front: dict[str, object]) -> Upkeep:
    """Owner, audience and stale date of the front matter. Raises BadDocument."""
    audience, stale_after = front.get("audience"), front.get("stale_after")
    if audience is not None and audience not in AUDIENCES:
        raise BadDocument(f"its front matter has an audience {audience!r}, which is neither {' nor '.join(AUDIENCES)}")
    if isinstance(stale_after, str):
        try:
            stale_after = date.fromisoformat(stale_after)
        except ValueError:
            stale_after = False
    if isinstance(stale_after, datetime):
        stale_after = stale_after.date()
    whole = isinstance(stale_after, int) and not isinstance(stale_after, bool) and 0 < stale_after < 36500
    if stale_after is not None and not whole and not isinstance(stale_after, date):
        raise BadDocument("the stale_after of its front matter is neither a date as 2027-01-31 nor a number of days")
    owner = front.get("owner")
    return Upkeep(str(owner) if owner else None, audience, stale_after)


def _front(text: str) -> dict[str, object]:
    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 2})" if mark else ""
        raise BadDocument(f"its front matter is not YAML{where}") from error
    return found if isinstance(found, dict) else {}


@cache
def _parser(*, components: bool) -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"alerts": True}).enable(["table", "strikethrough"])
    parser.use(front_matter_plugin).use(admon_plugin)
    parser.use(container_plugin, "note", validate=lambda said, marker: bool(re.match(r"\s*\w", said)))
    parser.block.ruler.before("admonition", "indented", _indented_rule, {"alt": ["paragraph", "reference", "list"]})
    if components:
        # What stands in a component is indented, and still no code.
        parser.disable("code")
        stops = {"alt": ["paragraph", "reference", "blockquote", "list"]}
        parser.block.ruler.before("html_block", "component", _component_rule, stops)
    return parser


def _indented_rule(state: StateBlock, line: int, end: int, silent: bool) -> bool:
    """A tab, or what is drawn in: cut as an admonition is, which begins with as many marks."""
    start, written = state.bMarks[line] + state.tShift[line], state.src
    if state.is_code_block(line) or not (TAB.match(written, start) or DRAWN_IN.match(written, start)):
        return False
    state.src = f"{written[:start]}!!!{written[start + 3 :]}"
    try:
        return bool(admonition(state, line, end, silent))
    finally:
        state.src = written


def _component_rule(state: StateBlock, line: int, end: int, silent: bool) -> bool:
    """A component's opening or closing tag on lines of its own: what stands between them is Markdown."""
    start = state.bMarks[line] + state.tShift[line]
    if state.src[start : start + 1] != "<":
        return False
    for last in range(line, min(end, line + COMPONENT_LINES)):
        tag = state.src[start : state.eMarks[last]].strip()
        if not tag.endswith(">"):
            if state.isEmpty(last):
                return False
            continue
        if not COMPONENT.match(tag):
            return False
        if not silent:
            token = state.push("component", "", 0)
            token.content = tag
            token.map = [line, last + 1]
            state.line = last + 1
        return True
    return False


class _Reader:
    """Where the walk through the tokens is: lists, a table's rows, a heading, open components."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.rows: list[list[str]] | None = None
        self.heading = 0
        self.title = ""
        self.in_title = False
        self.unsaid = False
        self.components: list[tuple[str, bool]] = []
        self.items = 0
        self.indented: list[str] = []

    def take(self, token: Token) -> None:
        """Add one token of the document."""
        kind, page = token.type, self.page
        if "drawn in" in self.indented and not kind.startswith("admonition_"):
            return
        if kind == "inline":
            self._inline(token)
        elif kind in ("fence", "code_block"):
            page.code(token.content, token.info.split()[0] if token.info.strip() else "")
        elif kind == "html_block":
            read_fragment(token.content, page)
        elif kind == "component":
            self._component(token.content)
        elif kind == "heading_open":
            self.heading = int(token.tag[1])
        elif kind == "list_item_open":
            page.open_item(f"{token.info}. " if token.info else "- ")
            self.items += 1
        elif kind == "list_item_close":
            page.close_item()
            self.items -= 1
        elif kind == "table_open":
            self.rows = []
        elif kind == "tr_open" and self.rows is not None:
            self.rows.append([])
        elif kind == "table_close" and self.rows is not None:
            page.table(self.rows)
            self.rows = None
        elif kind == "container_note_open":
            page.label(_container_title(token.info))
        elif kind == "admonition_open":
            tab, drawn_in = TAB.match(f"==={token.info}"), DRAWN_IN.match(f":::{token.info}")
            self.indented.append("tab" if tab else "drawn in" if drawn_in else "note")
            if tab:
                page.open_part(_without_attributes(tab[1]))
        elif kind in ("admonition_title_open", "alert_title_open"):
            self.in_title = kind.startswith("alert") or self.indented[-1] == "note"
            self.unsaid = not self.in_title
        elif kind in ("admonition_title_close", "alert_title_close"):
            self.in_title = self.unsaid = False
        elif kind == "admonition_close" and self.indented.pop() == "tab":
            page.close_part()
        elif kind in ("container_note_close", "admonition_close", "alert_close"):
            page.drop_label()

    def _inline(self, token: Token) -> None:
        if self.unsaid:
            return
        if self.heading:
            said = _without_attributes(" ".join(_plain(token).split())).rstrip(" #")
            self.page.heading(self.heading, said)
            self.title = self.title or (said if self.heading == 1 else "")
            self.heading = 0
        elif self.in_title:
            self.page.label(_plain(token))
        elif self.rows is not None:
            self.rows[-1].append(self._said(token.children or [], in_cell=True))
        elif not MODULE_LINE.match(token.content) and not (self.items and _is_contents(token.children or [])):
            self.page.text(COMMENT.sub("", self._said(token.children or [], in_cell=False)))

    def _said(self, children: list[Token], *, in_cell: bool) -> str:
        """The text of a paragraph; at a component's tag, what came before it is a paragraph of its own."""
        said: list[str] = []
        links: list[tuple[int, str]] = []
        for child in children:
            if child.type in ("softbreak", "hardbreak"):
                said.append(" " if child.type == "softbreak" else "\n")
            elif child.type == "code_inline":
                said.append(f"`{child.content}`" if "`" not in child.content else child.content)
            elif child.type == "image":
                said.append(pictured(child.content))
            elif child.type == "link_open":
                links.append((len(said), str(child.attrGet("href") or "")))
            elif child.type == "link_close" and links:
                start, address = links.pop()
                said[start:] = [linked("".join(said[start:]), address)]
            elif child.type != "html_inline":
                said.append(ICON.sub("", ATTRIBUTES.sub("", child.content)))
            elif COMPONENT.match(child.content) and not in_cell and not links:
                self.page.text(COMMENT.sub("", "".join(said)))
                said = []
                self._component(child.content)
            else:
                said.append(_tag_text(child.content))
        return "".join(said)

    def _component(self, tag: str) -> None:
        closing, name, written = COMPONENT.match(tag).groups(default="")
        name = name.lower()
        if closing:
            self._close(name)
            return
        attributes = attributes_in(written.removesuffix("/"))
        title = attributes.get("title") or attributes.get("label") or attributes.get("header") or ""
        is_part = name in PARTS and bool(title)
        if tag.endswith("/>"):
            self.page.text(title)
            return
        self.components.append((name, is_part))
        if is_part:
            self.page.open_part(title)
        elif name in NOTES:
            kind = attributes.get("type") or ("note" if name in ("callout", "admonition") else name)
            self.page.label(title or kind.capitalize())
        elif title:
            self.page.label(title)

    def _close(self, name: str) -> None:
        if name not in [opened for opened, _ in self.components]:
            return
        while True:
            opened, is_part = self.components.pop()
            if is_part:
                self.page.close_part()
            else:
                label = self.page.drop_label()
                # A card may be a title alone.
                if label and opened not in NOTES:
                    self.page.text(label)
            if opened == name:
                return


def _fill(page: Page, text: str) -> tuple[dict[str, object], str]:
    """Add its blocks to the page; returns the front matter and the first heading of level one."""
    reader = _Reader(page)
    front: dict[str, object] = {}
    for token in _parser(components=bool(HAS_COMPONENTS.search(text))).parse(text):
        if token.type == "front_matter":
            front = _front(token.content)
        else:
            reader.take(token)
    return front, reader.title


def _without_attributes(text: str) -> str:
    """A heading without what only says how it looks."""
    return ICON.sub("", ATTRIBUTES.sub("", text)).strip()


def _plain(token: Token) -> str:
    """An inline's text without marks."""
    breaks = {"softbreak": " ", "hardbreak": " "}
    return "".join(
        _tag_text(child.content) if child.type == "html_inline" else breaks.get(child.type, child.content)
        for child in token.children or []
    ).strip()


def _tag_text(tag: str) -> str:
    """What a tag within a text says: a line's end, nothing, or itself where it is a placeholder such as <your-name>."""
    name = re.match(r"</?([\w.:-]+)", tag)
    if name and name[1].lower() == "br":
        return "\n"
    is_tag = not name or name[1].lower() in html_tags or COMPONENT.match(tag)
    return "" if is_tag else tag


def _is_contents(children: Sequence[Token]) -> bool:
    """Is all of it links to places in this page, as in a list of its headings?"""
    links = [child for child in children if child.type == "link_open"]
    inside = 0
    for child in children:
        inside += child.nesting if child.type.startswith("link_") else 0
        if not inside and any(map(str.isalpha, child.content)):
            return False
    return bool(links) and all(str(link.attrGet("href") or "").startswith("#") for link in links)


def _container_title(said: str) -> str:
    """`warning Mind this` and `warning[Mind this]` → `Mind this`; `warning` → `Warning`."""
    kind, title = re.match(r"\s*([\w-]+)\s*(.*)", said, re.DOTALL).groups()
    return title.strip().removeprefix("[").removesuffix("]") or kind.capitalize()
