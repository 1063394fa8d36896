"""The demo's processes end when they must, its tables and its swap time say what happened."""

import os
from pathlib import Path

import pytest

from bot.demo import tables
from bot.demo.night import Asked, Night
from bot.demo.processes import ChildFailed, Children, free_ports
from data.models import Promotion


@pytest.fixture
async def children(tmp_path: Path):
    started = Children(dict(os.environ), tmp_path)
    yield started
    await started.stop()


async def test_every_child_is_stopped_by_its_own_pid(children):
    (port,) = free_ports(1)
    await children.start("server", "http.server", str(port), "--bind", "127.0.0.1")
    process = children.running["server"]
    children.expect_alive()
    await children.stop()
    assert process.returncode is not None
    assert children.running == {}


async def test_a_child_that_ends_by_itself_is_named_with_its_log(children):
    await children.start("server", "http.server", "no-port")
    await children.running["server"].wait()
    with pytest.raises(ChildFailed, match=r"server ended with exit code 2: read .*server\.log"):
        children.expect_alive()


async def test_a_command_that_fails_is_told_with_its_last_lines(children):
    with pytest.raises(ChildFailed, match="exit code 2: read"):
        await children.finish("tool", "json.tool", "--no-such-option")
    seen = []
    assert await children.finish("platform", "platform", watch=seen.append)


def test_the_swap_lasts_from_the_row_to_the_first_answer_of_the_new_adapter():
    night = Night(
        asked=[
            Asked("base", "2026-11-24T02:00:01+00:00", 0.4, lost=False),
            Asked("night-1", "2026-11-24T02:00:03+00:00", 0.4, lost=True),
            Asked("night-1", "2026-11-24T02:00:04.500000+00:00", 0.4, lost=False),
        ],
        promotion=Promotion(1, "reply", "hash", "night-1", "gate", "report", False, "2026-11-24T02:00:02+00:00"),
    )
    assert night.swap_seconds() == 2.5
    assert night.lost() == 1


def test_a_table_lines_its_columns_up():
    assert tables.table(["rule", "after"], [["greets", "9 of 30"], ["signs", "-"]]).splitlines() == [
        "  rule       after",
        "  ──────   ───────",
        "  greets   9 of 30",
        "  signs          -",
    ]


def test_drafts_stand_side_by_side_whatever_their_length():
    shown = tables.side_by_side("Hi", "one\ntwo", "three")
    assert "two" in shown and "three" in shown
    assert all(len(line) <= tables.WIDTH for line in shown.splitlines())
