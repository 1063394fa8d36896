"""How the bot starts, and how it says why it cannot."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from bot_fixtures import ROOT, Bot, Wire, bot_environment, last_ephemeral, open_store
from sandbox_fixtures import PATIENCE

from bot.settings import BotSettings

pytest_plugins = ("bot_fixtures", "sandbox_fixtures")


def run_bot(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bot", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_importing_the_app_loads_no_model_code():
    code = "import sys, bot.app; print([m for m in ('torch', 'vllm', 'transformers') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("variable", "value", "says", "arguments"),
    [
        ("SLACK_BOT_TOKEN", "", "SLACK_BOT_TOKEN is not set", ()),
        ("SLACK_BOT_TOKEN", "xoxb-wrong", "Slack refuses SLACK_BOT_TOKEN (invalid_auth)", ()),
        ("SLACK_APP_TOKEN", "", "SLACK_APP_TOKEN is not set", ()),
        ("SLACK_APP_TOKEN", "xapp-wrong", "Slack refuses SLACK_APP_TOKEN (invalid_auth)", ()),
        ("SLACK_SIGNING_SECRET", "", "SLACK_SIGNING_SECRET is not set", ("--http", "0")),
        ("SLACK_API_URL", "http://127.0.0.1:9/api/", "Slack did not answer auth.test", ()),
    ],
)
def test_a_token_that_is_missing_or_wrong_is_one_sentence(sandbox, model, tmp_path, variable, value, says, arguments):
    done = run_bot(bot_environment(sandbox, model, tmp_path) | {variable: value}, *arguments)
    assert done.returncode == 1
    assert says in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr
    assert "xoxb-wrong" not in done.stderr and "xapp-wrong" not in done.stderr


def test_a_slack_that_answers_no_more_is_one_sentence(sandbox, model, tmp_path):
    wire = Wire(sandbox.environment["SLACK_API_URL"])
    # It holds the line until the test has waited long enough, then breaks it.
    wire.cut("apps.connections.open", after=False)
    bot = subprocess.Popen(
        [sys.executable, "-m", "bot"],
        cwd=ROOT,
        env=bot_environment(sandbox, model, tmp_path, SLACK_API_URL=f"{wire.url}/api/"),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert wire.reached.wait(PATIENCE)
    wire.close()
    _, told = bot.communicate(timeout=PATIENCE)
    assert bot.returncode == 1
    assert told.splitlines()[-1].startswith("Slack did not answer apps.connections.open")
    assert "Traceback" not in told


@pytest.mark.parametrize("method", ["auth.test", "apps.connections.open"])
@pytest.mark.parametrize(
    ("error", "says"),
    [
        ("internal_error", "Slack refused {} (internal_error). Please try again"),
        ("http_503", "Slack did not answer {}. Please try again"),
    ],
)
def test_a_slack_in_trouble_is_not_told_as_a_refused_token(sandbox, model, tmp_path, method, error, says):
    sandbox.fault(method=method, error=error, times=2)
    done = run_bot(bot_environment(sandbox, model, tmp_path))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(says.format(method)) and "TOKEN" not in done.stderr


@pytest.mark.parametrize("error", ["http_503", "ratelimited"])
def test_a_slack_that_is_in_trouble_once_is_asked_again(sandbox, model, tmp_path, error):
    for method in ("auth.test", "apps.connections.open"):
        sandbox.fault(method=method, error=error)
    bot = Bot(bot_environment(sandbox, model, tmp_path), open_store(tmp_path))
    bot.start()
    assert bot.stop() == 0
    bot.db.conn.close()


@pytest.mark.parametrize("arguments", ["--htttp 1", "--http 70000", "sandbox --port 70000", "sandbox --port -1"])
def test_wrong_usage_exits_2(sandbox, model, tmp_path, arguments):
    done = run_bot(bot_environment(sandbox, model, tmp_path), *arguments.split())
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("python -m bot") and "Traceback" not in done.stderr


def test_lists_of_people_are_read_from_commas(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AGENTS", "U1, U2,,")
    monkeypatch.setenv("SLACK_API_URL", "http://127.0.0.1:1/api")
    settings = BotSettings()
    assert settings.agents == {"U1", "U2"}
    assert settings.slack_api_url.endswith("/api/")


def test_roles_come_from_user_groups_too(sandbox, model, tmp_path: Path):
    groups = {"AGENTS": "", "AGENT_USERGROUP": "S0AGENTS", "SUPERVISORS": "", "SUPERVISOR_USERGROUP": "S0SUPERVISORS"}
    bot = Bot(bot_environment(sandbox, model, tmp_path, **groups), open_store(tmp_path))
    bot.start()
    ts = sandbox.message("C0HELP", "U0CUSTOMER1", "Help")["ts"]
    sandbox.message("C0HELP", "U0AGENT2", "On it", ts)
    sandbox.shortcut("C0HELP", "U0AGENT1", ts, "suggest_reply")
    last_ephemeral(sandbox, "U0AGENT1", "We will look into it")
    assert model.asked[-1]["messages"][-1]["content"].endswith("Customer: Help\nAgent: On it")
    sandbox.shortcut("C0HELP", "U0CUSTOMER2", ts, "suggest_reply")
    last_ephemeral(sandbox, "U0CUSTOMER2", "Only support agents")
    assert bot.stop() == 0
    bot.db.conn.close()


def test_a_guest_is_a_customer_even_when_listed_as_an_agent(sandbox, model, tmp_path: Path):
    bot = Bot(bot_environment(sandbox, model, tmp_path, AGENTS="U0AGENT1,U0CUSTOMER5"), open_store(tmp_path))
    bot.start()
    ts = sandbox.message("C0HELP", "U0CUSTOMER1", "Help")["ts"]
    sandbox.message("C0HELP", "U0CUSTOMER5", "I need it too", ts)
    sandbox.shortcut("C0HELP", "U0CUSTOMER5", ts, "suggest_reply")
    last_ephemeral(sandbox, "U0CUSTOMER5", "Only support agents")
    sandbox.shortcut("C0HELP", "U0AGENT1", ts, "suggest_reply")
    last_ephemeral(sandbox, "U0AGENT1", "We will look into it")
    assert model.asked[-1]["messages"][-1]["content"].endswith("Customer: Help\nCustomer: I need it too")
    assert bot.stop() == 0
    bot.db.conn.close()


def test_a_guest_gets_no_draft_unasked_even_when_listed_as_an_agent(sandbox, model, tmp_path: Path):
    bot = Bot(bot_environment(sandbox, model, tmp_path, AGENTS="U0AGENT1,U0CUSTOMER5"), open_store(tmp_path))
    bot.start()
    sandbox.command("C0HELP", "U0ADMIN1", "/nightshift", "proactive on")
    last_ephemeral(sandbox, "U0ADMIN1", "at most 10 an hour")
    for said in ("Help", "My parcel is lost"):
        sandbox.message("C0HELP", "U0CUSTOMER1", said)
    # A guest's own question is a customer's.
    sandbox.message("C0HELP", "U0CUSTOMER5", "And mine?")
    bot.until(lambda: bot.count("suggestions") == 3)
    assert {row["requested_by"] for row in bot.db.query("select requested_by from suggestions")} == {"U0AGENT1"}
    assert bot.stop() == 0
    bot.db.conn.close()


def test_http_mode_checks_signatures(sandbox, model, tmp_path):
    import hashlib
    import hmac
    import time
    import urllib.error
    import urllib.request

    bot = Bot(bot_environment(sandbox, model, tmp_path), open_store(tmp_path), ("--http", "0"))
    address = bot.start().split()[-1]
    body = json.dumps({"type": "url_verification", "challenge": "c", "token": "t"}).encode()

    def post(secret: str) -> tuple[int, bytes]:
        stamp = str(int(time.time()))
        signed = hmac.new(secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "X-Slack-Request-Timestamp": stamp,
            "X-Slack-Signature": f"v0={signed}",
        }
        try:
            with urllib.request.urlopen(urllib.request.Request(address, body, headers), timeout=PATIENCE) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    assert post("sandbox-secret") == (200, b'{"challenge": "c"}')
    assert post("another-secret")[0] == 401
    assert bot.stop() == 0
    bot.db.conn.close()


def test_the_bot_knows_no_environment_but_its_settings():
    for path in (ROOT / "bot").glob("*.py"):
        assert "os.environ" not in path.read_text() and "getenv" not in path.read_text(), path
