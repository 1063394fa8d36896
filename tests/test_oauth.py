"""The workspaces of one company install the app by OAuth: each has its own token, in the store and in no log."""

import asyncio
import html
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web
from bot_fixtures import Bot, ModelServer, ThreadedServer, bot_environment, last_ephemeral, open_store
from sandbox_fixtures import PATIENCE, SandboxClient
from test_bot_desk import AGENT, HELP, draft_for, replies
from test_bot_start import run_bot

from bot import installations, manifest
from bot.app import build_desk
from bot.resuming import resume
from bot.sandbox.people import CLIENT_ID, CLIENT_SECRET, ORG_ID, TEAM_ID
from bot.settings import BotSettings
from bot.slack import Request
from data import store, store_answers, store_installations
from serving.engine import Engine

pytest_plugins = ("bot_fixtures", "sandbox_fixtures")

OAUTH = {
    "SLACK_BOT_TOKEN": "",
    "SLACK_APP_TOKEN": "",
    "SLACK_CLIENT_ID": CLIENT_ID,
    "SLACK_CLIENT_SECRET": CLIENT_SECRET,
}


@pytest.fixture
def bot(sandbox: SandboxClient, model: ModelServer, tmp_path: Path) -> Iterator[Bot]:
    groups = {"AGENTS": "", "AGENT_USERGROUP": "S0AGENTS"}
    environment = bot_environment(sandbox, model, tmp_path, **OAUTH, **groups)
    bot = Bot(environment, open_store(tmp_path), ("--http", "0"), log=tmp_path / "bot.log")
    bot.address = bot.start().split()[-1]
    assert sandbox.call("/sandbox/transport", {"http": bot.address})["ok"]
    yield bot
    assert bot.stop() == 0
    sandbox.call("/sandbox/transport", {"http": ""})
    bot.db.conn.close()


