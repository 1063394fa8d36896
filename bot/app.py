"""The Bolt app. Async, because the sync one runs acks on five threads: five slow completions stop the sixth ack."""

import logging
from collections.abc import Awaitable, Callable

from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from sqlite_utils import Database

from bot.desk import Desk
from bot.installations import oauth_settings
from bot.listeners import register_listeners
from bot.settings import BotSettings
from bot.web_client import web_client
from bot.workspace import Workspace
from serving.engine import Engine


def build_desk(settings: BotSettings, db: Database, engine: Engine, *, base_model: str) -> Desk:
    """The desk, with its own line to Slack."""
    workspace = Workspace(web_client(settings, db), settings)
    return Desk(db, engine, workspace, base_model=base_model, review_channel=settings.review_channel)


def build_app(settings: BotSettings, desk: Desk) -> AsyncApp:
    """The app, ready for Socket Mode or HTTP."""
    logger = logging.getLogger("bot.bolt")
    logger.setLevel(logging.WARNING)
    # Bolt looks into the environment by itself, and warns that the token there is not used beside our client's.
    logger.addFilter(lambda record: "`token`" not in record.getMessage())
    app = AsyncApp(
        logger=logger,
        client=desk.workspace.client,
        signing_secret=settings.slack_signing_secret,
        oauth_settings=oauth_settings(settings, desk.db, desk.workspace.client) if settings.by_oauth else None,
        authorize=None if settings.by_oauth else _ourselves(desk),
        # Of no use here, and it raises where Slack's events are not as it expects them.
        attaching_conversation_kwargs_enabled=False,
    )
    if settings.by_oauth:
        # Before the listeners, whose last one takes every event.
        app.enable_token_revocation_listeners()
    register_listeners(app, desk)
    return app


def _ourselves(desk: Desk) -> Callable[[], Awaitable[AuthorizeResult]]:
    """Who we are, as the start found out: Bolt would ask at the first event, and throw that away if Slack refused."""

    async def authorize() -> AuthorizeResult:
        me = await desk.workspace.identity()
        return AuthorizeResult(
            enterprise_id=None,
            team_id=me.team_id,
            bot_user_id=me.user_id,
            bot_id=me.bot_id or None,
            bot_token=desk.workspace.client.token,
        )

    return authorize
