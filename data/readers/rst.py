"""reStructuredText → blocks (docutils reads it, and data/readers/html.py what it makes of it).

Projects write it for Sphinx, whose roles and directives docutils does not know: whatever stands in a file gets a
meaning first, by its name.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

from docutils import nodes
from docutils.core import publish_string
from docutils.parsers.rst import Directive, directives, roles
from docutils.utils import unescape

from data.readers.html import read_html
from data.readers.page import BadDocument, Reading, name_set

ROLE = re.compile(r":([A-Za-z][\w.+:-]*):`")
DIRECTIVE = re.compile(r"^[ \t]*\.\. +(?:\|[^|\n]+\| +)?([A-Za-z][\w.+:-]*)::", re.MULTILINE)
TITLED = re.compile(r"(?P<title>.+?)\s*<(?P<target>[^<>]+)>\Z", re.DOTALL)
STANDARD_ROLES = name_set("""
    emphasis strong literal subscript sub superscript sup title-reference title t code pep pep-reference rfc
    rfc-reference
""")
STANDARD_DIRECTIVES = name_set("""
    admonition attention caution danger error hint important note tip warning figure image epigraph highlights
    pull-quote compound parsed-literal rubric topic table csv-table list-table replace unicode date class line-block
""")
"""What docutils knows by itself and does as Sphinx does."""
PLAIN_ROLES = name_set("ref doc term numref any guilabel menuselection abbr dfn index eq")
"""Roles around words; the others stand around names of code, files and commands."""
SPOKEN = {
    "versionadded": "New in version",
    "versionchanged": "Changed in version",
    "versionremoved": "Removed in version",
    "deprecated": "Deprecated since version",
}
CODE = name_set("""
    code code-block sourcecode prompt console ipython doctest testcode testoutput terminal snippet code-tab
""")
UNSAID = re.compile(
    r"(toctree|contents|index|highlight|literalinclude|include|raw|meta|todo|todolist|tabularcolumns|codeauthor|"
    r"sectionauthor|moduleauthor|default-role|role|default-domain|program|productionlist|graphviz|"
    r"digraph|mermaid|plot|math|sectnum|header|footer|title|target-notes|(py:)?(current)?module|auto[a-z]+|"
    r"inheritance-diagram|jinja|comment|testsetup|testcleanup)\Z"
)
"""Directives that say nothing to who reads, or what stands in another file."""
TRANSPARENT = re.compile(
    r"(only|ifconfig|tab-set|tabs|grid|hlist|glossary|centered|cssclass|rst-class|container|div|card)\Z"
)
"""Directives whose content is read as if it stood there by itself."""
SETTINGS: dict[str, Any] = {
    # What a file of the help centre names on this machine is not read, and no HTML of its own gets through.
    "file_insertion_enabled": False,
    "raw_enabled": False,
    "report_level": 5,
    "halt_level": 5,
    "syntax_highlight": "none",
    "embed_stylesheet": False,
    "stylesheet_path": "",
    "smart_quotes": False,
    "doctitle_xform": True,
    "docinfo_xform": False,
    "toc_backlinks": False,
    "line_length_limit": 1_000_000,
    "_disable_config": True,
    "output_encoding": "unicode",
}


def read_rst(text: str, *, name: str) -> Reading:
    """A file's title and blocks; its title is its first heading, else the name. Raises BadDocument."""
    for role in set(ROLE.findall(text)) - STANDARD_ROLES:
        roles.register_local_role(role.lower(), _role)
    for directive in set(DIRECTIVE.findall(text)) - STANDARD_DIRECTIVES:
        directives.register_directive(directive.lower(), _directive(directive.lower()))
    try:
        page = publish_string(text, writer="html5", settings_overrides=SETTINGS | {"title": name})
    except RecursionError as error:
        raise BadDocument("its lists and notes stand within each other too deep") from error
    reading = read_html(str(page), name=name)
    first = next((one.headings[0] for one in reading.blocks if one.headings), name)
    return Reading(first if reading.title == name else reading.title, reading.blocks)


