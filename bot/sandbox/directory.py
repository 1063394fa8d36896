"""auth.test, users.*, usergroups.* and reactions.*."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from bot.sandbox import conversations, events, people
from bot.sandbox.sandbox import Sandbox
from bot.sandbox.workspace import Channel, Json, SlackError

ALIASES = {"thumbsup": "+1", "thumbsdown": "-1"}
"""Slack's events carry the short names."""


def auth_test(sandbox: Sandbox, args: Json) -> Json:
    """auth.test."""
    return {
        "url": f"https://{people.TEAM_DOMAIN}.slack.com/",
        "team": people.TEAM_NAME,
        "user": "nightshift",
        "team_id": people.TEAM_ID,
        "user_id": people.BOT_USER,
        "bot_id": people.BOT_ID,
        "is_enterprise_install": False,
    }


def described(user: people.User) -> Json:
    """A user object."""
    here = datetime.now(ZoneInfo(user.tz))
    offset = int((here.utcoffset() or timedelta()).total_seconds())
    return {
        "id": user.id, "team_id": people.TEAM_ID, "name": user.name, "deleted": False, "real_name": user.real_name,
        "tz": user.tz, "tz_label": here.tzname(), "tz_offset": offset, "is_admin": user.role == "admin",
        "is_owner": False, "is_bot": user.role == "bot", "is_app_user": False, "is_restricted": user.is_guest,
        "is_ultra_restricted": False, "updated": 1700000000,
        "profile": {
            "real_name": user.real_name, "real_name_normalized": user.real_name, "display_name": user.name,
            "display_name_normalized": user.name, "first_name": user.real_name.split()[0], "team": people.TEAM_ID,
            **({"bot_id": people.BOT_ID, "api_app_id": people.APP_ID} if user.role == "bot" else {}),
        },
    }  # fmt: skip


def users_info(sandbox: Sandbox, args: Json) -> Json:
    """users.info."""
    user = sandbox.workspace.users.get(str(args.get("user", "")))
    if user is None:
        raise SlackError("user_not_found")
    return {"user": described(user)}


def users_get_presence(sandbox: Sandbox, args: Json) -> Json:
    """users.getPresence. Of the app itself, which is asked for when no user is named, Slack tells more than this."""
    user = str(args.get("user") or people.BOT_USER)
    if user not in sandbox.workspace.users:
        raise SlackError("user_not_found")
    return {"presence": "away" if user in sandbox.workspace.away else "active"}


def users_list(sandbox: Sandbox, args: Json) -> Json:
    """users.list."""
    found = [described(user) for user in sandbox.workspace.users.values()]
    members, cursor = conversations.page(found, args)
    return {"members": members, "cache_ts": 1700000000, "response_metadata": {"next_cursor": cursor}}


def usergroups_list(sandbox: Sandbox, args: Json) -> Json:
    """usergroups.list."""
    with_users = str(args.get("include_users", "")).lower() in ("1", "true")
    return {
        "usergroups": [
            {
                "id": group_id, "team_id": people.TEAM_ID, "is_usergroup": True, "name": name, "handle": handle,
                "description": "", "date_delete": 0, "user_count": len(users),
                **({"users": list(users)} if with_users else {}),
            }
            for group_id, (handle, name, _) in people.USERGROUPS.items()
            for users in [sandbox.workspace.usergroups[group_id]]
        ]
    }  # fmt: skip


def usergroups_users_list(sandbox: Sandbox, args: Json) -> Json:
    """usergroups.users.list."""
    users = sandbox.workspace.usergroups.get(str(args.get("usergroup", "")))
    if users is None:
        raise SlackError("no_such_subteam")
    return {"users": list(users)}


def react(sandbox: Sandbox, channel: Channel, message: Json, user: str, name: str, *, remove: bool) -> None:
    """Add or take back one person's reaction and tell the app. Raises already_reacted or no_reaction."""
    name = ALIASES.get(name.strip(":"), name.strip(":"))
    reactions = message.setdefault("reactions", [])
    reaction = next((r for r in reactions if r["name"] == name), None)
    reacted = reaction is not None and user in reaction["users"]
    if reacted is not remove:
        raise SlackError("no_reaction" if remove else "already_reacted")
    if reaction is None:
        reaction = {"name": name, "users": [], "count": 0}
        reactions.append(reaction)
    reaction["users"].remove(user) if remove else reaction["users"].append(user)
    reaction["count"] = len(reaction["users"])
    message["reactions"] = [r for r in reactions if r["users"]]
    sandbox.workspace.changed()
    event = events.reaction_event(channel, message, user, name, sandbox.workspace.new_ts(), removed=remove)
    sandbox.announce(channel, event)


def reacted_message(sandbox: Sandbox, args: Json) -> tuple[Channel, Json]:
    """The message that a reactions.* call names."""
    channel = sandbox.workspace.channel_for_bot(args.get("channel"))
    message = channel.messages.get(str(args.get("timestamp", "")))
    if message is None:
        raise SlackError("message_not_found")
    return channel, message


def reactions_add(sandbox: Sandbox, args: Json) -> Json:
    """reactions.add."""
    channel, message = reacted_message(sandbox, args)
    if not args.get("name"):
        raise SlackError("invalid_name")
    react(sandbox, channel, message, people.BOT_USER, str(args["name"]), remove=False)
    return {}


def reactions_remove(sandbox: Sandbox, args: Json) -> Json:
    """reactions.remove."""
    channel, message = reacted_message(sandbox, args)
    react(sandbox, channel, message, people.BOT_USER, str(args.get("name", "")), remove=True)
    return {}


def reactions_get(sandbox: Sandbox, args: Json) -> Json:
    """reactions.get."""
    channel, message = reacted_message(sandbox, args)
    return {"type": "message", "channel": channel.id, "message": events.public(message)}
