"""Turns and knowledge → a prompt that fits the context → a draft from the adapter that is live."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

from sqlite_utils import Database

from bot import answering, grounding, vetting
from bot.access import Sources
from bot.blocks import WISH_LABELS
from bot.errors import NoBase, NothingFound, NothingSafe, ThreadTooLong
from data import prompts, store, store_knowledge, store_preferences, store_vectors, vectors
from data.errors import BrokenAdapter, DeskError, EngineFailed, UnknownAdapter
from data.models import BASE, Audience, Base, Example, Message, Passage, Suggestion, Task, Turn
from data.preferences import Preferences
from data.prompts import Wish
from data.search import question_to_embed, said_before, search
from serving import promotion
from serving.base import can_write
from serving.engine import ANOTHER_TEMPERATURE, Completion, Engine

log = logging.getLogger(__name__)

NEW_TOKENS: dict[Task, int] = {"reply": 320, "summary": 400, "answer": 320}
"""The longest draft, in tokens."""
NEW_SHARE = 4
"""A draft takes at most one in so many tokens of the context."""
REPLY_PASSAGES = 2
"""As many as `import-history` puts into a closed ticket's prompt: training reads what serving sends."""
ANSWER_PASSAGES = 3
EXAMPLES = 2

CUT = {
    "length": "The draft was cut at its longest length: check how it ends.",
    "loop": "The model began to repeat itself, so the draft was cut there: check how it ends.",
}
"""What a draft's end is called where the model did not choose it."""

Build = Callable[[Sequence[Turn], Sequence[Passage], Sequence[Example]], list[Message]]


@dataclass(frozen=True)
class Prompt:
    """What is sent, and what stands in it."""

    messages: list[Message]
    passages: list[Passage]
    examples: list[Example]
    turns_left_out: int


@dataclass(frozen=True)
class Written:
    """A completion, who wrote it, and sentences about that for the person who asked."""

    completion: Completion
    adapter: str
    remarks: list[str]


@dataclass(frozen=True)
class Draft:
    """What came back, and whom to name for it. `remarks` are sentences for the person who asked."""

    prompt: Prompt
    text: str
    base: str
    adapter: str
    remarks: list[str]


async def draft(
    db: Database,
    engine: Engine,
    suggestion: Suggestion,
    turns: Sequence[Turn],
    *,
    sources: Sources,
    base_model: str,
    show: Callable[[str], None] | None = None,
) -> Draft:
    """Draft a reply or an answer; for an answer, the question is the newest turn. Summaries: see summaries.py.

    `show` is called with what may be shown of an answer that is still being written.
    Raises NoBase, NothingFound, NothingSafe, ThreadTooLong, and the engine's errors.
    """
    if suggestion.task == "answer" and sources.audience == "customer_safe" and store_knowledge.all_are_internal(db):
        # Whatever was asked: it must not tell whether an internal source speaks of it.
        raise NothingSafe()
    base = served_base(db, base_model)
    thread, team = suggestion.thread_id or suggestion.id, suggestion.team_id
    adapter = promotion.adapter_for(db, suggestion.task, base.hash, thread, team)
    await _understand(db, suggestion.task, turns)
    # An order in an article is neither followed nor quoted.
    passages = [prompts.quotable(passage) for passage in _passages(db, suggestion.task, turns, sources.audience)]
    # Beside an adapter of 300 pairs, examples that it had learned won +0.011 nats per token and others +0.038, neither
    # provably; of 1,000 pairs they lost 0.021 and 0.052; and prompts of 234 tokens became 580 long (docs/ladder.md).
    examples = examples_for(db, suggestion, turns, sources) if adapter == BASE else []
    room = await engine.max_tokens()
    new_tokens = longest(suggestion.task, room)
    limit = room - new_tokens
    wish, earlier = _wish(db, suggestion)
    preferences = store_preferences.preferences(db, suggestion.requested_by)
    build = _preferred(_build(suggestion.task, wish, earlier), suggestion.task, preferences)
    asked, copies = turns, not can_write(base)
    if suggestion.task == "answer":
        answering.expect_answerable(db, turns, passages, word_for_word=copies)
        turns = await _latest_with_passages(engine, build, turns, passages, limit=limit)
    prompt = await fit(engine, build, turns=turns, passages=passages, examples=examples, limit=limit)
    if suggestion.task == "answer" and (back := answering.question_back(asked, prompt.passages)):
        return Draft(prompt, back, base.hash, adapter, [])
    remarks = [f"{WISH_LABELS[wish]}, as you asked."] if wish else []
    if prompt.turns_left_out:
        remarks.append(f"The {prompt.turns_left_out} oldest messages did not fit and were not read.")

    def show_settled(text: str) -> None:
        if show is not None:
            show(grounding.settled(text, prompt.passages, word_for_word=copies))

    written = await write(
        engine,
        suggestion.id,
        prompt.messages,
        adapter=adapter,
        max_tokens=new_tokens,
        temperature=ANOTHER_TEMPERATURE if wish == "another" else 0.0,
        on_text=show_settled,
    )
    text = said(written.completion.text)
    remarks += written.remarks
    if suggestion.task == "answer":
        answer = await answering.checked(db, text, asked, prompt.passages, word_for_word=copies)
        text = answer.text
        if answering.QUOTED in answer.remarks:
            # A quote ends as its passage does, however the model ended.
            remarks = [remark for remark in remarks if remark not in CUT.values()]
        remarks += answer.remarks
    else:
        text, doubts = vetting.vetted(text, turns, prompt.passages)
        remarks += doubts
        if prompt.passages and sources.audience == "internal":
            remarks.append(vetting.NONE_IS_SAFE)
    if wish and text == earlier:
        remarks = ["The model wrote the same again."]
    return Draft(prompt, text, base.hash, written.adapter, remarks)


