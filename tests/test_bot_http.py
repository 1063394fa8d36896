"""The bot over HTTP: the sandbox signs its requests as Slack does, and everything works as over a web socket."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from bot_fixtures import Bot, ModelServer, bot_environment, last_ephemeral, open_store
from sandbox_fixtures import PATIENCE, Refused, SandboxClient
from test_bot_desk import AGENT, CUSTOMER, HELP, draft_for, open_editor, replies

from bot.sandbox.http_mode import signed
from data import store

pytest_plugins = ("bot_fixtures", "sandbox_fixtures")

EVENT = {
    "type": "event_callback",
    "team_id": "T0SANDBOX",
    "event_id": "Ev1",
    "event": {"type": "app_mention", "channel": HELP, "user": AGENT, "ts": "1.1", "text": "hi"},
}


@pytest.fixture(scope="module")
def bot_process(
    sandbox_process: SandboxClient, model_process: ModelServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bot]:
    folder: Path = tmp_path_factory.mktemp("bot")
    environment = bot_environment(sandbox_process, model_process, folder, SLACK_APP_TOKEN="")
    bot = Bot(environment, open_store(folder), ("--http", "0"))
    bot.address = bot.start().split()[-1]
    assert sandbox_process.call("/sandbox/transport", {"http": bot.address})["ok"]
    yield bot
    assert bot.stop() == 0
    bot.db.conn.close()


def send(address: str, payload: dict, *, late: float = 0, **more: str) -> int:
    """The status of one signed request."""
    headers, body = signed(payload, now=time.time() - late, **more)
    try:
        with urllib.request.urlopen(urllib.request.Request(address, body, headers), timeout=PATIENCE) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_a_draft_is_asked_for_edited_and_sent_over_http(bot, sandbox, model):
    row = draft_for(bot, sandbox)
    view_id = open_editor(sandbox, row["id"])
    assert sandbox.submit(AGENT, view_id, {"draft": {"text": " "}})["error"] == "app_validation"
    assert sandbox.submit(AGENT, view_id, {"draft": {"text": "Paid, thank you."}})["ok"]
    bot.until(lambda: [r["text"] for r in replies(sandbox, row["thread_ts"])] == ["Paid, thank you."])
    last_ephemeral(sandbox, AGENT, "Sent.")
    assert sandbox.problems() == []


def test_commands_and_reactions_work_over_http(bot, sandbox, model):
    assert sandbox.command(HELP, AGENT, "/nightshift", "help")["ok"]
    last_ephemeral(sandbox, AGENT, "Suggest a reply")
    row = draft_for(bot, sandbox)
    sandbox.action(AGENT, "accept", value=row["id"])
    decision = bot.until(lambda: (d := store.decision(bot.db, row["id"])) and d.posted_ts and d)
    sandbox.reaction(HELP, "U0SUPER1", decision.posted_ts, "+1")
    bot.until(lambda: [r.value for r in store.ratings(bot.db, row["id"])] == [1])


def test_an_event_that_slack_sends_again_is_worked_on_once(bot, sandbox, model):
    before = bot.count("suggestions")
    sandbox.fault(retry_delays_s=[0, 0, 0], drop_ack=2)
    sandbox.message("D0AGENT1", AGENT, "How do I reset?")
    bot.until(lambda: bot.count("suggestions") > before)
    time.sleep(0.5)
    assert bot.count("suggestions") == before + 1
    assert not [p for p in sandbox.problems() if p["kind"] == "event_lost"]


def test_a_retry_says_so_and_is_acked_without_work(bot, sandbox, model):
    before = bot.count("suggestions")
    again = {"X-Slack-Retry-Num": "1", "X-Slack-Retry-Reason": "http_timeout"}
    event = EVENT | {"event_id": f"Ev{time.time_ns()}"}
    assert [send(bot.address, event), send(bot.address, event, **again)] == [200, 200]
    assert bot.count("suggestions") == before + 1


@pytest.mark.parametrize(
    ("late", "secret", "status"), [(0, "sandbox-secret", 200), (0, "guessed", 401), (301, "sandbox-secret", 401)]
)
def test_only_fresh_requests_with_slacks_signature_are_taken(bot, sandbox, model, late, secret, status):
    event = EVENT | {"event_id": f"Ev{time.time_ns()}"}
    before = bot.count("suggestions")
    assert send(bot.address, event, late=late, secret=secret) == status
    assert bot.count("suggestions") == before + (status == 200)


def test_slack_is_answered_when_it_holds_back_events(bot, sandbox, model):
    held = {
        "type": "app_rate_limited",
        "team_id": "T0SANDBOX",
        "minute_rate_limited": 1,
        "api_app_id": "A",
        "token": "t",
    }
    assert send(bot.address, held) == 200


def test_an_unsigned_request_is_refused(bot, sandbox, model):
    request = urllib.request.Request(bot.address, json.dumps(EVENT).encode(), {"Content-Type": "application/json"})
    with pytest.raises(urllib.error.HTTPError) as refused, urllib.request.urlopen(request, timeout=PATIENCE):
        pass
    with refused.value:
        assert refused.value.code == 401


def test_an_address_that_does_not_answer_the_challenge_is_refused(sandbox):
    with pytest.raises(Refused, match="url_verification"):
        sandbox.call("/sandbox/transport", {"http": "http://127.0.0.1:9/slack/events"})
    with pytest.raises(Refused, match=r"on 127\.0\.0\.1"):
        sandbox.call("/sandbox/transport", {"http": "https://example.com/"})


def test_the_sandbox_says_when_nobody_listens(bot, sandbox, model):
    bot.kill()
    answer = sandbox.command(HELP, CUSTOMER, "/ask", "anybody?")
    assert (answer["ok"], answer["error"]) == (False, "dispatch_failed")
    port = bot.address.split(":")[2].split("/")[0]
    bot.arguments = ("--http", port)
    bot.start()
    assert sandbox.command(HELP, CUSTOMER, "/ask", "")["ok"]
