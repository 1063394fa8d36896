"""A person changes a message of theirs: /sandbox/change and /sandbox/delete. Slack itself: /sandbox/unfurl."""

from bot.sandbox import composer, events
from bot.sandbox.interactions import channel_seen, person
from bot.sandbox.sandbox import Sandbox
from bot.sandbox.values import WrongInput
from bot.sandbox.workspace import Channel, Json


async def change(sandbox: Sandbox, body: Json) -> Json:
    """A person writes a message of theirs anew."""
    channel, old = _own(sandbox, body)
    text = body.get("text")
    if not isinstance(text, str) or not text.strip():
        raise WrongInput("text must be at least one character")
    written: Json = {"text": events.escape(text, keep_entities=False), "blocks": composer.rich_text(text)}
    mark = {"edited": {"user": old["user"], "ts": sandbox.workspace.new_ts()}}
    return _changed(sandbox, channel, old, {**old, **written, **mark})


async def delete(sandbox: Sandbox, body: Json) -> Json:
    """A person deletes a message of theirs."""
    channel, old = _own(sandbox, body)
    sandbox.workspace.remove(channel, old["ts"])
    sandbox.announce(channel, events.deleted_event(channel, old, sandbox.workspace.new_ts()))
    return {"ok": True}


async def unfurl(sandbox: Sandbox, body: Json) -> Json:
    """Slack shows what a link in a message leads to: the app hears of a change, and its words are what they were."""
    channel, old = _own(sandbox, body)
    shown = [{"from_url": "https://shop.example", "title": "A page", "text": "What the page says", "id": 1}]
    return _changed(sandbox, channel, old, {**old, "attachments": shown})


def _own(sandbox: Sandbox, body: Json) -> tuple[Channel, Json]:
    user = person(sandbox, body.get("user"))
    channel = channel_seen(sandbox, user, body.get("channel"))
    message = channel.messages.get(str(body.get("message_ts")))
    if message is None or message.get("user") != user.id:
        raise WrongInput(f"no message {body.get('message_ts')!r} of {user.id} in {channel.id}")
    return channel, message


def _changed(sandbox: Sandbox, channel: Channel, old: Json, new: Json) -> Json:
    channel.messages[old["ts"]] = new
    sandbox.workspace.changed()
    sandbox.announce(channel, events.changed_event(channel, new, old, sandbox.workspace.new_ts()))
    return {"ok": True}
