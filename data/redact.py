"""Find personal data and secrets in a text. Pure, offline, without a model; what to put in their place: masking.py.

What is found: e-mail addresses, telephone numbers, payment cards, IBANs, public IP addresses, national ids with a check
digit, street addresses, secrets, and names of people where the words around them, or a list of first names, tell.

A number of an order, ticket, invoice or parcel is no personal data, and the model needs it: what stands after such a
word, after "#", or within a word with letters (LB-20417) is left alone. A bare number is personal only when a check
digit says so (cards, IBANs), or when its form or a word before it says that it is a telephone's.
"""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import phonenumbers
from stdnum import luhn
from stdnum.es import nif
from stdnum.exceptions import ValidationError
from stdnum.iso7064 import mod_97_10
from stdnum.it import codicefiscale
from stdnum.us import ssn

from data import redact_names, redact_secrets

Kind = Literal["SECRET", "EMAIL", "IBAN", "CARD", "ID", "IP", "PHONE", "ADDRESS", "NAME"]
KINDS: tuple[Kind, ...] = ("SECRET", "EMAIL", "IBAN", "CARD", "ID", "IP", "PHONE", "ADDRESS", "NAME")
"""Where two overlap, the earlier kind counts."""

EMAIL = re.compile(r"(?<![\w.+-])[\w.+%'-]{1,64}@(?:[\w-]{1,63}\.)+[^\W\d_]{2,24}(?![\w-])")
IBAN = re.compile(r"(?<![\w-])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![\w-])")
DIGITS = re.compile(r"(?<![\w#-])(?<![.,]\d)\+?\(?\d(?:[ ()./-]{0,2}\d){6,18}(?!\w|-\d)(?![.,:]\d)")
"""Seven to nineteen digits with what people put between them."""
SSN = re.compile(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])")
LETTERED_ID = re.compile(r"(?<![\w-])(?:[A-Z]{6}\d{2}[A-Z]\d{2}[A-Z]\d{3}[A-Z]|[XYZ]?\d{7,8}-?[A-Z])(?![\w-])")
IPV4 = re.compile(r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w-])(?!\.\d)")
IPV6 = re.compile(r"(?<![\w:])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{1,4}(?![\w:])")
STREET = (
    r"street|st|avenue|ave|road|rd|lane|ln|drive|dr|boulevard|blvd|court|ct|square|sq|terrace|close|crescent|parkway|pkwy|"
    r"highway|hwy|way|place|pl"
)
ADDRESS = re.compile(
    rf"(?<![\w.,-])(?:\d{{1,5}}[A-Za-z]?,? (?:(?-i:[A-Z])[\w'.-]*,? ){{1,4}}(?:{STREET})\b\.?"
    r"|\d{1,5} (?:rue|avenue|boulevard|place|chemin|via|calle) (?:[\w'.-]+ ?){1,4}\b"
    r"|(?=(?-i:[A-ZÄÖÜ]))(?:(?-i:[A-ZÄÖÜ])[\w.-]* ){0,2}(?:(?-i:[A-ZÄÖÜ])[\w.-]{2,})?(?:straße|strasse|str\.|weg|gasse|"
    r"platz|allee|vej|gade|vägen|gatan|straat|laan|utca|katu|veien) \d{1,4}[a-z]?(?![\w-]))"
    r"(?:,? (?:apt|apartment|suite|unit|flat|#)\.? ?[\w-]{1,6})?",
    re.IGNORECASE,
)
NUMBERED = re.compile(
    r"(?:order|ticket|invoice|case|ref(?:erence)?|tracking|parcel|shipment|booking|reservation|serial|sku|item|article|"
    r"customer|account|model|version|bestellung|rechnung|vorgang|commande|pedido)"
    r"(?:[ -]?(?:number|nummer|no|nr|num|id|code))?[.:#]*(?:\s+is)?\s*[:#]?\s*\Z",
    re.IGNORECASE,
)
"""What a number stands after that names a thing, and no person."""
CALLED = re.compile(
    r"\b(?:phone|telephone|tel|call|called|calling|mobile|cell|fax|whatsapp|sms|text|handy|telefon|reach|dial|ring|"
    r"contact)\b[^\d\n]{0,40}\Z|\b(?:my|your|his|her|our) number\b[^\d\n]{0,20}\Z",
    re.IGNORECASE,
)
SAID_ID = re.compile(
    r"\b(?:driver'?s? licen[cs]e|driving licen[cs]e|passport|social security|national id|tax id|ssn|id card)"
    r"(?: (?:number|no\.?))?(?: is)?:? (?P<id>(?=[A-Z0-9-]*\d{4})[A-Z0-9-]{5,20})(?![\w-])",
    re.IGNORECASE,
)
SAID_ADDRESS = re.compile(
    r"(?<!ip )(?<!mac )(?<!mail )\b(?:address(?: is|:)|lives? at|living at) "
    r"(?P<address>(?=[^.!?\n]{0,40}\d)[^.!?@\n]{5,80}[^\s.!?@,\n])",
    re.IGNORECASE,
)
CARD_NEAR = re.compile(r"\b(?:card|karte|visa|mastercard|maestro|amex)\b", re.IGNORECASE)
DATE = re.compile(r"(?:(?:19|20)\d\d[-./ ]\d{1,2}[-./ ]\d{1,2}|\d{1,2}[-./ ]\d{1,2}[-./ ](?:19|20)\d\d)(?!\d)")
VERSION = re.compile(r"(?:\bv|version|release|build)\s*\Z", re.IGNORECASE)
REGIONS = ("US", "GB", "DE", "FR", "ES", "IT", "NL", "AT", "CH", "BE", "DK", "SE", "NO", "PL", "AU", "IN", "BR")
"""Whose national form of a number is known, beside every international one."""


