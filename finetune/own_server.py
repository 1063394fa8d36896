"""A vLLM of one's own, on a free port of loopback, that never outlives who started it."""

import json
import logging
import os
import secrets
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from data.errors import CannotServe
from serving.settings import ServingSettings
from serving.up import LEASH

log = logging.getLogger(__name__)

STOP_SECONDS = 20.0


@contextmanager
def own_server(
    settings: ServingSettings, database: Path, adapter_store: Path, environment: Mapping[str, str], log_file: Path
) -> Iterator[ServingSettings]:
    """Start `python -m serving up` beside any other, give its settings when it answers, and end it.

    What it says goes into `log_file`. Raises CannotServe.
    """
    url = f"http://127.0.0.1:{free_port()}/v1"
    # A key of its own: an empty one would be read from .env instead.
    own = settings.model_copy(
        update={"llm_base_url": url, "llm_api_key": secrets.token_hex(16), "adapter_store": adapter_store}
    )
    wanted = {
        "LLM_BASE_URL": own.llm_base_url,
        "LLM_API_KEY": own.llm_api_key,
        "ADAPTER_STORE": str(adapter_store),
        "DATABASE_PATH": str(database),
        "BASE_MODEL": settings.base_model,
    }
    with log_file.open("w", encoding="utf-8") as said:
        # Leashed as vLLM itself is: a kill -9 of this process closes the pipe, and the server ends too.
        process = subprocess.Popen(
            ["sh", "-c", LEASH, "serving", sys.executable, "-m", "serving", "up", "--json"],
            env={**environment, **wanted},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            start_new_session=True,
        )
        try:
            log.info("starting a vLLM of our own at %s; its log is %s", url, log_file)
            _wait_until_ready(process, settings.start_timeout, log_file)
            yield own
        finally:
            _end(process)


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_until_ready(process: subprocess.Popen[str], timeout: float, log_file: Path) -> None:
    assert process.stdout is not None
    # `up` itself gives up after START_TIMEOUT; a little later so do we.
    readable, _, _ = select.select([process.stdout], [], [], timeout + 60)
    line = process.stdout.readline() if readable else ""
    if not line or not json.loads(line).get("ready"):
        last = [one.strip() for one in log_file.read_text(encoding="utf-8").splitlines() if one.strip()]
        raise CannotServe(last[-1] if last else f"vLLM did not start: see {log_file}.")


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            log.warning("vLLM did not stop within %.0f s: it is killed", STOP_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
