"""Slack as the desk needs it: read a thread, whisper, post once. Who somebody is stands in people.py."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.blocks import Message
from bot.errors import NotInChannel, SlackRefused
from bot.messages import NOTICE_EVENT, REPLY_EVENT, mentioned, metadata, posted_parts, said, turns_of
from bot.people import CACHE_SECONDS, People
from bot.settings import BotSettings
from bot.slack import Address, Json
from bot.web_client import retry_handlers
from data.models import Turn

log = logging.getLogger(__name__)

PAGE = 200
RESPONSE_URL_USES = 5
"""What Slack takes from one `response_url` (slack.md, 3)."""
ADDRESSES_KEPT = 1000
LOOKED_UP = 100
"""People of a channel, each a call of users.info, which Slack limits to some hundred a minute."""


class Workspace(People):
    """Holds what was lately learnt about channels, beside what People holds."""

    def __init__(self, client: AsyncWebClient, settings: BotSettings) -> None:
        super().__init__(client, settings)
        self._shared: dict[str, tuple[float, bool]] = {}
        self._guests: dict[str, tuple[float, bool]] = {}
        self._uses: dict[str, int] = {}

    # What was said

    async def thread(self, channel_id: str, thread_ts: str) -> list[Turn]:
        """The thread's turns, oldest first."""
        return await self.turns(await self.replies(channel_id, thread_ts))

    async def read_thread(self, channel_id: str, thread_ts: str) -> tuple[list[Turn], dict[str, str]]:
        """The thread's turns, oldest first, and what its customers said, by which a later look finds what changed."""
        messages = await self.replies(channel_id, thread_ts)
        turns = await self.turns(messages)
        return turns, said(messages, of={turn.ts for turn in turns if turn.ts and turn.speaker == "customer"})

    async def news(
        self, channel_id: str, thread_ts: str, *, since: str, knowing: Mapping[str, str], but: str
    ) -> tuple[int, int, int]:
        """(messages said in a thread after the one at `since`, of those known then how many were edited, how many
        deleted). What was posted for the suggestion `but` is no news."""
        messages = await self.replies(channel_id, thread_ts)
        bot_id = (await self.identity()).bot_id
        ours = posted_parts(messages, event_type=REPLY_EVENT, suggestion_id=but, our_bot_id=bot_id).values()
        # Timestamps of one length sort as texts.
        newer = await self.turns([m for m in messages if m["ts"] > since and m["ts"] not in ours])
        now = said(messages, of=knowing)
        edited = sum(now[ts] != knowing[ts] for ts in now)
        return len(newer), edited, len(knowing.keys() - now.keys())

    async def history(
        self, channel_id: str, *, most: int, oldest: float | None = None, latest: float | None = None
    ) -> list[Json]:
        """The channel's messages between two moments, newest first, at most `most`; replies in threads are not here."""
        messages: list[Json] = []
        cursor = ""
        while True:
            answer = await self.call(
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
            answer = await self.call("conversations.members", channel=channel_id, limit=PAGE, cursor=cursor)
            members.update(answer["members"])
            cursor = _next_cursor(answer)
            if not cursor:
                return frozenset(members)

    async def is_member(self, channel_id: str, user_id: str) -> bool:
        """Is this person in the channel?"""
        return user_id in await self.members(channel_id)

    async def has_guests(self, channel_id: str) -> bool:
        """May guests read along in the channel? Of a large one that is taken to be so: nobody is looked up there."""
        known = self._guests.get(channel_id)
        if known is None or known[0] < time.monotonic():
            members = await self.members(channel_id)
            guests = len(members) > LOOKED_UP or any(await asyncio.gather(*map(self.is_guest, members)))
            known = self._guests[channel_id] = (time.monotonic() + CACHE_SECONDS, guests)
        return known[1]

    async def is_shared(self, channel_id: str) -> bool:
        """Are people of other companies in the channel (Slack Connect)? A direct message with us never is."""
        if channel_id.startswith("D"):
            return False
        known = self._shared.get(channel_id)
        if known is None or known[0] < time.monotonic():
            channel = (await self.call("conversations.info", channel=channel_id))["channel"]
            shared = bool(channel.get("is_ext_shared") or channel.get("is_pending_ext_shared"))
            known = self._shared[channel_id] = (time.monotonic() + CACHE_SECONDS, shared)
        return known[1]

    async def is_joined(self, channel_id: str) -> bool:
        """Are we in the channel, as far as Slack says?"""
        if channel_id.startswith("D"):
            return True
        try:
            channel = (await self.call("conversations.info", channel=channel_id))["channel"]
        except NotInChannel:
            # A private one.
            return False
        return channel.get("is_member") is not False

    def note_shared(self, channel_id: str) -> None:
        """Slack said with an event that the channel is shared: what was looked up before no longer counts."""
        self._shared[channel_id] = (time.monotonic() + CACHE_SECONDS, True)

    async def permalink(self, channel_id: str, message_ts: str) -> str:
        """A link that opens a message."""
        answer = await self.call("chat.getPermalink", channel=channel_id, message_ts=message_ts)
        return str(answer["permalink"])

    async def replies(self, channel_id: str, thread_ts: str, *, oldest: str = "") -> list[Json]:
        """A thread's messages after `oldest`, oldest first; its first one always begins."""
        messages: list[Json] = []
        cursor = ""
        while True:
            answer = await self.call(
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
        people = sorted(mentioned(messages))
        # A person whom Slack does not tell us about is "someone" in the prompt; that is no reason to draft nothing.
        found = await asyncio.gather(*map(self.name, people), return_exceptions=True)
        names = {user: name for user, name in zip(people, found, strict=True) if isinstance(name, str)}
        us = await self.identity()
        return turns_of(
            messages,
            agents=await self.agents_among(str(message.get("user")) for message in messages),
            our_bot_id=us.bot_id,
            our_user_id=us.user_id,
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
            await self.call("chat.postMessage", channel=to.channel_id, thread_ts=to.thread_ts, **marked)
            return
        try:
            if to.channel_id:
                where = {"channel": to.channel_id, "user": to.user_id, "thread_ts": to.thread_ts}
                await self.call("chat.postEphemeral", **where, **said)
                return
        except SlackRefused as error:
            log.info("no ephemeral message in %s: %s", to.channel_id, error.error)
        # A person's id as the channel is the direct message with them.
        await self.call("chat.postMessage", channel=to.user_id, **marked)

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
            answer = await self.call(
                "chat.postMessage",
                channel=channel_id,
                thread_ts=thread_ts,
                text=text,
                blocks=blocks,
                metadata=metadata(event_type, suggestion_id, part=number),
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
                await self.call("chat.delete", channel=channel_id, ts=ts)
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
        return posted_parts(seen, event_type=event_type, suggestion_id=suggestion_id, our_bot_id=bot_id)

    async def open_modal(self, trigger_id: str, view: Json) -> None:
        """Open a modal; the trigger lives for 3 seconds."""
        await self.call("views.open", trigger_id=trigger_id, view=view)

    async def _respond(self, response_url: str, body: Json) -> bool:
        uses = self._uses.pop(response_url, 0)
        self._uses[response_url] = uses + 1
        while len(self._uses) > ADDRESSES_KEPT:
            # The one that was used the longest ago.
            del self._uses[next(iter(self._uses))]
        if uses >= RESPONSE_URL_USES:
            return False
        try:
            answer = await AsyncWebhookClient(response_url, retry_handlers=retry_handlers()).send_dict(body)
        except (aiohttp.ClientError, TimeoutError):
            log.warning("response_url unreachable")
            return False
        if answer.status_code != 200:
            log.info("response_url refused: status %s", answer.status_code)
        return answer.status_code == 200


def _next_cursor(answer: Json) -> str:
    return str((answer.get("response_metadata") or {}).get("next_cursor") or "")
