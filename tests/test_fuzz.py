"""Payloads of any shape in the real Bolt app: none crashes it, none goes by unsaid, none holds others up."""

import asyncio
import copy
import json
import logging
import re
import time
import traceback
from collections.abc import Iterator

import pytest
from aiohttp.test_utils import TestServer
from bot_fixtures import BASE, ROOT, ModelServer, open_store
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sandbox_fixtures import SandboxClient

from bot.app import build_app, build_desk
from bot.blocks_replies import OTHER, REASONS
from bot.sandbox import http_mode
from bot.settings import BotSettings
from serving.engine import Engine

pytest_plugins = ("bot_fixtures", "sandbox_fixtures")

NOWHERE = "http://nowhere"
"""Stands for the sandbox, which knows no response_url of these."""
HELP, AGENT, TEAM = "C0HELP", "U0AGENT1", "T0SANDBOX"
COMMON = {"team": {"id": TEAM, "domain": "x"}, "user": {"id": AGENT}, "api_app_id": "A", "token": "t",
          "is_enterprise_install": False, "trigger_id": "1.2.x"}  # fmt: skip
CLICK = COMMON | {"type": "block_actions", "channel": {"id": HELP}, "response_url": "http://nowhere/actions/x",
                  "container": {"type": "message", "message_ts": "1.1", "channel_id": HELP}}  # fmt: skip
EVENT = {"type": "event_callback", "team_id": TEAM, "event_id": "Ev1", "api_app_id": "A",
         "authorizations": [{"team_id": TEAM, "user_id": "U0NIGHTSHIFT", "is_bot": True}]}  # fmt: skip
SAID = {"channel": HELP, "user": AGENT, "ts": "1.2", "text": "<@U0NIGHTSHIFT> hi", "thread_ts": "1.1",
        "blocks": [{"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [
            {"type": "text", "text": "hi"}]}]}]}  # fmt: skip
SOURCE = "\n".join(path.read_text() for path in sorted((ROOT / "bot").glob("*.py")))


def listened(kind: str) -> list[str]:
    """What the code listens to, and one thing that it does not."""
    return sorted({*re.findall(rf'app\.{kind}\("([/\w]+)"\)', SOURCE), "/unknown" if kind == "command" else "unknown"})


PAYLOADS = [
    *(
        CLICK | {"actions": [{"type": "button", "action_id": action, "block_id": "b", "value": "s1"}]}
        for action in (*listened("action"), *(f"reason_{reason}" for reason in (*REASONS, OTHER)))
    ),
    CLICK | {"actions": [{"type": "overflow", "action_id": "rewrite", "block_id": "b",
                          "selected_option": {"value": "shorter:s1", "text": {"type": "plain_text", "text": "x"}}}]},
    *(
        COMMON
        | {"type": "message_action", "callback_id": callback, "channel": {"id": HELP}, "message_ts": "1.1",
           "message": {"ts": "1.1", "text": "x"}, "response_url": "http://nowhere/app/x"}
        for callback in listened("shortcut")
    ),
    *(
        {"command": command, "text": text, "team_id": TEAM, "channel_id": HELP, "user_id": AGENT, "trigger_id": "1.2",
         "response_url": "http://nowhere/commands/x"}
        for command in listened("command")
        for text in ("why?", "", "consent on")
    ),
    *(
        COMMON
        | {"type": "view_submission",
           "view": {"id": "V1", "type": "modal", "callback_id": callback, "private_metadata": '{"suggestion_id": "s1"}',
                    "blocks": [{"type": "input", "block_id": "draft"}],
                    "state": {"values": {
                        "draft": {"text": {"type": "plain_text_input", "value": "x"}},
                        "reason": {"text": {"type": "plain_text_input", "value": "x"},
                                   "reason": {"type": "static_select", "selected_option": {"value": "outdated"}}}}}}}
        for callback in listened("view")
    ),
    COMMON | {"type": "view_closed", "view": {"id": "V1", "type": "modal", "callback_id": "edit_draft"}},
    COMMON | {"type": "shortcut", "callback_id": "unknown"},
    EVENT | {"event": SAID | {"type": "app_mention"}},
    EVENT | {"event": SAID | {"type": "message", "channel_type": "im", "channel": "D0AGENT1"}},
    EVENT | {"event": SAID | {"type": "message", "channel_type": "channel", "text": "hi"}},
    EVENT | {"event": {"type": "message", "subtype": "message_changed", "channel": HELP, "channel_type": "channel",
                       "message": SAID | {"type": "message"}, "previous_message": SAID | {"type": "message"}}},
    EVENT | {"event": {"type": "message", "subtype": "message_deleted", "channel": HELP, "channel_type": "channel",
                       "previous_message": SAID | {"type": "message"}, "deleted_ts": "1.2"}},
    EVENT | {"event": {"type": "app_home_opened", "user": AGENT, "channel": "D0AGENT1", "tab": "home"}},
    EVENT | {"event": {"type": "pin_added", "user": AGENT, "channel_id": HELP,
                       "item": {"type": "message", "channel": HELP, "message": {"ts": "1.1", "text": "x"}}}},
    *(
        EVENT
        | {"event": {"type": kind, "user": AGENT, "reaction": "+1",
                     "item": {"type": "message", "channel": HELP, "ts": "1"}}}
        for kind in ("reaction_added", "reaction_removed")
    ),
]  # fmt: skip
NESTED = [
    {"type": "rich_text", "elements": [{"type": "rich_text_quote", "elements": [{"elements": [{"elements": []}]}]}]}
]
ODD = st.sampled_from(
    [
        None,
        0,
        -1,
        True,
        1.5,
        "",
        "x",
        "\ud800",
        "\x00",
        [],
        [None],
        {},
        {"id": None},
        "x" * 5000,
        "x" * 3000,
        "\u202e\u05e9\u05dc\u05d5\u05dd\u202c <@U1>",
        "\U0001f469\u200d\U0001f469\u200d\U0001f467" * 500,
        NESTED,
    ]
).map(copy.deepcopy)


