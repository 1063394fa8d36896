"""The client of vLLM: whole completions or a clear error, against a real vLLM and against a network that fails."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from conftest import VllmServer, free_port
from sandbox_fixtures import PATIENCE

from data.errors import BadSetting, ContextTooLong, EngineFailed, EngineUnreachable, UnknownAdapter
from data.models import BASE, Message
from serving.engine import Completion, Engine, Timeouts
from serving.loops import FREQUENCY_PENALTY

HELLO = [Message(role="user", content="Hello")]
Script = Callable[[web.Request, web.StreamResponse], Awaitable[None]]


def event(text: str, finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish_reason}
    return (
        b"data: " + json.dumps({"id": "1", "object": "chat.completion.chunk", "choices": [choice]}).encode() + b"\n\n"
    )


async def whole(request: web.Request, response: web.StreamResponse) -> None:
    for part in (event("Hel"), event("lo."), event("", "stop"), b"data: [DONE]\n\n"):
        await response.write(part)


async def cut_between_events(request: web.Request, response: web.StreamResponse) -> None:
    await response.write(event("Hel"))
    assert request.transport is not None
    request.transport.abort()


async def cut_inside_an_event(request: web.Request, response: web.StreamResponse) -> None:
    await response.write(event("Hel") + event("lo.")[:30])
    await response.write_eof()


async def stop_without_an_end(request: web.Request, response: web.StreamResponse) -> None:
    await response.write(event("Hel") + b"data: [DONE]\n\n")


async def break_with_an_error(request: web.Request, response: web.StreamResponse) -> None:
    await response.write(event("Hel") + b'data: {"error": {"message": "engine died", "code": 500}}\n\n')


@asynccontextmanager
async def network(*scripts: Script, timeouts: Timeouts | None = None) -> AsyncIterator[tuple[Engine, list[dict]]]:
    """An engine before a server that answers each request with the next script (the last one again and again)."""
    asked: list[dict] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        script = scripts[min(len(asked), len(scripts) - 1)]
        asked.append(await request.json())
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await script(request, response)
        return response

    app = web.Application()
    app.router.add_post("/v1/chat/completions", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    engine = Engine(f"http://127.0.0.1:{runner.addresses[0][1]}/v1", timeouts=timeouts)
    try:
        yield engine, asked
    finally:
        await engine.close()
        await runner.cleanup()


async def test_a_whole_stream_becomes_a_completion():
    async with network(whole) as (engine, asked):
        found = await engine.complete(HELLO, model="night-1", max_tokens=8)
    assert found == Completion("Hello.", "stop", "night-1")
    assert [body["model"] for body in asked] == ["night-1"]


async def test_the_text_so_far_is_passed_on_while_it_comes():
    seen: list[str] = []
    async with network(whole) as (engine, _):
        await engine.complete(HELLO, model=BASE, max_tokens=8, on_text=seen.append)
    assert seen == ["Hel", "Hello."]


async def test_what_was_passed_on_of_a_cut_stream_begins_anew():
    seen: list[str] = []
    async with network(cut_between_events, whole) as (engine, _):
        await engine.complete(HELLO, model=BASE, max_tokens=8, on_text=seen.append)
    assert seen == ["Hel", "Hel", "Hello."]


async def test_a_text_that_repeats_itself_is_read_no_further_and_written_again_with_a_penalty():
    left = asyncio.Event()
    seen: list[str] = []
    async with network(looping(left), whole) as (engine, asked):
        found = await engine.complete(HELLO, model=BASE, max_tokens=8, on_text=seen.append)
        assert found == Completion("Hello.", "stop", BASE)
        await asyncio.wait_for(left.wait(), PATIENCE)
    assert "frequency_penalty" not in asked[0] and asked[1] == asked[0] | {"frequency_penalty": FREQUENCY_PENALTY}
    assert max(map(len, seen)) < 60 and seen[-1] == "Hello."


@pytest.mark.parametrize("second", ["loops", "is cut"])
async def test_a_text_that_repeats_itself_is_cut_where_the_penalty_does_not_help(second: str):
    async with network(looping(asyncio.Event()), *([] if second == "loops" else [cut_between_events])) as (
        engine,
        asked,
    ):
        found = await engine.complete(HELLO, model=BASE, max_tokens=8)
    assert found == Completion("Hello. I am sorry.", "loop", BASE)
    assert len(asked) == 2


def looping(left: asyncio.Event) -> Script:
    """`left` is set when nobody reads any more."""

    async def loop(request: web.Request, response: web.StreamResponse) -> None:
        await response.write(event("Hello. "))
        try:
            while True:
                await response.write(event("I am sorry. "))
                await asyncio.sleep(0)
        except ConnectionError:
            left.set()
            raise

    return loop


async def test_what_is_compared_word_for_word_is_not_cut():
    async def repeat(request: web.Request, response: web.StreamResponse) -> None:
        for part in (event("L " * 60), event("", "length"), b"data: [DONE]\n\n"):
            await response.write(part)

    async with network(repeat) as (engine, _):
        found = await engine.complete(HELLO, model=BASE, max_tokens=8, cut_loops=False)
    assert found == Completion("L " * 60, "length", BASE)


CUTS = (cut_between_events, cut_inside_an_event, stop_without_an_end, break_with_an_error)


@pytest.mark.parametrize("cut", CUTS)
async def test_a_stream_that_is_cut_is_asked_for_again(cut: Script):
    async with network(cut, whole) as (engine, asked):
        found = await engine.complete(HELLO, model=BASE, max_tokens=8)
    assert found.text == "Hello."
    assert len(asked) == 2


@pytest.mark.parametrize("cut", CUTS)
async def test_a_stream_that_is_cut_twice_is_a_failure_and_no_half_answer(cut: Script):
    async with network(cut) as (engine, asked):
        with pytest.raises(EngineFailed, match="try again"):
            await engine.complete(HELLO, model=BASE, max_tokens=8)
    assert len(asked) == 2


async def test_a_server_that_hangs_is_given_up():
    async def hang(request: web.Request, response: web.StreamResponse) -> None:
        await response.write(event("Hel"))
        await request.content.read()
        number = 0
        while request.transport is not None and not request.transport.is_closing():
            await response.write(event(f"lo {(number := number + 1)} "))

    async with network(hang, timeouts=Timeouts(whole=0.5)) as (engine, _):
        with pytest.raises(EngineFailed, match="did not finish within"):
            await engine.complete(HELLO, model=BASE, max_tokens=8)


async def test_an_unreachable_server_is_told_with_its_address_and_the_command_that_starts_it():
    url = f"http://127.0.0.1:{free_port()}/v1"
    engine = Engine(url)
    with pytest.raises(EngineUnreachable, match="LLM_BASE_URL") as told:
        await engine.complete(HELLO, model=BASE, max_tokens=8)
    assert url in str(told.value)
    assert "python -m serving up" in str(told.value)
    assert not await engine.ready()
    await engine.close()


async def test_a_completion_of_the_real_server_is_whole(vllm_server: VllmServer):
    engine = Engine(vllm_server.base_url)
    found = await engine.complete(HELLO, model=BASE, max_tokens=5)
    assert found.finish_reason in ("stop", "length")
    assert found == await engine.complete(HELLO, model=BASE, max_tokens=5)
    assert await engine.ready()
    assert await engine.max_tokens() == 2048
    assert await engine.root() == str(vllm_server.model)
    await engine.close()


async def test_an_adapter_that_the_server_lacks_is_unknown(vllm_server: VllmServer):
    engine = Engine(vllm_server.base_url)
    with pytest.raises(UnknownAdapter, match="night-20200101-000000"):
        await engine.complete(HELLO, model="night-20200101-000000", max_tokens=5)
    await engine.close()


@pytest.mark.parametrize("words", [2500, 30_000])
async def test_a_prompt_longer_than_the_context_is_told_as_such(vllm_server: VllmServer, words: int):
    engine = Engine(vllm_server.base_url)
    long = [Message(role="user", content="wrong " * words)]
    assert await engine.count_tokens(long) > 2048
    with pytest.raises(ContextTooLong):
        await engine.complete(long, model=BASE, max_tokens=5)
    await engine.close()


async def test_an_address_without_v1_is_told_apart_from_a_missing_adapter(vllm_server: VllmServer):
    engine = Engine(vllm_server.base_url.removesuffix("/v1"))
    with pytest.raises(EngineFailed, match="ends in /v1"):
        await engine.complete(HELLO, model="night-1", max_tokens=5)
    await engine.close()


async def test_a_refused_key_is_told_as_such():
    app = web.Application()

    async def refuse(request: web.Request) -> web.Response:
        return web.json_response({"error": "Unauthorized"}, status=401)

    app.router.add_post("/v1/chat/completions", refuse)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    engine = Engine(f"http://127.0.0.1:{runner.addresses[0][1]}/v1", "wrong")
    with pytest.raises(BadSetting, match="LLM_API_KEY"):
        await engine.complete(HELLO, model=BASE, max_tokens=5)
    await engine.close()
    await runner.cleanup()
