"""Pinned messages: /sandbox/pin, and the event of it, which only an app hears that may and wants to.

Whether its `pin_count` is a number is not certain. Pins that are taken away are told nobody: no app of ours listens.
"""

from bot.manifest import manifest
from bot.sandbox import chat, events
from bot.sandbox.interactions import channel_seen, person
from bot.sandbox.sandbox import Sandbox
from bot.sandbox.values import WrongInput
from bot.sandbox.workspace import Channel, Json, SlackError

SCOPE, EVENT = "pins:read", "pin_added"


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
    _tell(sandbox, channel, message, user)


def remove(sandbox: Sandbox, channel: Channel, ts: str, user: str) -> None:
    """As pins.remove, which anybody may. Raises message_not_found and no_pin."""
    message = _message(channel, ts)
    if "pinned_info" not in message:
        raise SlackError("no_pin")
    del message["pinned_to"], message["pinned_info"]
    sandbox.workspace.changed()


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


def _tell(sandbox: Sandbox, channel: Channel, message: Json, user: str) -> None:
    sandbox.workspace.changed()
    if SCOPE not in sandbox.scopes() or EVENT not in manifest()["settings"]["event_subscriptions"]["bot_events"]:
        return
    event = {
        "type": EVENT, "user": user, "channel_id": channel.id, "item": _item(channel, message),
        "item_user": message["user"], "pin_count": len(channel.pinned), "pinned_info": message["pinned_info"],
        "event_ts": sandbox.workspace.new_ts(),
    }  # fmt: skip
    sandbox.announce(channel, event)
