"""Slack's payloads → our types, and Slack's escaping. Pure.

Messages are read in messages.py; what texts look like is in markdown.py and rich_text.py.
"""

import functools
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, ParamSpec, TypeVar

from bot import mentions
from bot.rich_text import entity, markdown_of
from bot.spans import parse_span
from data.models import Task
from data.permalink import parse_permalink
from data.store_connection import clean

Json = dict[str, Any]
P = ParamSpec("P")
T = TypeVar("T")

PROACTIVE = "proactive"
"""The kind of a request that nobody made: the bot drafts for an agent unasked."""

THUMBS: Mapping[str, Literal[-1, 1]] = {"+1": 1, "thumbsup": 1, "-1": -1, "thumbsdown": -1}

USER_ID = re.compile("[UW][A-Z0-9]{2,}")

SPOKEN_SUBTYPES = frozenset({None, "bot_message", "file_share", "me_message", "thread_broadcast"})
"""Message subtypes in which somebody said something; the others are joins, renames and the like."""


@dataclass(frozen=True)
class Request:
    """Something asked of the bot, before it is a row. `details` is kept with the row for a restart."""

    key: str
    task: Task
    team_id: str
    channel_id: str
    thread_ts: str | None
    user_id: str
    details: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Click:
    """A button or menu under one of our messages or on the Home tab. Its value mostly is a suggestion's id."""

    value: str
    user_id: str
    channel_id: str
    trigger_id: str
    response_url: str
    choice: str = ""
    """What was chosen, when it is a menu."""

    @property
    def suggestion_id(self) -> str:
        """The suggestion that the button belongs to."""
        return self.value


@dataclass(frozen=True)
class Thumb:
    """A thumb put under a message or taken away. `value` is the thumb's own sign."""

    key: str
    channel_id: str
    message_ts: str
    user_id: str
    value: Literal[-1, 1]
    removed: bool
    reaction: str
    """The emoji's whole name, skin tone and all."""
    event_ts: str


@dataclass(frozen=True)
class Address:
    """Where one person can be told something privately."""

    channel_id: str
    user_id: str
    thread_ts: str = ""
    response_url: str = ""


class BadPayload(ValueError):
    """A payload that is not shaped as Slack documents it. A bug of ours or of Slack's, so it is no sentence."""


