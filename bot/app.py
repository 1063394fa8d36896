"""The Bolt app. Async, because the sync one runs acks on five threads: five slow completions stop the sixth ack."""

import logging

from slack_bolt.async_app import AsyncApp
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
    # Bolt looks into the environment by itself, and warns that the token there is not used beside our client.
    logger.addFilter(lambda record: "`token` will be unused" not in record.getMessage())
    app = AsyncApp(
        logger=logger,
        client=desk.workspace.client,
        signing_secret=settings.slack_signing_secret,
        oauth_settings=oauth_settings(settings, desk.db, desk.workspace.client) if settings.by_oauth else None,
    )
    if settings.by_oauth:
        # Before the listeners, whose last one takes every event.
        app.enable_token_revocation_listeners()
    register_listeners(app, desk)
    return app
