"""HTML → blocks (lxml reads the tags): what the page says, without what stands around it on every page."""

import re
from collections.abc import Iterable

from lxml import etree, html

from data.readers.page import BadDocument, Page, Reading, name_set

LEFT_OUT = name_set("""
    head script style noscript template nav footer aside svg math iframe object embed form button input select
    textarea dialog audio video canvas
""")
LEFT_OUT_ROLES = frozenset({"navigation", "banner", "contentinfo", "search", "complementary", "menu", "menubar"})
LEFT_OUT_CLASSES = name_set("""
    nav navbar navigation sidebar menu toc breadcrumb breadcrumbs pagination footer site-header site-footer
    skip-link cookie-banner headerlink sphinxsidebar related navheader navfooter nav-panel indexdiv indextable
    genindextable
""")
LEFT_OUT_IDS = name_set("nav navbar navigation sidebar toc breadcrumbs footer site-header site-footer")
WAYS_ON = name_set("next prev previous up contents index start top")
"""What `rel` calls a link to a page around this one."""
CODE = frozenset({"code", "kbd", "samp", "tt"})
"""How text within a line says that it is code; docutils says it by a class."""
BLOCKS = name_set("""
    address article aside blockquote body center dd details div dl dt fieldset figcaption figure h1 h2 h3 h4 h5 h6
    header hr html li main ol p pre section summary table tbody td tfoot th thead tr ul
""")
NOTES = name_set("admonition admonitionblock note tip hint important warning caution danger attention")
ASIDES = NOTES | {"topic", "footnote", "footnote-list"}
"""What stands aside in a page of docutils', and belongs to it."""
NOTE_TITLE = (
    "./*[self::h1 or self::h2 or self::h3 or self::h4 or self::h5 or self::h6]"
    " | ./*[contains(concat(' ', normalize-space(@class), ' '), ' admonition-title ')]"
    " | ./table//td[@class='icon']"
)
"""How Sphinx and MkDocs, DocBook and AsciiDoc say what kind of note it is."""
MAIN = (
    "//main | //*[@role='main']",
    "//article",
    "//*[@itemprop='articleBody']",
    "//div[contains(concat(' ', normalize-space(@class), ' '), ' document ')]",
)
"""Where a page's own part is, surest first."""
ANCHORS = " §¶"
"""What links to a heading itself look like."""
SPACE = re.compile(r"[ \t\r\n\f]+")
LANGUAGE = re.compile(r"\b(?:language|lang|highlight-source|brush)[-:\s]+(\w+)")
ADDRESS = re.compile(r"(https?://|mailto:|tel:)\S+\Z")


def read_html(text: str, *, name: str) -> Reading:
    """A page's main part. Its title is its first heading of level one, else its `title`, else the name.

    Raises BadDocument.
    """
    root = _parsed(text)
    if root is None:
        return Reading(name, [])
    parts = next(filter(None, (root.xpath(one) for one in MAIN)), [])
    # Several articles are a list of them: then the whole body is the page.
    main = parts[0] if len(parts) == 1 else root.find("body")
    page = Page()
    if main is not None:
        _flow(main, page)
    headings = [_said(one).strip(ANCHORS) for one in (main if main is not None else root).iter("h1")]
    titles = [*headings, *(_said(one) for one in root.iter("title"))]
    address = root.xpath("string(//link[@rel='canonical']/@href)")
    return Reading(next(filter(None, titles), name), page.blocks, url=str(address) if ADDRESS.match(address) else None)


def read_fragment(text: str, page: Page) -> None:
    """Add the blocks of a piece of HTML, as it stands in Markdown, to a page."""
    root = _parsed(text)
    body = root.find("body") if root is not None else None
    if body is not None:
        _flow(body, page)


def attributes_in(written: str) -> dict[str, str]:
    """The attributes of a tag, from what is written after its name."""
    root = _parsed(f"<div {written}></div>")
    element = root.find("body/div") if root is not None else None
    return {str(name): str(value) for name, value in element.attrib.items()} if element is not None else {}