def reader(read: Callable[P, T]) -> Callable[P, T]:
    """Makes whatever a malformed payload does to `read` one error: keys missing, nulls, a list for a text."""

    @functools.wraps(read)
    def reading(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            made = read(*args, **kwargs)
            fields = made if isinstance(made, tuple) else vars(made).values() if made is not None else ()
            if not all(map(_storable, fields)):
                raise TypeError("something else where an id belongs")
        except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
            raise BadPayload(f"{read.__name__}: {type(error).__name__}") from error
        return made

    return reading


def _storable(value: object) -> bool:
    if isinstance(value, dict):
        return all(map(_storable, value.values()))
    return clean(value) == value if isinstance(value, str) else value is None or isinstance(value, int)


@reader
def request_of(body: Json, *, bot_user_id: str) -> Request | None:
    """The request in a payload, or None when it asks for no suggestion."""
    if body.get("type") == "message_action":
        return _shortcut(body)
    if "command" in body:
        return _command(body)
    event = body.get("event")
    if isinstance(event, dict):
        return _question(body, event, bot_user_id)
    return None


def _shortcut(body: Json) -> Request | None:
    tasks: dict[str, Task] = {"suggest_reply": "reply", "summarize_thread": "summary"}
    task = tasks.get(body["callback_id"])
    if task is None:
        return None
    message = body["message"]
    return Request(
        key=key_of(body),
        task=task,
        team_id=team_of(body),
        channel_id=body["channel"]["id"],
        thread_ts=message.get("thread_ts") or message.get("ts") or body["message_ts"],
        user_id=body["user"]["id"],
        # Slack shows an ephemeral message in a thread only if the thread has replies already.
        details={
            "kind": "shortcut",
            "response_url": body.get("response_url", ""),
            "shown_in": message.get("thread_ts") or "",
        },
    )


def _command(body: Json) -> Request | None:
    text = (body.get("text") or "").strip()
    details = {"kind": "command", "response_url": body.get("response_url", ""), "text": plain(text)}
    channel_id, thread_ts = body["channel_id"], None
    if body["command"] == "/ask" and text:
        task: Task = "answer"
    elif body["command"] == "/summarize":
        task = "summary"
        details["asked_in"] = channel_id
        link = parse_permalink(text)
        if link is None and parse_span(plain(text)) is None:
            return None
        if link is not None:
            channel_id, thread_ts = link.channel_id, link.thread_ts
    else:
        return None
    return Request(
        key=key_of(body),
        task=task,
        team_id=team_of(body),
        channel_id=channel_id,
        thread_ts=thread_ts,
        user_id=body["user_id"],
        details=details,
    )


def _question(body: Json, event: Json, bot_user_id: str) -> Request | None:
    mention = event.get("type") == "app_mention"
    said = event.get("type") == "message" and event.get("subtype") in SPOKEN_SUBTYPES - {"bot_message"}
    direct = said and event.get("channel_type") == "im"
    if not (mention or direct) or event.get("bot_id") or event.get("edited") or not event.get("user"):
        return None
    # The names of others stay in the text; only the address to the bot itself is no part of the question.
    text = markdown_of(event, {bot_user_id: ""})
    wanted = mentions.task_of(text) if mention and event.get("thread_ts") else None
    asks = "mention" if mention else "direct"
    return Request(
        key=key_of(body),
        task=wanted or "answer",
        team_id=team_of(body),
        channel_id=event["channel"],
        thread_ts=event.get("thread_ts") or event["ts"],
        user_id=event["user"],
        details={
            "kind": mentions.KIND if wanted else asks,
            # Slack shows an ephemeral message only in a thread that has replies; a direct message is never ephemeral.
            "shown_in": event.get("thread_ts") or ("" if mention else event["ts"]),
            "user_team": event.get("user_team") or event.get("team") or team_of(body),
            "text": text,
        },
    )


@reader
def click_of(body: Json) -> Click:
    """The click in a `block_actions` payload: a button has a value, a menu's chosen one is `choice:VALUE`."""
    action = body["actions"][0]
    choice, _, chosen = (action.get("selected_option") or {}).get("value", "").partition(":")
    return Click(
        value=chosen or action.get("value", ""),
        choice=choice,
        user_id=body["user"]["id"],
        channel_id=_place_of(body),
        trigger_id=key_of(body),
        response_url=body.get("response_url", ""),
    )


@reader
def address_of(body: Json) -> Address | None:
    """Whom to tell, and where, when what this payload asked for goes wrong."""
    event = body.get("event")
    if isinstance(event, dict):
        if not event.get("user") or not event.get("channel"):
            return None
        return Address(event["channel"], event["user"], event.get("thread_ts") or "")
    if body.get("type") == "view_submission":
        kept = json.loads(body["view"]["private_metadata"] or "{}")
        return Address(kept.get("channel_id", ""), body["user"]["id"], "", kept.get("response_url", ""))
    channel_id = body.get("channel_id") or _place_of(body)
    user_id = body.get("user_id") or (body.get("user") or {}).get("id", "")
    return Address(channel_id, user_id, "", body.get("response_url", "")) if user_id else None


def told_of(body: Json) -> Address:
    """`address_of` for what a person did, which always has somebody to tell."""
    address = address_of(body)
    if address is None:
        raise BadPayload(f"nobody to answer in a {body.get('type')} payload")
    return address


@reader
def thumb_of(body: Json) -> Thumb | None:
    """The thumb in a reaction event, whatever its skin tone; None for any other event or emoji."""
    event = body.get("event") or {}
    if event.get("type") not in ("reaction_added", "reaction_removed"):
        return None
    value = THUMBS.get(event.get("reaction", "").split("::")[0])
    if value is None or event["item"].get("type") != "message":
        return None
    return Thumb(
        key=key_of(body),
        channel_id=event["item"]["channel"],
        message_ts=event["item"]["ts"],
        user_id=event["user"],
        value=value,
        removed=event["type"] == "reaction_removed",
        reaction=event["reaction"],
        event_ts=event.get("event_ts") or "",
    )


@reader
def seen_thread(body: Json) -> tuple[str, str, str] | None:
    """(team, channel, thread) of a message that somebody wrote in a thread."""
    event = body.get("event") or {}
    if event.get("type") != "message" or event.get("subtype") not in SPOKEN_SUBTYPES or not event.get("thread_ts"):
        return None
    return team_of(body), event["channel"], event["thread_ts"]


def shared_channel(body: Json) -> str | None:
    """The channel of an event that has people of other companies in it (Slack Connect)."""
    event = body.get("event")
    channel_id = event.get("channel") if isinstance(event, dict) else None
    return channel_id if body.get("is_ext_shared_channel") is True and isinstance(channel_id, str) else None


def escape(text: str) -> str:
    """Slack's three characters, and nothing else. No mention survives it: `<@U1>` becomes `&lt;@U1&gt;`."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def mrkdwn(text: str) -> str:
    """Plain text → mrkdwn that shows the same, with its web addresses as links.

    Text objects that carry it are `verbatim`, so Slack looks for no names or addresses of its own in it.
    """
    out, end = [], 0
    for found in re.finditer(r"https?://[^\s<>|\"'`]+", text):
        address = found[0].rstrip(".,;:!?)]}*_~")
        out += [escape(text[end : found.start()]), f"<{escape(address)}>"]
        end = found.start() + len(address)
    return "".join(out) + escape(text[end:])


def plain(text: str, names: Mapping[str, str] | None = None) -> str:
    """A text of ours, or one without markup, as it arrives → the text that people see."""
    text = re.sub(r"<([^<>]+)>", lambda found: entity(found[1], names or {}), clean(text))
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def key_of(body: Json) -> str:
    """What tells a request from all others and is the same when Slack sends it again."""
    # Slack names each of them; where a payload has no name, itself is one, so that nothing is lost.
    name = body.get("event_id") or body.get("trigger_id")
    return name or hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _place_of(body: Json) -> str:
    """Where a button was pressed; empty on the Home tab."""
    # Under an ephemeral message, the container is sure to say so.
    return (body.get("channel") or {}).get("id") or (body.get("container") or {}).get("channel_id") or ""


def team_of(body: Json) -> str:
    """The workspace that a payload comes from."""
    # In an org-wide install `team` is null for some payloads.
    return body.get("team_id") or (body.get("team") or {}).get("id") or (body.get("enterprise") or {}).get("id") or ""
