"""Turns, passages and examples → the chat messages that are sent to the model. Pure.

It lives in data/ and not in bot/, because two sides build prompts: the desk, for a suggestion, and
`import-history`, for the pair that a closed ticket makes. One function serves both, so what training
reads is what serving would have sent.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from data import fencing
from data.fencing import fenced, fenced_passage
from data.models import Example, Message, Passage, Turn

REPLY = "Draft the support agent's next reply. Use the help centre where it fits. Invent nothing."
SUMMARY = "Summarise this support thread for a colleague under: Customer wants, Done, Open, Next step."
SUMMARY_JOIN = (
    "Join these summaries of the parts of one support thread, oldest first, under: Customer wants, Done, Open, "
    "Next step. Keep what is open until a later part closes it."
)
SUMMARY_UPDATE = (
    "Bring this summary of a support thread up to date with what was said since, under: Customer wants, Done, Open, "
    "Next step. Keep the wording of what still holds."
)
ANSWER = "Answer the question from the help centre and cite the passage as [n]. If it is not there, say so."
NOT_FOUND = "I could not find this in the help centre."

SO_FAR = "Summary so far:\n"

Wish = Literal["another", "shorter", "warmer", "formal"]
"""What an agent may ask for in a draft's place."""
WISHES: Mapping[Wish, str] = {
    "another": "Write it differently than the earlier draft.",
    "shorter": "Write it shorter than the earlier draft.",
    "warmer": "Write it warmer than the earlier draft.",
    "formal": "Write it more formally than the earlier draft.",
}

TONES = {"warm": "Write warmly.", "formal": "Write formally.", "brief": "Write briefly."}

NAMES = {"customer": "Customer", "agent": "Agent"}


STRUCTURED = re.compile(r"^ *(```|~~~|\||>|[-*] |\d+[.)] )", re.MULTILINE)
"""Code, tables, quotes and lists: their line breaks mean something."""


def transcript(turns: Sequence[Turn]) -> str:
    """`Customer: …` or `Agent: …` for each message, in one line.

    Line breaks become spaces, except around code, tables, quotes and lists: there the lines stay, indented, so that
    no message can begin another one.
    """
    return "\n".join(f"{NAMES[turn.speaker]}: {_said(turn.text)}" for turn in turns)


def _said(text: str) -> str:
    text = fenced(text)
    if not STRUCTURED.search(text):
        return " ".join(text.split())
    return "\n  ".join(line.rstrip() for line in text.strip().splitlines() if line.strip())


def help_centre(passages: Sequence[Passage]) -> str:
    """The numbered passages, or an empty string when there are none."""
    if not passages:
        return ""
    read = [readable(passage) for passage in passages]
    lines = [f"[{n}] {' '.join(p.title.split())}: {' '.join(p.text.split())}" for n, p in enumerate(read, start=1)]
    return "Help centre:\n" + "\n".join(lines) + "\n\n"


def readable(passage: Passage) -> Passage:
    """A passage as a model reads it: see fencing.py."""
    return replace(passage, title=fenced_passage(passage.title), text=fenced_passage(passage.text))


def quotable(passage: Passage) -> Passage:
    """A passage as a person reads it in a quote: see fencing.py."""
    return replace(passage, title=fencing.quotable(passage.title), text=fencing.quotable(passage.text))


def reply_messages(
    turns: Sequence[Turn],
    passages: Sequence[Passage] = (),
    examples: Sequence[Example] = (),
    *,
    wish: Wish | None = None,
    earlier: str = "",
) -> list[Message]:
    """Ask for the agent's next message. Examples stand before as finished exchanges, so roles alternate.

    With a wish, ask for it in the place of an earlier draft, which stands before the conversation: what is
    searched for and learned from is still what follows `Conversation:`.
    """
    asked = help_centre(passages)
    if wish is not None:
        asked += f"Earlier draft: {_said(earlier)}\n\n"
    asked += "Conversation:\n" + transcript(turns)
    return [_system(REPLY if wish is None else f"{REPLY} {WISHES[wish]}"), *_exchanges(examples), _user(asked)]


