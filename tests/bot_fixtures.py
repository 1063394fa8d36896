"""The bot as a process of its own, a store that the test reads beside it, and a stand-in for the model's server.

The server stands for the network peer alone: it speaks vLLM's protocol, strictly, so that a test can hold an
answer back or lose it. What the real vLLM does with the bot's requests is tested in test_bot_end_to_end.py.
PYTEST_DONT_REWRITE: test modules import from here before pytest takes it as a plugin.
"""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from aiohttp import ClientSession, web
from sandbox_fixtures import PATIENCE, SandboxClient
from sqlite_utils import Database
from threaded_server import ThreadedServer

from data import store
from data.models import Base

Json = dict[str, Any]
ROOT = Path(__file__).resolve().parents[1]
BASE = Base(hash="b" * 64, model="tests/base", root="tests/base")
CONTEXT = 600


class Wire(ThreadedServer):
    """The line between the bot and the Web API. It can go dead before or after the nth call of a method."""

    def __init__(self, api_url: str) -> None:
        self._api_url = api_url
        self._dead: tuple[str, int, bool] | None = None
        self.reached = threading.Event()
        super().__init__(web.route("*", "/api/{method}", self._pass))

    def cut(self, method: str, *, nth: int = 1, after: bool) -> None:
        """From now on, the nth call is never answered: it reached Slack (`after`), or it did not."""
        self.reached.clear()
        self._dead = (method, nth, after)

    def mend(self) -> None:
        self._dead = None

    async def _pass(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        cut_here = cut_after = False
        if self._dead is not None and self._dead[0] == method:
            self._dead = (method, self._dead[1] - 1, self._dead[2])
            cut_here, cut_after = self._dead[1] == 0, self._dead[2]
        if cut_here and not cut_after:
            return await self._stay_silent(request)
        headers = {k: v for k, v in request.headers.items() if k in ("Authorization", "Content-Type")}
        async with (
            ClientSession() as session,
            session.request(
                request.method,
                self._api_url + method,
                params=request.query,
                data=await request.read(),
                headers=headers,
            ) as answer,
        ):
            body = await answer.read()
        if cut_here:
            return await self._stay_silent(request)
        return web.Response(status=answer.status, body=body, content_type=answer.content_type)

    async def _stay_silent(self, request: web.Request) -> web.Response:
        self.reached.set()
        await request.content.read()
        while request.transport is not None and not request.transport.is_closing():
            await asyncio.sleep(0.05)
        return web.Response()


class ModelServer(ThreadedServer):
    """An OpenAI-compatible server. What it answers and withholds can be changed while it runs.

    While `flowing` is cleared nothing is answered, or with `holds_after`, which may grow, only so many words; with
    `cuts_after` the connection breaks after so many. `pace` is in seconds per word.
    """

    def __init__(self) -> None:
        self.answer: Callable[[list[Json]], str] = lambda messages: "We will look into it today."
        self.names = {"base"}
        self.unreadable: set[str] = set()
        self.asked: list[Json] = []
        self.refusals: list[str] = []
        self.flowing = threading.Event()
        self.flowing.set()
        self.holds_after: int | None = None
        self.cuts_after: int | None = None
        self.pace = 0.0
        super().__init__(
            web.get("/v1/models", self._models),
            web.post("/tokenize", self._tokenize),
            web.post("/v1/chat/completions", self._complete),
        )

    def reset(self) -> None:
        self.answer = lambda messages: "We will look into it today."
        self.names = {"base"}
        self.unreadable.clear()
        self.asked.clear()
        self.refusals.clear()
        self.flowing.set()
        self.holds_after = self.cuts_after = None
        self.pace = 0.0

    def close(self) -> None:
        self.flowing.set()
        super().close()

    async def _models(self, request: web.Request) -> web.Response:
        card = {"id": "base", "object": "model", "created": 0, "owned_by": "vllm"}
        return web.json_response(
            {"object": "list", "data": [card | {"root": BASE.root, "parent": None, "max_model_len": CONTEXT}]}
        )

    async def _tokenize(self, request: web.Request) -> web.Response:
        return web.json_response({"count": tokens((await request.json())["messages"]), "max_model_len": CONTEXT})

    def _error(self, status: int, message: str) -> web.Response:
        self.refusals.append(message)
        return web.json_response({"error": {"message": message, "type": "Error", "code": status}}, status=status)

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        messages = body["messages"]
        roles = [message["role"] for message in messages]
        if roles[:1] != ["system"] or roles[1:] != ["user", "assistant"] * (len(roles) // 2 - 1) + ["user"]:
            return self._error(400, f"roles must alternate, got {roles}")
        if body["model"] in self.unreadable:
            return self._error(400, f"LoRA adapter '{body['model']}' was found but could not be loaded.")
        if body["model"] not in self.names:
            return self._error(404, f"The model `{body['model']}` does not exist.")
        if tokens(messages) + body["max_tokens"] > CONTEXT:
            return self._error(400, f"This model's maximum context length is {CONTEXT} tokens.")
        self.asked.append(body)
        if self.holds_after is None:
            await self._flow()
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for number, word in enumerate(self.answer(messages).split(" ")):
            while self.holds_after is not None and number >= self.holds_after and not self.flowing.is_set():
                await asyncio.sleep(0.02)
            if number == self.cuts_after and request.transport is not None:
                request.transport.abort()
                return response
            await asyncio.sleep(self.pace)
            await self._event(response, body["model"], {"delta": {"content": word + " "}, "finish_reason": None})
        await self._event(response, body["model"], {"delta": {}, "finish_reason": "stop"})
        await response.write(b"data: [DONE]\n\n")
        return response

    async def _flow(self) -> None:
        while not self.flowing.is_set():
            await asyncio.sleep(0.02)

    async def _event(self, response: web.StreamResponse, model: str, choice: Json) -> None:
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": model}
        await response.write(f"data: {json.dumps(chunk | {'choices': [{'index': 0, **choice}]})}\n\n".encode())


def tokens(messages: list[Json]) -> int:
    """As good as a tokenizer here: a token per four characters, and some for each message's frame."""
    return sum(4 + len(message["content"]) // 4 for message in messages)


@dataclass
class Bot:
    """The bot's process and the store that it writes."""

    environment: dict[str, str]
    db: Database
    arguments: tuple[str, ...] = ()
    process: subprocess.Popen[str] | None = field(default=None)
    address: str = ""
    log: Path | None = None
    """Where its standard error goes; None: to the test's."""

    def start(self) -> str:
        """Start, and return the line that says it is ready."""
        with self.log.open("a") if self.log else nullcontext() as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bot", *self.arguments],
                cwd=ROOT,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("ready"), f"the bot did not start: {line!r}"
        return line

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.communicate(timeout=PATIENCE)

    def stop(self) -> int:
        """The exit code after a SIGTERM."""
        assert self.process is not None
        self.process.terminate()
        self.process.communicate(timeout=PATIENCE)
        return self.process.returncode

    def newest(self) -> Json:
        """The newest suggestion's row."""
        return next(self.db.query("select * from suggestions order by created_at desc, rowid desc limit 1"))

    def count(self, table: str) -> int:
        return self.db[table].count

    def until(self, seen: Callable[[], Any], *, seconds: float = PATIENCE) -> Any:
        """What `seen` returns as soon as it is true."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = seen()
            if found:
                return found
            time.sleep(0.03)
        raise AssertionError(f"not so within {seconds} s")


def bot_environment(sandbox: SandboxClient, model: ModelServer, folder: Path, **more: str) -> dict[str, str]:
    """Everything the bot's process needs, and nothing of the developer's own."""
    return {
        **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "VIRTUAL_ENV")},
        **sandbox.environment,
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": "1",
        "DATABASE_PATH": str(folder / "nightshift.db"),
        # Its reading takes seconds; what search finds by meaning, test_bot_search.py asks of a bot that has it.
        "EMBEDDING_MODEL": "none",
        "LLM_BASE_URL": model.url + "/v1",
        "BASE_MODEL": BASE.model,
        "REVIEW_CHANNEL": "C0SUPERVISORS",
        **more,
    }


def open_store(folder: Path) -> Database:
    """The store beside the bot, with the base that a server would have recorded."""
    db = store.connect(folder / "nightshift.db")
    store.record_base(db, BASE)
    return db


@pytest.fixture(scope="module")
def model_process() -> Iterator[ModelServer]:
    server = ModelServer()
    yield server
    server.close()


@pytest.fixture
def model(model_process: ModelServer) -> ModelServer:
    model_process.reset()
    return model_process


def last_ephemeral(sandbox: SandboxClient, user: str, has: str) -> Json:
    """The newest ephemeral message of this person that contains a text or an action id."""
    return sandbox.wait_for(
        user,
        lambda state: next(
            (m for m in reversed(state["ephemerals"]) if has in json.dumps(m, ensure_ascii=False)), None
        ),
    )


@pytest.fixture(scope="module")
def bot_process(
    sandbox_process: SandboxClient, model_process: ModelServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bot]:
    """One bot for a module's tests."""
    folder = tmp_path_factory.mktemp("bot")
    bot = Bot(bot_environment(sandbox_process, model_process, folder), open_store(folder))
    bot.start()
    yield bot
    assert bot.stop() == 0
    bot.db.conn.close()


@pytest.fixture
def bot(bot_process: Bot, sandbox: SandboxClient, model: ModelServer) -> Iterator[Bot]:
    """The bot, with the sandbox and the model as they are at their start, and no work that a test before has left."""
    yield bot_process
    model.flowing.set()
    wait_for_rest(bot_process, [model], pid=sandbox.pid)


def wait_for_rest(bot: Bot, servers: Sequence[ThreadedServer], *, pid: int | None = None) -> None:
    """Wait until the bot has nothing more to say or ask: neither it nor the process `pid` that it talks to works.

    What a test sees is seldom the last that the bot does. Whatever comes later would come into the next test, where the
    sandbox knows nothing of it any more, and refuses it.
    """
    assert bot.process is not None
    processes = [psutil.Process(one) for one in (bot.process.pid, pid) if one is not None]
    end, looks, before = time.monotonic() + PATIENCE, 0, None
    # The longest that the bot waits for no other is ACK_SEEN, in listeners.py.
    while looks < 6:
        assert time.monotonic() < end, f"still at work after {PATIENCE} s"
        time.sleep(0.02)
        used = [process.cpu_times()[:2] for process in processes]
        asleep = all(process.status() == psutil.STATUS_SLEEPING for process in processes)
        rests = asleep and used == before and not any(server.unanswered for server in servers)
        looks, before = looks + 1 if rests else 0, used
