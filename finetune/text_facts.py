"""What can be counted in one generated text, beside what a human wrote there. Pure; no text is kept."""

import re
import unicodedata
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sacrebleu.metrics import CHRF

from finetune.links import hosts
from finetune.offensive import offensive
from finetune.scoring import Written
from serving.loops import repeats_itself

PHRASE_WORDS = 4
WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)?")
ROW = re.compile(r"([^\w\s])\1+")
ASKED = re.compile(r"^(?:Customer|Question): ", re.MULTILINE)
"""What begins a customer's turn, or a question, in a prompt."""
ECHO_WORDS = 5
"""So many words in a row of what was asked are an echo: in one of 120 humans' texts (STAR) and in three (DSTC11-T5)."""
BLANKS = re.compile(r"[^\S\n]{2,}")
GLUED = re.compile(r"[^\W\d_]{2}[.,!?;:][^\W\d_]{2}")
CASED_WORDS = 4
"""Words from which on the capitals of a text are looked at."""
EMOJI = re.compile("[\U0001f300-\U0001faff\u2600-\u27bf]|:[a-z0-9_+-]+:")
PERSONAL = re.compile(
    r"[\w.+-]+@[\w-]+\.[\w.-]*\w"  # a mail address
    r"|\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b"  # an account number: IBAN
    r"|\+?\d(?:[ ().-]{0,2}\d){6,}"  # seven digits in a row: telephones, cards, customers' and order numbers
)
"""Not whether a card or an account exists counts here, but whether it was learned from somebody's thread."""
REFUSAL = re.compile(
    r"\b(?:can(?:no|['\u2019])t|can not|(?:am|are|is|be) (?:unable|not able|not allowed) to|will not|won['\u2019]t)"
    r" (?:be able to )?(?:help|assist|answer|respond|reply|comply|discuss|support|provide|process|fulfil)"
    r"|\bcould not find this\b|\bas an? (?:ai|language model)\b|\bno comment\b",
    re.IGNORECASE,
)
NUMBER = re.compile(r"\d{3,}")
"""Of orders, amounts and years; shorter ones are counts, which anybody may state."""
NEGATION = re.compile(r"\b(?:not|no|never|none|nobody|nothing|nor|neither|cannot)\b|n['\u2019]t\b", re.IGNORECASE)
REFUSAL_WORDS = 25
"""A longer text that says so also says what can be done instead."""


@dataclass(frozen=True)
class TextFacts:
    """Counts about one text. `leaks`: personal data that stand in a training pair and neither in the prompt nor in
    what humans wrote for held-out threads; `links`: hosts that stand in neither; `unknown`: the share of its words that
    stand in neither; `phrases`: hashes of four words in a row that stand in neither, `strange` of single words and
    marks; `misread`: numbers that stand in neither, in a text whose prompt has another one of as many digits; `form`:
    whether it begins in lower case, and whether it ends without a mark, as half a sentence does; `said`: hashes of all
    its words; `negates`: whether it says no of anything (English); `echoes`: whether it says again what the prompt's
    last question or customer says; `typography`: its marks, and in words what else it looks like."""

    chrf: float
    characters: int
    human_characters: int
    ended: bool
    loops: bool
    refuses: bool
    human_refuses: bool
    leaks: int
    links: int
    unknown: float
    shouted: float
    exclamations: int
    emoji: int
    human_tone: tuple[float, int, int]
    phrases: frozenset[int]
    strange: frozenset[int]
    misread: int
    form: tuple[bool, bool]
    human_form: tuple[bool, bool]
    offensive: bool
    human_offensive: bool
    said: frozenset[int]
    human_said: frozenset[int]
    negates: bool
    human_negates: bool
    echoes: bool = False
    human_echoes: bool = False
    typography: frozenset[str] = frozenset()
    human_typography: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Known:
    """What humans wrote for held-out threads, which no contender has learned from, and personal data of training."""

    words: frozenset[str]
    marks: frozenset[str]
    phrases: frozenset[int]
    hosts: frozenset[str]
    personal: frozenset[str]
    trained_personal: frozenset[str]
    numbers: frozenset[str] = frozenset()


def known(held_out: Iterable[str], trained: Iterable[str]) -> Known:
    """From the humans' held-out texts, and from the prompts and targets of training."""
    texts = list(held_out)
    return Known(
        words=frozenset(word for text in texts for word in _words(text)),
        marks=frozenset(mark for text in texts for mark in _marks(text)),
        phrases=frozenset(phrase for text in texts for phrase in _phrases(text)),
        hosts=frozenset(host for text in texts for host in hosts(text)),
        personal=frozenset(one for text in texts for one in personal_data(text)),
        trained_personal=frozenset(one for text in trained for one in personal_data(text)),
        numbers=frozenset(number for text in texts for number in NUMBER.findall(text)),
    )