def summary_messages(turns: Sequence[Turn], examples: Sequence[Example] = ()) -> list[Message]:
    """Ask for a summary of a thread or channel."""
    return [_system(SUMMARY), *_exchanges(examples), _user("Conversation:\n" + transcript(turns))]


def summary_update_messages(kept: str, turns: Sequence[Turn]) -> list[Message]:
    """Ask to bring a summary that an agent kept up to date with the messages since."""
    return [_system(SUMMARY_UPDATE), _user(f"{SO_FAR}{kept.strip()}\n\nConversation:\n{transcript(turns)}")]


def summary_join_messages(parts: Sequence[str], *, kept: str = "") -> list[Message]:
    """Ask for one summary of a conversation that was too long to be read at once, from the summaries of its parts.

    `kept` is a summary that an agent kept of what was said before these parts.
    """
    joined = "\n\n".join(f"Part {n}:\n{part.strip()}" for n, part in enumerate(parts, start=1))
    if kept:
        return [_system(SUMMARY_UPDATE), _user(f"{SO_FAR}{kept.strip()}\n\n{joined}")]
    return [_system(SUMMARY_JOIN), _user(joined)]


def answer_messages(
    question: str, passages: Sequence[Passage], examples: Sequence[Example] = (), earlier: Sequence[Turn] = ()
) -> list[Message]:
    """Ask for an answer to one question from the passages.

    `earlier`: what was asked and answered before in the thread. It stands in the last message, not in exchanges of
    its own, which nobody could tell from examples.
    """
    before = f"Earlier in this thread:\n{transcript(earlier)}\n\n" if earlier else ""
    asked = help_centre(passages) + before + "Question: " + " ".join(fenced(question).split())
    return [_system(ANSWER), *_exchanges(examples), _user(asked)]


def with_preferences(messages: Sequence[Message], *, language: str = "", tone: str = "") -> list[Message]:
    """The same prompt, asking for a language (named in English) and a tone (a key of TONES); as it is without any."""
    sentences = [f"Write in {language}."] if language else []
    sentences += [TONES[tone]] if tone else []
    return [_system(" ".join([messages[0]["content"], *sentences])), *messages[1:]]


def summary_in(messages: Sequence[Message], language: str) -> list[Message]:
    """A prompt for a summary, asking for a language (named in English); as it is when that is empty.

    The headings stay, since by them a summary is shown in sections and gone on from.
    """
    if not language:
        return list(messages)
    return [_system(f"{messages[0]['content']} Write in {language}, but keep these headings."), *messages[1:]]


def without_examples(messages: Sequence[Message]) -> list[Message]:
    """The same prompt with its few-shot exchanges taken out: the system message and the last user message."""
    return [messages[0], messages[-1]]


def with_examples(messages: Sequence[Message], examples: Sequence[Example]) -> list[Message]:
    """A prompt without examples, with these put in: what the base would get where an adapter gets none."""
    return [messages[0], *_exchanges(examples), messages[-1]]


def examples_in(messages: Sequence[Message]) -> list[tuple[Message, Message]]:
    """The few-shot exchanges of a prompt: what was asked and what was answered."""
    return list(zip(messages[1:-1:2], messages[2:-1:2], strict=False))


def asked_thread(messages: Sequence[Message]) -> str:
    """The thread or question part of a prompt's last message: what an example shows, without passages."""
    content = messages[-1]["content"]
    if content.startswith(SO_FAR):
        # What was said since makes no sense without what was summarised before.
        return content
    # Where a line begins: nothing that a passage or a customer says can begin one.
    found = re.search(r"^(?:Conversation:\n|Question: )", content, re.MULTILINE)
    return content[found.start() :] if found else content


def _exchanges(examples: Sequence[Example]) -> list[Message]:
    return [message for e in examples for message in (_user(e.thread), Message(role="assistant", content=e.target))]


def _system(text: str) -> Message:
    return Message(role="system", content=text)


def _user(text: str) -> Message:
    # What nobody fenced, as a summary that was kept: a control token such as <|end|> must not end the message.
    return Message(role="user", content=text.replace("<|", "< |"))
