"""Slack's messages → turns, and what our own messages say about themselves. Pure."""

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from bot import mentions
from bot.rich_text import markdown_of
from bot.slack import SPOKEN_SUBTYPES, Json, plain
from data.models import Turn

REPLY_EVENT = "nightshift_reply"
"""Metadata type of a reply that we posted for an agent."""
ANSWER_EVENT = "nightshift_answer"
"""Metadata type of an answer that the bot gave in its own name."""
DRAFT_EVENT = "nightshift_draft"
"""Metadata type of a draft that the person who asked for it sees in the direct message with us."""
REVIEW_EVENT = "nightshift_review"
"""Metadata type of a review message."""
GAP_EVENT = "nightshift_gap"
"""Metadata type of the news, in a question's thread, that the help centre has an answer now."""
NOTICE_EVENT = "nightshift_notice"
"""Metadata type of a sentence to one person. With it, our only messages without any are streams that never ended."""


def turns_of(
    messages: Iterable[Json],
    *,
    agents: frozenset[str],
    our_bot_id: str,
    our_user_id: str = "",
    allowed_bots: frozenset[str] = frozenset(),
    names: Mapping[str, str] | None = None,
) -> list[Turn]:
    """What was said in a thread or channel, oldest first. `names` maps user ids to plain names.

    A reply that we posted for an agent is the agent's; the bot's other messages are nobody's turn, and neither is what
    asks the bot for a draft or a summary.
    """
    turns = []
    for message in messages:
        bot_id = message.get("bot_id")
        # Ours was written in markdown and only escaped (blocks.messages_of): it comes back as it was decided on.
        text = plain(message.get("text") or "").strip() if bot_id == our_bot_id else markdown_of(message, names)
        if not text or message.get("subtype") not in SPOKEN_SUBTYPES or message.get("hidden"):
            continue
        if bot_id == our_bot_id:
            if (message.get("metadata") or {}).get("event_type") != REPLY_EVENT:
                continue
            turns.append(Turn("agent", text, message["ts"]))
        elif (bot_id and bot_id not in allowed_bots) or _asks_us(message, our_user_id):
            continue
        else:
            user_id = message.get("user") or ""
            turns.append(Turn("agent" if user_id in agents else "customer", text, message["ts"], user_id))
    return turns


def said(messages: Iterable[Json], *, of: Collection[str]) -> dict[str, str]:
    """ts → the beginning of the hash of what a message says, of those messages whose ts is among `of`.

    Without people's names, which may be others the next time, and without what Slack shows of a link.
    """
    spoken = [m for m in messages if m.get("ts") in of and m.get("subtype") in SPOKEN_SUBTYPES]
    return {m["ts"]: hashlib.sha256(markdown_of(m).encode()).hexdigest()[:16] for m in spoken}


def _asks_us(message: Json, our_user_id: str) -> bool:
    spoken_to = our_user_id in mentioned([message])
    return spoken_to and mentions.task_of(markdown_of(message, {our_user_id: ""})) is not None


def metadata(event_type: str, suggestion_id: str, *, part: int) -> Json:
    """What a message of ours says about itself to who reads it later: ids only, every app may read it."""
    return {"event_type": event_type, "event_payload": {"suggestion_id": suggestion_id, "part": part}}


def posted_parts(messages: Iterable[Json], *, event_type: str, suggestion_id: str, our_bot_id: str) -> dict[int, str]:
    """Which parts of a suggestion we posted already: part number → ts."""
    found = {}
    for message in messages:
        metadata = message.get("metadata") or {}
        payload = metadata.get("event_payload") or {}
        ours = message.get("bot_id") == our_bot_id and metadata.get("event_type") == event_type
        if ours and payload.get("suggestion_id") == suggestion_id:
            found[int(payload.get("part", 0))] = message["ts"]
    return found


def mentioned(messages: Sequence[Json]) -> set[str]:
    """The user ids that the messages' texts mention."""
    return {user for message in messages for user in re.findall(r"<@([UW][A-Z0-9]+)", message.get("text") or "")}
