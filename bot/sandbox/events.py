"""What happened in the workspace → the payloads that Slack sends for it. Pure."""

import re
import secrets

from bot.sandbox.people import APP_ID, BOT_ID, BOT_USER, ORG_ID, TEAM_DOMAIN, TEAM_ID, User
from bot.sandbox.workspace import Channel, Json

ENTITY = re.compile(
    r"<(?:@[UW][A-Z0-9]+|#[CG][A-Z0-9]+|!(?:here|channel|everyone|subteam\^[A-Z0-9]+)|(?:https?|mailto):)[^<>]*>"
)
"""Slack's angle-bracket tokens: mentions, channels, broadcasts, links."""


def escape(text: str, *, keep_entities: bool) -> str:
    """Escape &, < and > around Slack's own tokens. An app's `&amp;` stays (`keep_entities`), a person's does not."""
    ampersand = r"&(?!amp;|lt;|gt;)" if keep_entities else "&"

    def plain(part: str) -> str:
        return re.sub(ampersand, "&amp;", part).replace("<", "&lt;").replace(">", "&gt;")

    parts, end = [], 0
    for token in ENTITY.finditer(text):
        parts += [plain(text[end : token.start()]), token.group()]
        end = token.end()
    return "".join([*parts, plain(text[end:])])


def bot_author() -> Json:
    """The author fields of a message that the app posts."""
    profile = {"id": BOT_ID, "app_id": APP_ID, "name": "Nightshift", "deleted": False, "team_id": TEAM_ID}
    return {"user": BOT_USER, "bot_id": BOT_ID, "app_id": APP_ID, "team": TEAM_ID, "bot_profile": profile}


def event_callback(event: Json, now: float, is_ext_shared: bool = False) -> Json:
    """The outer payload of the Events API."""
    return {
        "token": "sandbox-verification-token",
        "team_id": TEAM_ID,
        "context_team_id": TEAM_ID,
        "context_enterprise_id": None,
        "api_app_id": APP_ID,
        "event": event,
        "type": "event_callback",
        "event_id": "Ev" + secrets.token_hex(5).upper(),
        "event_time": int(now),
        "authorizations": [
            {
                "enterprise_id": None,
                "team_id": TEAM_ID,
                "user_id": BOT_USER,
                "is_bot": True,
                "is_enterprise_install": False,
            }
        ],
        "is_ext_shared_channel": is_ext_shared,
        "event_context": "4-" + secrets.token_urlsafe(24),
    }


def org_wide(payload: Json) -> Json:
    """A payload as an app gets it that is installed in the whole organisation: `team` is null in some."""
    if "event" in payload:
        [mine] = payload["authorizations"]
        mine = {**mine, "enterprise_id": ORG_ID, "team_id": None, "is_enterprise_install": True}
        return {**payload, "enterprise_id": ORG_ID, "context_enterprise_id": ORG_ID, "authorizations": [mine]}
    if "command" in payload:
        return {**payload, "enterprise_id": ORG_ID, "enterprise_name": "Sandbox Org", "is_enterprise_install": "true"}
    org = {"enterprise": {"id": ORG_ID, "name": "Sandbox Org"}, "is_enterprise_install": True}
    return {**payload, **org, "team": None if "view" in payload else payload["team"]}


def public(message: Json) -> Json:
    """A message as events and payloads carry it: without the fields that only the sandbox uses."""
    return {key: value for key, value in message.items() if not key.startswith("_")}


def message_event(channel: Channel, message: Json) -> Json:
    """`message` in a channel, group or im."""
    parent = channel.messages.get(message.get("thread_ts", ""))
    return {
        **public(message),
        "channel": channel.id,
        "event_ts": message["ts"],
        "channel_type": channel.kind,
        **({"parent_user_id": parent["user"]} if parent and parent is not message else {}),
    }


def mention_event(channel: Channel, message: Json) -> Json:
    """`app_mention`."""
    return {**public(message), "type": "app_mention", "channel": channel.id, "event_ts": message["ts"]}


def changed_event(channel: Channel, new: Json, old: Json, ts: str) -> Json:
    """`message` with subtype message_changed."""
    return {
        "type": "message", "subtype": "message_changed", "hidden": True, "channel": channel.id,
        "channel_type": channel.kind, "message": public(new), "previous_message": public(old), "ts": ts, "event_ts": ts,
    }  # fmt: skip


def deleted_event(channel: Channel, old: Json, ts: str) -> Json:
    """`message` with subtype message_deleted."""
    return {
        "type": "message", "subtype": "message_deleted", "hidden": True, "channel": channel.id,
        "channel_type": channel.kind, "previous_message": public(old), "deleted_ts": old["ts"], "ts": ts,
        "event_ts": ts,
    }  # fmt: skip


def reaction_event(channel: Channel, message: Json, user: str, name: str, ts: str, *, removed: bool) -> Json:
    """`reaction_added` or `reaction_removed`: it has no text, only where the message is."""
    return {
        "type": "reaction_removed" if removed else "reaction_added",
        "user": user,
        "reaction": name,
        "item": {"type": "message", "channel": channel.id, "ts": message["ts"]},
        "item_user": message["user"],
        "event_ts": ts,
    }


def user_of(user: User) -> Json:
    """The user as interactive payloads carry them."""
    return {"id": user.id, "username": user.name, "name": user.name, "team_id": TEAM_ID}


def interaction(kind: str, user: User, trigger_id: str | None) -> Json:
    """The fields that every interactive payload has."""
    payload = {
        "type": kind,
        "token": "sandbox-verification-token",
        "api_app_id": APP_ID,
        "team": {"id": TEAM_ID, "domain": TEAM_DOMAIN},
        "user": user_of(user),
        "enterprise": None,
        "is_enterprise_install": False,
    }
    return payload if trigger_id is None else {**payload, "trigger_id": trigger_id}


def channel_of(channel: Channel) -> Json:
    """The channel as interactive payloads carry it: Slack hides the names of private channels and direct messages."""
    hidden = "directmessage" if channel.is_im else "privategroup"
    return {"id": channel.id, "name": hidden if channel.is_private else channel.name}
