"""Serve the sandbox on loopback: Web API, Socket Mode, response_urls, control API and the page."""

import asyncio
import json
import signal
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

from bot.sandbox import canvases, chat, files, oauth, people
from bot.sandbox.control import control_api
from bot.sandbox.sandbox import Sandbox
from bot.sandbox.web_api import rate_limited, refusal, web_api
from bot.sandbox.workspace import SlackError
from data.errors import NightshiftError

HOST = "127.0.0.1"
PORT = 8300
LOOPBACK = ("127.0.0.1", "localhost")
PAGE = Path(__file__).parent / "page"
MOST_BYTES = 4 * 1024 * 1024


class PortTaken(NightshiftError):
    """Another program listens on the sandbox's port."""

    def __init__(self, port: int) -> None:
        super().__init__(f"The sandbox cannot listen on port {port}, it is taken: end what runs there, or use --port.")


def loopback_only() -> web.Application:
    """The application without routes. It answers to a loopback Host alone: no web page elsewhere can drive it."""

    @web.middleware
    async def check_host(request: web.Request, handler: web.RequestHandler) -> web.StreamResponse:
        origin = urlsplit(request.headers.get("Origin", "")).hostname
        if request.host.rsplit(":", 1)[0] not in LOOPBACK or origin not in (None, *LOOPBACK):
            raise web.HTTPForbidden(text="the sandbox answers on 127.0.0.1 only")
        return await handler(request)

    return web.Application(middlewares=[check_host], client_max_size=MOST_BYTES)


def application(sandbox: Sandbox) -> web.Application:
    """All routes."""
    app = loopback_only()

    async def respond(request: web.Request) -> web.Response:
        fault = sandbox.faults.take("response_url")
        if fault is not None and fault.error is not None:
            sandbox.workspace.problem("fault", method="response_url", error=fault.error)
            return rate_limited(fault.retry_after) if fault.error == "ratelimited" else web.Response(status=500)
        try:
            args = json.loads(await request.text())
            if not isinstance(args, dict):
                raise SlackError("invalid_payload")
            chat.respond(sandbox, request.match_info["token"], args)
        except json.JSONDecodeError:
            return web.json_response({"ok": False, "error": "invalid_payload"}, status=400)
        except SlackError as error:
            sandbox.workspace.problem("refused", method="response_url", error=error.error, messages=error.messages)
            gone = error.error in ("used_url", "expired_url", "invalid_url")
            return web.json_response(refusal(error), status=404 if gone else 400)
        return web.Response(text="ok")

    async def page(request: web.Request) -> web.FileResponse:
        return web.FileResponse(PAGE / "index.html")

    app.add_routes(
        [
            web.get("/", page),
            web.static("/page", PAGE),
            web.route("*", "/api/{method}", web_api(sandbox)),
            web.get("/link/", sandbox.socket.connect),
            *(web.post(f"/{kind}/{{team}}/{{token}}", respond) for kind in ("commands", "actions", "app")),
            *oauth.routes(sandbox.oauth),
            *files.routes(sandbox),
            *canvases.routes(sandbox),
            *control_api(sandbox),
        ]
    )
    return app


async def start(port: int, http_url: str = "") -> web.AppRunner:
    """Start serving on 127.0.0.1:port (0: a free one, see runner.addresses); `await runner.cleanup()` ends it.

    `http_url`: where the app listens for HTTP; empty: it connects over Socket Mode.
    """
    sandbox = Sandbox()
    sandbox.socket.http_url = http_url
    runner = web.AppRunner(application(sandbox), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
    except OSError as error:
        await runner.cleanup()
        raise PortTaken(port) from error
    sandbox.port = runner.addresses[0][1]
    return runner


async def serve_until_signal(port: int, http_url: str) -> None:
    """Serve until SIGINT or SIGTERM."""
    runner = await start(port, http_url)
    bound = runner.addresses[0][1]
    lines = [f"{name}={value}" for name, value in people.environment(bound).items()]
    print(f"http://{HOST}:{bound}/ is the sandbox. Put this into the bot's environment:", *lines, sep="\n", flush=True)
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await ended.wait()
    await runner.cleanup()


def serve(port: int = PORT, http_url: str = "") -> None:
    """Serve in the foreground; PortTaken when something else listens there."""
    asyncio.run(serve_until_signal(port, http_url))
