"""Intercom's conversations, one object each, as its export and its API write them."""

from collections.abc import Iterator, Mapping
from typing import Any

from data.exports.messages import NotUsable, Said, html_text, record
from data.models import Speaker

SPEAKERS: dict[str, Speaker] = {
    "user": "customer",
    "lead": "customer",
    "contact": "customer",
    "admin": "agent",
    "team": "agent",
}
"""By an author's type; what a bot writes is neither's."""


def is_conversation(value: Mapping[str, Any]) -> bool:
    """Is this a conversation of Intercom's?"""
    return "conversation_parts" in value or value.get("type") == "conversation"


def read(value: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """The conversation of what its sides wrote to each other, and the number of private notes. Raises NotUsable."""
    if "id" not in value:
        raise NotUsable('the conversation has no "id"')
    parts = value.get("conversation_parts")
    if isinstance(parts, dict):
        parts = parts.get("conversation_parts")
    if not isinstance(parts, list) or not all(isinstance(one, dict) for one in parts):
        raise NotUsable('the conversation has no "conversation_parts"')
    public = [one for one in parts if "note" not in str(one.get("part_type", ""))]
    source = value.get("source")
    if isinstance(source, dict):
        # It has no time of its own: it opened the conversation.
        public = [{"created_at": value.get("created_at"), **source}, *public]
    statistics = value.get("statistics")
    closed_at = statistics.get("last_close_at") if isinstance(statistics, dict) else None
    conversation = record(
        f"intercom-{value['id']}",
        _said(public),
        closed_at=closed_at or value.get("updated_at"),
        team=value.get("team_assignee_id"),
    )
    return conversation, sum("note" in str(one.get("part_type", "")) for one in parts)


def _said(parts: list[Mapping[str, Any]]) -> Iterator[Said]:
    for part in parts:
        author = part.get("author")
        if not isinstance(author, dict):
            raise NotUsable("a part has no author")
        speaker = SPEAKERS.get(str(author.get("type")))
        body = part.get("body")
        if speaker is None or author.get("from_ai_agent") or part.get("redacted") or not isinstance(body, str):
            continue
        yield Said(speaker, html_text(body), part.get("created_at"), author.get("name"))