def served_base(db: Database, base_model: str) -> Base:
    """The base model's identity. Raises NoBase."""
    base = store.base_of_model(db, base_model)
    if base is None:
        raise NoBase()
    return base


def longest(task: Task, room: int) -> int:
    """How many tokens a draft may take of a context of `room` tokens."""
    return min(NEW_TOKENS[task], room // NEW_SHARE)


async def write(
    engine: Engine,
    suggestion_id: str,
    messages: Sequence[Message],
    *,
    adapter: str,
    max_tokens: int,
    temperature: float = 0.0,
    on_text: Callable[[str], None] | None = None,
) -> Written:
    """The adapter's completion, or the base model's where the server does not have the adapter or cannot read it.

    `on_text` is called with the text so far.
    """
    complete = partial(engine.complete, messages, max_tokens=max_tokens, temperature=temperature, on_text=on_text)
    remarks = []
    try:
        completion = await complete(model=adapter)
    except (UnknownAdapter, BrokenAdapter) as error:
        if adapter == BASE:
            raise
        # Not hidden: the draft and /nightshift status say so, and the log has the ids. A person waits, and base can
        # answer.
        log.error("base drafts suggestion %s: %s", suggestion_id, error)
        why = "could not be read" if isinstance(error, BrokenAdapter) else "was unavailable"
        remarks.append(f"The adapter {adapter} {why}, so the base model wrote this.")
        adapter = BASE
        completion = await complete(model=adapter)
    if completion.finish_reason in CUT:
        remarks.append(CUT[completion.finish_reason])
    return Written(completion, adapter, remarks)


async def fit(
    engine: Engine,
    build: Build,
    *,
    turns: Sequence[Turn],
    passages: Sequence[Passage],
    examples: Sequence[Example],
    limit: int,
) -> Prompt:
    """The fullest prompt within `limit` tokens: examples go first, then passages, then the oldest turns.

    Raises ThreadTooLong when the newest turn alone does not fit.
    """

    async def tokens(skipped: int, kept_passages: int, kept_examples: int) -> int:
        return await engine.count_tokens(build(turns[skipped:], passages[:kept_passages], examples[:kept_examples]))

    def prompt(skipped: int, kept_passages: int, kept_examples: int) -> Prompt:
        kept = (turns[skipped:], list(passages[:kept_passages]), list(examples[:kept_examples]))
        return Prompt(build(*kept), kept[1], kept[2], skipped)

    fuller = [(len(passages), n) for n in range(len(examples), -1, -1)]
    for kept in [*fuller, *((n, 0) for n in range(len(passages) - 1, -1, -1))]:
        if await tokens(0, *kept) <= limit:
            return prompt(0, *kept)
    newest = await tokens(len(turns) - 1, 0, 0)
    if newest > limit:
        raise ThreadTooLong(newest, limit)
    # The fewest oldest turns to leave out, by bisection: leaving out one more never makes a prompt longer.
    low, high = 1, len(turns) - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if await tokens(middle, 0, 0) <= limit else (middle + 1, high)
    return prompt(low, 0, 0)


def last_said(turns: Sequence[Turn]) -> str:
    """The customer's newest message: what knowledge and examples are searched by."""
    return next((turn.text for turn in reversed(turns) if turn.speaker == "customer"), turns[-1].text)


async def _understand(db: Database, task: Task, turns: Sequence[Turn]) -> None:
    """Have the question's vector made, beside the thread that acks: a moment, and seconds while its model is read."""
    if model := store_vectors.embedding_model(db):
        question = question_to_embed(*_question(task, turns))
        await asyncio.to_thread(vectors.remember_question, model, question)


def _question(task: Task, turns: Sequence[Turn]) -> tuple[str, str]:
    """What is searched for, and what was said before it."""
    if task == "reply":
        return last_said(turns), ""
    *earlier, question = turns
    return question.text, said_before(earlier)


def _passages(db: Database, task: Task, turns: Sequence[Turn], audience: Audience) -> list[Passage]:
    asked, before = _question(task, turns)
    if task == "reply":
        return search(db, asked, limit=REPLY_PASSAGES, audience=audience)
    earlier = turns[:-1]
    found = search(db, asked, history=before, limit=ANSWER_PASSAGES, audience=audience)
    if not found:
        # "Why?" has no telling word of its own: it is about what was asked before.
        asked = "\n".join(turn.text for turn in earlier if turn.speaker == "customer")
        found = search(db, asked, limit=ANSWER_PASSAGES, audience=audience)
    if not found:
        # A model without a passage would invent one.
        raise NothingFound()
    return found


async def _latest_with_passages(
    engine: Engine, build: Build, turns: Sequence[Turn], passages: Sequence[Passage], *, limit: int
) -> Sequence[Turn]:
    """The question with as much of what was said before as leaves room for every passage."""
    while len(turns) > 1 and await engine.count_tokens(build(turns, passages, ())) > limit:
        turns = turns[1:]
    return turns


def examples_for(db: Database, suggestion: Suggestion, turns: Sequence[Turn], sources: Sources) -> list[Example]:
    """Accepted texts on threads like this one."""
    return store.accepted_examples(
        db,
        suggestion.task,
        text=last_said(turns),
        limit=EXAMPLES,
        exclude_thread=suggestion.thread_id,
        channel_id=sources.examples_of,
    )


def _wish(db: Database, suggestion: Suggestion) -> tuple[Wish | None, str]:
    """What was asked for in an earlier draft's place, and that draft."""
    request = suggestion.request
    if "wish" not in request:
        return None, ""
    earlier = store.suggestion(db, request["earlier"]).draft
    if earlier is None:
        raise DeskError("The earlier draft is no longer kept: ask for a new one.")
    return cast(Wish, request["wish"]), earlier


def _preferred(build: Build, task: Task, preferences: Preferences) -> Build:
    """An answer comes in the language of who asked; a reply keeps the customer's, in the agent's tone."""
    language = "" if task == "reply" else preferences.language
    tone = preferences.tone if task == "reply" else ""

    def preferred(turns: Sequence[Turn], passages: Sequence[Passage], examples: Sequence[Example]) -> list[Message]:
        return prompts.with_preferences(build(turns, passages, examples), language=language, tone=tone)

    return preferred


def _build(task: Task, wish: Wish | None, earlier: str) -> Build:
    def reply(turns: Sequence[Turn], passages: Sequence[Passage], examples: Sequence[Example]) -> list[Message]:
        return prompts.reply_messages(turns, passages, examples, wish=wish, earlier=earlier)

    def answer(turns: Sequence[Turn], passages: Sequence[Passage], examples: Sequence[Example]) -> list[Message]:
        return prompts.answer_messages(turns[-1].text, passages, examples, earlier=turns[:-1])

    return answer if task == "answer" else reply


def said(text: str) -> str:
    """What the model wrote, trimmed. Raises EngineFailed when that is nothing."""
    if not text.strip():
        raise EngineFailed("The model wrote nothing. Please try again.")
    return text.strip()
