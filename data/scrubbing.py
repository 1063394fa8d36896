"""Take what is to be erased out of texts, JSON values and files of lines. Pure."""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

ERASED = "[erased]"
QUOTED = ("text", "before", "after", "target", "draft", "messages", "base_messages", "chosen", "rejected")
"""What a record that names a pair or a thread says of it: masked it may be, and no copy of what was written then."""
RECITED = ("question", "fact")
"""What a record that names a chunk of the help centre says of it."""
NAME = re.compile(r"[^\s(),;]+")
"""What may be the id of a pair or of a thread in a line."""
USER = re.compile(r"[UW][A-Z0-9]+")
"""A Slack user's id."""
LATIN = "0-9A-Za-z\u00aa\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff"
"""Digits and Latin letters: what words are made of that are written with spaces between them."""
SPACE = r"(?:\s|\\[nrt]|\\u00a0)+"
"""What may stand between two words of a name, in a JSON string, too."""
SIGNS = str.maketrans({"\u2018": "'", "\u2019": "'", "\u02bc": "'", "\u2010": "-", "\u2011": "-"})
"""Apostrophes and hyphens as a phone or a mail writes them."""
NO_T = rf"(?!(?:['\u2019]|\\u2019)t(?![{LATIN}]))"
"""Don is not in "don't"."""
WORDS = 4
"""Words of a name, at most: what is longer is somebody's text, and found wherever it stands."""
CODE = re.compile(r"[0-9a-f-]{8,}")
"""A hash, or a part of one."""


@dataclass
class Found:
    """What holds the text: suggestions (and history pairs) by id, threads, chunks of the help centre, and texts by
    which copies are known. `user` is the Slack id of who is erased, for which `alias` stands from now on; `name` is
    what somebody without one is looked for by.
    """

    suggestions: set[str] = field(default_factory=set)
    history: set[str] = field(default_factory=set)
    threads: set[str] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)
    chunks: set[int] = field(default_factory=set)
    name: str = ""
    user: str = ""
    alias: str = ERASED

    @property
    def pairs(self) -> set[str]:
        """The ids of the pairs that these rows make or made."""
        return self.suggestions | self.history

    @cached_property
    def as_user(self) -> re.Pattern[str] | None:
        """The user's id as a whole word."""
        return re.compile(rf"(?<![A-Za-z0-9]){re.escape(self.user)}(?![A-Za-z0-9])") if self.user else None


def fold(text: str) -> str:
    """A text without differences of case, of apostrophes, and of how its accents are stored."""
    return unicodedata.normalize("NFC", text).casefold().translate(SIGNS)


@lru_cache(maxsize=4096)
def forms(said: str) -> frozenset[str]:
    """A text as it may stand in a file, folded: as it is, and as JSON writes it, with and without escapes."""
    spelled = {said, said.replace("'", "\u2019").replace("-", "\u2011")}
    written = {json.dumps(one, ensure_ascii=ascii)[1:-1] for one in spelled for ascii in (False, True)}
    return frozenset(map(fold, spelled | written))


@lru_cache(maxsize=4096)
def as_name(said: str) -> re.Pattern[str] | None:
    """How a name, an address or a number is looked for: where it begins and ends in a Latin letter or a digit, no more
    of them may stand there, for Ann is not in "cannot", ann@home.example not in joann@home.example, and Ada in no
    sha256; but "Anns" and "ann85" are hers. Between its words any space may stand. None for what is no name."""
    parts = said.split()
    if not 0 < len(parts) <= WORDS:
        return None
    name = SPACE.join(f"(?:{'|'.join(map(re.escape, sorted(forms(part))))})" for part in parts)
    first, last = fold(parts[0])[0], fold(parts[-1])[-1]
    # What stands before it in a JSON string may be an escape: \n, \u201c.
    before = rf"(?:(?<![{LATIN}])|(?<=\\[bfnrt])|(?<=\\u[0-9a-f]{{4}}))" if re.match(f"[{LATIN}]", first) else ""
    after = rf"(?![{LATIN}])" if re.match(f"[{LATIN}]", last) else ""
    number = "s?[0-9]*" if after and last.isalpha() else ""
    return re.compile(f"{before}{name}{number}{after}{NO_T}", re.IGNORECASE)