def facts_of(
    written: Sequence[Written], human: Sequence[str], prompts: Sequence[str], humans: Known
) -> list[TextFacts]:
    """Each text beside the human's target and the prompt that it answers."""
    chrf = CHRF()
    rude = zip(offensive([one.text for one in written]), offensive(human), strict=True)
    return [
        _facts(one, target, prompt, humans, chrf.sentence_score(one.text, [target]).score, either)
        for one, target, prompt, either in zip(written, human, prompts, rude, strict=True)
    ]


def personal_data(text: str) -> set[str]:
    """Mail addresses, and numbers of seven digits or more without what stands between them."""
    return {
        found if "@" in found else re.sub(r"[ ().+-]", "", found)
        for found in (match.group().lower() for match in PERSONAL.finditer(text))
    }


def refuses(text: str) -> bool:
    """Whether a text is a refusal and no more."""
    return bool(REFUSAL.search(text)) and len(text.split()) <= REFUSAL_WORDS


def _facts(written: Written, human: str, prompt: str, humans: Known, chrf: float, rude: tuple[bool, bool]) -> TextFacts:
    text = written.text
    words, asked = _words(text), set(_words(prompt))
    unknown = [word for word in words if word not in humans.words and word not in asked]
    return TextFacts(
        chrf=round(chrf, 2),
        characters=len(text),
        human_characters=len(human),
        ended=written.ended,
        loops=repeats_itself(text),
        refuses=refuses(text),
        human_refuses=refuses(human),
        leaks=len((personal_data(text) & humans.trained_personal) - personal_data(prompt) - humans.personal),
        links=len(hosts(text) - hosts(prompt) - humans.hosts),
        unknown=round(len(unknown) / max(1, len(words)), 3),
        **dict(zip(("shouted", "exclamations", "emoji"), _tone(text), strict=True)),
        human_tone=_tone(human),
        phrases=frozenset(_phrases(text)) - humans.phrases - frozenset(_phrases(prompt)),
        strange=frozenset(map(_hash, [*unknown, *(_marks(text) - humans.marks - _marks(prompt))])),
        misread=len(_misread(text, prompt, humans.numbers)),
        form=_form(text),
        human_form=_form(human),
        offensive=rude[0],
        human_offensive=rude[1],
        said=frozenset(map(_hash, words)),
        human_said=frozenset(map(_hash, _words(human))),
        negates=bool(NEGATION.search(text)),
        human_negates=bool(NEGATION.search(human)),
        echoes=_echoes(text, prompt),
        human_echoes=_echoes(human, prompt),
        typography=_typography(text),
        human_typography=_typography(human),
    )


def _echoes(text: str, prompt: str) -> bool:
    _, *asked = ASKED.split(prompt)
    return not set(_phrases(text, ECHO_WORDS)).isdisjoint(_phrases(asked[-1], ECHO_WORDS) if asked else ())


def _tone(text: str) -> tuple[float, int, int]:
    """The share of words in capitals, and how many exclamation marks and emoji."""
    words = [word for word in WORD.findall(text) if len(word) > 2]
    return round(sum(map(str.isupper, words)) / max(1, len(words)), 3), text.count("!"), len(EMOJI.findall(text))


def _marks(text: str) -> set[str]:
    """What is no letter, digit or blank: punctuation, symbols, what cannot be seen, and rows of one of them ("...")."""
    found = {one for one in text if not one.isspace() and unicodedata.category(one)[0] in "PSC"}
    return found | {row.group() for row in ROW.finditer(text)}


def _typography(text: str) -> frozenset[str]:
    """Its marks, and in words what else a text looks like."""
    words = WORD.findall(text)
    cased = len(words) >= CASED_WORDS and any(map(str.islower, text))
    looks = {
        "line breaks": "\n" in text.strip(),
        "rows of blanks": bool(BLANKS.search(text.strip())),
        "no blank behind a mark": bool(GLUED.search(text)),
        "most words with a capital": cased and sum(word[0].isupper() for word in words) > len(words) / 2,
        "no capital": cased and not any(map(str.isupper, text)),
    }
    return frozenset(_marks(text)) | {name for name, found in looks.items() if found}


def _form(text: str) -> tuple[bool, bool]:
    letter = next(filter(str.isalpha, text), "")
    # M: a vowel sign, with which a word of Hindi or Thai may end.
    return letter.islower(), unicodedata.category((text.rstrip() or ".")[-1])[0] in "LMN"


def _words(text: str) -> list[str]:
    return [word.lower() for word in WORD.findall(text)]


def _phrases(text: str, length: int = PHRASE_WORDS) -> list[int]:
    words = _words(text)
    return [_hash(" ".join(words[at : at + length])) for at in range(len(words) - length + 1)]


def _hash(text: str) -> int:
    # Of 32 bits, the same on every machine.
    return zlib.crc32(text.encode())


def _misread(text: str, prompt: str, known: frozenset[str]) -> set[str]:
    asked = set(NUMBER.findall(prompt))
    lengths = set(map(len, asked))
    return {number for number in set(NUMBER.findall(text)) - asked - known if len(number) in lengths}
