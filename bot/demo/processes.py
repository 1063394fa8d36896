"""The demo's child processes: started with their own environment and log, stopped by their own pids."""

import asyncio
import ctypes
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from data.errors import NightshiftError

PATIENCE = 20
"""Seconds that a child has to end after SIGTERM."""
PR_SET_PDEATHSIG = 1
"""linux/prctl.h: the signal that a process gets when its parent dies."""


class ChildFailed(NightshiftError):
    """A process that the demo needs has ended, or did not do its work."""


class Children:
    """Everything that was started and has not ended. Logs lie in one directory, one file per child."""

    def __init__(self, env: Mapping[str, str], home: Path) -> None:
        self.env = dict(env)
        self.home = home
        self.logs = home / "log"
        self.running: dict[str, asyncio.subprocess.Process] = {}
        self.at_work: dict[str, asyncio.subprocess.Process] = {}
        """Those that end by themselves."""
        self.logs.mkdir(parents=True, exist_ok=True)

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    async def start(self, name: str, *arguments: str) -> None:
        """Start `python -m ARGUMENTS` and leave it running; stdout and stderr go to its log."""
        with self.log(name).open("wb") as log:
            self.running[name] = await self._spawn(arguments, stdout=log, stderr=log)

    async def finish(self, name: str, *arguments: str, watch: Callable[[bytes], None] | None = None) -> str:
        """Run `python -m ARGUMENTS` to its end and return its stdout. stderr goes to its log, and to `watch`.

        Raises ChildFailed when it exits with anything but 0.
        """
        pipe = asyncio.subprocess.PIPE
        process = await self._spawn(arguments, stdout=pipe, stderr=pipe)
        self.at_work[name] = process
        stdout, _ = await asyncio.gather(_output(process), self._keep(process, self.log(name), watch))
        code = await process.wait()
        del self.at_work[name]
        if code:
            raise ChildFailed(
                f"`python -m {' '.join(arguments)}` ended with exit code {code}: read {self.log(name)}.\n"
                + _last_lines(self.log(name), 3)
            )
        return stdout.decode()

    def expect_alive(self) -> None:
        """Raise ChildFailed when a child has ended by itself."""
        for name, process in self.running.items():
            if process.returncode is not None:
                raise ChildFailed(
                    f"{name} ended with exit code {process.returncode}: read {self.log(name)}.\n"
                    + _last_lines(self.log(name), 3)
                )

    async def stop(self) -> None:
        """End all children, the last one started first: SIGTERM, and SIGKILL for those that do not go."""
        processes = [*self.running.values(), *self.at_work.values()][::-1]
        for process in processes:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
        for process in processes:
            try:
                await asyncio.wait_for(process.wait(), PATIENCE)
            except TimeoutError:
                process.kill()
                await process.wait()
        self.running.clear()
        self.at_work.clear()

    async def _spawn(self, arguments: Sequence[str], **streams: object) -> asyncio.subprocess.Process:
        # A session of its own: Ctrl-C reaches only the demo, which then stops the children in order.
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            *arguments,
            env=self.env,
            # Away from a `.env` that connects to a real workspace.
            cwd=self.home,
            start_new_session=True,
            preexec_fn=_die_with_the_demo,
            **streams,
        )

    async def _keep(
        self, process: asyncio.subprocess.Process, log: Path, watch: Callable[[bytes], None] | None
    ) -> None:
        assert process.stderr is not None
        with log.open("wb") as kept:
            while piece := await process.stderr.read(4096):
                kept.write(piece)
                kept.flush()
                if watch:
                    watch(piece)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


async def _output(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout is not None
    return await process.stdout.read()


def _die_with_the_demo() -> None:
    """In the child: end when the demo dies, also at kill -9."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _last_lines(log: Path, count: int) -> str:
    lines = [line for line in log.read_text(errors="replace").replace("\r", "\n").splitlines() if line.strip()]
    return "\n".join("    " + line[:300] for line in lines[-count:])


def offline(extra: Mapping[str, str]) -> dict[str, str]:
    """This process's environment for a child: no model hub is asked, and `extra` wins over it and over `.env`."""
    return {**os.environ, "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", **extra}
