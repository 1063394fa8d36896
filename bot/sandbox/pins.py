"""Pinned messages: /sandbox/pin, pins.list, and the events, which only an app hears that may and wants to.

Whether pins.list refuses a channel that the app is not in, and whether `pin_count` is a number, is not certain.
"""

from bot.manifest import manifest
from bot.sandbox import chat, events
from bot.sandbox.interactions import channel_seen, person
from bot.sandbox.sandbox import Sandbox
from bot.sandbox.values import WrongInput
from bot.sandbox.workspace import Channel, Json, SlackError

SCOPE = "pins:read"


async def pin(sandbox: Sandbox, body: Json) -> Json:
    """A person pins a message to its channel, or takes the pin away."""
    user = person(sandbox, body.get("user"))
    channel = channel_seen(sandbox, user, body.get("channel"))
    try:
        (remove if body.get("remove") else add)(sandbox, channel, str(body.get("message_ts")), user.id)
    except SlackError as error:
        raise WrongInput(f"{user.id} cannot do that: {error.error}") from error
    return {"ok": True}


def add(sandbox: Sandbox, channel: Channel, ts: str, user: str) -> None:
    """As pins.add. Raises message_not_found and already_pinned."""
    message = _message(channel, ts)
    if "pinned_info" in message:
        raise SlackError("already_pinned")
    now = int(sandbox.workspace.clock())
    message |= {
        "pinned_to": [channel.id],
        "pinned_info": {"channel": channel.id, "pinned_by": user, "pinned_ts": now},
    }
    _tell(sandbox, "pin_added", channel, message, user)


def remove(sandbox: Sandbox, channel: Channel, ts: str, user: str) -> None:
    """As pins.remove, which anybody may. Raises message_not_found and no_pin."""
    message = _message(channel, ts)
    if "pinned_info" not in message:
        raise SlackError("no_pin")
    was = dict(message)
    del message["pinned_to"], message["pinned_info"]
    _tell(sandbox, "pin_removed", channel, was, user, has_pins=bool(channel.pinned))


def list_pins(sandbox: Sandbox, args: Json) -> Json:
    """pins.list, newest first."""
    if SCOPE not in sandbox.scopes():
        raise SlackError("missing_scope")
    channel = sandbox.workspace.channel_for_bot(args.get("channel"))
    return {"items": [_item(channel, message) for message in channel.pinned]}


def _message(channel: Channel, ts: str) -> Json:
    message = channel.messages.get(ts)
    if message is None or message.get("subtype") == "tombstone":
        raise SlackError("message_not_found")
    return message


def _item(channel: Channel, message: Json) -> Json:
    info = message["pinned_info"]
    carried = {key: value for key, value in events.public(message).items() if key != "pinned_info"}
    return {
        "type": "message", "channel": channel.id, "created": info["pinned_ts"], "created_by": info["pinned_by"],
        "message": {**carried, "permalink": chat.permalink(channel, message)},
    }  # fmt: skip


def _tell(sandbox: Sandbox, kind: str, channel: Channel, message: Json, user: str, **more: object) -> None:
    sandbox.workspace.changed()
    if SCOPE not in sandbox.scopes() or kind not in manifest()["settings"]["event_subscriptions"]["bot_events"]:
        return
    event = {
        "type": kind, "user": user, "channel_id": channel.id, "item": _item(channel, message),
        "item_user": message["user"], "pin_count": len(channel.pinned), "pinned_info": message["pinned_info"],
        "event_ts": sandbox.workspace.new_ts(), **more,
    }  # fmt: skip
    sandbox.announce(channel, event)
