"""A sitemap on disk → the files beside it that hold its pages, and each one's address."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from lxml import etree

from data.readers.page import BadDocument

DEEPEST = 3
"""Sitemaps may list sitemaps; one that lists itself ends here."""


def pages_of(sitemap: Path, *, depth: int = 0) -> tuple[dict[Path, str], dict[str, str]]:
    """Each page's file with its address, and the addresses for which there is no file, with the reason.

    `https://host/a/b` is `a/b`, `a/b.html` or `a/b/index.html` in the sitemap's folder. Raises BadDocument.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.parse(str(sitemap), parser).getroot()
    except (etree.XMLSyntaxError, OSError) as error:
        raise BadDocument(f"it is no XML ({error})") from error
    if etree.QName(root).localname not in ("urlset", "sitemapindex"):
        raise BadDocument("it is no sitemap: it has neither a urlset nor a sitemapindex")
    found: dict[Path, str] = {}
    missing: dict[str, str] = {}
    for address in ("".join(one.itertext()).strip() for one in root.iterfind("{*}*/{*}loc")):
        file = file_of(address, sitemap.parent)
        if file is None:
            missing[address] = f"there is no file for it in {sitemap.parent}"
        elif file.suffix.lower() == ".xml":
            if depth < DEEPEST:
                more, less = pages_of(file, depth=depth + 1)
                found |= more
                missing |= less
        else:
            found[file] = address
    return found, missing


def file_of(address: str, folder: Path) -> Path | None:
    """The file of this address in a folder, never outside of it; None when there is none."""
    path = unquote(urlsplit(address).path).strip("/")
    if "\x00" in path:
        return None
    for candidate in (path, f"{path}.html", f"{path}.htm", f"{path}/index.html", f"{path}/index.htm"):
        file = (folder / candidate.lstrip("/")).resolve()
        if file.is_file() and file.is_relative_to(folder.resolve()):
            return file
    return None
