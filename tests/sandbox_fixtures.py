"""A sandbox in its own process for tests: the fixture `sandbox` yields a client for its control API.

    pytest_plugins = ["sandbox_fixtures"]

    def test_x(sandbox):
        ts = sandbox.message("C0HELP", "U0CUSTOMER1", "My invoice is wrong")["ts"]
        assert sandbox.shortcut("C0HELP", "U0AGENT1", ts, "suggest_reply")["ok"]

PYTEST_DONT_REWRITE: test modules import from here before pytest takes it as a plugin.
The calls are synchronous HTTP; in an async test with a Bolt app in the same loop, use `await asyncio.to_thread(…)`.
"""

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

Json = dict[str, Any]
ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 60.0
"""Seconds that a test waits for what must come. A machine with other work to do takes many times as long."""


class Refused(Exception):
    """The control API answered 400: its message is the sentence that came back."""


@dataclass(frozen=True)
class SandboxClient:
    """The control API of one sandbox, as Python calls."""

    url: str
    environment: dict[str, str]
    pid: int

    def call(self, path: str, body: Json | None = None) -> Json:
        """POST `body` (GET when None) and return the JSON; Refused for 400."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise Refused(json.load(error)["error"]) from None

    def message(self, channel: str, user: str, text: str, thread_ts: str | None = None) -> Json:
        """A person writes."""
        thread = {"thread_ts": thread_ts} if thread_ts else {}
        return self.call("/sandbox/message", {"channel": channel, "user": user, "text": text, **thread})

    def command(self, channel: str, user: str, command: str, text: str = "") -> Json:
        """A slash command."""
        return self.call("/sandbox/command", {"channel": channel, "user": user, "command": command, "text": text})

    def shortcut(self, channel: str, user: str, message_ts: str, callback_id: str) -> Json:
        """A message shortcut."""
        body = {"channel": channel, "user": user, "message_ts": message_ts, "callback_id": callback_id}
        return self.call("/sandbox/shortcut", body)

    def action(self, user: str, action_id: str, **where: str) -> Json:
        """A click; `where`: value, channel, message_ts, view_id."""
        return self.call("/sandbox/action", {"user": user, "action_id": action_id, **where})

    def submit(self, user: str, view_id: str, values: Json) -> Json:
        """Send the topmost modal."""
        return self.call("/sandbox/submit", {"user": user, "view_id": view_id, "values": values})

    def reaction(self, channel: str, user: str, message_ts: str, name: str, *, remove: bool = False) -> Json:
        """A reaction, or taking it back."""
        body = {"channel": channel, "user": user, "message_ts": message_ts, "name": name, "remove": remove}
        return self.call("/sandbox/reaction", body)

    def pin(self, channel: str, user: str, message_ts: str, *, remove: bool = False) -> Json:
        """A pin, or taking it away."""
        body = {"channel": channel, "user": user, "message_ts": message_ts, "remove": remove}
        return self.call("/sandbox/pin", body)

    def home(self, user: str, tab: str = "home") -> Json:
        """Open the app's Home or Messages tab."""
        return self.call("/sandbox/home", {"user": user, "tab": tab})

    def context(self, user: str, channel: str = "", message_ts: str = "") -> Json:
        """Look at a channel or thread beside the app."""
        return self.call("/sandbox/context", {"user": user, "channel": channel, "message_ts": message_ts})

    def canvas(self, user: str, title: str, html: str, **where: str) -> Json:
        """Share a canvas in a `channel`, or write the one with this `file_id` anew."""
        return self.call("/sandbox/canvas", {"user": user, "title": title, "html": html, **where})

    def presence(self, user: str, presence: str) -> Json:
        """Come or go: active or away."""
        return self.call("/sandbox/presence", {"user": user, "presence": presence})

    def fault(self, **fault: object) -> Json:
        """Switch a fault on."""
        return self.call("/sandbox/fault", fault)

    def reset(self) -> Json:
        """Back to the seed."""
        return self.call("/sandbox/reset", {})

    def state(self, user: str) -> Json:
        """What this person sees."""
        return self.call(f"/sandbox/state?user={user}")

    def channel(self, user: str, channel: str) -> Json:
        """One channel of that state."""
        return next(c for c in self.state(user)["channels"] if channel in (c["id"], c["name"]))

    def problems(self) -> list[Json]:
        """What was refused, late or lost so far."""
        return self.state("U0AGENT1")["problems"]

    def wait_for(self, user: str, seen: Callable[[Json], Any], *, seconds: float = PATIENCE) -> Any:
        """Look at this person's state until `seen(state)` is true, and return that; fails when it never is."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = seen(self.state(user))
            if found:
                return found
            time.sleep(0.05)
        raise AssertionError(f"not seen within {seconds} s; problems: {self.problems()}")


def start_sandbox() -> tuple[subprocess.Popen[str], SandboxClient]:
    """Start a sandbox on a free loopback port; the caller ends the process."""
    process = subprocess.Popen(
        [sys.executable, "-c", "from bot.sandbox.server import serve; serve(0)"],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    address = re.match(r"http://127\.0\.0\.1:\d+", first)
    assert address, f"the sandbox did not start: {first!r}"
    client = SandboxClient(address.group(), {}, process.pid)
    return process, replace(client, environment=client.call("/sandbox/users")["environment"])


@pytest.fixture(scope="module")
def sandbox_process() -> Iterator[SandboxClient]:
    """One sandbox for a module's tests."""
    process, client = start_sandbox()
    yield client
    process.terminate()
    process.communicate(timeout=PATIENCE)


@pytest.fixture
def sandbox(sandbox_process: SandboxClient) -> SandboxClient:
    """The sandbox as it is at its start."""
    sandbox_process.reset()
    return sandbox_process
