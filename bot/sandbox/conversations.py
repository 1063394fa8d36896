"""conversations.*: what the app may know and read of channels."""

import base64
from collections.abc import Sequence

from bot.sandbox import events, people
from bot.sandbox.sandbox import Sandbox
from bot.sandbox.workspace import Channel, Json, SlackError


def page(items: Sequence[object], args: Json, *, default: int = 100, most: int = 999) -> tuple[list[object], str]:
    """One page of `items` and the cursor of the next ("" at the end)."""
    try:
        limit = int(args.get("limit") or default)
        start = int(base64.b64decode(args["cursor"]).decode().removeprefix("next:")) if args.get("cursor") else 0
    except ValueError as error:
        raise SlackError("invalid_cursor" if args.get("cursor") else "invalid_limit") from error
    if not 1 <= limit <= most:
        raise SlackError("invalid_limit")
    more = start + limit < len(items)
    cursor = base64.b64encode(f"next:{start + limit}".encode()).decode() if more else ""
    return list(items[start : start + limit]), cursor


def described(channel: Channel) -> Json:
    """A conversation object."""
    common = {
        "id": channel.id, "created": 1700000000, "is_archived": False, "is_im": channel.is_im, "is_org_shared": False,
        "context_team_id": people.TEAM_ID, "is_mpim": False,
    }  # fmt: skip
    if channel.is_im:
        user = next(member for member in channel.members if member != people.BOT_USER)
        return {**common, "user": user, "is_user_deleted": False, "priority": 0}
    return {
        **common,
        "name": channel.name, "name_normalized": channel.name, "is_channel": not channel.is_private,
        "is_group": channel.is_private, "is_private": channel.is_private, "is_general": False,
        "is_member": people.BOT_USER in channel.members, "is_shared": channel.is_ext_shared,
        "is_ext_shared": channel.is_ext_shared, "is_pending_ext_shared": False, "creator": people.ADMINS[0],
        "topic": {"value": channel.topic, "creator": "", "last_set": 0},
        "purpose": {"value": "", "creator": "", "last_set": 0}, "num_members": len(channel.members),
    }  # fmt: skip


def visible(sandbox: Sandbox, name: object) -> Channel:
    """A channel that the app can look up: any public one, and private ones where it is a member."""
    channel = sandbox.workspace.channel(str(name or ""))
    if channel.is_private and people.BOT_USER not in channel.members:
        raise SlackError("channel_not_found")
    return channel


def info(sandbox: Sandbox, args: Json) -> Json:
    """conversations.info."""
    return {"channel": described(visible(sandbox, args.get("channel")))}


def list_channels(sandbox: Sandbox, args: Json) -> Json:
    """conversations.list: public channels, unless `types` asks for more."""
    types = str(args.get("types") or "public_channel").split(",")
    found = []
    for channel in sandbox.workspace.channels.values():
        kind = "im" if channel.is_im else "private_channel" if channel.is_private else "public_channel"
        if kind in types and (not channel.is_private or people.BOT_USER in channel.members):
            found.append(described(channel))
    channels, cursor = page(found, args)
    return {"channels": channels, "response_metadata": {"next_cursor": cursor}}


def members(sandbox: Sandbox, args: Json) -> Json:
    """conversations.members."""
    found, cursor = page(sorted(visible(sandbox, args.get("channel")).members), args)
    return {"members": found, "response_metadata": {"next_cursor": cursor}}


def open_im(sandbox: Sandbox, args: Json) -> Json:
    """conversations.open with one user: the direct message between that user and the app."""
    users = args.get("users")
    user = users[0] if isinstance(users, list) and len(users) == 1 else users
    if args.get("channel"):
        return {"channel": {"id": visible(sandbox, args["channel"]).id}}
    if not isinstance(user, str) or user not in sandbox.workspace.users or "," in user:
        raise SlackError("user_not_found" if user else "users_list_not_supplied")
    if user == people.BOT_USER:
        raise SlackError("cannot_dm_bot")
    return {"channel": {"id": people.dm_id(user)}, "no_op": True, "already_open": True}


def in_span(messages: list[Json], args: Json) -> list[Json]:
    """The messages between oldest and latest (both left out unless `inclusive`)."""
    oldest, latest = float(args.get("oldest") or 0), float(args.get("latest") or 10**11)
    inclusive = str(args.get("inclusive", "")).lower() in ("1", "true")
    return [
        m for m in messages if oldest < float(m["ts"]) < latest or (inclusive and float(m["ts"]) in (oldest, latest))
    ]


def read(messages: list[object], args: Json) -> list[Json]:
    """Messages as the reading methods return them: metadata only when asked for, as in Slack."""
    whole = str(args.get("include_all_metadata", "")).lower() in ("1", "true")
    return [
        {key: value for key, value in events.public(message).items() if whole or key != "metadata"}
        for message in messages
        if isinstance(message, dict)
    ]


def history(sandbox: Sandbox, args: Json) -> Json:
    """conversations.history: newest first, thread replies left out unless broadcast."""
    channel = sandbox.workspace.channel_for_bot(args.get("channel"))
    top = [
        m
        for m in channel.messages.values()
        if m.get("thread_ts", m["ts"]) == m["ts"] or m.get("subtype") == "thread_broadcast"
    ]
    newest_first = sorted(in_span(top, args), key=lambda m: float(m["ts"]), reverse=True)
    messages, cursor = page(newest_first, args)
    metadata = {"response_metadata": {"next_cursor": cursor}} if cursor else {}
    return {"messages": read(messages, args), "has_more": bool(cursor), "pin_count": len(channel.pinned), **metadata}


def replies(sandbox: Sandbox, args: Json) -> Json:
    """conversations.replies: the parent, then its replies, oldest first; a reply's own ts finds that reply alone."""
    channel = sandbox.workspace.channel_for_bot(args.get("channel"))
    thread = sandbox.workspace.thread(channel, str(args.get("ts", "")))
    if not thread:
        raise SlackError("thread_not_found")
    messages, cursor = page(thread[:1] + in_span(thread[1:], args), args, default=1000, most=1000)
    metadata = {"response_metadata": {"next_cursor": cursor}} if cursor else {}
    return {"messages": read(messages, args), "has_more": bool(cursor), **metadata}
