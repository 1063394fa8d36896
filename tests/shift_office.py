"""Where the shift takes place: the sandbox in this process, the bot and a slow model server in their own.

The sandbox is the one that `python -m bot sandbox` serves, over the same sockets; that it runs here lets a shift of 50
people look at it without asking it for its whole state hundreds of times a second.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psutil
from aiohttp import web
from bot_fixtures import ROOT, Bot, Json, open_store
from sqlite_utils import Database

from bot.sandbox import people
from bot.sandbox.control import DEEDS
from bot.sandbox.sandbox import Sandbox
from bot.sandbox.server import HOST, application
from bot.sandbox.values import WrongInput
from bot.sandbox.web_api import arguments
from bot.sandbox.workspace import Channel
from data.knowledge import import_knowledge

T = TypeVar("T")
LOOK_AGAIN = 0.1
PATIENCE = 120.0
"""Seconds that a person goes on pressing while there is no bot: on a busy machine its start takes many."""
UNACKED = ("dispatch_failed", "operation_timeout")
HELP_CENTRE = ROOT / "bot" / "demo" / "company" / "help_centre"


@dataclass(frozen=True)
class Call:
    """One thing that the bot sent: a Web API method, or "response_url" with the address as `where`."""

    at: float
    method: str
    where: str
    arguments: Json
    ok: bool


@dataclass(frozen=True)
class Asked:
    """A request of a person's, by its key. `acked`: they saw no warning sign, so it must come to an end."""

    user: str
    key: str
    what: str
    acked: bool


@dataclass(frozen=True)
class Clicked:
    """A button, or a form that was sent."""

    user: str
    what: str
    suggestion_id: str
    acked: bool
    text: str = ""


@dataclass
class Office:
    """Everything that a shift needs, and what has happened in it so far."""

    sandbox: Sandbox
    db: Database
    bot: Bot
    engine: subprocess.Popen[str]
    agents: list[str]
    customers: list[str]
    calls: list[Call] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    clicked: list[Clicked] = field(default_factory=list)
    heaps: list[tuple[float, int]] = field(default_factory=list)
    """(time, bytes) of the bot's memory, since its restart."""
    deaths: list[tuple[float, float]] = field(default_factory=list)
    """From when to when there was no bot, or no connection to it."""
    dropped_acks: int = 0
    notes: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """What people met, counted."""

    async def do(self, deed: str, **body: Any) -> Json:
        """One deed through the control API's own functions. Raises WrongInput."""
        return await DEEDS[deed](self.sandbox, body)

    async def press(self, deed: str, **body: Any) -> Json:
        """A deed that the app must ack, done again as long as it does not, as a person would."""
        end = time.monotonic() + PATIENCE
        first = True
        while time.monotonic() < end:
            try:
                said = await self.do(deed, **body)
            except WrongInput:
                if first:
                    raise
                # The first press did its work and only its ack was lost.
                return {"ok": True, "gone": True}
            if said["ok"] or said.get("error") not in UNACKED:
                return said
            first = False
            self.notes[f"pressed again after {said['error']}"] += 1
            await asyncio.sleep(0.5)
        raise AssertionError(f"{deed} was never acked")

    async def ask(self, user: str, deed: str, **body: Any) -> Json | None:
        """A shortcut, command or menu that asks for a draft; its row when it has ended, None when none was stored."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            said = await self.do(deed, user=user, **body)
            what = str(body.get("callback_id") or body.get("command") or body.get("action_id"))
            self.asked.append(Asked(user, said["trigger_id"], what, said["ok"]))
            if said.get("response"):
                self.calls.append(Call(self.sandbox.workspace.clock(), "ack", what, said["response"], True))
            if said["ok"]:
                return await self.ended(said["trigger_id"])
            self.notes[f"asked again after {said['error']}"] += 1
            await asyncio.sleep(0.5)
        raise AssertionError(f"{deed} was never acked")

    async def click(self, user: str, action_id: str, suggestion_id: str, **where: Any) -> bool:
        """Press a button of a suggestion. False: there is none in view any more."""
        value = where.pop("value", suggestion_id)
        try:
            said = await self.press("action", user=user, action_id=action_id, value=value, **where)
        except WrongInput:
            self.notes[f"no {action_id} in view"] += 1
            return False
        self.clicked.append(Clicked(user, action_id, suggestion_id, said["ok"]))
        return True

    async def ended(self, key: str) -> Json | None:
        """The row of this request, once it is shown or failed; None when there is none after some seconds."""

        if not await self.until(lambda: self.row("request_key", key), seconds=10):
            return None

        def found() -> Json | None:
            row = self.row("request_key", key)
            return row if row and row["state"] in ("shown", "failed") else None

        return await self.until(found, seconds=180)

    def rows(self, where: str, *values: str) -> list[Json]:
        """These suggestions."""
        return list(self.db.query(f"select * from suggestions where {where}", values))

    def row(self, column: str, value: str) -> Json | None:
        """One suggestion."""
        return next(iter(self.rows(f"{column} = ?", value)), None)

    async def until(self, seen: Callable[[], T], *, seconds: float = 30) -> T | None:
        """What `seen` returns as soon as it is true, None when it never is."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := seen():
                return found
            await asyncio.sleep(LOOK_AGAIN)
        return None

    def shown(self, user: str, *has: str) -> Json | None:
        """The newest ephemeral message of a person, or one in their direct message, that contains all of these."""
        direct = self.sandbox.workspace.channels[people.dm_id(user)]
        seen = [m for m in self.sandbox.workspace.ephemerals if m["_for"] == user] + list(direct.messages.values())
        return next((m for m in reversed(seen) if all(h in json.dumps(m, ensure_ascii=False) for h in has)), None)

    async def form(self, user: str, callback_id: str, *, seconds: float = 4) -> Json | None:
        """The modal on top, when it is this one."""

        def on_top() -> Json | None:
            views = self.sandbox.workspace.open_views(user)
            return views[-1] if views and views[-1]["callback_id"] == callback_id else None

        return await self.until(on_top, seconds=seconds)

    def waiting(self) -> int:
        """Suggestions that have not ended."""
        return self.db.execute("select count(*) from suggestions where state in ('requested', 'drafted')").fetchone()[0]

    async def pace(self, seconds: float) -> None:
        """From now on the model takes so long per word."""
        assert self.engine.stdin is not None and self.engine.stdout is not None
        self.engine.stdin.write(f"{seconds}\n")
        self.engine.stdin.flush()
        await asyncio.to_thread(self.engine.stdout.readline)

    async def kill_the_bot(self) -> None:
        """kill -9, and start it again."""
        died = self.sandbox.workspace.clock()
        await asyncio.to_thread(self.bot.kill)
        await asyncio.to_thread(self.bot.start)
        self.deaths.append((died, self.sandbox.workspace.clock()))
        self.heaps.clear()
        self.notes["killed"] += 1

    async def watch(self) -> None:
        """Note the bot's memory every half second, for ever."""
        while True:
            await asyncio.sleep(0.5)
            process = self.bot.process
            if process is not None and process.poll() is None:
                try:
                    self.heaps.append((time.monotonic(), psutil.Process(process.pid).memory_info().rss))
                except psutil.NoSuchProcess:
                    continue


