"""python -m bot [--http PORT] | sandbox [--port PORT] [--http URL] | manifest [--http URL]

The bot; a Slack workspace on this machine; the app's manifest, to paste into Slack.
"""

import argparse
import asyncio
import gc
import json
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Awaitable, Sequence
from typing import TypeVar

from aiohttp import web
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler

from bot import manifest
from bot.app import build_app, build_desk
from bot.desk import Desk
from bot.errors import SlackRefused
from bot.resuming import resume
from bot.settings import BotSettings
from data import cli, store, vectors
from data.errors import BadSetting, MissingToken
from data.settings import DataSettings
from serving.hosted import engine_for
from serving.settings import ServingSettings

SANDBOX_PORT = 8300
PORT = cli.whole_number(0, 65535)
LAST_VECTORS_SECONDS = 10.0
"""How long the bot's end waits for the vectors that are being made."""
TOKEN_REFUSED = frozenset(
    [
        "access_denied",
        "account_inactive",
        "ekm_access_denied",
        "invalid_auth",
        "missing_scope",
        "no_permission",
        "not_allowed_token_type",
        "not_authed",
        "org_login_required",
        "team_access_not_granted",
        "token_expired",
        "token_revoked",
    ]
)
"""Slack's words for a token that it does not take; its other refusals may pass."""

END_WITHIN = 6.0
"""Seconds from a SIGTERM to the end. A web socket's close, a call of Slack's or a picture that is being drawn may each
take longer; whatever was in flight is a row, and the next start takes it up."""

T = TypeVar("T")
log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Exit 0 done, 1 an expected error in one sentence, 2 wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m bot", description=__doc__)
    parser.add_argument("--http", type=PORT, metavar="PORT", help="listen for Slack's requests, not over Socket Mode")
    parser.add_argument("--host", default="127.0.0.1", help="where --http listens (default: %(default)s)")
    parser.set_defaults(handle=_bot)
    commands = parser.add_subparsers(title="commands")
    sandbox = commands.add_parser("sandbox", help="a Slack workspace on this machine, to try the bot in")
    sandbox.add_argument("--port", type=PORT, default=SANDBOX_PORT, help="default: %(default)s; 0: any free one")
    sandbox.add_argument(
        "--http", default="", dest="http_url", metavar="URL", help="reach the bot over HTTP there, not over Socket Mode"
    )
    sandbox.set_defaults(handle=_sandbox)
    printed = commands.add_parser("manifest", help="print the app's manifest, to paste into Slack")
    printed.add_argument(
        "--http", dest="http_url", metavar="URL", help="for HTTP mode: the bot's public address, https://…"
    )
    printed.set_defaults(handle=_manifest)
    return cli.run(parser, argv)


def _bot(arguments: argparse.Namespace) -> int:
    settings, serving = cli.load_settings(BotSettings), cli.load_settings(ServingSettings)
    _expect(settings, http=arguments.http is not None)
    # slack_bolt and slack_sdk write whole payloads at DEBUG; ids are all that a log may have.
    for library in ("slack_bolt", "slack_sdk", "httpx", "httpx2", "openai"):
        logging.getLogger(library).setLevel(logging.WARNING)
    asyncio.run(_serve(arguments, settings, serving))
    return 0


def _expect(settings: BotSettings, *, http: bool) -> None:
    if settings.by_oauth and not http:
        raise BadSetting("SLACK_CLIENT_ID installs by OAuth over HTTP: start with --http PORT, or unset it.")
    needed = {"SLACK_BOT_TOKEN": settings.slack_bot_token} if not settings.by_oauth else {}
    needed |= (
        {"SLACK_SIGNING_SECRET": settings.slack_signing_secret}
        if http
        else {"SLACK_APP_TOKEN": settings.slack_app_token}
    )
    for variable, value in needed.items():
        if not value:
            raise MissingToken(f"{variable} is not set: copy it from your Slack app's settings into .env.")