def stands_in(folded: str, said: str) -> bool:
    """Whether a text stands in a folded one."""
    name = as_name(said)
    # The words are found at once where the pattern looks at every letter.
    if not all(any(form in folded for form in forms(part)) for part in (said.split() if name else [said])):
        return False
    return name is None or name.search(folded) is not None


def longer_words(values: Iterable[str], name: str) -> list[str]:
    """Words, addresses and the like that a name stands in without being it, the rarest first: "annika", of Ann."""
    word, counted = as_name(name), Counter[str]()
    if word is None or len(name.split()) > 1:
        return []
    around = re.compile(rf"[\w.+@'-]*{re.escape(fold(name))}[\w.+@'-]*")
    for value in values:
        folded = fold(value)
        if fold(name) in folded:
            counted.update(one.strip(".+@'-_") for one in around.findall(folded) if not word.search(one))
    return [one for one, _ in sorted(counted.items(), key=lambda item: (item[1], item[0])) if not CODE.fullmatch(one)]


def holds(text: str, texts: Iterable[str]) -> bool:
    """Whether one of the texts stands in this one."""
    folded = fold(text)
    return any(stands_in(folded, said) for said in texts)


def scrub(value: object, found: Found) -> object | None:
    """The JSON value without it; None when there is nothing to take out."""
    scrubbed = _scrubbed(value, found)
    return None if scrubbed == value else scrubbed


def scrub_lines(text: str, found: Found) -> str | None:
    """JSON lines without the records that are of it or hold it, and without the user's id; None when there are none."""
    lines = text.splitlines(keepends=True)
    kept = [line for line in lines if not (_is_of(line, found) or holds(line, found.texts))]
    scrubbed = _without_user("".join(kept), found)
    return None if scrubbed == text else scrubbed


def scrub_text(text: str, found: Found) -> str | None:
    """A text without the lines that hold it, or that name a pair or a thread of it with what is indented below."""
    whole = text
    # One may run over several lines; then each line in which a part stands is gone whole.
    for said in sorted(found.texts, key=len, reverse=True):
        whole = (as_name(said) or re.compile(re.escape(said), re.IGNORECASE)).sub(ERASED, whole)
    lines = list(_lines(whole, found))
    scrubbed = _without_user("\n".join(lines), found)
    return None if scrubbed == text else scrubbed


def _lines(text: str, found: Found) -> Iterator[str]:
    below, named = False, found.pairs | found.threads
    for line in text.split("\n"):
        below = bool(named.intersection(NAME.findall(line))) or (below and line.startswith(" "))
        yield ERASED if below or ERASED in line or holds(line, found.texts) else line


def _scrubbed(value: object, found: Found) -> object:
    if isinstance(value, str):
        if holds(value, found.texts):
            return ERASED
        return _without_user(value, found)
    if isinstance(value, list):
        return [_scrubbed(part, found) for part in value]
    if isinstance(value, dict):
        gone = QUOTED if _named(value, found) else RECITED if value.get("chunk_id") in found.chunks else ()
        return {
            _without_user(name, found): ERASED if name in gone and part else _scrubbed(part, found)
            for name, part in value.items()
        }
    return value


def _is_of(line: str, found: Found) -> bool:
    try:
        record = json.loads(line)
    except ValueError:
        return False
    if not isinstance(record, dict):
        return False
    shown = record.get("examples")
    parts = (record, record.get("pair"), *(shown if isinstance(shown, list) else ()))
    return any(_named(one, found) for one in parts if isinstance(one, dict))


def _named(record: dict, found: Found) -> bool:
    ids = [one for one in (record.get("id"), record.get("pair_id")) if isinstance(one, str)]
    return bool(found.pairs.intersection(ids)) or record.get("thread_id") in found.threads


def _without_user(text: str, found: Found) -> str:
    return found.as_user.sub(found.alias, text) if found.as_user else text
