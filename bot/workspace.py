"""Slack's Web API as the desk needs it: read a thread, whisper, post once, who somebody is."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import tzinfo

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot import installations, slack
from bot.blocks import Message
from bot.errors import NotInChannel, SlackRefused, SlackUnreachable
from bot.settings import BotSettings
from bot.slack import NOTICE_EVENT, REPLY_EVENT, Address, Json
from bot.spans import zone_of
from bot.web_client import retry_handlers
from data.models import Role, Turn

log = logging.getLogger(__name__)

CACHE_SECONDS = 600
"""How long user groups, facts about people and channel facts are believed (slack.md, 23: 5 to 15 minutes)."""
PRESENCE_SECONDS = 60
"""How long somebody counts as active, or away, after Slack said so."""
ROLE_TIMEOUT = 2.0
"""Seconds that a role check may take, since an ack must come within 3."""
PAGE = 200


@dataclass(frozen=True)
class Identity:
    """Who we are in this workspace, by auth.test."""

    team_id: str
    user_id: str
    bot_id: str


@dataclass(frozen=True)
class Person:
    """What users.info tells. A guest counts as a customer, whatever lists say."""

    name: str
    is_guest: bool
    zone: tzinfo


class Workspace:
    """Holds the client and what was lately learnt from it: groups, people, channels."""

    def __init__(self, client: AsyncWebClient, settings: BotSettings) -> None:
        self.client = client
        self.settings = settings
        self._identities: dict[str, Identity] = {}
        self._groups: dict[str, tuple[float, frozenset[str]]] = {}
        self._people: dict[str, tuple[float, Person]] = {}
        self._presence: dict[str, tuple[float, bool]] = {}
        self._shared: dict[str, tuple[float, bool]] = {}

    async def identity(self) -> Identity:
        """Who we are where the present request came from; asked once."""
        where = installations.here().key
        if where not in self._identities:
            me = await self._call("auth.test")
            self._identities[where] = Identity(me.get("team_id", ""), me["user_id"], me.get("bot_id", ""))
        return self._identities[where]

    # Who somebody is

    async def role(self, user_id: str) -> Role | None:
        """Supervisor before agent; None is everybody else: customers, and guests even when they are listed."""
        role: Role | None = "agent" if user_id in await self.agents() else None
        if user_id in self.settings.supervisors or user_id in await self._group(self.settings.supervisor_usergroup):
            role = "supervisor"
        if role is not None:
            async with _in_time_for_an_ack("users.info"):
                role = None if (await self._person(user_id)).is_guest else role
        return role

    async def agents(self) -> frozenset[str]:
        """Those listed as the humans who answer customers."""
        return self.settings.agents | await self._group(self.settings.agent_usergroup)

    async def agents_among(self, user_ids: Iterable[str]) -> frozenset[str]:
        """Those of these people who answer customers: listed, and no guests."""
        listed = sorted(await self.agents() & frozenset(user_ids))
        people = await asyncio.gather(*map(self._person, listed))
        return frozenset(user for user, person in zip(listed, people, strict=True) if not person.is_guest)

    def is_admin(self, user_id: str) -> bool:
        """May this person switch a channel's consent?"""
        return user_id in self.settings.admins

    async def name(self, user_id: str) -> str:
        """A person's plain name, without an at sign that would ping."""
        return (await self._person(user_id)).name

    async def _person(self, user_id: str) -> Person:
        known = self._people.get(user_id)
        if known is None or known[0] < time.monotonic():
            user = (await self._call("users.info", user=user_id))["user"]
            profile = user.get("profile") or {}
            name = profile.get("display_name") or user.get("real_name") or profile.get("real_name") or user.get("name")
            # A stranger is somebody of another company, in a shared channel.
            is_guest = any(user.get(kind) for kind in ("is_restricted", "is_ultra_restricted", "is_stranger"))
            person = Person(name or "a colleague", is_guest, zone_of(user.get("tz"), user.get("tz_offset")))
            known = self._people[user_id] = (time.monotonic() + CACHE_SECONDS, person)
        return known[1]

    async def is_guest(self, user_id: str) -> bool:
        """Is this person a guest, or of another company?"""
        return (await self._person(user_id)).is_guest

    async def is_active(self, user_id: str) -> bool:
        """Does Slack show this person as active, and not as away?"""
        known = self._presence.get(user_id)
        if known is None or known[0] < time.monotonic():
            active = (await self._call("users.getPresence", user=user_id)).get("presence") == "active"
            known = self._presence[user_id] = (time.monotonic() + PRESENCE_SECONDS, active)
        return known[1]

    async def time_zone(self, user_id: str) -> tzinfo:
        """Where this person's clock is."""
        return (await self._person(user_id)).zone

    async def _group(self, usergroup: str) -> frozenset[str]:
        if not usergroup:
            return frozenset()
        known = self._groups.get(usergroup)
        if known is None or known[0] < time.monotonic():
            async with _in_time_for_an_ack("usergroups.users.list"):
                answer = await self._call("usergroups.users.list", usergroup=usergroup)
            known = self._groups[usergroup] = (time.monotonic() + CACHE_SECONDS, frozenset(answer["users"]))
        return known[1]

    # What was said

    async def thread(self, channel_id: str, thread_ts: str) -> list[Turn]:
        """The thread's turns, oldest first."""
        return await self.turns(await self.replies(channel_id, thread_ts))

    async def newer_turns(self, channel_id: str, thread_ts: str, *, than: str, but: str) -> list[Turn]:
        """What was said in a thread after a message. What was posted for the suggestion `but` is no news."""
        messages = await self.replies(channel_id, thread_ts, oldest=than)
        bot_id = (await self.identity()).bot_id
        ours = slack.posted_parts(messages, event_type=REPLY_EVENT, suggestion_id=but, our_bot_id=bot_id).values()
        # Slack begins with the thread's first message however old it is; timestamps of one length sort as texts.
        return await self.turns([m for m in messages if m["ts"] > than and m["ts"] not in ours])

    async def history(
        self, channel_id: str, *, most: int, oldest: float | None = None, latest: float | None = None
    ) -> list[Json]:
        """The channel's messages between two moments, newest first, at most `most`; replies in threads are not here."""
        messages: list[Json] = []
        cursor = ""
        while True:
            answer = await self._call(
                "conversations.history",
                channel=channel_id,
                limit=min(PAGE, most - len(messages)),
                cursor=cursor,
                oldest=f"{oldest:.6f}" if oldest is not None else "",
                latest=f"{latest:.6f}" if latest is not None else "",
                inclusive=True,
                include_all_metadata=True,
            )
            messages += answer["messages"]
            cursor = _next_cursor(answer)
            if not cursor or len(messages) >= most:
                return messages

    async def members(self, channel_id: str) -> frozenset[str]:
        """Who is in the channel."""
        members: set[str] = set()
        cursor = ""
        while True:
            answer = await self._call("conversations.members", channel=channel_id, limit=PAGE, cursor=cursor)
            members.update(answer["members"])
            cursor = _next_cursor(answer)
            if not cursor:
                return frozenset(members)

    async def is_member(self, channel_id: str, user_id: str) -> bool:
        """Is this person in the channel?"""
        return user_id in await self.members(channel_id)

    async def is_shared(self, channel_id: str) -> bool:
        """Are people of other companies in the channel (Slack Connect)? A direct message with us never is."""
        if channel_id.startswith("D"):
            return False
        known = self._shared.get(channel_id)
        if known is None or known[0] < time.monotonic():
            channel = (await self._call("conversations.info", channel=channel_id))["channel"]
            shared = bool(channel.get("is_ext_shared") or channel.get("is_pending_ext_shared"))
            known = self._shared[channel_id] = (time.monotonic() + CACHE_SECONDS, shared)
        return known[1]

    def note_shared(self, channel_id: str) -> None:
        """Slack said with an event that the channel is shared: what was looked up before no longer counts."""
        self._shared[channel_id] = (time.monotonic() + CACHE_SECONDS, True)

    async def permalink(self, channel_id: str, message_ts: str) -> str:
        """A link that opens a message."""
        answer = await self._call("chat.getPermalink", channel=channel_id, message_ts=message_ts)
        return str(answer["permalink"])

    async def replies(self, channel_id: str, thread_ts: str, *, oldest: str = "") -> list[Json]:
        """A thread's messages after `oldest`, oldest first; its first one always begins."""
        messages: list[Json] = []
        cursor = ""
        while True:
            answer = await self._call(
                "conversations.replies",
                channel=channel_id,
                ts=thread_ts,
                oldest=oldest,
                limit=PAGE,
                cursor=cursor,
                include_all_metadata=True,
            )
            # Every page begins with the thread's first message.
            messages += [m for m in answer["messages"] if not messages or m["ts"] != messages[0]["ts"]]
            cursor = _next_cursor(answer)
            if not cursor:
                return messages

    async def turns(self, messages: Sequence[Json]) -> list[Turn]:
        """What was said in these messages, in their order, with people's names for their ids."""
        mentioned = sorted(slack.mentioned(messages))
        # A person whom Slack does not tell us about is "someone" in the prompt; that is no reason to draft nothing.
        found = await asyncio.gather(*map(self.name, mentioned), return_exceptions=True)
        names = {user: name for user, name in zip(mentioned, found, strict=True) if isinstance(name, str)}
        return slack.turns_of(
            messages,
            agents=await self.agents_among(str(message.get("user")) for message in messages),
            our_bot_id=(await self.identity()).bot_id,
            allowed_bots=self.settings.allowed_bots,
            names=names,
        )

    # What we say

    async def whisper(
        self,
        messages: Sequence[Message],
        to: Address,
        *,
        replace: bool = False,
    ) -> None:
        """Show messages to one person; the first one in the place of what `response_url` showed before.

        A `response_url` works 5 times in 30 minutes; after that, an ephemeral message does, and where none can be
        shown (the bot is no member, or the person is in no channel at all), a direct one.
        """
        for number, (text, blocks) in enumerate(messages):
            body: Json = {"response_type": "ephemeral", "replace_original": replace and number == 0, "text": text}
            body |= {"blocks": blocks} if blocks else {}
            body |= {"thread_ts": to.thread_ts} if to.thread_ts else {}
            if to.response_url and await self._respond(to.response_url, body):
                continue
            await self._tell(to, text, blocks)

    async def _tell(self, to: Address, text: str, blocks: list[Json]) -> None:
        said: Json = {"text": text, "blocks": blocks or None}
        marked = {**said, "metadata": {"event_type": NOTICE_EVENT, "event_payload": {"user_id": to.user_id}}}
        if to.channel_id.startswith("D"):
            await self._call("chat.postMessage", channel=to.channel_id, thread_ts=to.thread_ts, **marked)
            return
        try:
            if to.channel_id:
                where = {"channel": to.channel_id, "user": to.user_id, "thread_ts": to.thread_ts}
                await self._call("chat.postEphemeral", **where, **said)
                return
        except SlackRefused as error:
            log.info("no ephemeral message in %s: %s", to.channel_id, error.error)
        # A person's id as the channel is the direct message with them.
        await self._call("chat.postMessage", channel=to.user_id, **marked)

    async def status(self, sentence: str, to: Address) -> None:
        """Say that work goes on. A person without a `response_url` asked in a thread and sees the answer there."""
        if to.response_url:
            body: Json = {"response_type": "ephemeral", "replace_original": False, "text": sentence}
            await self._respond(to.response_url, body | ({"thread_ts": to.thread_ts} if to.thread_ts else {}))

    async def post_once(
        self,
        messages: Sequence[Message],
        *,
        channel_id: str,
        thread_ts: str | None,
        event_type: str,
        suggestion_id: str,
        look: bool,
    ) -> str:
        """Post what is not posted yet and return the first part's ts.

        `look`: something may have been posted before (a restart, a second click, a connection that broke),
        so ask Slack first.
        """
        parts: dict[int, str] = {}
        if look:
            parts = await self.posted_parts(channel_id, thread_ts, event_type=event_type, suggestion_id=suggestion_id)
        for number, (text, blocks) in enumerate(messages):
            if number in parts:
                continue
            answer = await self._call(
                "chat.postMessage",
                channel=channel_id,
                thread_ts=thread_ts,
                text=text,
                blocks=blocks,
                metadata=slack.metadata(event_type, suggestion_id, part=number),
                unfurl_links=False,
                unfurl_media=False,
            )
            parts[number] = answer["ts"]
        return parts[0]

    async def delete_posted(
        self, *, channel_id: str, thread_ts: str | None, event_type: str, suggestion_id: str
    ) -> None:
        """Delete what was posted for a suggestion, all parts of it, as far as it is still there."""
        parts = await self.posted_parts(channel_id, thread_ts, event_type=event_type, suggestion_id=suggestion_id)
        for ts in parts.values():
            try:
                await self._call("chat.delete", channel=channel_id, ts=ts)
            except SlackRefused as error:
                if error.error != "message_not_found":
                    raise

    async def posted_parts(
        self, channel_id: str, thread_ts: str | None, *, event_type: str, suggestion_id: str
    ) -> dict[int, str]:
        """Which parts of a suggestion stand in Slack already: part number → ts."""
        replies, history = self.replies, self.history
        seen = await (replies(channel_id, thread_ts) if thread_ts else history(channel_id, most=PAGE))
        bot_id = (await self.identity()).bot_id
        return slack.posted_parts(seen, event_type=event_type, suggestion_id=suggestion_id, our_bot_id=bot_id)

    async def open_modal(self, trigger_id: str, view: Json) -> None:
        """Open a modal; the trigger lives for 3 seconds."""
        await self._call("views.open", trigger_id=trigger_id, view=view)

    async def _respond(self, response_url: str, body: Json) -> bool:
        try:
            answer = await AsyncWebhookClient(response_url, retry_handlers=retry_handlers()).send_dict(body)
        except (aiohttp.ClientError, TimeoutError):
            log.warning("response_url unreachable")
            return False
        if answer.status_code != 200:
            log.info("response_url refused: status %s", answer.status_code)
        return answer.status_code == 200

    async def call(self, method: str, **arguments: object) -> Json:
        """A call that only one file needs. Raises SlackRefused and SlackUnreachable."""
        return await self._call(method, **arguments)

    async def _call(self, method: str, **arguments: object) -> Json:
        """One Web API call; Slack's refusals become sentences."""
        try:
            answer = await getattr(self.client, method.replace(".", "_"))(**_given(arguments))
        except SlackApiError as error:
            raise _refused(method, error, str(arguments.get("channel", ""))) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise SlackUnreachable(method) from error
        if not isinstance(answer.data, dict):
            raise SlackUnreachable(method)
        return answer.data


@asynccontextmanager
async def _in_time_for_an_ack(method: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(ROLE_TIMEOUT):
            yield
    except TimeoutError as error:
        raise SlackUnreachable(method) from error


def _given(arguments: Json) -> Json:
    return {name: value for name, value in arguments.items() if value is not None and value != ""}


def _next_cursor(answer: Json) -> str:
    return str((answer.get("response_metadata") or {}).get("next_cursor") or "")


def _refused(method: str, error: SlackApiError, channel_id: str) -> SlackRefused:
    answer = error.response
    reason = (
        str(answer.get("error", "unknown_error")) if isinstance(answer, AsyncSlackResponse) else "unreadable_answer"
    )
    # Of a private channel where the bot is no member, Slack only says channel_not_found.
    if reason in ("not_in_channel", "channel_not_found") and method != "chat.getPermalink":
        return NotInChannel(method, reason, channel_id)
    return SlackRefused(method, reason)