def got(address: str, cookie: str = "") -> tuple[int, str, dict[str, str]]:
    """Status, text and headers of a GET, redirects not followed."""

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *args: object) -> None:
            return None

    request = urllib.request.Request(address, headers={"Cookie": cookie} if cookie else {})
    try:
        with urllib.request.build_opener(Stay).open(request, timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(), dict(error.headers)


def begun(bot: Bot, sandbox: SandboxClient, where: str) -> tuple[str, str]:
    """What a person does up to Slack's redirect: the address that Slack sends the browser to, and its cookie."""
    _, page, headers = got(bot.address.replace("/events", "/install"))
    authorize = html.unescape(re.search(r'href="(http[^"]+)"', page)[1])
    assert authorize.startswith(sandbox.url + "/oauth/v2/authorize?")
    _, asked, _ = got(authorize)
    allow = html.unescape(re.search(rf'id="{where}" href="([^"]+)"', asked)[1])
    status, _, redirected = got(sandbox.url + allow)
    assert status == 302
    return redirected["Location"], headers["Set-Cookie"].split(";")[0]


def install(bot: Bot, sandbox: SandboxClient, where: str = "team") -> str:
    """Install, and return the token that is stored."""
    address, cookie = begun(bot, sandbox, where)
    assert got(address, cookie)[0] == 200
    return stored(bot)["bot_token"]


def stored(bot: Bot) -> dict:
    (row,) = bot.db.query("select installation from installations")
    return json.loads(row["installation"])


def works(bot: Bot, sandbox: SandboxClient) -> None:
    """A draft is asked for, shown and sent."""
    row = draft_for(bot, sandbox)
    sandbox.action(AGENT, "accept", value=row["id"])
    bot.until(lambda: len(replies(sandbox, row["thread_ts"])) == 1)
    last_ephemeral(sandbox, AGENT, "Sent.")


def test_a_workspace_that_installs_the_app_is_served_with_its_own_token(bot, sandbox, model):
    token = install(bot, sandbox)
    works(bot, sandbox)
    assert sandbox.problems() == []
    assert stored(bot)["bot_scopes"] == manifest.scopes()
    assert token.startswith("xoxb-") and token not in bot.log.read_text()
    assert CLIENT_SECRET not in bot.log.read_text()


def test_a_request_is_not_lost_when_slack_does_not_confirm_the_token(bot, sandbox, model):
    install(bot, sandbox)
    sandbox.fault(retry_delays_s=[0, 0, 0])
    sandbox.fault(method="auth.test", error="internal_error", times=1)
    sandbox.message("D0AGENT1", AGENT, "How do I reset?")
    bot.until(lambda: bot.count("suggestions") == 1)
    assert not [p for p in sandbox.problems() if p["kind"] == "event_lost"]


def test_a_bot_token_in_the_environment_is_not_used_beside_oauth(sandbox, model, tmp_path):
    environment = bot_environment(sandbox, model, tmp_path, **OAUTH | {"SLACK_BOT_TOKEN": "xoxb-sandbox"})
    bot = Bot(environment, open_store(tmp_path), ("--http", "0"), log=tmp_path / "bot.log")
    bot.address = bot.start().split()[-1]
    sandbox.call("/sandbox/transport", {"http": bot.address})
    sandbox.command(HELP, AGENT, "/ask", "anybody?")
    assert bot.count("suggestions") == 0
    install(bot, sandbox)
    sandbox.command(HELP, AGENT, "/ask", "anybody?")
    bot.until(lambda: bot.count("suggestions") == 1)
    assert bot.stop() == 0
    sandbox.call("/sandbox/transport", {"http": ""})
    bot.db.conn.close()


def test_an_install_in_the_whole_organisation_names_the_workspace_where_slack_asks(bot, sandbox, model):
    install(bot, sandbox, "org")
    assert (stored(bot)["is_enterprise_install"], stored(bot)["enterprise_id"]) == (True, ORG_ID)
    works(bot, sandbox)
    assert sandbox.problems() == []


def test_a_restart_finishes_work_with_the_workspaces_token(bot, sandbox, model):
    install(bot, sandbox)
    model.flowing.clear()
    ts = sandbox.message(HELP, "U0CUSTOMER1", "Help")["ts"]
    assert sandbox.shortcut(HELP, AGENT, ts, "suggest_reply")["ok"]
    bot.until(lambda: model.asked)
    bot.kill()
    model.flowing.set()
    bot.start()
    bot.until(lambda: bot.newest()["state"] == "shown")
    last_ephemeral(sandbox, AGENT, "We will look into it")


def test_rotated_tokens_replace_the_old_ones(bot, sandbox, model):
    sandbox.call("/sandbox/rotation", {"seconds": 3600})
    old = install(bot, sandbox)
    works(bot, sandbox)
    new = stored(bot)["bot_token"]
    # Bolt renews what has less than two hours left, so with every request here.
    assert new != old and bot.count("installations") == 1
    assert not [p for p in sandbox.problems() if p["kind"] == "refused"]
    assert old not in bot.log.read_text() and new not in bot.log.read_text()


def test_a_workspace_that_removes_the_app_is_forgotten(bot, sandbox, model):
    install(bot, sandbox)
    sandbox.call("/sandbox/uninstall", {})
    bot.until(lambda: bot.count("installations") == 0)
    install(bot, sandbox)
    works(bot, sandbox)


def test_an_install_that_another_browser_began_is_refused(bot, sandbox):
    address, cookie = begun(bot, sandbox, "team")
    assert got(address)[0] == 400
    assert got(address, cookie.replace("=", "=x"))[0] == 400
    assert bot.count("installations") == 0


def test_an_install_is_ended_once(bot, sandbox):
    address, cookie = begun(bot, sandbox, "team")
    assert got(address, cookie)[0] == 200
    assert got(address, cookie)[0] == 401
    assert bot.count("installations") == 1


def test_oauth_without_http_mode_is_one_sentence(sandbox, model, tmp_path):
    done = run_bot(bot_environment(sandbox, model, tmp_path, **OAUTH))
    assert done.returncode == 1 and "start with --http PORT" in done.stderr and "Traceback" not in done.stderr


# Whose token a call takes


@pytest.fixture
def heard() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """A Web API that keeps with which token, and for which team, it is called."""
    calls: list[tuple[str, str]] = []

    async def answer(request: web.Request) -> web.Response:
        args = dict(request.query) | dict(await request.post())
        await asyncio.sleep(0.01)
        calls.append((request.headers.get("Authorization", ""), str(args.get("team_id", ""))))
        return web.json_response({"ok": True, "user_id": "U", "users": []})

    server = ThreadedServer(web.route("*", "/api/{method}", answer))
    yield f"{server.url}/api/", calls
    server.close()


def put(db, team_id: str, token: str, *, is_org_wide: bool = False) -> None:
    store_installations.put_installation(
        db,
        enterprise_id=ORG_ID if is_org_wide else "",
        team_id=team_id,
        is_org_wide=is_org_wide,
        installation={"bot_token": token, "is_enterprise_install": is_org_wide, "user_id": "U1"},
    )


async def test_requests_of_two_workspaces_at_once_take_their_own_tokens(db, heard):
    address, calls = heard
    put(db, "T1", "one")
    put(db, "T2", "two")
    client = installations.InstalledClient(db, base_url=address)

    async def work(team_id: str) -> None:
        installations.enter_team(team_id)
        await client.auth_test()
        await asyncio.create_task(client.auth_test())

    await asyncio.gather(*(work(team) for team in ("T1", "T2") * 5))
    assert sorted(calls) == [("Bearer one", "")] * 10 + [("Bearer two", "")] * 10


async def test_an_organisations_token_serves_its_workspaces_and_names_them(db, heard):
    address, calls = heard
    put(db, "", "org", is_org_wide=True)
    put(db, "T1", "own")
    client = installations.InstalledClient(db, base_url=address)
    for team_id in ("T1", "T2"):
        installations.enter_team(team_id)
        await client.usergroups_users_list(usergroup="S1")
    await client.auth_test(token="given")
    assert calls == [("Bearer own", ""), ("Bearer org", "T2"), ("Bearer given", "")]


async def test_a_half_written_answer_is_ended_after_a_restart_with_its_workspaces_token(db, heard):
    address, calls = heard
    settings = BotSettings(_env_file=None, slack_client_id="1", slack_client_secret="s", slack_api_url=address)
    engine = Engine("http://127.0.0.1:9", "")
    desk = build_desk(settings, db, engine, base_model="base")
    for team_id in ("T1", "T2"):
        put(db, team_id, f"of {team_id}")
        asked = desk.remember(Request(f"key {team_id}", "answer", team_id, "D1", "1.1", "U1", {"kind": "direct"}))
        assert asked is not None
        store_answers.expect_stream(db, asked)
        store_answers.record_stream(db, asked.id, f"{team_id}.1")
        store.record_failure(db, asked.id, "It broke.")
    resume(desk)
    async with asyncio.timeout(PATIENCE):
        while len(calls) < 2:
            await asyncio.sleep(0.01)
    assert calls == [("Bearer of T1", ""), ("Bearer of T2", "")]
    await engine.close()


def test_a_state_is_good_once_and_not_for_long(db):
    state = store_installations.issue_state(db)
    assert [store_installations.consume_state(db, state) for _ in range(2)] == [True, False]
    old = store_installations.issue_state(db)
    db.execute("update oauth_states set created_at = '2026-01-01T00:00:00.000000+00:00'")
    assert not store_installations.consume_state(db, old)
    assert db["oauth_states"].count == 0


def test_an_installation_replaces_the_one_before(db):
    put(db, TEAM_ID, "old")
    put(db, TEAM_ID, "new")
    found = store_installations.installation_for_team(db, TEAM_ID)
    assert found is not None and found["bot_token"] == "new" and db["installations"].count == 1
    store_installations.delete_installations(db, enterprise_id="", team_id=TEAM_ID)
    assert store_installations.installation_for_team(db, TEAM_ID) is None
