"""The workspace in memory: channels, messages, ephemerals, modals, Home tabs, triggers and what went wrong."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bot.sandbox import people

Json = dict[str, Any]
"""One JSON object as Slack sends or takes it."""

TRIGGER_SECONDS = 3.0
"""A trigger id lives this long (facts: slack.md 2)."""

VIEW_STACK = 3
"""A modal stack holds this many views (slack.md 5)."""


class SlackError(Exception):
    """A refusal in Slack's words: `error` is Slack's name, `messages` its response_metadata."""

    def __init__(self, error: str, messages: list[str] | None = None) -> None:
        super().__init__(error)
        self.error = error
        self.messages = messages or []


@dataclass
class Channel:
    """A public or private channel, or a direct message with the bot."""

    id: str
    name: str
    topic: str
    members: set[str]
    is_private: bool = False
    is_ext_shared: bool = False
    is_im: bool = False
    messages: dict[str, Json] = field(default_factory=dict)
    """ts → message, in the order of posting; thread replies lie among them."""
    assistant: Json = field(default_factory=dict)
    """What assistant.threads.* set here: status, prompts, title by thread."""

    @property
    def kind(self) -> str:
        """Slack's channel_type of message events."""
        if self.is_im:
            return "im"
        return "group" if self.is_private else "channel"

    @property
    def pinned(self) -> list[Json]:
        """The pinned messages."""
        return [message for message in self.messages.values() if "pinned_info" in message]


@dataclass
class Trigger:
    """A trigger id: good for one call within three seconds."""

    user: str
    issued: float
    from_view: str | None = None
    used: bool = False


