"""Drafts that nobody asked for: a customer writes in a channel that opted in, and the agent on duty sees a draft.

Quiet by design: off until an admin switches a channel on, one draft for each of a customer's turns, a budget per
channel and hour, none in an agent's quiet hours, and no word to anybody when it cannot be done.
"""

import asyncio
import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bot.desk import Desk
from bot.duty import last_answer, on_duty
from bot.messages import mentioned
from bot.rich_text import markdown_of
from bot.slack import PROACTIVE, SPOKEN_SUBTYPES, Json, Request, key_of, reader, team_of
from data import store, store_preferences, store_proactive, store_waiting
from data.errors import DeskError, NightshiftError
from data.models import Suggestion
from data.preferences import is_quiet
from data.store_waiting import WaitingQuestion

log = logging.getLogger(__name__)

PATIENCE = 30.0
"""Seconds that choosing an agent may take: a draft that comes later helps nobody."""


@dataclass(frozen=True)
class Question:
    """A message that may be a customer's. `thread_ts` is empty when it begins a thread."""

    key: str
    team_id: str
    channel_id: str
    message_ts: str
    thread_ts: str
    user_id: str
    text: str


@reader
def question_of(body: Json, *, bot_user_id: str, allowed_bots: frozenset[str]) -> Question | None:
    """The message in an event that a person, or a help desk's bot, wrote to a channel and not to the bot itself."""
    event = body.get("event") or {}
    if event.get("type") != "message" or event.get("subtype") not in SPOKEN_SUBTYPES:
        return None
    text = markdown_of(event)
    if event.get("channel_type") not in ("channel", "group") or not text or bot_user_id in mentioned([event]):
        return None
    if event.get("bot_id") and event["bot_id"] not in allowed_bots:
        return None
    return Question(
        key=key_of(body),
        team_id=team_of(body),
        channel_id=event["channel"],
        message_ts=event["ts"],
        thread_ts=event.get("thread_ts") or "",
        user_id="" if event.get("bot_id") else event.get("user") or "",
        text=text,
    )


def remember(desk: Desk, question: Question) -> bool:
    """Store that this question may get a draft, before its event is acked; False when it gets none, or came before."""
    switch = store_proactive.newest_switch(desk.db, question.channel_id)
    if switch is None or not switch.is_on or _is_spent(desk, question.channel_id):
        return False
    ids = {name: getattr(question, name) for name in ("team_id", "channel_id", "message_ts", "thread_ts", "user_id")}
    return store_waiting.remember_question(desk.db, request_key=question.key, **ids)


async def choose(desk: Desk, question: Question) -> Suggestion | None:
    """After the ack: store that an agent gets a draft for a question that was remembered; None when nobody gets one."""
    try:
        async with asyncio.timeout(PATIENCE):
            agent, answered_ts = await _agent_for(desk, question)
    except (TimeoutError, NightshiftError) as error:
        log.warning("no unasked draft in %s: %s", question.channel_id, type(error).__name__)
        agent, answered_ts = None, ""
    with store.immediate(desk.db):
        store_waiting.forget_question(desk.db, question.key)
        # Again, since others have been stored while Slack was asked.
        if agent is None or _is_spent(desk, question.channel_id) or _is_drafted(desk, question, answered_ts):
            return None
        return desk.remember(
            Request(
                key=question.key,
                task="reply",
                team_id=question.team_id,
                channel_id=question.channel_id,
                thread_ts=question.thread_ts or question.message_ts,
                user_id=agent,
                details={
                    "kind": PROACTIVE,
                    "shown_in": question.thread_ts,
                    "message_ts": question.message_ts,
                    "text": question.text,
                },
            )
        )


async def read_again(desk: Desk, waiting: WaitingQuestion) -> Question | None:
    """A question that a crash left without an agent, as it stands in Slack now; None when it is there no more."""
    thread_ts = waiting.thread_ts or waiting.message_ts
    try:
        messages = await desk.workspace.replies(waiting.channel_id, thread_ts)
        text = next((markdown_of(one) for one in messages if one["ts"] == waiting.message_ts), "")
    except DeskError as error:
        log.warning("no unasked draft in %s: %s", waiting.channel_id, type(error).__name__)
        text = ""
    if not text:
        store_waiting.forget_question(desk.db, waiting.request_key)
        return None
    ids = {name: getattr(waiting, name) for name in ("team_id", "channel_id", "message_ts", "thread_ts", "user_id")}
    return Question(key=waiting.request_key, **ids, text=text)


def _is_spent(desk: Desk, channel_id: str) -> bool:
    """Has the channel had its drafts of this hour?"""
    hour_ago = store.iso(datetime.now(UTC) - timedelta(hours=1))
    return store_proactive.unasked_since(desk.db, channel_id, hour_ago) >= desk.workspace.settings.proactive_per_hour


def _is_drafted(desk: Desk, question: Question, answered_ts: str) -> bool:
    """Has this turn of the customer's had its one draft, however many messages it takes them?"""
    thread_id = store.thread_id_of(question.team_id, question.channel_id, question.thread_ts or question.message_ts)
    drafted_for = store_proactive.newest_question(desk.db, thread_id)
    return drafted_for is not None and drafted_for > answered_ts


async def _agent_for(desk: Desk, question: Question) -> tuple[str | None, str]:
    """(who gets the draft, the ts of the newest answer in the thread): None for nobody, an empty ts for no answer."""
    nobody = None, ""
    if question.user_id and await desk.workspace.role(question.user_id) is not None:
        return nobody
    here = await desk.workspace.agents_among(await desk.workspace.members(question.channel_id))
    answered_by = answered_ts = ""
    if question.thread_ts:
        messages = await desk.workspace.replies(question.channel_id, question.thread_ts)
        # Also those who have left the channel since.
        agents = await desk.workspace.agents_among(str(message.get("user")) for message in messages)
        answered_by, answered_ts = last_answer(desk, messages, agents)
        if _is_drafted(desk, question, answered_ts):
            return nobody
    quiet = await asyncio.gather(*(_is_quiet(desk, agent) for agent in sorted(here)))
    awake = [agent for agent, is_so in zip(sorted(here), quiet, strict=True) if not is_so]
    if not awake:
        return nobody
    return await on_duty(desk, question.channel_id, awake, answered_by=answered_by), answered_ts


async def _is_quiet(desk: Desk, agent: str) -> bool:
    preferences = store_preferences.preferences(desk.db, agent)
    # Slack is not asked about who has no quiet hours.
    return bool(preferences.quiet_from) and is_quiet(
        preferences, datetime.now(UTC), await desk.workspace.time_zone(agent)
    )