def paths(value: object, at: tuple = ()) -> Iterator[tuple]:
    """Where every value of a payload stands."""
    for key, inside in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield (*at, key)
        yield from paths(inside, (*at, key))


@st.composite
def mangled(draw: st.DrawFn) -> dict:
    """A payload of Slack's with one to three values taken out or replaced."""
    payload = copy.deepcopy(draw(st.sampled_from(PAYLOADS)))
    for _ in range(draw(st.integers(1, 3))):
        *before, last = draw(st.sampled_from(list(paths(payload))))
        inside = payload
        for key in before:
            inside = inside[key]
        if draw(st.booleans()) and isinstance(inside, dict):
            del inside[last]
        else:
            inside[last] = draw(ODD.filter(lambda value: "command" not in payload or value != "\ud800"))
    return payload


class Kept(logging.Handler):
    """Keeps what was logged."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def address(
    sandbox_process: SandboxClient, model_process: ModelServer, tmp_path_factory: pytest.TempPathFactory, loop
) -> Iterator[str]:
    """Where the app listens for Slack's requests, in this process."""
    db = open_store(tmp_path_factory.mktemp("fuzz"))
    environment = {name.lower(): value for name, value in sandbox_process.environment.items()}

    async def start() -> tuple[TestServer, Engine]:
        engine = Engine(model_process.url + "/v1", "")
        desk = build_desk(BotSettings(_env_file=None, **environment), db, engine, base_model=BASE.model)
        app = build_app(BotSettings(_env_file=None, **environment), desk)
        server = TestServer(app.web_app(path="/slack/events"))
        await server.start_server()
        return server, engine

    server, engine = loop.run(start())
    yield str(server.make_url("/slack/events"))
    loop.run(server.close())
    loop.run(engine.close())
    db.conn.close()


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(mangled())
def test_a_mangled_payload_is_answered_or_logged_and_never_raises(address, loop, sandbox_process, payload):
    payload = json.loads(json.dumps(payload).replace(NOWHERE, sandbox_process.url))
    kept = Kept()
    logging.getLogger().addHandler(kept)
    try:
        start = time.perf_counter()
        status = loop.run(sent(address, payload))
        took = time.perf_counter() - start
    finally:
        logging.getLogger().removeHandler(kept)
    assert took < 10
    if status == 500:
        # Bolt itself cannot read it, or it could not be stored and comes again.
        traces = "".join("".join(traceback.format_exception(*r.exc_info)) for r in kept.records if r.exc_info)
        unstored = [record for record in kept.records if "not stored" in record.getMessage()]
        assert "slack_bolt/request/" in traces or "slack_bolt/listener_matcher/" in traces or unstored, traces
    elif status == 404:
        assert [record for record in kept.records if "Unhandled request" in record.getMessage()]
    else:
        assert status == 200


async def sent(address: str, payload: dict) -> int:
    """The status that the app answers with, after its listeners have ended."""
    waiting = asyncio.all_tasks()
    try:
        return (await http_mode.post(address, payload, now=time.time(), seconds=3)).status
    finally:
        while others := {
            task for task in asyncio.all_tasks() - waiting if "listener" in repr(task) or "desk" in repr(task)
        }:
            done, _ = await asyncio.wait(others, timeout=10)
            assert done, f"still at work: {others}"
            unheard = [task for task in done if not task.cancelled() and task.exception()]
            assert not unheard, "a listener's error reached nobody"