def _parsed(text: str) -> html.HtmlElement | None:
    # As bytes, since a text with an XML declaration is refused.
    parser = html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True)
    try:
        root = html.document_fromstring(text.encode("utf-8", "replace"), parser=parser)
    except etree.ParserError:
        return None
    # The parser leaves out what stands deeper than that, and says nothing.
    if any(error.type_name == "ERR_RESOURCE_LIMIT" for error in parser.error_log):
        raise BadDocument("its tags stand within each other more than 250 deep")
    return root


def _flow(element: html.HtmlElement, page: Page) -> None:
    """Add what an element holds: text between its blocks is a paragraph."""
    said = [_spaced(element.text)]
    for child in element:
        if not _is_left_out(child):
            if _is_block(child):
                page.text(_lines(said))
                said = []
                _block(child, page)
            else:
                said.append(_inline(child))
        said.append(_spaced(child.tail))
    page.text(_lines(said))


def _block(element: html.HtmlElement, page: Page) -> None:
    tag = element.tag
    if tag in ("h1", "h2", "h3", "h4", "h5", "h6"):
        page.heading(int(tag[1]), _said(element).strip(ANCHORS))
    elif (tag in ("ul", "ol", "dl", "table") and _is_contents(element)) or _leads_on(element):
        return
    elif tag in ("ul", "ol"):
        start = element.get("start", "1")
        number = int(start) if start.isdecimal() else 1
        for item in element:
            page.open_item(f"{number}. " if tag == "ol" else "- ")
            _flow(item, page)
            page.close_item()
            number += item.tag == "li"
    elif tag == "table":
        _table(element, page)
    elif tag == "pre":
        marked = " ".join(filter(None, (one.get("class") for one in (element, *element.iter("code")))))
        language = LANGUAGE.search(marked)
        by_docutils = element.get("lang", "") if "code" in _classes(element) else ""
        page.code(_inline(element, in_code=True), language[1] if language else by_docutils)
    elif tag == "details":
        _details(element, page)
    elif tag in ("div", "section", "aside") and not NOTES.isdisjoint(_classes(element)):
        _note(element, page)
    elif tag == "dt":
        # Several may stand above one meaning: `-h`, `--help`.
        page.label(", ".join(filter(None, (page.drop_label(), _said(element).rstrip(ANCHORS).removesuffix(":")))))
    else:
        _flow(element, page)
        if tag == "dl":
            page.text(page.drop_label())


def _is_contents(element: html.HtmlElement) -> bool:
    """Is all of it links to places in pages of this site? Such a list only names what is said elsewhere."""
    links = (one for one in element.iter("a") if "#" in one.get("href", "") and not ADDRESS.match(one.get("href")))
    linked = sum(map(str.isalpha, "".join("".join(one.itertext()) for one in links)))
    return linked > 0 and linked == sum(map(str.isalpha, "".join(element.itertext())))


def _leads_on(element: html.HtmlElement) -> bool:
    """Is it but links to the pages around this one, each with a word such as "Next:"?"""
    links = list(element.iter("a"))
    if not links or any(WAYS_ON.isdisjoint(one.get("rel", "").split()) for one in links):
        return False
    linked = sum(map(str.isalpha, "".join("".join(one.itertext()) for one in links)))
    beside = sum(map(str.isalpha, "".join(element.itertext()))) - linked
    return beside <= len("Previous") * len(links)


def _details(element: html.HtmlElement, page: Page) -> None:
    summary = next(element.iterchildren("summary"), None)
    name = _said(summary) if summary is not None else ""
    if summary is not None:
        summary.clear(keep_tail=True)
    before = len(page.blocks)
    page.open_part(name)
    _flow(element, page)
    page.close_part()
    if not page.has_blocks_since(before):
        page.text(name)


def _note(note: html.HtmlElement, page: Page) -> None:
    """What a note says, behind its kind, and no heading of what follows it."""
    titles = note.xpath(NOTE_TITLE)
    for title in titles[:1]:
        page.label(_said(title))
        title.drop_tree()
    for part in note.xpath("./table//td[@class='content']") or [note]:
        _flow(part, page)
    if titles:
        page.drop_label()