@asynccontextmanager
async def office(folder: Path, *, agents: int, customers: int) -> AsyncIterator[Office]:
    """Open the office: hire the people, start the model server and the bot; close all of it at the end."""
    sandbox, calls = Sandbox(), []
    hired = hire(sandbox, agents=agents, customers=customers)
    app = application(sandbox)
    app.middlewares.append(_keep(sandbox, calls))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, HOST, 0).start()
    sandbox.port = runner.addresses[0][1]
    with (folder / "engine.log").open("w") as log:
        engine = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("shift_engine.py"))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT,
            env=dict(os.environ, PYTHONPATH=str(ROOT)),
        )  # fmt: skip
    assert engine.stdout is not None
    url = (await asyncio.to_thread(engine.stdout.readline)).strip()
    db = open_store(folder)
    import_knowledge(db, [HELP_CENTRE], progress=False, audience="customer_safe")
    environment = {
        **{"PATH": "/usr/bin:/bin", "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1", "MPLCONFIGDIR": str(folder)},
        **people.environment(sandbox.port),
        "AGENTS": ",".join(hired[0]),
        "DATABASE_PATH": str(folder / "nightshift.db"),
        "LLM_BASE_URL": url + "/v1",
        "BASE_MODEL": "tests/base",
    }
    bot = Bot(environment, db, log=folder / "bot.log")
    await asyncio.to_thread(bot.start)
    made = Office(sandbox, db, bot, engine, *hired, calls=calls)
    watching = asyncio.create_task(made.watch())
    try:
        yield made
    finally:
        watching.cancel()
        # How it ends when it is asked to is tested elsewhere.
        await asyncio.to_thread(bot.kill)
        engine.stdin.close() if engine.stdin else None
        await asyncio.to_thread(engine.wait, 20)
        engine.stdout.close()
        db.conn.close()
        await runner.cleanup()


def hire(sandbox: Sandbox, *, agents: int, customers: int) -> tuple[list[str], list[str]]:
    """More people of the sandbox's kind, each in the open channels and with a direct message to the app."""
    hired: dict[str, list[str]] = {}
    for role, count in (("agent", agents), ("customer", customers)):
        hired[role] = [f"U1{role.upper()}{n:02}" for n in range(count)]
        for user in hired[role]:
            name = user.removeprefix("U1").lower()
            sandbox.workspace.users[user] = people.User(user, name, name.capitalize(), role)  # type: ignore[arg-type]
            direct = people.dm_id(user)
            sandbox.workspace.channels[direct] = Channel(
                direct, name, "", {user, people.BOT_USER}, is_private=True, is_im=True
            )
            for channel in ("C0HELP", "C0BILLING", "C0RANDOM", "C0CONNECT"):
                sandbox.workspace.channels[channel].members.add(user)
    return hired["agent"], hired["customer"]


def _keep(sandbox: Sandbox, calls: list[Call]) -> Any:
    """Keeps what the bot sends, as the sandbox reads it."""

    @web.middleware
    async def keep(request: web.Request, handler: Any) -> web.StreamResponse:
        method = request.match_info.get("method") or ("response_url" if "token" in request.match_info else "")
        if not method or "upload" in request.path:
            return await handler(request)
        sent = json.loads(await request.text() or "{}") if method == "response_url" else await arguments(request)
        sent.pop("token", None)
        answered = await handler(request)
        body = json.loads(answered.text) if answered.content_type == "application/json" else {"ok": True}
        ok = answered.status == 200 and bool(body.get("ok"))
        calls.append(Call(sandbox.workspace.clock(), method, str(request.url), sent, ok))
        return answered

    return keep
