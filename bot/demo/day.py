"""One day of Larkspur's support team: customers write, agents ask for drafts and decide, supervisors rate."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from bot.demo.company import KINDS, Kind
from bot.demo.rules import keeps_all
from bot.demo.slack_people import Draft, SlackPeople
from bot.demo.threads import Thread
from bot.sandbox.people import AGENTS, CUSTOMERS, SUPERVISORS
from data.models import DecisionKind, Task, Turn

CHANNEL, EVALUATION_CHANNEL = "C0HELP", "C0BILLING"
DISMISSED_EVERY, RATED_EVERY, SUMMARISED_EVERY = 12, 4, 12
QUESTIONS = 4


@dataclass
class Day:
    """What became of the day's drafts."""

    decisions: Counter[DecisionKind] = field(default_factory=Counter)
    tasks: Counter[Task] = field(default_factory=Counter)
    ratings: int = 0
    first_draft_at: float | None = None
    """On the monotonic clock."""

    def count(self) -> int:
        return self.decisions.total()

    def decide(self, kind: DecisionKind, task: Task) -> None:
        self.decisions[kind] += 1
        self.tasks[task] += 1


async def play(people: SlackPeople, threads: Sequence[Thread], day: Day) -> None:
    """Lead every thread to its end; each agent has one in hand, so as many are in flight as there are agents."""
    waiting = list(enumerate(threads))[::-1]
    questions = [(kind, asked) for kind in KINDS for asked in kind.openings[:1] if re.search(r"^[^{]*\?$", asked)]
    questions = questions[:QUESTIONS]

    async def shift(agent: str) -> None:
        while waiting:
            number, thread = waiting.pop()
            await _lead(people, agent, number, thread, day)
        while questions:
            await _look_up(people, agent, *questions.pop(), day)

    await asyncio.gather(*(shift(agent) for agent in AGENTS))


async def _lead(people: SlackPeople, agent: str, number: int, thread: Thread, day: Day) -> None:
    customer = CUSTOMERS[number % len(CUSTOMERS)]
    thread_ts = await people.write(customer, CHANNEL, thread.opening)
    message_ts = thread_ts
    for replies, (turns, house_text) in enumerate(thread.exchanges()):
        if replies:
            message_ts = await people.write(customer, CHANNEL, turns[-1].text, thread_ts)
        draft = await people.suggest(agent, CHANNEL, message_ts)
        day.first_draft_at = day.first_draft_at or time.monotonic()
        kind = await _decide(people, agent, draft, turns, house_text, day)
        if kind == "dismissed":
            # The agent answers without the bot.
            await people.write(agent, CHANNEL, house_text, thread_ts)
            return
        reply_ts = await people.reply_in(agent, CHANNEL, thread_ts, count=replies + 1)
        await _rate(people, draft, reply_ts, day)
    if number % SUMMARISED_EVERY == 0:
        link = await people.permalink(agent, CHANNEL, thread_ts)
        draft = await people.command(agent, CHANNEL, "/summarize", link)
        await people.edit(agent, draft, thread.summary)
        day.decide("edited", "summary")


async def _decide(
    people: SlackPeople, agent: str, draft: Draft, turns: Sequence[Turn], house_text: str, day: Day
) -> DecisionKind:
    """Accept what keeps the house style, dismiss one in twelve, and edit the others into the style."""
    kind: DecisionKind = "edited"
    if keeps_all(turns, draft.text):
        kind = "accepted"
        await people.accept(agent, draft)
    elif day.tasks["reply"] % DISMISSED_EVERY == DISMISSED_EVERY - 1:
        kind = "dismissed"
        await people.dismiss(agent, draft)
    else:
        await people.edit(agent, draft, house_text)
    day.decide(kind, "reply")
    return kind


async def _rate(people: SlackPeople, draft: Draft, reply_ts: str, day: Day) -> None:
    """Supervisors look at one reply in four: by a reaction under it, or by the review message's button in turn."""
    if day.count() % RATED_EVERY:
        return
    day.ratings += 1
    supervisor = SUPERVISORS[day.ratings % len(SUPERVISORS)]
    if day.ratings % 2:
        await people.do("reaction", channel=CHANNEL, user=supervisor, message_ts=reply_ts, name="+1")
    else:
        await people.rate(supervisor, draft.suggestion_id, "positive")


async def _look_up(people: SlackPeople, agent: str, kind: Kind, question: str, day: Day) -> None:
    """Ask the help centre, and put the answer right from the article; without the article there is no answer."""
    draft = await people.command(agent, CHANNEL, "/ask", question)
    headings = kind.headings()
    cited = next((n for n, title in enumerate(draft.sources, start=1) if any(h in title for h in headings)), None)
    if cited is None:
        await people.dismiss(agent, draft)
        day.decide("dismissed", "answer")
        return
    await people.edit(agent, draft, f"{kind.answers[0]} [{cited}]")
    day.decide("edited", "answer")


async def drafts_for(people: SlackPeople, posted: Sequence[tuple[Thread, str]]) -> list[Draft]:
    """One draft for each posted opening, in their order. Nobody decides on them, so nothing is learned from them."""
    drafts: dict[int, Draft] = {}
    waiting = list(range(len(posted)))[::-1]

    async def shift(agent: str) -> None:
        while waiting:
            at = waiting.pop()
            drafts[at] = await people.suggest(agent, EVALUATION_CHANNEL, posted[at][1])

    await asyncio.gather(*(shift(agent) for agent in AGENTS))
    return [drafts[at] for at in range(len(posted))]


async def post_openings(people: SlackPeople, threads: Sequence[Thread]) -> list[tuple[Thread, str]]:
    """Let customers write the evaluation's openings; returns each thread with its ts."""
    return [
        (thread, await people.write(CUSTOMERS[at % len(CUSTOMERS)], EVALUATION_CHANNEL, thread.opening))
        for at, thread in enumerate(threads)
    ]
