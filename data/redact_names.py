"""Find names of people in a line: by the words around them, and by lists of first names (Faker's, of 22 countries).

A list alone finds few names of countries that it does not have, and words that are also names (May, Will, Georgia) are
names only where the words around them say so.
"""

import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module


def _words(written: str) -> frozenset[str]:
    return frozenset(written.split())


LOCALES = (
    "en_US", "en_GB", "de_DE", "fr_FR", "es_ES", "it_IT", "nl_NL", "pl_PL", "pt_PT", "pt_BR", "sv_SE", "da_DK", "no_NO",
    "fi_FI", "cs_CZ", "hu_HU", "ro_RO", "hr_HR", "sl_SI", "tr_TR", "en_IN", "id_ID",
)  # fmt: skip

WORD = r"[^\W\d_](?:[^\W\d_]|['\u2019-](?=[^\W\d_]))*(?!\w|-\w)"
NAME = r"(?-i:[A-ZÀ-ÖØ-ÞŁŚŽŠČĆÓŻ](?:[^\W\d_]|['\u2019-](?=[^\W\d_]))+(?!\w|-\w))"
FULL = rf"{NAME}(?: (?:{NAME}|(?-i:[A-Z])\.?|(?-i:van|von|de|der|den|del|la|da|di|dos|bin|al)))*"
CONTEXTS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\b(?:mr|mrs|ms|miss|mx|dr|prof|sir|madam|herr|frau|señora?|monsieur|madame)\b\.? (?P<name>{FULL})",
        rf"\b(?:my|his|her|the|their) (?:full |last |first )?name(?: is|'s|:| appears as)? (?P<name>{FULL})",
        rf"(?:\A|[,;|] ?)\W*(?:full |last |first |sur)?name: (?P<name>{FULL})",
        rf"\b(?:i am|i'm|this is|it's|it is|name is|called|ich bin|je suis|soy|sono) (?P<name>{FULL})"
        r"(?=[,.!]| (?:from|here|speaking|and|at)\b|\s*\Z)",
        rf"\A\W*(?:(?:customer|agent): *)?(?P<name>{FULL}) (?:here|speaking|writing)\b",
        rf"\b(?:hi|hello|hey|dear|good (?:morning|afternoon|evening)|thanks|thank you|cheers|sorry|hallo|lieber?|"
        rf"bonjour|hola|ciao|good to hear from you)(?: there)?,? (?P<name>{FULL})(?=[,.!:]|\s*\Z| -)",
        rf"\b(?:regards|wishes|best|cheers|sincerely|thanks|thank you|grüße|grüßen),\s*(?P<name>{FULL})\W*\Z",
    )
)
"""What stands before or after a name when somebody is addressed, introduced or signs."""
BY_LIST = re.compile(rf"(?<![\w@#/.-]){FULL}")
NO_NAMES = _words(
    """
    a an the i it we you they he she this that these those there here hi hello hey dear thanks thank please sorry
    yes no ok okay sure great good best kind warm regards wishes cheers sincerely customer agent support team help
    centre center morning afternoon evening everyone everybody all folks guys sir madam monday tuesday wednesday
    thursday friday saturday sunday january february march april may june july august september october november
    december still just not so very really glad happy afraid writing looking trying having getting wondering calling
    waiting back again in on at my our your is are was were do does did can could will would should what when where
    who why how if and or but since after before open done next step order error app apple google amazon slack
    english german french spanish italian
    """
)
"""Capitalised often, and never a name by itself."""
ALSO_WORDS = _words(
    """
    may june april august will mark grace hope faith joy rose summer autumn dawn eve iris lily violet daisy ivy
    olive hazel ginger pearl ruby amber crystal jade angel star sky rain storm art bill bob chase chip christian
    clay cliff cole dale dean drew duke earl eden forest frank gene guy hunter jack jay jean jordan king lane lee
    major max melody mercy mike miles mode nick page parker pat patience penny peter pierce prince ray rich rick rob
    robin rod royal rusty sandy scout serene stone sue ty van victor wade ward wood young paris london florence
    sofia sydney austin dallas houston georgia virginia carolina chelsea brooklyn israel chad kenya india america
    china dakota madison lincoln charlotte victoria alexandria vienna roman cruz santiago milan valencia verona
    siena lourdes asia europe bella dolce stern see jan juni juli mai sommer winter ernst wolf adler fuchs bach berg
    bus can de ana ali ni so as on to in do go be me an am is it at or if of by my no love angelo sunny lucky happy
    pretty noble justice destiny harmony trinity heaven precious genesis journey legacy reign
    """
)


def names(line: str) -> Iterator[tuple[int, int]]:
    """Where names stand in a line, as (start, end)."""
    for context in CONTEXTS:
        for found in context.finditer(line):
            start, end = _trimmed(line, *found.span("name"))
            if start < end:
                yield start, end
    for found in BY_LIST.finditer(line):
        yield from _listed(line, found.start(), found.end())


@cache
def first_names() -> frozenset[str]:
    """All first names of the lists, as they are written."""
    found: set[str] = set()
    for locale in LOCALES:
        provider = import_module(f"faker.providers.person.{locale}").Provider
        for kind in ("first_names", "first_names_male", "first_names_female"):
            found.update(name for name in getattr(provider, kind, ()) if re.fullmatch(WORD, name) and len(name) > 2)
    return frozenset(name for name in found if name.casefold() not in ALSO_WORDS | NO_NAMES)


def _listed(line: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """A run of capitalised words from its first listed name on."""
    for word in re.finditer(WORD, line[start:end]):
        if word[0] in first_names():
            last = _trimmed(line, start + word.start(), end)
            if last[0] < last[1]:
                yield last
            return


def _trimmed(line: str, start: int, end: int) -> tuple[int, int]:
    """Without words at either end that are no names, and without a possessive's ending."""
    words = list(re.finditer(rf"{WORD}\.?", line[start:end]))
    while words and words[0][0].rstrip(".").casefold() in NO_NAMES:
        words.pop(0)
    kept = []
    for word in words:
        if word[0].casefold() in NO_NAMES:
            break
        kept.append(word)
    if not kept:
        return start, start
    last = re.sub(r"['\u2019]s\Z", "", kept[-1][0]).rstrip(".'\u2019-")
    return start + kept[0].start(), start + kept[-1].start() + len(last)
