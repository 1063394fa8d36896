"""What one person sees in the workspace, as GET /sandbox/state answers it. Pure.

{"ok", "revision", "connected": n, "user": {id, name, real_name, role},
 "channels": [{id, name, topic, is_private, is_im, is_ext_shared, app_is_member, members, status, prompts,
               "messages": [{…Slack's message…, "replies": [message…]}]}],
 "ephemerals": [{…message…, "channel", "thread_ts"?}],      oldest first, this person's alone
 "views": [modal…],                                          the topmost last
 "home": view | null, "presence": "active" | "away", "context": what this person looks at beside the app | null,
 "problems": [{"kind", "at", …}]}                            everyone's: refused, late or lost so far
"""

import dataclasses

from bot.sandbox import chat, events, people
from bot.sandbox.sandbox import Sandbox
from bot.sandbox.values import state_values
from bot.sandbox.workspace import Channel, Json


def seen_message(sandbox: Sandbox, channel: Channel, message: Json) -> Json:
    """A message as the page needs it: its permalink, whether it was begun as a stream and still is one."""
    return {
        **events.public(message),
        "permalink": chat.permalink(channel, message),
        "streamed": "_streaming_until" in message,
        "streaming": message.get("_streaming_until", 0) > sandbox.workspace.clock(),
    }


def channel_state(sandbox: Sandbox, channel: Channel) -> Json:
    """One channel with its messages, each with its replies."""
    replies: dict[str, list[Json]] = {}
    top: list[Json] = []
    for message in channel.messages.values():
        seen = seen_message(sandbox, channel, message)
        is_reply = message.get("thread_ts", message["ts"]) != message["ts"]
        if is_reply:
            replies.setdefault(message["thread_ts"], []).append(seen)
        if not is_reply or message.get("subtype") == "thread_broadcast":
            top.append(seen)
    now = sandbox.workspace.clock()
    status = {
        key.removeprefix("status:"): value["text"]
        for key, value in channel.assistant.items()
        if key.startswith("status:") and value["until"] > now
    }
    return {
        "id": channel.id, "name": channel.name, "topic": channel.topic, "is_private": channel.is_private,
        "is_im": channel.is_im, "is_ext_shared": channel.is_ext_shared, "members": sorted(channel.members),
        "app_is_member": people.BOT_USER in channel.members, "status": status,
        "prompts": channel.assistant.get("prompts"),
        "messages": [
            {**message, "replies": replies.get(message["ts"], [])} for message in sorted(top, key=lambda m: m["ts"])
        ],
    }  # fmt: skip


def view_state(sandbox: Sandbox, view: Json) -> Json:
    """A view with what has been entered in it so far."""
    entered = sandbox.workspace.inputs.get(view["id"], {})
    return {**view, "state": {"values": state_values(view["blocks"], entered)}}


def state_of(sandbox: Sandbox, user: people.User) -> Json:
    """Everything this person sees."""
    workspace = sandbox.workspace
    home = workspace.homes.get(user.id)
    return {
        "ok": True,
        "revision": workspace.revision,
        "connected": sandbox.socket.connected,
        "user": dataclasses.asdict(user),
        "channels": [
            channel_state(sandbox, channel) for channel in workspace.channels.values() if user.id in channel.members
        ],
        "ephemerals": [events.public(m) for m in workspace.ephemerals if m["_for"] == user.id],
        "views": [view_state(sandbox, view) for view in workspace.open_views(user.id)],
        "home": view_state(sandbox, workspace.views[home]) if home else None,
        "presence": "away" if user.id in workspace.away else "active",
        "context": workspace.viewing.get(user.id),
        "problems": workspace.problems,
    }
