"""The replies that a backtest scores, and what each contender makes of them: losses in transformers, texts by vLLM."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from sqlite_utils import Database
from tqdm import tqdm

from data import store
from data.history import MOST_REPLIES, history_pairs, replies, spread, thread_of
from data.models import Message
from data.prompts import with_examples, without_examples
from finetune.backtest_metrics import Reading, Sent
from finetune.backtest_parts import Old
from finetune.chat import encode, ever_shorter, prompt_ids
from finetune.dataset import EXAMPLES
from finetune.scoring import Stage
from serving.engine import Engine, Timeouts
from serving.settings import ServingSettings

AT_ONCE = 16
"""Drafts that vLLM writes at the same time."""
LONGEST = 320
"""Tokens of a draft, as at the desk; and at most a quarter of the context."""
NEW_SHARE = 4
PATIENT = Timeouts(between_tokens=900, whole=3600)
"""Nobody waits for these drafts, and a busy machine must not end hours of work."""


@dataclass(frozen=True)
class Asked:
    """One turn at which the agent would have asked for a draft. `messages` have no examples."""

    thread: str
    messages: list[Message]
    target: str
    customer_said: str
    kind: str
    tokens: int


def cases(db: Database, stage: Stage, part: Sequence[Old], *, most: int) -> list[Asked]:
    """Every scored reply of these conversations, or `most` of them at even distances.

    The prompt is the one that an import would make of them now, with the passages that the store finds.
    """
    found = [
        (one, reply, pair)
        for one in part
        for reply, pair in zip(
            spread(replies(one.conversation), MOST_REPLIES),
            (pair for pair in history_pairs(db, one.conversation) if pair.task == "reply"),
            strict=True,
        )
    ]
    asked = []
    for one, reply, pair in spread(found, most):
        tokens = encode(stage.tokenizer, pair.messages, pair.target, limit=stage.context, ends=stage.ends)
        # A reply longer than the model's context is nothing that it could have written.
        if tokens is not None:
            kind = one.kinds.get(reply.position, "")
            asked.append(
                Asked(
                    thread_of(one.conversation),
                    pair.messages,
                    pair.target,
                    reply.customer_said,
                    kind,
                    len(tokens.target),
                )
            )
    return asked


def sent(asked: Sequence[Asked]) -> Sent:
    """What the humans sent."""
    return Sent([one.thread for one in asked], [one.target for one in asked], [one.tokens for one in asked])


def plain(asked: Sequence[Asked]) -> list[list[Message]]:
    """The prompts without examples: the bare base's, and an adapter's."""
    return [one.messages for one in asked]


def with_retrieved(db: Database, asked: Sequence[Asked]) -> list[list[Message]]:
    """The prompts with the examples that the desk would find among the pairs so far."""
    return [
        with_examples(
            one.messages,
            store.accepted_examples(
                db,
                "reply",
                text=one.customer_said,
                limit=EXAMPLES,
                exclude_thread=one.thread,
            ),
        )
        for one in asked
    ]


def read_nats(
    stage: Stage, name: str, prompts: Sequence[list[Message]], asked: Sequence[Asked], *, tokens_per_pass: int
) -> list[float]:
    """The nats of what the humans sent, under a contender that the stage knows by name."""
    encoded = [
        encode(stage.tokenizer, messages, one.target, limit=stage.context, ends=stage.ends)
        for messages, one in zip(prompts, asked, strict=True)
    ]
    return stage.nats(name, [one for one in encoded if one is not None], tokens_per_pass=tokens_per_pass)


def read(
    stage: Stage,
    serving: ServingSettings,
    name: str,
    served: str,
    prompts: Sequence[list[Message]],
    asked: Sequence[Asked],
    *,
    tokens_per_pass: int,
) -> Reading:
    """A contender on all cases: `name` is the stage's name of it, `served` vLLM's."""
    nats = read_nats(stage, name, prompts, asked, tokens_per_pass=tokens_per_pass)
    longest = min(LONGEST, stage.context // NEW_SHARE)
    fitting = [_within(stage, messages, stage.context - longest) for messages in prompts]
    return Reading(nats, asyncio.run(_drafts(serving, served, fitting, longest)))


async def _drafts(serving: ServingSettings, model: str, prompts: Sequence[list[Message]], longest: int) -> list[str]:
    engine = Engine(serving.llm_base_url, serving.llm_api_key, PATIENT)
    room = asyncio.Semaphore(AT_ONCE)
    bar = tqdm(total=len(prompts), desc=f"drafts by {model}", unit="draft", leave=False, disable=None)

    async def draft(messages: list[Message]) -> str:
        async with room:
            completion = await engine.complete(messages, model=model, max_tokens=longest)
            bar.update()
            return completion.text.strip()

    try:
        return await asyncio.gather(*(draft(messages) for messages in prompts))
    finally:
        bar.close()
        await engine.close()


def _within(stage: Stage, messages: list[Message], room: int) -> list[Message]:
    """The fullest prompt that leaves a draft its room: without examples first, then without the oldest turns."""
    if len(prompt_ids(stage.tokenizer, messages)) <= room:
        return messages
    system, asked = without_examples(messages)
    for content in ever_shorter(asked["content"], stage.tokenizer, room):
        shorter = [system, Message(role="user", content=content)]
        if len(prompt_ids(stage.tokenizer, shorter)) <= room:
            return shorter
    return shorter
