"""A model at an OpenAI-compatible endpoint as base: real HTTP to one that wants a key; nights that end in a file."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bot_fixtures import Bot, bot_environment, last_ephemeral
from conftest import free_port
from endpoint import KEY, MODEL, Endpoint
from night_fixtures import import_tickets
from sandbox_fixtures import PATIENCE, SandboxClient

from data import __main__ as data_commands
from data import cli, store
from data.errors import BadSetting, ContextTooLong, EngineFailed, EngineUnreachable, UnknownAdapter
from data.export_formats import FORMATS
from data.models import BASE, Message
from serving.engine import Completion
from serving.hosted import HostedEngine, base_for, engine_for, estimated_tokens
from serving.loops import FREQUENCY_PENALTY
from serving.settings import ServingSettings

pytest_plugins = ("bot_fixtures", "sandbox_fixtures")

HELLO = [Message(role="system", content="Be kind."), Message(role="user", content="Hello")]
TICKETS = 60


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    server = Endpoint()
    yield server
    server.close()


@pytest.fixture
def environment(tmp_path, endpoint) -> dict[str, str]:
    """All of it hosted, its files under the test's own folder."""
    own = {
        "HOSTED_MODEL": MODEL,
        "LLM_BASE_URL": endpoint.url + "/v1",
        "LLM_API_KEY": KEY,
        "DATABASE_PATH": str(tmp_path / "nightshift.db"),
        "RUNS_DIR": str(tmp_path / "runs"),
        "ADAPTER_STORE": str(tmp_path / "adapters"),
        "MIN_PAIRS": "20",
        "MIN_NEW_PAIRS": "5",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    return os.environ | own


def settings(endpoint: Endpoint, **more: object) -> ServingSettings:
    return ServingSettings(
        **({"hosted_model": MODEL, "llm_base_url": endpoint.url + "/v1", "llm_api_key": KEY} | more), _env_file=None
    )


async def ask(engine: HostedEngine, model: str = BASE) -> Completion:
    try:
        return await engine.complete(HELLO, model=model, max_tokens=8)
    finally:
        await engine.close()


async def test_base_is_the_hosted_model_and_the_key_goes_along(endpoint):
    found = await ask(engine_for(settings(endpoint)))
    assert found == Completion("We will look into it today. ", "stop", BASE)
    (body,) = endpoint.asked
    assert (body["model"], body["messages"], body["max_tokens"], body["temperature"]) == (MODEL, HELLO, 8, 0.0)
    assert endpoint.keys == [KEY]


async def test_a_newer_model_is_asked_as_it_wants_to_be_and_only_once_the_old_way():
    endpoint = Endpoint(newer=True)
    engine = HostedEngine(endpoint.url + "/v1", KEY, model=MODEL)
    for _ in range(2):
        assert (await engine.complete(HELLO, model=BASE, max_tokens=8)).text == "We will look into it today. "
    await engine.close()
    endpoint.close()
    assert [body["max_completion_tokens"] for body in endpoint.asked] == [8, 8]
    assert len(endpoint.keys) == 4


@pytest.mark.parametrize("newer", [False, True])
async def test_a_hosted_text_that_repeats_itself_is_cut_also_where_the_model_takes_no_penalty(newer: bool):
    endpoint = Endpoint(newer=newer)
    endpoint.answer = lambda messages: "I am sorry. " * 9
    found = await ask(HostedEngine(endpoint.url + "/v1", KEY, model=MODEL))
    endpoint.close()
    assert (found.finish_reason, found.text) == ("loop", "I am sorry.")
    assert [body.get("frequency_penalty") for body in endpoint.asked] == [None, None if newer else FREQUENCY_PENALTY]


async def test_a_server_of_ones_own_needs_no_key():
    endpoint = Endpoint(wants_key=False)
    assert (await ask(engine_for(settings(endpoint, llm_api_key="")))).finish_reason == "stop"
    endpoint.close()


@pytest.mark.parametrize(
    ("given", "status", "error", "says"),
    [
        ({"api_key": ""}, 200, BadSetting, "wants a key: set LLM_API_KEY"),
        (
            {"api_key": "sk-wrong-77"},
            200,
            BadSetting,
            f"refuses LLM_API_KEY (status 401): set one that may use {MODEL}",
        ),
        ({"model": "no-such"}, 200, BadSetting, "has no model no-such: set HOSTED_MODEL"),
        ({"path": "/elsewhere"}, 200, BadSetting, "LLM_BASE_URL is the address before /chat/completions"),
        ({"port": 0}, 200, EngineUnreachable, "Nothing answers at LLM_BASE_URL"),
        ({}, 403, BadSetting, "refuses LLM_API_KEY (status 403)"),
        ({}, 429, EngineFailed, "takes no more requests for now"),
        ({}, 500, EngineFailed, "answered with status 500"),
    ],
)
async def test_what_goes_wrong_is_one_sentence_without_the_key(endpoint, caplog, given, status, error, says):
    endpoint.status = status
    caplog.set_level("DEBUG")
    url = f"http://127.0.0.1:{free_port()}" if "port" in given else endpoint.url
    key = given.get("api_key", KEY)
    engine = HostedEngine(url + given.get("path", "/v1"), key, model=given.get("model", MODEL))
    with pytest.raises(error) as told:
        await ask(engine)
    assert says in str(told.value) and "vLLM" not in str(told.value)
    assert not key or key not in str(told.value)
    assert not key or key not in "\n".join(one.getMessage() for one in caplog.records if one.name.startswith("serving"))


async def test_a_prompt_that_does_not_fit_is_told_as_such(endpoint):
    endpoint.context = 5
    with pytest.raises(ContextTooLong):
        await ask(engine_for(settings(endpoint)))


async def test_there_are_no_adapters(endpoint):
    with pytest.raises(UnknownAdapter, match=f"{MODEL} is a hosted model"):
        await ask(engine_for(settings(endpoint)), "night-1")
    assert endpoint.keys == []


async def test_tokens_are_estimated_and_the_context_is_a_setting(endpoint):
    engine = engine_for(settings(endpoint, max_model_len=3000))
    assert (await engine.max_tokens(), endpoint.keys) == (3000, [])
    assert await engine.count_tokens(HELLO) == estimated_tokens(HELLO) == 16 + 3 + 2
    assert await engine_for(settings(endpoint)).max_tokens() == 8192
    assert await engine.ready() and await engine.root() == MODEL
    endpoint.status = 500
    assert not await engine.ready()
    await engine.close()


@pytest.mark.parametrize("address", ["https://me:hunter2@x.example/v1", "https://x.example/v1?key=hunter2"])
def test_a_key_in_the_address_is_refused_and_not_repeated(monkeypatch, address):
    monkeypatch.setenv("LLM_BASE_URL", address)
    with pytest.raises(BadSetting, match="LLM_API_KEY") as told:
        cli.load_settings(ServingSettings)
    assert "hunter2" not in str(told.value)


def test_another_model_or_address_is_another_base(endpoint):
    bases = [
        base_for(settings(endpoint, **more)) for more in ({}, {"hosted_model": "b"}, {"llm_base_url": "http://c/v1"})
    ]
    assert len({base.hash for base in bases}) == len({base.model for base in bases}) == 3
    assert base_for(settings(endpoint, llm_api_key="other")) == bases[0]


def serving(environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "serving", *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_up_checks_the_endpoint_records_the_base_and_stays(environment, endpoint, db):
    up = serving(environment, "up", "--json")
    assert up.stdout is not None
    ready = json.loads(up.stdout.readline())
    assert ready["ready"] and ready["model"] == f"{MODEL} at {endpoint.url.removeprefix('http://')}"
    base = store.base_of_model(db, ready["model"])
    assert base is not None and base.hash == ready["base"]
    up.send_signal(signal.SIGTERM)
    _, told = up.communicate(timeout=PATIENCE)
    assert up.returncode == 0 and KEY not in told


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [("LLM_API_KEY", "sk-wrong-77", "refuses LLM_API_KEY"), ("HOSTED_MODEL", "no-such", "has no model no-such")],
)
def test_up_ends_with_one_sentence_where_the_endpoint_refuses(environment, variable, value, says):
    up = serving(environment | {variable: value}, "up")
    _, told = up.communicate(timeout=PATIENCE)
    assert up.returncode == 1
    assert says in told.splitlines()[-1] and "Traceback" not in told and "sk-" not in told


@pytest.mark.parametrize(
    "command", [("serving", "adopt", "x"), ("finetune", "backtest", "x", "--nights", "1"), ("finetune", "dataset", "x")]
)
def test_what_needs_weights_says_so(environment, command):
    done = subprocess.run([sys.executable, "-m", *command], env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert f"HOSTED_MODEL is set, and `{command[1]}` needs a base of your own" in done.stderr.splitlines()[-1]


def night(environment: dict[str, str], *arguments: str) -> tuple[dict, str]:
    command = [sys.executable, "-m", "finetune", "nightly", *arguments, "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def lines_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_night_ends_in_a_file_for_the_services_fine_tuning(environment, endpoint, db, tmp_path):
    import_tickets(db, TICKETS)
    dry, _ = night(environment, "--dry-run")
    assert dry["outcome"] == "would run" and dry["plan"] is None
    document, told = night(environment)
    assert document["outcome"] == "exported" and document["adapter"] is None
    (run,) = store.runs(db)
    assert (run.status, run.facts["outcome"], run.base) == ("done", "exported", base_for(settings(endpoint)).hash)
    folder = tmp_path / "runs" / run.id
    train = Path(document["exported"])
    assert train == folder / "export" / "train.jsonl"
    lines = lines_of(train)
    for line in lines:
        FORMATS["openai-chat"].line.model_validate(line)
    frozen = lines_of(folder / "dataset" / "train.jsonl")
    assert [line["messages"][-1]["content"] for line in lines] == [pair["target"] for pair in frozen]
    # No prompt that anybody could ask of a held-out thread is in what goes out.
    out = "".join(path.read_text() for path in train.parent.iterdir())
    held_out = [p for p in store.training_pairs(db) if p.thread_id in store.held_out_threads(db)]
    assert held_out and not [p for p in held_out if json.dumps(p.messages[-1]["content"])[1:-1] in out]
    assert run.facts["exported"][str(train)] == {
        "pairs": len(lines), "sha256": hashlib.sha256(train.read_bytes()).hexdigest()
    }  # fmt: skip
    report = Path(document["report"]).read_text()
    assert str(train) in report and MODEL in report and "HOSTED_MODEL" in report
    # Nothing was asked of the endpoint, and nothing knows the key.
    assert endpoint.keys == []
    left = [path for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    assert left == [] and KEY not in told
    assert "new training pairs" in night(environment)[0]["reason"]


def test_a_format_that_no_night_can_write_is_a_wrong_setting(environment):
    command = [sys.executable, "-m", "finetune", "nightly"]
    done = subprocess.run(
        command, env=environment | {"EXPORT_FORMAT": "openai-preference"}, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith("EXPORT_FORMAT cannot be used: must be one of openai-chat, gemini")


def test_too_few_pairs_for_the_service_fail_the_night_with_its_reason(environment, db, tmp_path):
    import_tickets(db, 40)
    own = environment | {"EXPORT_FORMAT": "claude-bedrock"}
    done = subprocess.run([sys.executable, "-m", "finetune", "nightly"], env=own, capture_output=True, text=True)
    assert done.returncode == 1 and "takes no fewer than 32" in done.stderr.splitlines()[-1]
    (run,) = store.runs(db)
    assert run.status == "failed" and not (tmp_path / "runs" / run.id / "export").exists()


def test_what_was_exported_is_forgotten_and_erased_with_its_dataset(environment, db, tmp_path, monkeypatch, capsys):
    import_tickets(db, TICKETS)
    exported = Path(night(environment)[0]["exported"])
    (learned, *_) = lines_of(exported.parent.parent / "dataset" / "train.jsonl")
    for name in ("DATABASE_PATH", "RUNS_DIR", "ADAPTER_STORE"):
        monkeypatch.setenv(name, environment[name])
    monkeypatch.chdir(tmp_path)
    assert exported.read_text()
    assert data_commands.main(["erase", "--thread", learned["thread_id"]]) == 0, capsys.readouterr().err
    assert exported.read_text() == ""
    db.execute("update runs set created_at = '2020-01-01T00:00:00.000000+00:00'")
    night(environment)
    assert not exported.exists()


def test_an_agents_draft_is_written_by_the_hosted_model(sandbox: SandboxClient, endpoint, environment, tmp_path, model):
    own = bot_environment(
        sandbox,
        model,
        tmp_path,
        **{name: environment[name] for name in ("HOSTED_MODEL", "LLM_BASE_URL", "LLM_API_KEY")},
    )
    base = base_for(settings(endpoint))
    db = store.connect(tmp_path / "nightshift.db")
    store.record_base(db, base)
    bot = Bot(own, db, log=tmp_path / "bot.log")
    bot.start()
    ts = sandbox.message("C0HELP", "U0CUSTOMER1", "My invoice is wrong")["ts"]
    assert sandbox.shortcut("C0HELP", "U0AGENT1", ts, "suggest_reply")["ok"]
    row = bot.until(lambda: (r := bot.newest())["state"] in ("shown", "failed") and r)
    assert (row["state"], row["base"], row["adapter"]) == ("shown", base.hash, BASE), row["error"]
    last_ephemeral(sandbox, "U0AGENT1", row["id"])
    (body,) = endpoint.asked
    assert body["model"] == MODEL and body["messages"] == json.loads(row["messages"])
    endpoint.status = 401
    assert sandbox.shortcut("C0HELP", "U0AGENT1", ts, "suggest_reply")["ok"]
    assert "refuses LLM_API_KEY" in bot.until(lambda: (r := bot.newest())["state"] == "failed" and r)["error"]
    assert bot.stop() == 0
    db.conn.close()
    left = [path for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    assert left == [] and "My invoice" not in (tmp_path / "bot.log").read_text()
