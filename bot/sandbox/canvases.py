"""Canvases that people share: /sandbox/canvas, files.info, and the private address with the HTML.

The HTML is as the person gives it; how Slack's own looks is not documented. Whether files.info says file_not_found of a
canvas that the app cannot see, or another word, is not certain.
"""

import secrets
from dataclasses import dataclass, field

from aiohttp import web

from bot.sandbox import events, people
from bot.sandbox.interactions import channel_seen, person
from bot.sandbox.sandbox import Sandbox
from bot.sandbox.values import WrongInput
from bot.sandbox.workspace import Json, SlackError


@dataclass
class Canvas:
    """A canvas, and the channels in which it was shared."""

    id: str
    user: str
    title: str
    html: str
    channels: set[str] = field(default_factory=set)


async def canvas(sandbox: Sandbox, body: Json) -> Json:
    """A person writes a canvas and shares it in a channel, or with `file_id` writes one anew."""
    user, title, html = person(sandbox, body.get("user")), body.get("title"), body.get("html")
    if not isinstance(title, str) or not isinstance(html, str):
        raise WrongInput("title and html must be texts")
    if "file_id" in body:
        known = sandbox.workspace.canvases.get(str(body["file_id"]))
        if known is None:
            raise WrongInput(f"no canvas {body['file_id']!r}")
        known.title, known.html = title, html
        sandbox.workspace.changed()
        return {"ok": True, "file_id": known.id}
    channel = channel_seen(sandbox, user, body.get("channel"))
    made = Canvas("F0" + secrets.token_hex(5).upper(), user.id, title, html, {channel.id})
    sandbox.workspace.canvases[made.id] = made
    shared = {
        "user": user.id,
        "text": "",
        "team": people.TEAM_ID,
        "subtype": "file_share",
        "files": [_file(sandbox, made)],
    }
    posted = sandbox.workspace.post(channel, shared)
    sandbox.announce(channel, events.message_event(channel, posted))
    return {"ok": True, "file_id": made.id, "channel": channel.id, "ts": posted["ts"]}


def info(sandbox: Sandbox, args: Json) -> Json:
    """files.info, of canvases in channels that the app is in."""
    if not args.get("file"):
        raise SlackError("invalid_arguments", ["missing required field: file"])
    found = sandbox.workspace.canvases.get(str(args["file"]))
    seen = found is not None and any(
        people.BOT_USER in sandbox.workspace.channels[channel].members for channel in found.channels
    )
    if found is None or not seen:
        raise SlackError("file_not_found")
    return {"file": _file(sandbox, found), "comments": [], "response_metadata": {"next_cursor": ""}}


def _file(sandbox: Sandbox, found: Canvas) -> Json:
    address = f"http://127.0.0.1:{sandbox.port}/files-pri/{people.TEAM_ID}-{found.id}"
    return {
        "id": found.id, "name": found.title.replace(" ", "_"), "title": found.title, "user": found.user,
        "mimetype": "application/vnd.slack-docs", "filetype": "quip", "pretty_type": "Canvas", "mode": "quip",
        "is_external": False, "is_public": True, "size": len(found.html.encode()), "channels": sorted(found.channels),
        "url_private": f"{address}/canvas", "url_private_download": f"{address}/download/canvas",
        "permalink": f"http://127.0.0.1:{sandbox.port}/sandbox/canvas/{found.id}",
    }  # fmt: skip


def _is_known(sandbox: Sandbox, token: str) -> bool:
    try:
        return token == people.BOT_TOKEN or sandbox.oauth.check("files.info", token, {})
    except SlackError:
        return False


def routes(sandbox: Sandbox) -> list[web.RouteDef]:
    """Where the app reads a canvas, with its token, and where a person does."""

    async def download(request: web.Request) -> web.Response:
        found = sandbox.workspace.canvases.get(request.match_info["file"])
        if found is None:
            raise web.HTTPNotFound()
        if not _is_known(sandbox, request.headers.get("Authorization", "").removeprefix("Bearer ")):
            # Slack sends who has no right to where people sign in.
            sandbox.workspace.problem("refused", method="files-pri", error="not_authed")
            raise web.HTTPFound(f"http://127.0.0.1:{sandbox.port}/sign-in")
        return web.Response(text=found.html, content_type="text/html")

    async def show(request: web.Request) -> web.Response:
        found = sandbox.workspace.canvases.get(request.match_info["file"])
        if found is None:
            raise web.HTTPNotFound()
        # What a person wrote must not run here, where the control API is.
        return web.Response(text=found.html, content_type="text/html", headers={"Content-Security-Policy": "sandbox"})

    where = f"/files-pri/{people.TEAM_ID}-{{file}}"
    return [
        web.get(f"{where}/canvas", download),
        web.get(f"{where}/download/canvas", download),
        web.get("/sandbox/canvas/{file}", show),
    ]
