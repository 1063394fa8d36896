"""Who may ask for what, and which sources a draft may stand on, by who will read it."""

from dataclasses import dataclass

from sqlite_utils import Database

from bot.errors import NothingViewed, SlackRefused
from bot.workspace import Workspace
from data import store
from data.errors import NotAllowed
from data.models import Audience, Suggestion
from data.search import customers_read


@dataclass(frozen=True)
class Sources:
    """What may stand in a prompt: passages for this audience, examples of this channel (None: of all)."""

    audience: Audience
    examples_of: str | None


async def sources_for(db: Database, workspace: Workspace, suggestion: Suggestion) -> Sources:
    """Outsiders read customer-safe passages and nothing that was said to other channels' customers.

    Everybody in a Slack Connect channel counts as an outsider, and so does a guest who asks. Elsewhere a reply is read
    by its agent first, and examples from all channels are how a team without an adapter gets its style. Nobody looks
    at an answer before the guests who read along in its channel do: they count as who asked.
    """
    if not await reads_internal(workspace, suggestion.channel_id, suggestion.requested_by):
        return Sources("customer_safe", suggestion.channel_id)
    if suggestion.request["kind"] == "mention" and await _guests_read(workspace, suggestion):
        return Sources("customer_safe", suggestion.channel_id)
    return Sources(customers_read(db) if suggestion.task == "reply" else "internal", None)


async def reads_internal(workspace: Workspace, channel_id: str, user_id: str) -> bool:
    """May this person read there what is for colleagues only?"""
    return not await workspace.is_shared(channel_id) and not await _is_guest(workspace, user_id)


async def expect_allowed(db: Database, workspace: Workspace, suggestion: Suggestion) -> None:
    """Raise NotAllowed or NothingViewed unless this person may have this done in this channel."""
    user_id, channel_id = suggestion.requested_by, suggestion.channel_id
    if suggestion.task == "reply":
        await expect_agent(workspace, user_id)
    if "viewed" in suggestion.request:
        raise NothingViewed()
    if suggestion.request.get("asked_in", channel_id) != channel_id and not await workspace.is_member(
        channel_id, user_id
    ):
        raise NotAllowed("You are not in the channel of that thread, so I cannot read it for you.")
    await expect_open(db, workspace, channel_id)


async def expect_open(db: Database, workspace: Workspace, channel_id: str) -> None:
    """Raise NotAllowed in a Slack Connect channel that no admin has switched on."""
    if not await workspace.is_shared(channel_id):
        return
    consent = store.consent(db, channel_id)
    if consent is None or not consent.granted:
        raise NotAllowed(
            "People of another company are in this channel, so I keep out of it until an admin "
            "switches me on here with `/nightshift consent on`."
        )


async def expect_agent(workspace: Workspace, user_id: str) -> None:
    """Raise NotAllowed unless this person answers customers or rates those who do."""
    if await workspace.role(user_id) is None:
        raise NotAllowed("Only support agents can do this. An admin can add you to AGENTS or to the agents' group.")


async def _guests_read(workspace: Workspace, suggestion: Suggestion) -> bool:
    try:
        return await workspace.has_guests(suggestion.channel_id)
    except SlackRefused:
        # Slack does not say who is there: then guests may be.
        return True


async def _is_guest(workspace: Workspace, user_id: str) -> bool:
    try:
        return await workspace.is_guest(user_id)
    except SlackRefused:
        # Slack does not say who that is: then they see what everybody may.
        return True
