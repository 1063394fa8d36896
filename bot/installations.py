"""Where the app is installed: one workspace by its token, or those of one company by OAuth, each with its own.

Whose token a call takes is known by the request that is being worked on. It stands in a context variable, because
that is what follows a request through Bolt's tasks: the work on one workspace's request never sees another's.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

from slack_bolt.async_app import AsyncBoltContext
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.authorization.async_authorize import AsyncInstallationStoreAuthorize
from slack_bolt.oauth.async_oauth_settings import AsyncOAuthSettings
from slack_sdk.oauth.installation_store import Bot, Installation
from slack_sdk.oauth.installation_store.async_installation_store import AsyncInstallationStore
from slack_sdk.oauth.state_store.async_state_store import AsyncOAuthStateStore
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse
from sqlite_utils import Database

from bot import manifest
from bot.errors import SlackUnreachable
from bot.settings import BotSettings
from data import store_installations

log = logging.getLogger(__name__)

ASK_FOR_TEAM = frozenset({"usergroups.list", "usergroups.users.list", "users.list", "conversations.list"})
"""Methods that an organisation's token must tell which workspace is meant."""


@dataclass(frozen=True)
class Place:
    """The workspace of the request that is being worked on, and whether the app is installed in its organisation."""

    team_id: str = ""
    enterprise_id: str = ""
    is_org_wide: bool = False

    @property
    def key(self) -> str:
        """Tells installations apart."""
        return self.enterprise_id if self.is_org_wide else self.team_id


_here: ContextVar[Place] = ContextVar("here")


def here() -> Place:
    """Where the present request came from."""
    return _here.get(Place())


def enter(context: AsyncBoltContext) -> None:
    """From now on this task, and those that it starts, work for the workspace of this request."""
    _here.set(Place(context.team_id or "", context.enterprise_id or "", bool(context.is_enterprise_install)))


def enter_team(team_id: str) -> None:
    """The same for work without a request, such as what a restart takes up."""
    _here.set(Place(team_id))


class Installations(AsyncInstallationStore):
    """Bolt's view of the store's installations. Bots alone: the app asks for no person's token."""

    def __init__(self, db: Database) -> None:
        self.db = db

    @property
    def logger(self) -> logging.Logger:
        """The library logs through this; ids only."""
        return log

    async def async_save(self, installation: Installation) -> None:
        """Store an installation, or a rotated token."""
        store_installations.put_installation(
            self.db,
            enterprise_id=installation.enterprise_id or "",
            team_id=installation.team_id or "",
            is_org_wide=bool(installation.is_enterprise_install),
            installation=vars(installation),
        )
        log.info("installed in %s", installation.team_id or installation.enterprise_id)

    async def async_find_installation(
        self,
        *,
        enterprise_id: str | None,
        team_id: str | None,
        user_id: str | None = None,
        is_enterprise_install: bool | None = False,
    ) -> Installation | None:
        """The installation in this workspace or organisation, if this user made it or none is named."""
        found = store_installations.installation(
            self.db,
            enterprise_id=enterprise_id or "",
            team_id=team_id or "",
            is_org_wide=bool(is_enterprise_install),
        )
        if found is None or user_id not in (None, found["user_id"]):
            return None
        return Installation(**found)

    async def async_find_bot(
        self, *, enterprise_id: str | None, team_id: str | None, is_enterprise_install: bool | None = False
    ) -> Bot | None:
        """The same as a bot."""
        found = await self.async_find_installation(
            enterprise_id=enterprise_id, team_id=team_id, is_enterprise_install=is_enterprise_install
        )
        return found.to_bot() if found is not None else None

    async def async_delete_bot(self, *, enterprise_id: str | None, team_id: str | None) -> None:
        """The bot's token was revoked."""
        store_installations.delete_installations(self.db, enterprise_id=enterprise_id or "", team_id=team_id or "")
        log.info("no longer installed in %s", team_id or enterprise_id)

    async def async_delete_installation(
        self, *, enterprise_id: str | None, team_id: str | None, user_id: str | None = None
    ) -> None:
        """A person's token was revoked; there is none to forget."""

    async def async_delete_all(self, *, enterprise_id: str | None, team_id: str | None) -> None:
        """The app was removed."""
        await self.async_delete_bot(enterprise_id=enterprise_id, team_id=team_id)