@dataclass
class Workspace:
    """Everything the sandbox holds. `reset` brings back the seed."""

    clock: Callable[[], float] = time.time
    users: dict[str, people.User] = field(default_factory=dict)
    channels: dict[str, Channel] = field(default_factory=dict)
    ephemerals: list[Json] = field(default_factory=list)
    """Messages with `channel` and `for_user` that only one person sees."""
    views: dict[str, Json] = field(default_factory=dict)
    """Open modals and Home tabs by view id, as Slack returns them."""
    stacks: dict[str, list[str]] = field(default_factory=dict)
    """user → view ids of the open modals, the topmost last."""
    homes: dict[str, str] = field(default_factory=dict)
    """user → view id of the published Home tab."""
    inputs: dict[str, Json] = field(default_factory=dict)
    """message or view key → state.values chosen so far."""
    triggers: dict[str, Trigger] = field(default_factory=dict)
    files: dict[str, Any] = field(default_factory=dict)
    """File id → what the app uploaded (files.Upload)."""
    canvases: dict[str, Any] = field(default_factory=dict)
    """File id → what a person shared (canvases.Canvas)."""
    usergroups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """User group id → its members now."""
    away: set[str] = field(default_factory=set)
    """Users whom Slack shows as away."""
    viewing: dict[str, Json] = field(default_factory=dict)
    """user → the context of what they look at beside the app, as its events carry it."""
    problems: list[Json] = field(default_factory=list)
    revision: int = 0
    last_micros: int = 0

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything that was said and done; people and channels are as in people.py again."""
        self.users = {user.id: user for user in people.USERS}
        self.channels = {
            seed.id: Channel(seed.id, seed.name, seed.topic, set(seed.members), seed.is_private, seed.is_ext_shared)
            for seed in people.CHANNELS
        }
        self.usergroups = {group_id: users for group_id, (_, _, users) in people.USERGROUPS.items()}
        for user in people.USERS:
            if user.role != "bot":
                channel_id = people.dm_id(user.id)
                self.channels[channel_id] = Channel(
                    channel_id, user.name, "", {user.id, people.BOT_USER}, is_private=True, is_im=True
                )
        by_user = (self.stacks, self.homes, self.triggers, self.viewing, self.away)
        for held in (self.views, self.inputs, self.files, self.canvases, *by_user):
            held.clear()
        self.ephemerals.clear()
        self.problems.clear()
        self.changed()

    def changed(self) -> None:
        """Count one change, so that the page knows when to look again."""
        self.revision += 1

    def new_ts(self, ago_s: float = 0) -> str:
        """A message timestamp, unique and rising, like 1732412345.000100; `ago_s` earlier than now."""
        self.last_micros = max(int(self.clock() * 1_000_000), self.last_micros + 1)
        micros = self.last_micros - int(ago_s * 1_000_000)
        return f"{micros // 1_000_000}.{micros % 1_000_000:06d}"

    def problem(self, kind: str, **facts: object) -> None:
        """Remember something refused, late or lost, for the page and for tests."""
        self.problems.append({"kind": kind, "at": round(self.clock(), 3), **facts})
        self.changed()

    def channel(self, name: str) -> Channel:
        """The channel with this id or name (with or without #); a user id means the direct message with the bot."""
        if name in self.channels:
            return self.channels[name]
        if name in self.users and people.dm_id(name) in self.channels:
            return self.channels[people.dm_id(name)]
        for channel in self.channels.values():
            if not channel.is_im and channel.name == name.removeprefix("#"):
                return channel
        raise SlackError("channel_not_found")

    def channel_for_bot(self, name: object) -> Channel:
        """The channel if the bot may act in it: not_in_channel, or channel_not_found where it cannot even look."""
        if not isinstance(name, str) or not name:
            raise SlackError("channel_not_found")
        channel = self.channel(name)
        if people.BOT_USER not in channel.members:
            raise SlackError("channel_not_found" if channel.is_private else "not_in_channel")
        return channel

    def new_trigger(self, user: str, from_view: str | None = None) -> str:
        """A trigger id for something this user has just done."""
        trigger_id = f"{secrets.randbelow(10**13)}.{secrets.randbelow(10**13)}.{secrets.token_hex(16)}"
        self.triggers[trigger_id] = Trigger(user, self.clock(), from_view)
        return trigger_id

    def use_trigger(self, trigger_id: object) -> Trigger:
        """Spend a trigger id, once and within three seconds of its making."""
        trigger = self.triggers.get(trigger_id) if isinstance(trigger_id, str) else None
        if trigger is None:
            raise SlackError("invalid_trigger_id")
        if trigger.used:
            raise SlackError("exchanged_trigger_id")
        if self.clock() - trigger.issued > TRIGGER_SECONDS:
            raise SlackError("expired_trigger_id")
        trigger.used = True
        return trigger

    def thread(self, channel: Channel, ts: str) -> list[Json]:
        """The parent with this ts and its replies, oldest first; empty when there is no such message."""
        return [m for m in channel.messages.values() if m["ts"] == ts or m.get("thread_ts") == ts]

    def post(self, channel: Channel, message: Json, *, ago_s: float = 0) -> Json:
        """Append a message with a fresh ts; a reply brings its parent's thread fields up to date."""
        message = {"type": "message", **message, "ts": self.new_ts(ago_s)}
        channel.messages[message["ts"]] = message
        parent = channel.messages.get(message.get("thread_ts", ""))
        if parent is not None:
            self.refresh_parent(channel, parent)
        self.changed()
        return message

    def refresh_parent(self, channel: Channel, parent: Json) -> None:
        """Recount reply_count, reply_users and latest_reply of a thread's first message."""
        replies = [m for m in channel.messages.values() if m.get("thread_ts") == parent["ts"] and m is not parent]
        for key in ("thread_ts", "reply_count", "reply_users", "reply_users_count", "latest_reply"):
            parent.pop(key, None)
        if replies:
            authors = list(dict.fromkeys(m["user"] for m in replies))
            parent |= {
                "thread_ts": parent["ts"],
                "reply_count": len(replies),
                "reply_users": authors,
                "reply_users_count": len(authors),
                "latest_reply": replies[-1]["ts"],
            }

    def remove(self, channel: Channel, ts: str) -> Json:
        """Delete a message; a parent that has replies leaves a tombstone, as in Slack."""
        message = channel.messages[ts]
        if message.get("reply_count"):
            kept = {key: message[key] for key in message if key.startswith(("reply", "latest", "thread", "ts"))}
            channel.messages[ts] = {
                "type": "message", "subtype": "tombstone", "text": "This message was deleted.",
                "user": "USLACKBOT", "hidden": True, **kept,
            }  # fmt: skip
        else:
            del channel.messages[ts]
            parent = channel.messages.get(message.get("thread_ts", ""))
            if parent is not None:
                self.refresh_parent(channel, parent)
        self.changed()
        return message

    def open_views(self, user: str) -> list[Json]:
        """This user's modals, the topmost last."""
        return [self.views[view_id] for view_id in self.stacks.get(user, [])]

    def push_view(self, user: str, view: Json) -> None:
        """Put a modal on top of the user's stack."""
        stack = self.stacks.setdefault(user, [])
        if len(stack) >= VIEW_STACK:
            raise SlackError("push_limit_reached")
        root = self.views[stack[0]]["root_view_id"] if stack else view["id"]
        view |= {"root_view_id": root, "previous_view_id": stack[-1] if stack else None}
        stack.append(view["id"])
        self.views[view["id"]] = view
        self.changed()

    def close_views(self, user: str, *, top_only: bool) -> list[Json]:
        """Close the topmost modal or the whole stack, and return what was closed, topmost first."""
        stack = self.stacks.get(user, [])
        closing = list(reversed(stack[-1:] if top_only else stack))
        self.stacks[user] = [view_id for view_id in stack if view_id not in closing]
        self.changed()
        for view_id in closing:
            self.inputs.pop(view_id, None)
        return [self.views.pop(view_id) for view_id in closing]