@dataclass(frozen=True)
class Found:
    """One piece of personal data: its kind and its place in the text."""

    kind: Kind
    start: int
    end: int


def personal_data(text: str) -> list[Found]:
    """What is personal or secret in a text, in order; no two overlap."""
    found: list[Found] = []
    offset = 0
    for line in text.split("\n"):
        found += (Found(one.kind, one.start + offset, one.end + offset) for one in _in_line(line))
        offset += len(line) + 1
    return found


@lru_cache(maxsize=20_000)
def _in_line(line: str) -> tuple[Found, ...]:
    kept: list[Found] = []
    for one in sorted(_candidates(line), key=lambda one: (KINDS.index(one.kind), one.start, -one.end)):
        if all(one.end <= other.start or one.start >= other.end for other in kept):
            kept.append(one)
    return tuple(sorted(kept, key=lambda one: one.start))


def _candidates(line: str) -> Iterator[Found]:
    for start, end in redact_secrets.secrets(line):
        yield Found("SECRET", start, end)
    if "@" in line:
        yield from (Found("EMAIL", *found.span()) for found in EMAIL.finditer(line))
    if any(character.isdigit() for character in line):
        yield from _numbers(line)
    for start, end in redact_names.names(line):
        yield Found("NAME", start, end)


def _numbers(line: str) -> Iterator[Found]:
    for found in IBAN.finditer(line):
        if _is_valid(mod_97_10, found[0].replace(" ", "")[4:] + found[0][:4]):
            yield Found("IBAN", *found.span())
    for found in SSN.finditer(line):
        if ssn.is_valid(found[0]):
            yield Found("ID", *found.span())
    for found in SAID_ID.finditer(line):
        yield Found("ID", *found.span("id"))
    for found in LETTERED_ID.finditer(line):
        if codicefiscale.is_valid(found[0]) or nif.is_valid(found[0]):
            yield Found("ID", *found.span())
    for pattern in (IPV4, IPV6):
        for found in pattern.finditer(line):
            if _is_public_address(found[0]) and not VERSION.search(line, 0, found.start()):
                yield Found("IP", *found.span())
    for found in DIGITS.finditer(line):
        before = line[: found.start()]
        digits = re.sub(r"\D", "", found[0])
        if NUMBERED.search(before):
            continue
        if _is_card(digits, line):
            yield Found("CARD", *found.span())
        elif _is_phone(found[0], digits, called=CALLED.search(before) is not None):
            yield Found("PHONE", *found.span())
    yield from (Found("ADDRESS", *found.span()) for found in ADDRESS.finditer(line))
    yield from (Found("ADDRESS", *found.span("address")) for found in SAID_ADDRESS.finditer(line))


def _is_valid(check, text: str) -> bool:
    try:
        check.validate(text)
    except ValidationError:
        return False
    return True


def _is_card(digits: str, line: str) -> bool:
    # One number in ten passes Luhn's check by chance: a short one needs a word for a card beside it.
    if not luhn.is_valid(digits) or len(set(digits)) == 1:
        return False
    return (13 <= len(digits) <= 19 and digits[0] in "3456") or (len(digits) >= 12 and bool(CARD_NEAR.search(line)))


def _is_public_address(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).is_global
    except ValueError:
        return False


def _is_phone(written: str, digits: str, *, called: bool) -> bool:
    if not 7 <= len(digits) <= 15 or DATE.match(written) or IPV4.fullmatch(written):
        return False
    if written.startswith("+"):
        return _parsed(written, None, strict=False)
    if called:
        return True
    divided = len(re.findall(r"[ ()./-]+", written)) >= 2
    return divided and any(_parsed(written, region, strict=True) for region in REGIONS)


def _parsed(written: str, region: str | None, *, strict: bool) -> bool:
    try:
        number = phonenumbers.parse(written, region)
    except phonenumbers.NumberParseException:
        return False
    return phonenumbers.is_valid_number(number) if strict else phonenumbers.is_possible_number(number)
