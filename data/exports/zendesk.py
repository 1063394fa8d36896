"""Zendesk's tickets with their comments, one object each, as its JSON export and its API write them."""

from collections.abc import Iterator, Mapping
from typing import Any

from data.exports.messages import NotUsable, Said, html_text, record
from data.models import Speaker

SYSTEM = -1
"""The author of what Zendesk itself writes."""


def is_ticket(value: Mapping[str, Any]) -> bool:
    """Is this a ticket, or one that stands beside its comments?"""
    ticket = value.get("ticket")
    return isinstance(ticket, dict) or ("requester_id" in value or "requester" in value)


def roles_of(users: object) -> dict[str, str]:
    """The role of each user by id, from an export that lists its users beside its tickets."""
    listed = users if isinstance(users, list) else []
    return {str(user["id"]): str(user.get("role")) for user in listed if isinstance(user, dict) and "id" in user}


def read(value: Mapping[str, Any], roles: Mapping[str, str]) -> tuple[dict[str, Any], int]:
    """The conversation of a ticket's public comments, and the number of private ones. Raises NotUsable.

    Customers are the requester, whatever their role elsewhere, those whose role says so, and those in copy where no
    role is told. Every other author is an agent.
    """
    ticket = value["ticket"] if isinstance(value.get("ticket"), dict) else value
    if ticket.get("status") == "deleted":
        raise NotUsable("the ticket was deleted")
    if "id" not in ticket:
        raise NotUsable('the ticket has no "id"')
    comments = value.get("comments", ticket.get("comments"))
    if not isinstance(comments, list) or not all(isinstance(one, dict) for one in comments):
        raise NotUsable('the ticket has no list of "comments": export the tickets with their comments')
    public = [one for one in comments if one.get("public", True)]
    roles = {**roles, **roles_of(value.get("users"))}
    closed_at = next((ticket[name] for name in ("solved_at", "closed_at", "updated_at") if ticket.get(name)), None)
    group = ticket.get("group")
    team = group.get("name") if isinstance(group, dict) else ticket.get("group_id")
    said = _said(public, ticket, roles)
    conversation = record(f"zendesk-{ticket['id']}", said, closed_at=closed_at, team=team)
    return conversation, len(comments) - len(public)


def _said(comments: list[Mapping[str, Any]], ticket: Mapping[str, Any], roles: Mapping[str, str]) -> Iterator[Said]:
    requester = ticket.get("requester")
    asks = str(requester.get("id") if isinstance(requester, dict) else ticket.get("requester_id"))
    copied = {str(one) for name in ("email_cc_ids", "collaborator_ids") for one in ticket.get(name) or []}
    for comment in comments:
        author = comment.get("author") if isinstance(comment.get("author"), dict) else {}
        author_id = comment.get("author_id", author.get("id"))
        if author_id is None:
            raise NotUsable("a comment has no author")
        if author_id == SYSTEM:
            continue
        role = author.get("role") or roles.get(str(author_id)) or ("end-user" if str(author_id) in copied else "agent")
        speaker: Speaker = "customer" if str(author_id) == asks or role == "end-user" else "agent"
        rich, plain = comment.get("html_body"), comment.get("plain_body") or comment.get("body")
        text = html_text(rich) if isinstance(rich, str) and rich.strip() else plain
        text = text if isinstance(text, str) else ""
        yield Said(speaker, text, comment.get("created_at"), author.get("name"))