async def _serve(arguments: argparse.Namespace, settings: BotSettings, serving: ServingSettings) -> None:
    kept = cli.load_settings(DataSettings)
    db = store.connect(kept.database_path)
    stop = threading.Event()
    # Reading the model keeps Python busy for seconds, in which no ack must be waited for.
    vectors.make_ready(db, kept.embedding_model)
    embedding = vectors.embed_passages_in_the_background(kept.database_path, kept.embedding_model, stop)
    engine = engine_for(serving)
    desk = build_desk(settings, db, engine, base_model=serving.base_name)
    app = build_app(settings, desk)
    # Modules and the embedding model stay for good: looked through again, they hold up every ack for 0.3 s at a time.
    gc.collect()
    gc.freeze()
    if not settings.by_oauth:
        await _expect_welcome(desk)
    ended = asyncio.Event()

    def end() -> None:
        ended.set()
        # It rings also while asyncio ends what is left, which waits for threads.
        asyncio.get_running_loop().call_later(END_WITHIN, _end_at_once)

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, end)
    if arguments.http is None:
        address = await _socket_address(desk, settings)
        # Made only now: it opens a session that somebody has to close.
        handler = AsyncSocketModeHandler(app, settings.slack_app_token)
        handler.client.wss_uri = address
        resume(desk)
        await handler.connect_async()
        print("ready: connected to Slack over Socket Mode", flush=True)
        await ended.wait()
        await handler.close_async()
    else:
        runner = web.AppRunner(app.web_app(path=manifest.EVENTS), access_log=None)
        await runner.setup()
        resume(desk)
        try:
            await web.TCPSite(runner, arguments.host, arguments.http).start()
        except OSError as error:
            raise BadSetting(f"Port {arguments.http} on {arguments.host} cannot be used: {error.strerror}.") from error
        host, port = runner.addresses[0][:2]
        print(f"ready: listening for Slack on http://{host}:{port}{manifest.EVENTS}", flush=True)
        await ended.wait()
        await runner.cleanup()
    stop.set()
    await engine.close()
    await asyncio.to_thread(embedding.join, LAST_VECTORS_SECONDS)


def _end_at_once() -> None:
    log.warning("ended with work in flight, after %.0f s; the next start takes it up", END_WITHIN)
    logging.shutdown()
    os._exit(0)


async def _expect_welcome(desk: Desk) -> None:
    await _with_token("SLACK_BOT_TOKEN", desk.workspace.identity())


async def _socket_address(desk: Desk, settings: BotSettings) -> str:
    # Asked for here, because Bolt's own client tries a refused token again for ever.
    opening = desk.workspace.call("apps.connections.open", app_token=settings.slack_app_token)
    return str((await _with_token("SLACK_APP_TOKEN", opening))["url"])


async def _with_token(variable: str, call: Awaitable[T]) -> T:
    """What Slack answers. Raises MissingToken when it does not take the token, SlackRefused for any other reason."""
    try:
        return await call
    except SlackRefused as error:
        if error.error not in TOKEN_REFUSED:
            raise
        raise MissingToken(
            f"Slack refuses {variable} ({error.error}): copy it again from your Slack app's settings into .env."
        ) from error


def _manifest(arguments: argparse.Namespace) -> int:
    if arguments.http_url and not re.fullmatch(r"https://[^\s/]+(/\S*)?", arguments.http_url):
        raise BadSetting("--http takes the address at which Slack reaches the bot: https://…")
    made = manifest.manifest()
    print(json.dumps(manifest.over_http(made, arguments.http_url) if arguments.http_url else made, indent=2))
    return 0


def _sandbox(arguments: argparse.Namespace) -> int:
    from bot.sandbox import server

    try:
        server.serve(arguments.port, arguments.http_url)
    except OSError as error:
        raise BadSetting(f"Port {arguments.port} cannot be used for the sandbox: {error.strerror}.") from error
    return 0


if __name__ == "__main__":
    sys.exit(main())
