"""The app's Messages tab: prompts to begin with, and what the person is looking at beside it.

Slack tells what a person looks at in three ways (docs.slack.dev, reference/events): by `app_context_changed`, in
`app_home_opened`, and in each direct message. Which of them a client sends is not certain, so all are read.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from slack_bolt.async_app import AsyncApp

from bot import beside
from bot.desk import Desk
from bot.slack import Json, Request
from data import store_viewed
from data.errors import DeskError
from data.models import Audience, Role, Task
from data.store_viewed import Viewed

log = logging.getLogger(__name__)

MOST_PROMPTS = 4
SUMMARISE_THREAD = "Summarise the thread I am looking at"
SUMMARISE_CHANNEL = "Summarise the channel I am looking at"
DRAFT_REPLY = "Draft a reply to the thread I am looking at"
TASKS: Mapping[str, Task] = {SUMMARISE_THREAD: "summary", SUMMARISE_CHANNEL: "summary", DRAFT_REPLY: "reply"}
_THREAD = r"(?:this|the) thread(?: i(?: am|.m) looking at)?"
SAID = (
    (re.compile(rf"(?:please )?summari[sz]e {_THREAD}"), SUMMARISE_THREAD),
    (re.compile(rf"(?:please )?summari[sz]e {_THREAD}".replace("thread", "channel")), SUMMARISE_CHANNEL),
    (re.compile(rf"(?:please )?draft a reply(?: to {_THREAD})?"), DRAFT_REPLY),
)
"""The prompts as people type them too."""
GREETING = "What can I help you with?"
TOPIC_LENGTH = 60


def register(app: AsyncApp, desk: Desk) -> None:
    """Listen for the Messages tab being opened and for what is looked at beside it."""

    async def is_messages_tab(event: Json) -> bool:
        return event.get("tab") == "messages"

    @app.event("app_home_opened", matchers=[is_messages_tab])
    @app.event("app_context_changed")
    async def look(body: Json, event: Json) -> None:
        user_id = viewer(body)
        if user_id is None:
            return
        team_id = body.get("team_id") or ""
        # Opened without a context, the tab says nothing new about what stands beside it.
        if "context" in event:
            store_viewed.record_viewed(desk.db, team_id, user_id, viewed_in(event["context"]), at=_when(body))
        try:
            if event.get("channel"):
                await _offer(desk, event["channel"], team_id, user_id)
        except DeskError as error:
            # Who opens a tab has asked for nothing, so there is nobody to tell.
            log.warning("no prompts offered to %s: %s", user_id, error)


async def _offer(desk: Desk, channel_id: str, team_id: str, user_id: str) -> None:
    audience: Audience = "customer_safe" if await desk.workspace.is_guest(user_id) else "internal"
    offered = prompts(
        await desk.workspace.role(user_id),
        store_viewed.viewed(desk.db, team_id, user_id),
        store_viewed.topics(desk.db, limit=MOST_PROMPTS, audience=audience),
    )
    if offered:
        # Without thread_ts: with it, an app with agent_view is answered "ok" and nothing is shown (slack.md, 11).
        await desk.workspace.call(
            "assistant.threads.setSuggestedPrompts", channel_id=channel_id, title=GREETING, prompts=offered
        )


def prompts(role: Role | None, viewed: Viewed | None, topics: Sequence[str]) -> list[dict[str, str]]:
    """What is offered to this person, most fitting first."""
    asked: list[tuple[str, str]] = []
    if viewed is not None:
        asked.append(2 * (SUMMARISE_THREAD if viewed.message_ts else SUMMARISE_CHANNEL,))
        if viewed.message_ts and role is not None:
            asked.append((DRAFT_REPLY, DRAFT_REPLY))
    asked += [(_clip(topic), f"What does the help centre say about “{topic}”?") for topic in topics]
    return [{"title": title, "message": message} for title, message in asked[:MOST_PROMPTS]]


def in_view(desk: Desk, request: Request, event: Json) -> Request:
    """A direct message that asks about what the person is looking at, as a request on that. Others as they are."""
    wanted = _wanted(request.details.get("text", "")) if request.details.get("kind") == "direct" else None
    if wanted is None:
        return request
    details = {**request.details, "kind": beside.KIND, "asked_in": request.channel_id}
    if "app_context" in event:
        viewed = viewed_in(event["app_context"])
    else:
        viewed = store_viewed.viewed(desk.db, request.team_id, request.user_id)
    if viewed is None or (viewed.message_ts is None and wanted != SUMMARISE_CHANNEL):
        return replace(request, task=TASKS[wanted], details={**details, "viewed": ""})
    message_ts = None if wanted == SUMMARISE_CHANNEL else viewed.message_ts
    return replace(request, task=TASKS[wanted], channel_id=viewed.channel_id, thread_ts=message_ts, details=details)


def viewed_in(context: object) -> Viewed | None:
    """The first channel or thread among what Slack lists, most relevant first. Direct messages are nobody else's."""
    entities = context.get("entities") if isinstance(context, dict) else None
    for entity in entities if isinstance(entities, list) else []:
        match entity:
            case {
                "type": "slack#/types/message_context",
                "value": {"channel_id": str(channel_id), "message_ts": str(message_ts)},
            }:
                found = Viewed(channel_id, message_ts)
            case {"type": "slack#/types/channel_id", "value": str(channel_id)}:
                found = Viewed(channel_id, None)
            case _:
                continue
        if found.channel_id.startswith(("C", "G")):
            return found
    return None


def viewer(body: Json) -> str | None:
    """Who is looking. Slack's example of the event names nobody but in the authorizations."""
    if body["event"].get("user"):
        return str(body["event"]["user"])
    people = (one.get("user_id") for one in body.get("authorizations") or [] if not one.get("is_bot"))
    return next(people, None)


def _when(body: Json) -> float:
    stamp = str(body["event"].get("event_ts") or body.get("event_time"))
    return float(stamp) if re.fullmatch(r"\d+(\.\d+)?", stamp) else 0.0


def _wanted(text: str) -> str | None:
    said = text.strip().rstrip(".!?").casefold()
    return next((wanted for pattern, wanted in SAID if pattern.fullmatch(said)), None)


def _clip(topic: str) -> str:
    return topic if len(topic) <= TOPIC_LENGTH else topic[: TOPIC_LENGTH - 1] + "…"
