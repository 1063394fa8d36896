"""Questions with the passages that people kept or read on in: what search learns from."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlite_utils import Database

from data import store_tunings
from data.models import Message, Turn
from data.prompts import NAMES, asked_thread
from data.search import said_before

RUN = 5
"""So many words in a row of a passage in what was sent: it was kept, and did not only stand in the prompt."""
WORD = re.compile(r"\w+")
CITATION = re.compile(r"\[(\d{1,2})\]")
SPOKEN = re.compile(rf"^({'|'.join(map(re.escape, NAMES.values()))}): ", re.MULTILINE)


@dataclass(frozen=True)
class Kept:
    """A question, what was said before it, and the ids of the passages that stood behind what was sent."""

    suggestion_id: str
    thread_id: str
    held_out: bool
    question: str
    history: str
    chunk_ids: list[int]


def kept_passages(db: Database) -> list[Kept]:
    """Of every decision that may be learned from, and of every answer whose readers thanked for it or read on."""
    found = []
    for one in store_tunings.decided_sources(db):
        cited = set(kept_of(one.text, one.passages))
        chunk_ids = [chunk_id for chunk_id, _ in one.passages if chunk_id in cited or chunk_id in one.opened]
        question, history = asked_of(one.messages)
        if chunk_ids and question:
            found.append(Kept(one.suggestion_id, one.thread_id, one.held_out, question, history, chunk_ids))
    return found


def kept_of(sent: str, passages: Sequence[tuple[int, str]]) -> list[int]:
    """The passages (id, text), in the prompt's order, that a text cites, or that it repeats a run of words of. Pure."""
    cited = {int(number) for number in CITATION.findall(sent)}
    said = _runs(sent)
    return [
        chunk_id
        for number, (chunk_id, text) in enumerate(passages, start=1)
        if number in cited or not said.isdisjoint(_runs(text))
    ]


def asked_of(messages: Sequence[Message]) -> tuple[str, str]:
    """What a prompt's customer said last, and what was said before it. Pure."""
    thread = asked_thread(messages)
    if thread.startswith("Question: "):
        return thread.removeprefix("Question: ").strip(), ""
    _, *parts = SPOKEN.split(thread)
    speakers = {name: speaker for speaker, name in NAMES.items()}
    turns = [
        Turn(speakers[name], text.strip()) for name, text in zip(parts[::2], parts[1::2], strict=True) if text.strip()
    ]
    last = max((place for place, turn in enumerate(turns) if turn.speaker == "customer"), default=None)
    return ("", "") if last is None else (turns[last].text, said_before(turns[:last]))


def _runs(text: str) -> set[tuple[str, ...]]:
    words = [word.lower() for word in WORD.findall(text)]
    return set(zip(*(words[start:] for start in range(RUN)), strict=False))