def _role(
    role: str,
    rawtext: str,
    text: str,
    lineno: int,
    inliner: Any,
    options: dict[str, Any] | None = None,
    content: Sequence[str] = (),
) -> tuple[list[nodes.Node], list[nodes.system_message]]:
    """`text <target>` is the text; `~a.b.c` is c."""
    said = unescape(text)
    if titled := TITLED.match(said):
        said = titled["title"]
    elif said.startswith("~"):
        said = said.rpartition(".")[2].lstrip("~")
    said = said.lstrip("!.").replace("-->", "→")
    kind = nodes.inline if role.rpartition(":")[2] in PLAIN_ROLES else nodes.literal
    return [kind(rawtext, said)], []


class _Options(dict[str, Callable[[str | None], str]]):
    """Takes any option as it is written."""

    def __bool__(self) -> bool:
        return True

    def __missing__(self, name: str) -> Callable[[str | None], str]:
        return lambda value: value or ""


class _Any(Directive):
    required_arguments = 0
    optional_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec = _Options()

    def said(self, text: str) -> list[nodes.Node]:
        found, _ = self.state.inline_text(text, self.lineno)
        return found

    def inner(self) -> list[nodes.Node]:
        made = nodes.Element()
        self.state.nested_parse(self.content, self.content_offset, made)
        return made.children


class _Unsaid(_Any):
    def run(self) -> list[nodes.Node]:
        return []


class _Transparent(_Any):
    def run(self) -> list[nodes.Node]:
        return self.inner()


class _Code(_Any):
    def run(self) -> list[nodes.Node]:
        code = "\n".join(self.content)
        language = (self.arguments or [""])[0].split()
        caption = self.options.get("caption")
        block = nodes.literal_block(code, code, classes=["code", *[f"language-{one}" for one in language[:1]]])
        return [*([nodes.paragraph("", "", *self.said(caption))] if caption else []), block]


class _Spoken(_Any):
    def run(self) -> list[nodes.Node]:
        version, said = [*(self.arguments or [""])[0].split(None, 1), "", ""][:2]
        opening = f"{SPOKEN[self.name.rpartition(':')[2]]} {version}".strip()
        first = [nodes.Text(f"{opening}: "), *self.said(said)] if said.strip() else [nodes.Text(f"{opening}:")]
        inner = self.inner()
        if not said.strip() and inner and isinstance(inner[0], nodes.paragraph):
            first = [nodes.Text(f"{opening}: "), *inner.pop(0).children]
        return [nodes.paragraph("", "", *first), *inner]


class _SeeAlso(_Any):
    def run(self) -> list[nodes.Node]:
        note = nodes.admonition("", nodes.title("", "See also"), classes=["admonition"])
        if self.arguments:
            note += nodes.paragraph("", "", *self.said(self.arguments[0]))
        note += self.inner()
        return [note]


class _Described(_Any):
    """What stands behind `::` is the term, or several, a line each; what stands below says what it means."""

    def run(self) -> list[nodes.Node]:
        if not self.arguments:
            return self.inner()
        is_code = bool(re.search(r"[(=\[-]|::|\w\.\w", self.arguments[0]))
        terms = [line.strip() for line in self.arguments[0].replace("\\\n", "").split("\n") if line.strip()]
        made = [nodes.literal(one, one) if is_code else nodes.inline("", "", *self.said(one)) for one in terms]
        meaning = nodes.definition("", *self.inner())
        items = [nodes.term("", "", one) for one in made]
        return [nodes.definition_list("", nodes.definition_list_item("", *items, meaning))]


def _directive(name: str) -> type[Directive]:
    last = name.rpartition(":")[2]
    if last in CODE:
        return _Code
    if last in SPOKEN:
        return _Spoken
    if last == "seealso":
        return _SeeAlso
    if UNSAID.match(name):
        return _Unsaid
    return _Transparent if TRANSPARENT.match(name) else _Described