def _table(table: html.HtmlElement, page: Page) -> None:
    if table.get("role") == "presentation" or next(table.iterdescendants("table", "ul", "ol", "pre"), None) is not None:
        # No grid of values, but a layout.
        for cell in table.iter("td", "th", "caption"):
            if next(cell.iterancestors("table")) is table:
                _flow(cell, page)
        return
    caption = next(table.iterchildren("caption"), None)
    if caption is not None:
        page.text(_said(caption))
    rows: list[list[str]] = []
    reaching: dict[int, tuple[int, str]] = {}
    for tr in table.iter("tr"):
        cells: list[str] = []
        for cell in tr.iterchildren("td", "th"):
            _reach_down(reaching, cells)
            text = _said(cell)
            for _ in range(_span(cell, "colspan")):
                # A cell that spans rows is said in each, so that each can be read by itself.
                if _span(cell, "rowspan") > 1:
                    reaching[len(cells)] = (_span(cell, "rowspan") - 1, text)
                cells.append(text)
                text = ""
        _reach_down(reaching, cells)
        rows.append(cells)
    page.table(rows)


def _reach_down(reaching: dict[int, tuple[int, str]], cells: list[str]) -> None:
    while len(cells) in reaching:
        left, text = reaching.pop(len(cells))
        if left > 1:
            reaching[len(cells)] = (left - 1, text)
        cells.append(text)


def _span(cell: html.HtmlElement, name: str) -> int:
    value = cell.get(name, "1")
    return min(int(value), 100) if value.isdecimal() and int(value) else 1


def _inline(element: html.HtmlElement, *, in_code: bool = False, plain: bool = False) -> str:
    """An element's text as Markdown: code, and links that lead somewhere from anywhere."""
    if _is_left_out(element):
        return ""
    tag = element.tag
    if tag == "br":
        return "\n"
    if tag == "img":
        return pictured(element.get("alt", ""))
    spaced = (lambda text: text or "") if in_code else _spaced
    is_code = (tag in CODE or (tag == "span" and "literal" in _classes(element))) and not in_code and not plain
    pieces = [spaced(element.text)]
    for child in element:
        inner = _inline(child, in_code=in_code or is_code, plain=plain)
        # The words of two blocks are two words.
        pieces.append(f" {inner} " if child.tag in BLOCKS and not in_code else inner)
        pieces.append(spaced(child.tail))
    text = "".join(pieces)
    if is_code and text.strip() and "`" not in text:
        return f"`{' '.join(text.split())}`"
    if tag == "a" and not in_code and not plain:
        return linked(text, element.get("href", ""))
    return text


def linked(text: str, address: str) -> str:
    """The text as a link, where the address is one that can be opened from anywhere and is not the text itself."""
    said = " ".join(text.split())
    if not said or not ADDRESS.match(address) or said in (address, address.partition(":")[2]) or ")" in address:
        return text
    return f"[{said}]({address})"


def pictured(description: str) -> str:
    """What stands for a picture: its description, unless that is but a file's name."""
    description = " ".join(description.split())
    return f"(picture: {description})" if " " in description else ""


def _said(element: html.HtmlElement) -> str:
    """What an element says, in one line and without marks."""
    cell = element.tag in ("td", "th")
    return " ".join(_inline(element, plain=not cell).split())


def _lines(said: Iterable[str]) -> str:
    return "\n".join(" ".join(line.split()) for line in "".join(said).split("\n")).strip()


UNSEEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d])|opacity\s*:\s*0(?![.\d])")
"""Styles with which nobody reads a text: a page may hide there what it wants a machine to read."""


def _spaced(text: str | None) -> str:
    return SPACE.sub(" ", text or "")


def _classes(element: html.HtmlElement) -> list[str]:
    return element.get("class", "").split()


def _is_block(element: html.HtmlElement) -> bool:
    return element.tag in BLOCKS or any(inner.tag in BLOCKS for inner in element.iterdescendants())


def _is_left_out(element: html.HtmlElement) -> bool:
    if element.tag == "aside" and not ASIDES.isdisjoint(_classes(element)):
        return False
    if element.tag in LEFT_OUT or element.get("hidden") is not None or element.get("aria-hidden") == "true":
        return True
    if element.get("role") in LEFT_OUT_ROLES or not LEFT_OUT_CLASSES.isdisjoint(_classes(element)):
        return True
    if UNSEEN.search(element.get("style", "")) or element.get("id") in LEFT_OUT_IDS:
        return True
    # A header within an article holds its title.
    return element.tag == "header" and next(element.iterancestors("main", "article"), None) is None
