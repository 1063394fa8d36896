"""Canvases: the sandbox hands them over as strictly as Slack, and the bot's token goes to Slack alone."""

import asyncio
import urllib.error
import urllib.request

import pytest
from aiohttp import web
from bot_fixtures import ThreadedServer
from sandbox_fixtures import Refused
from slack_sdk.web.async_client import AsyncWebClient
from test_sandbox_rules import AGENT, HELP, RANDOM, client, refused

from bot.canvases import canvas_in
from bot.errors import SlackRefused
from bot.settings import BotSettings
from bot.workspace import Workspace
from data.errors import DeskError

pytest_plugins = ["sandbox_fixtures"]
__all__ = ["client"]

PAGE = "<h1>Keys</h1><p>The yellow key opens the yard.</p>"


def workspace(sandbox, *, token: str) -> Workspace:
    api = AsyncWebClient(token, base_url=sandbox.environment["SLACK_API_URL"])
    return Workspace(api, BotSettings(_env_file=None))


def download(sandbox, address: str, *, token: str = "xoxb-sandbox") -> str:
    return asyncio.run(workspace(sandbox, token=token).download(address))


def test_the_sandbox_tells_of_a_canvas_where_the_app_is_a_member_alone(sandbox, client):
    shared = sandbox.canvas(AGENT, "Keys", PAGE, channel=HELP)
    file = client.files_info(file=shared["file_id"])["file"]
    assert (file["title"], file["filetype"], file["channels"]) == ("Keys", "quip", [HELP])
    elsewhere = sandbox.canvas(AGENT, "Keys", PAGE, channel=RANDOM)
    assert refused(client.files_info, file=elsewhere["file_id"])[0] == "file_not_found"
    assert refused(client.files_info, file="F404")[0] == "file_not_found"
    with pytest.raises(Refused, match="no canvas 'F404'"):
        sandbox.canvas(AGENT, "Keys", PAGE, file_id="F404")


def test_a_canvas_is_shared_as_a_message_with_a_file(sandbox):
    shared = sandbox.canvas(AGENT, "Keys", PAGE, channel=HELP)
    message = next(m for m in sandbox.channel(AGENT, HELP)["messages"] if m["ts"] == shared["ts"])
    assert message["subtype"] == "file_share" and canvas_in(message) == (shared["file_id"], "Keys")
    assert canvas_in({"files": [{"id": "F1", "filetype": "pdf", "title": "x"}, None, {"filetype": "quip"}]}) is None
    with urllib.request.urlopen(message["files"][0]["permalink"]) as shown:
        # A script in it must not reach the control API.
        assert shown.headers["Content-Security-Policy"] == "sandbox" and PAGE in shown.read().decode()


def test_the_private_address_is_for_the_apps_token_and_a_sign_in_page_is_not_taken_for_a_canvas(sandbox, client):
    file = client.files_info(file=sandbox.canvas(AGENT, "Keys", PAGE, channel=HELP)["file_id"])["file"]
    assert download(sandbox, file["url_private_download"]) == PAGE
    with pytest.raises(SlackRefused, match="install the app again"):
        download(sandbox, file["url_private"], token="xoxb-wrong")
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(file["url_private"])


def test_the_token_goes_nowhere_but_to_slack(sandbox):
    asked: list[str] = []

    async def lure(request: web.Request) -> web.Response:
        asked.append(request.headers.get("Authorization", ""))
        return web.Response(text=PAGE, content_type="text/html")

    elsewhere = ThreadedServer(web.get("/canvas", lure))
    try:
        for address in (f"{elsewhere.url}/canvas", "http://files.slack.com/x", "https://files.slack.com.example/x"):
            with pytest.raises(DeskError, match="kept outside of Slack"):
                download(sandbox, address)
    finally:
        elsewhere.close()
    assert asked == []


def test_a_canvas_that_is_too_long_is_not_read_to_its_end():
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/html"})
        await response.prepare(request)
        while request.transport is not None and not request.transport.is_closing():
            await response.write(b"x" * 100_000)
        return response

    slack = ThreadedServer(web.get("/canvas", endless))
    try:
        api = AsyncWebClient("xoxb-x", base_url=f"{slack.url}/api/")
        with pytest.raises(DeskError, match="longer than 5 MB"):
            asyncio.run(Workspace(api, BotSettings(_env_file=None)).download(f"{slack.url}/canvas"))
    finally:
        slack.close()