class States(AsyncOAuthStateStore):
    """What Slack hands back when an install ends, so that nobody ends one that they did not begin."""

    def __init__(self, db: Database) -> None:
        self.db = db

    @property
    def logger(self) -> logging.Logger:
        """The library logs through this."""
        return log

    async def async_issue(self, *args: Any, **kwargs: Any) -> str:
        """A fresh state."""
        return store_installations.issue_state(self.db)

    async def async_consume(self, state: str) -> bool:
        """Is it one of ours, and used for the first time?"""
        return store_installations.consume_state(self.db, state)


class InstalledClient(AsyncWebClient):
    """A client that takes the token of the workspace that the present request came from."""

    def __init__(self, db: Database, **settings: Any) -> None:
        super().__init__(**settings)
        self.db = db

    async def api_call(self, api_method: str, **arguments: Any) -> AsyncSlackResponse:
        """As the library's, with the token and, for an organisation's, the workspace that is meant."""
        given = next((arguments[kind] for kind in ("params", "json", "data") if arguments.get(kind)), None)
        if arguments.get("auth") is None and not (isinstance(given, Mapping) and given.get("token")):
            place = here()
            found = self._installation(place)
            if found is not None:
                headers = {"Authorization": f"Bearer {found['bot_token']}"}
                arguments["headers"] = headers | (arguments.get("headers") or {})
                if found["is_enterprise_install"] and api_method in ASK_FOR_TEAM and place.team_id:
                    params = arguments.get("params") or {}
                    arguments["params"] = {**params, "team_id": params.get("team_id") or place.team_id}
        return await super().api_call(api_method, **arguments)

    def token_here(self) -> str:
        """The token of the workspace that the present request came from; empty where the app is not installed."""
        found = self._installation(here())
        return str(found["bot_token"]) if found is not None else ""

    def _installation(self, place: Place) -> dict[str, Any] | None:
        if place.is_org_wide:
            return store_installations.installation(
                self.db, enterprise_id=place.enterprise_id, team_id="", is_org_wide=True
            )
        return store_installations.installation_for_team(self.db, place.team_id)


class Authorization(AsyncInstallationStoreAuthorize):
    """Bolt's, one request of a workspace at a time: two that renew one token at once would spoil it."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._busy: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def __call__(self, **request: Any) -> AuthorizeResult | None:
        """Who we are in the request's workspace; None where the app is not installed.

        Raises SlackUnreachable where it is, and Slack would not confirm the token: Bolt acks what it has nobody for,
        and an event would be lost.
        """
        enterprise_id, team_id = request["enterprise_id"], request["team_id"]
        async with self._busy[team_id or enterprise_id or ""]:
            result = await super().__call__(**request)
        if result is None and await self.installation_store.async_find_installation(
            enterprise_id=enterprise_id,
            team_id=team_id,
            is_enterprise_install=request["context"].is_enterprise_install,
        ):
            raise SlackUnreachable("auth.test")
        return result


def oauth_settings(settings: BotSettings, db: Database, client: AsyncWebClient) -> AsyncOAuthSettings:
    """Bolt's OAuth flow: /slack/install and /slack/oauth_redirect, with everything that it keeps in the store.

    Bolt rotates tokens in it, where the app has rotation switched on.
    """
    made = AsyncOAuthSettings(
        client_id=settings.slack_client_id,
        client_secret=settings.slack_client_secret,
        scopes=manifest.scopes(),
        installation_store=Installations(db),
        state_store=States(db),
        authorization_url=urljoin(settings.slack_api_url, "../oauth/v2/authorize"),
        logger=log,
    )
    made.authorize = Authorization(
        logger=log,
        client_id=settings.slack_client_id,
        client_secret=settings.slack_client_secret,
        installation_store=made.installation_store,
        client=client,
        # One auth.test per token, not one before every ack.
        cache_enabled=True,
    )
    return made
