"""Customers, agents and supervisors of the sandbox, played through its control API alone."""

import asyncio
import re
import time
from dataclasses import dataclass
from typing import Literal

import aiohttp

from bot.sandbox.people import AGENTS
from bot.slack import Json, plain
from data.errors import NightshiftError

LOOK_AGAIN = 0.25
"""Seconds between two looks at what a person sees."""
PATIENCE = 60.0
"""Seconds that a person waits for what the bot shows."""


class NothingHappened(NightshiftError):
    """A person waited in vain, or the sandbox or the bot refused what they did."""


@dataclass(frozen=True)
class Draft:
    """A draft as an agent sees it: its text, who wrote it, and the titles of its sources."""

    suggestion_id: str
    channel: str
    text: str
    adapter: str
    sources: tuple[str, ...]


class SlackPeople:
    """Holds the connection to the sandbox. One person does one thing at a time."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = url

    async def do(self, deed: str, **body: object) -> Json:
        """One deed of one person. Raises NothingHappened with what the person would be told."""
        said = await self._ask("POST", deed, json=body)
        if not said.get("ok"):
            raise NothingHappened(f"/sandbox/{deed} by {body.get('user')}: {said.get('message') or said.get('error')}")
        return said

    async def sees(self, user: str) -> Json:
        """What this person sees now."""
        return await self._ask("GET", "state", params={"user": user})

    async def problems(self) -> list[str]:
        """What the bot did wrong in the sandbox's eyes: what was refused, late or lost. Kinds and methods, no texts."""
        told = (await self._ask("GET", "state", params={"user": AGENTS[0]}))["problems"]
        return [f"{p['kind']} {p.get('method') or p.get('what') or ''}".strip() for p in told if not p.get("expected")]

    async def write(self, user: str, channel: str, text: str, thread_ts: str | None = None) -> str:
        """Write a message and return its ts."""
        body = {"channel": channel, "user": user, "text": text}
        said = await self.do("message", **body, **({"thread_ts": thread_ts} if thread_ts else {}))
        return str(said["ts"])

    async def suggest(self, agent: str, channel: str, message_ts: str) -> Draft:
        """Fire the shortcut on a message and wait for the draft."""
        before = _drafts(await self.sees(agent))
        await self.do("shortcut", channel=channel, user=agent, message_ts=message_ts, callback_id="suggest_reply")
        return await self._new_draft(agent, before)

    async def command(self, agent: str, channel: str, command: str, text: str) -> Draft:
        """Give a slash command that is answered with a draft, and wait for it."""
        before = _drafts(await self.sees(agent))
        await self.do("command", channel=channel, user=agent, command=command, text=text)
        return await self._new_draft(agent, before)

    async def accept(self, agent: str, draft: Draft) -> None:
        await self.do("action", user=agent, action_id="accept", value=draft.suggestion_id, channel=draft.channel)

    async def dismiss(self, agent: str, draft: Draft) -> None:
        await self.do("action", user=agent, action_id="dismiss", value=draft.suggestion_id, channel=draft.channel)

    async def edit(self, agent: str, draft: Draft, text: str) -> None:
        """Open the form, put this text in the draft's place and send it."""
        await self.do("action", user=agent, action_id="edit", value=draft.suggestion_id, channel=draft.channel)
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            for view in (await self.sees(agent))["views"]:
                if draft.suggestion_id in view["private_metadata"]:
                    await self.do("submit", user=agent, view_id=view["id"], values={"draft": {"text": text}})
                    return
            await asyncio.sleep(LOOK_AGAIN)
        raise NothingHappened(f"No form opened for {agent} on suggestion {draft.suggestion_id}.")

    async def reply_in(self, user: str, channel: str, thread_ts: str, *, count: int) -> str:
        """Wait for the bot's `count`-th reply in a thread and return its ts."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            posted = [m for m in _replies(await self.sees(user), channel, thread_ts) if m.get("bot_id")]
            if len(posted) >= count:
                return str(posted[count - 1]["ts"])
            await asyncio.sleep(LOOK_AGAIN)
        raise NothingHappened(f"No reply {count} was posted in thread {channel}/{thread_ts}.")

    async def permalink(self, user: str, channel: str, message_ts: str) -> str:
        """The link to a message, as the person copies it."""
        for message in _channel(await self.sees(user), channel)["messages"]:
            if message["ts"] == message_ts:
                return str(message["permalink"])
        raise NothingHappened(f"{user} sees no message {message_ts} in {channel}.")

    async def rate(self, supervisor: str, suggestion_id: str, side: Literal["positive", "negative"]) -> None:
        """Press a thumb in the review message, once it is there."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            for button in _thumbs(await self.sees(supervisor)):
                value = button[f"{side}_button"]["value"]
                if suggestion_id in value:
                    await self.do("action", user=supervisor, action_id=button["action_id"], value=value)
                    return
            await asyncio.sleep(LOOK_AGAIN)
        raise NothingHappened(f"{supervisor} got no review message of suggestion {suggestion_id}.")

    async def _ask(self, method: str, path: str, **arguments: object) -> Json:
        try:
            async with self.session.request(method, f"{self.url}/sandbox/{path}", **arguments) as answer:
                return await answer.json()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise NothingHappened(f"The sandbox at {self.url} does not answer: {error}") from error

    async def _new_draft(self, agent: str, before: dict[str, Draft]) -> Draft:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            seen = await self.sees(agent)
            for suggestion_id, draft in _drafts(seen).items():
                if suggestion_id not in before:
                    return draft
            await asyncio.sleep(LOOK_AGAIN)
        told = [plain(message.get("text", "")) for message in seen["ephemerals"][-1:]]
        raise NothingHappened(f"{agent} got no draft in {PATIENCE:.0f} seconds; the last word was: {' '.join(told)}")


def _thumbs(seen: Json) -> list[Json]:
    """The feedback buttons in view."""
    blocks = [block for channel in seen["channels"] for m in channel["messages"] for block in m.get("blocks", [])]
    return [e for block in blocks if block["type"] == "context_actions" for e in block["elements"]]


def _drafts(seen: Json) -> dict[str, Draft]:
    """The undecided drafts in view, by suggestion."""
    found = {}
    for message in seen["ephemerals"]:
        blocks = message.get("blocks", [])
        buttons = [e for block in blocks if block["type"] == "actions" for e in block["elements"]]
        notes = [e["text"] for block in blocks if block["type"] == "context" for e in block["elements"]]
        for button in buttons:
            if button["action_id"] == "accept":
                found[button["value"]] = Draft(
                    suggestion_id=button["value"],
                    channel=message["channel"],
                    text=plain(message["text"]),
                    adapter=_writer(notes),
                    sources=_sources(notes),
                )
    return found


def _writer(notes: list[str]) -> str:
    """ "base" or an adapter's name, from the note under a draft."""
    named = re.search(r"\(adapter ([a-z0-9-]+)\)", " ".join(notes))
    return named[1] if named else "base"


def _sources(notes: list[str]) -> tuple[str, ...]:
    line = next((note for note in notes if note.startswith("Sources: ")), "")
    return tuple(title.strip(" ·") for title in re.split(r"\[\d+\]", line)[1:])


def _channel(seen: Json, channel: str) -> Json:
    return next(c for c in seen["channels"] if c["id"] == channel)


def _replies(seen: Json, channel: str, thread_ts: str) -> list[Json]:
    return [r for m in _channel(seen, channel)["messages"] if m["ts"] == thread_ts for r in m["replies"]]
