"""A base model named by a hub id: from this machine's cache where it is whole, and never a hanging wait for a hub."""

import asyncio
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web
from bot_fixtures import ThreadedServer
from conftest import serving_environment

from serving.base import identify

IDENTIFY = "import sys; from serving.base import identify; print(identify('team/model').root)"
COMMIT = "c" * 40


class SilentHub(ThreadedServer):
    """A hub that takes every request and never answers; it counts them."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        super().__init__(web.route("*", "/{path:.*}", self._stay_silent))

    async def _stay_silent(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        await request.content.read()
        while request.transport is not None and not request.transport.is_closing():
            await asyncio.sleep(0.05)
        return web.Response()


@pytest.fixture
def hub() -> Iterator[SilentHub]:
    server = SilentHub()
    yield server
    server.close()


@pytest.fixture
def snapshot(tmp_path: Path, tiny_base: Path) -> Path:
    """The tiny base as the hub's client keeps a download."""
    repository = tmp_path / "hub" / "models--team--model"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    shutil.copytree(tiny_base, repository / "snapshots" / COMMIT)
    return repository / "snapshots" / COMMIT


def identified(tmp_path: Path, *, endpoint: str, offline: str = "") -> subprocess.CompletedProcess[str]:
    environment = serving_environment(tmp_path, base_model="team/model", url="http://127.0.0.1:9/v1")
    own = environment | {"HF_HOME": str(tmp_path), "HF_ENDPOINT": endpoint, "HF_HUB_OFFLINE": offline}
    return subprocess.run([sys.executable, "-c", IDENTIFY], env=own, capture_output=True, text=True, timeout=60)


def test_a_model_that_is_on_this_machine_is_taken_without_asking_the_hub(tmp_path, snapshot, hub, tiny_base):
    done = identified(tmp_path, endpoint=hub.url)
    assert (done.stdout.strip(), hub.asked) == (str(snapshot), []), done.stderr
    assert identify(str(snapshot)).hash == identify(str(tiny_base)).hash


@pytest.mark.parametrize("missing", ["model.safetensors", "tokenizer.json", "config.json"])
def test_what_is_not_whole_is_asked_for_and_a_hub_that_does_not_answer_given_up(tmp_path, snapshot, hub, missing):
    (snapshot / missing).unlink()
    started = time.monotonic()
    done = identified(tmp_path, endpoint=hub.url)
    assert "team/model is not whole on this machine and the hub cannot be reached" in done.stderr.splitlines()[-1]
    assert hub.asked and time.monotonic() - started < 30


def test_offline_nothing_is_asked(tmp_path, hub):
    done = identified(tmp_path, endpoint=hub.url, offline="1")
    assert "HF_HUB_OFFLINE forbids fetching it" in done.stderr.splitlines()[-1] and hub.asked == []
