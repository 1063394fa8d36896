"""Who somebody is: role, name, clock, presence; and who we are. What was lately learnt is believed for a while."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import tzinfo

from slack_sdk.web.async_client import AsyncWebClient

from bot import installations
from bot.calls import Calls
from bot.errors import SlackRefused, SlackUnreachable
from bot.settings import BotSettings
from bot.spans import zone_of
from data.models import Role

CACHE_SECONDS = 600
"""How long user groups, facts about people and channel facts are believed (slack.md, 23: 5 to 15 minutes)."""
RATING_SECONDS = 6
"""How long user groups are believed where somebody rates. For two groups these are 20 calls a minute, as tier 2 has."""
PRESENCE_SECONDS = 60
"""How long somebody counts as active, or away, after Slack said so."""
NAMELESS = "a colleague"
ROLE_TIMEOUT = 2.0
"""Seconds that a role check may take, since an ack must come within 3."""
GROUP_TIMEOUT = ROLE_TIMEOUT / 2
"""Seconds after which a group asked for anew is taken to be as it was."""


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


class People(Calls):
    """Holds what was learnt about people and groups."""

    def __init__(self, client: AsyncWebClient, settings: BotSettings) -> None:
        super().__init__(client)
        self.settings = settings
        self._identities: dict[str, Identity] = {}
        self._groups: dict[str, tuple[float, frozenset[str]]] = {}
        self._people: dict[str, tuple[float, Person]] = {}
        self._presence: dict[str, tuple[float, bool]] = {}

    async def identity(self) -> Identity:
        """Who we are where the present request came from; asked once."""
        # One token has one workspace, whatever a request says of where it came from.
        where = installations.here().key if self.settings.by_oauth else ""
        if where not in self._identities:
            me = await self.call("auth.test")
            self._identities[where] = Identity(me.get("team_id", ""), me["user_id"], me.get("bot_id", ""))
        return self._identities[where]

    async def role(self, user_id: str, *, believed: float = CACHE_SECONDS) -> Role | None:
        """Supervisor before agent; None is everybody else: customers, and guests even when they are listed.

        What was learnt of user groups is `believed` for so many seconds. Raises SlackUnreachable when Slack takes too
        long to say.
        """
        async with _in_time_for_an_ack("users.info"):
            agents = self.settings.agents | await self._group(self.settings.agent_usergroup, believed)
            role: Role | None = "agent" if user_id in agents else None
            supervisors = await self._group(self.settings.supervisor_usergroup, believed)
            if user_id in self.settings.supervisors | supervisors:
                role = "supervisor"
            if role is not None and (await self._person(user_id)).is_guest:
                role = None
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

    def known_names(self) -> frozenset[str]:
        """The names of all people whom Slack has told us about lately."""
        return frozenset(person.name for _, person in self._people.values() if person.name != NAMELESS)

    async def _person(self, user_id: str) -> Person:
        known = self._people.get(user_id)
        if known is None or known[0] < time.monotonic():
            user = (await self.call("users.info", user=user_id))["user"]
            profile = user.get("profile") or {}
            name = profile.get("display_name") or user.get("real_name") or profile.get("real_name") or user.get("name")
            # A stranger is somebody of another company, in a shared channel.
            is_guest = any(user.get(kind) for kind in ("is_restricted", "is_ultra_restricted", "is_stranger"))
            person = Person(name or NAMELESS, is_guest, zone_of(user.get("tz"), user.get("tz_offset")))
            known = self._people[user_id] = (time.monotonic() + CACHE_SECONDS, person)
        return known[1]

    async def is_guest(self, user_id: str) -> bool:
        """Is this person a guest, or of another company?"""
        return (await self._person(user_id)).is_guest

    async def is_active(self, user_id: str) -> bool:
        """Does Slack show this person as active, and not as away?"""
        known = self._presence.get(user_id)
        if known is None or known[0] < time.monotonic():
            active = (await self.call("users.getPresence", user=user_id)).get("presence") == "active"
            known = self._presence[user_id] = (time.monotonic() + PRESENCE_SECONDS, active)
        return known[1]

    async def time_zone(self, user_id: str) -> tzinfo:
        """Where this person's clock is."""
        return (await self._person(user_id)).zone

    async def _group(self, usergroup: str, believed: float = CACHE_SECONDS) -> frozenset[str]:
        if not usergroup:
            return frozenset()
        learnt, members = self._groups.get(usergroup, (-math.inf, frozenset()))
        age = time.monotonic() - learnt
        if age > believed:
            try:
                async with _in_time_for_an_ack("usergroups.users.list", GROUP_TIMEOUT):
                    answer = await self.call("usergroups.users.list", usergroup=usergroup)
            except (SlackRefused, SlackUnreachable):
                if age > CACHE_SECONDS:
                    raise
                return members
            members = frozenset(answer["users"])
            self._groups[usergroup] = (time.monotonic(), members)
        return members


@asynccontextmanager
async def _in_time_for_an_ack(method: str, seconds: float = ROLE_TIMEOUT) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise SlackUnreachable(method) from error
