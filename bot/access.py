"""Who may ask for what, and which sources a draft may stand on, by who will read it."""

from dataclasses import dataclass

from sqlite_utils import Database

from bot.errors import NothingViewed, NotInChannel, SlackRefused
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
    if suggestion.request.get("asked_in", channel_id) != channel_id:
        await _expect_readable(workspace, channel_id, user_id)
    try:
        await expect_open(db, workspace, channel_id)
    except NotInChannel as error:
        if suggestion.task != "answer":
            raise
        # Of a private channel without us Slack does not say whether it is shared: that is taken to be so.
        raise NotAllowed(
            "I am not in this private channel and cannot see whether people of another company are: type "
            "/invite @Nightshift here, or ask me in our direct message."
        ) from error


async def _expect_readable(workspace: Workspace, channel_id: str, user_id: str) -> None:
    """Raise NotAllowed unless a person and we both see the channel that a link of theirs leads to."""
    is_direct = channel_id.startswith("D")
    try:
        ours = await workspace.is_joined(channel_id)
        theirs = ours and await workspace.is_member(channel_id, user_id)
    except NotInChannel:
        ours = theirs = False
    if not ours:
        raise NotAllowed(
            "That link leads to a direct message between people, where I can read nothing: forward what matters to a "
            "channel that I am in, and ask there."
            if is_direct
            else "That link leads to a channel that I am not in: type /invite @Nightshift there, or ask somebody who "
            "is in it to, then ask again."
        )
    if not theirs:
        raise NotAllowed(
            "That link leads to somebody else's direct message with me, so I cannot read it for you: ask them to send "
            "you what matters."
            if is_direct
            else "You are not in the channel of that thread, so I cannot read it for you: join it, then ask again."
        )


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
