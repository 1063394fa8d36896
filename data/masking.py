"""Put something in the place of personal data, the same throughout a thread, so that a model still learns from it.

Names become other names, for a model that learns to write "[NAME_1]" would write it to customers; everything else
becomes a placeholder such as [EMAIL_1]. What stands in the help centre is public and stays.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from data.models import Message, Pair, PreferencePair
from data.redact import Kind, personal_data
from data.redact_names import ALSO_WORDS, NO_NAMES
from data.store_names import EVERYWHERE

OTHER_NAMES = (
    "Alma", "Arno", "Bela", "Birk", "Carla", "Corin", "Dario", "Delia", "Edda", "Elmar", "Fabia", "Falk", "Gesa",
    "Gilda", "Hanno", "Helma", "Ilka", "Ivo", "Jarl", "Jutta", "Karla", "Koen", "Lenka", "Lorin", "Maren", "Milo",
    "Nadja", "Nils", "Odile", "Orlin", "Petra", "Quinn", "Ragna", "Ruben", "Selma", "Stian", "Tilda", "Tomas",
    "Ulla", "Urban", "Vera", "Vito", "Wanda", "Wim", "Xenia", "Ylva", "Yorik", "Zelda", "Zoran",
)  # fmt: skip
OTHER_SURNAMES = (
    "Almgren", "Barros", "Cermak", "Dornan", "Eklund", "Farkas", "Grohl", "Hartwig", "Ibsen", "Jarvis", "Kessler",
    "Lorenz", "Marlow", "Novak", "Olander", "Pruitt", "Quist", "Reuter", "Sandoz", "Tolman", "Ulrich", "Varga",
    "Wexler", "Yates", "Zeller",
)  # fmt: skip
HELP_CENTRE = re.compile(r"\AHelp centre:\n.*?\n\n", re.DOTALL)
"""The passages of a prompt, as prompts.py writes them: no blank line stands in them."""
PLACEHOLDER = re.compile(r"\[(?:SECRET|EMAIL|IBAN|CARD|ID|IP|PHONE|ADDRESS)_\d+\]")
WORD = re.compile(r"[^\W\d_][\w'\u2019-]*")
WITHIN_A_SENTENCE = re.compile(r"[^\W\d_],? (?=[^\W\d_])")
POSSESSIVE = re.compile(r"['\u2019]s\Z")


class Masker:
    """Holds what stands for what in one thread. `learn` every text of it first, then `mask` each."""

    def __init__(self, thread_id: str, *, names: Iterable[str] = ()) -> None:
        self._thread_id = thread_id
        self._known = {word for name in names for word in _words_of(name) if word.casefold() not in ALSO_WORDS}
        self._values: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._public: set[str] = set()
        self.masked: Counter[Kind] = Counter()
        """How many different values of each kind have been found."""

    def learn(self, text: str) -> None:
        """Find what is personal in a text of the thread."""
        self._publish(text)
        own = without_passages(text)
        for word in sorted(self._known & {POSSESSIVE.sub("", word) for word in WORD.findall(own)}):
            self._learn_name(word)
        for found in personal_data(own):
            value = own[found.start : found.end]
            if found.kind == "NAME":
                self._learn_name(value)
            elif value not in self._values:
                self.masked[found.kind] += 1
                self._values[value] = f"[{found.kind}_{self.masked[found.kind]}]"

    def mask(self, text: str) -> str:
        """The text with everything learned replaced; passages of the help centre stay as they are."""
        own = without_passages(text)
        passages = text[: len(text) - len(own)]
        if values := sorted(self._values.keys() - self._public, key=len, reverse=True):
            # Never within a longer word: a secret 2041 is no part of LB-20417.
            whole = re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, values))})(?!\w|-\w)")
            own = whole.sub(lambda found: self._values[found[0]], own)
        # A word that is also a name ("Mark") is one only where it was found as one, or within a sentence.
        named = [found for found in personal_data(own) if found.kind == "NAME"]
        places = {place for found in named for place in range(found.start, found.end)}
        places |= {found.end() for found in WITHIN_A_SENTENCE.finditer(own)}
        return passages + WORD.sub(lambda word: self._other(word[0], sure=word.start() in places), own)

    def _other(self, word: str, *, sure: bool) -> str:
        stem = POSSESSIVE.sub("", word)
        if stem in self._public or not (sure or stem.casefold() not in ALSO_WORDS):
            return word
        other = self._names.get(stem)
        return other + word[len(stem) :] if other else word

    def _publish(self, text: str) -> None:
        passages = text[: len(text) - len(without_passages(text))]
        if passages:
            self._public.update(WORD.findall(passages))
            self._public.update(passages[one.start : one.end] for one in personal_data(passages))

    def _learn_name(self, name: str) -> None:
        for number, word in enumerate(_words_of(name)):
            if word in self._names:
                continue
            others = OTHER_NAMES if number == 0 else OTHER_SURNAMES
            self._names[word] = _free(others, f"{self._thread_id} {word}", set(self._names.values()))
            self.masked["NAME"] += 1


def without_passages(text: str) -> str:
    """A prompt's text without the help centre's passages."""
    return HELP_CENTRE.sub("", text, count=1)


def maskers(threads: Iterable[str], names: Mapping[str, frozenset[str]]) -> dict[str, Masker]:
    """A masker for each thread, which knows its own names and those known everywhere (store_names.known_names)."""
    everywhere, nobody = names.get(EVERYWHERE, frozenset()), frozenset[str]()
    return {thread: Masker(thread, names=everywhere | names.get(thread, nobody)) for thread in set(threads)}


def masked_pair(pair: Pair, masker: Masker) -> Pair:
    """The pair as it is stored for training."""
    return replace(pair, messages=masked_messages(pair.messages, masker), target=masker.mask(pair.target))


def masked_messages(messages: Sequence[Message], masker: Masker) -> list[Message]:
    """A prompt, all but its instructions masked."""
    return [
        one if one["role"] == "system" else Message(role=one["role"], content=masker.mask(one["content"]))
        for one in messages
    ]


def learn_pair(pair: Pair, masker: Masker) -> None:
    """Let a thread's masker know all that stands in a pair of the thread."""
    for message in pair.messages:
        if message["role"] != "system":
            masker.learn(message["content"])
    masker.learn(pair.target)


def learn_preference(preference: PreferencePair, masker: Masker) -> None:
    """The same for a preference pair."""
    for message in preference.messages:
        if message["role"] != "system":
            masker.learn(message["content"])
    masker.learn(preference.chosen)
    masker.learn(preference.rejected)


def masked_preference(preference: PreferencePair, masker: Masker) -> PreferencePair:
    """The preference pair as it is stored for training."""
    return replace(
        preference,
        messages=masked_messages(preference.messages, masker),
        chosen=masker.mask(preference.chosen),
        rejected=masker.mask(preference.rejected),
    )


def tells_what_nobody_asked(pair: Pair) -> bool:
    """Does a masked target hold a placeholder that its prompt does not? A model could only learn to invent it."""
    asked = {found for message in pair.messages for found in PLACEHOLDER.findall(message["content"])}
    return bool(set(PLACEHOLDER.findall(pair.target)) - asked)


def _words_of(name: str) -> list[str]:
    return [word for word in WORD.findall(name) if len(word) > 1 and word.casefold() not in NO_NAMES]


def _free(names: Sequence[str], key: str, taken: set[str]) -> str:
    start = int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[:4], "big")
    turned = [names[(start + step) % len(names)] for step in range(len(names))]
    return next((name for name in turned if name not in taken), turned[0])
