"""`python -m serving up`: clear errors before vLLM is loaded, and no vLLM left behind."""

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from conftest import VllmServer, free_port, make_tiny_base, serving_environment, survivors
from sandbox_fixtures import PATIENCE

from data import store
from data.models import Base
from serving.base import can_write, identify
from serving.command import vllm_argv, vllm_env
from serving.settings import ServingSettings
from serving.up import last_words


def serving(*arguments: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "serving", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def environment_on(directory: Path, base_model: Path | str, **more: str) -> dict[str, str]:
    url = f"http://127.0.0.1:{free_port()}/v1"
    return serving_environment(directory, base_model=base_model, url=url) | more


def last_line(finished: subprocess.CompletedProcess[str]) -> str:
    assert finished.returncode == 1
    assert "Traceback" not in finished.stderr
    return finished.stderr.strip().splitlines()[-1]


def test_a_taken_port_is_told_before_vllm_is_loaded(tmp_path: Path, tiny_base: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        environment = environment_on(tmp_path, tiny_base, LLM_BASE_URL=f"http://127.0.0.1:{port}/v1")
        ended = serving("up", environment=environment)
    told = last_line(ended)
    assert f"port {port}" in told
    assert "LLM_BASE_URL" in told
    assert "starting vLLM" not in ended.stderr


def test_a_missing_model_is_told_before_vllm_is_loaded(tmp_path: Path):
    told = last_line(serving("up", environment=environment_on(tmp_path, tmp_path / "nowhere")))
    assert "nowhere" in told
    assert "BASE_MODEL" in told
    told = last_line(serving("up", environment=environment_on(tmp_path, "nobody/nothing")))
    assert "nobody/nothing" in told
    assert "HF_HUB_OFFLINE" in told
    told = last_line(serving("up", environment=environment_on(tmp_path, "no..body/nothing")))
    assert "no..body/nothing is no directory on this machine and no hub id" in told


def test_an_adapter_store_that_cannot_be_made_is_told_before_vllm_is_loaded(tmp_path: Path, tiny_base: Path):
    (tmp_path / "file").touch()
    told = last_line(serving("up", environment=environment_on(tmp_path, tiny_base, ADAPTER_STORE=f"{tmp_path}/file/x")))
    assert "which ADAPTER_STORE names, cannot be made" in told


def test_too_little_memory_is_told_before_vllm_is_loaded(tmp_path: Path, tiny_base: Path):
    told = last_line(serving("up", environment=environment_on(tmp_path, tiny_base, CPU_KVCACHE_GIB="100000")))
    assert "GiB of memory" in told


def test_a_mixture_of_experts_on_a_cpu_is_told_before_vllm_is_loaded(tmp_path: Path):
    root = make_tiny_base(tmp_path / "base", seed=0, family="MixtralConfig", num_key_value_heads=1, num_local_experts=4)
    told = last_line(serving("up", environment=environment_on(tmp_path, root)))
    assert "is a mixture of experts" in told
    assert "BASE_MODEL" in told


@pytest.mark.parametrize("url", ["http://0.0.0.0:8100/v1", "https://127.0.0.1:8100/v1", "http://127.0.0.1:8100"])
def test_it_serves_loopback_only(tmp_path: Path, tiny_base: Path, url: str):
    told = last_line(serving("up", environment=environment_on(tmp_path, tiny_base, LLM_BASE_URL=url)))
    assert url in told
    assert "loopback" in told


def test_a_base_that_is_cut_short_is_told(tmp_path: Path, tiny_base: Path):
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in tiny_base.iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    with (broken / "model.safetensors").open("r+b") as weights:
        weights.truncate(5000)
    assert "cut short" in last_line(serving("up", environment=environment_on(tmp_path, broken)))


def test_a_base_is_known_by_its_content_and_not_by_its_path(tmp_path: Path, tiny_base: Path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in tiny_base.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    assert identify(str(copy)).hash == identify(str(tiny_base)).hash
    (copy / "config.json").write_text((copy / "config.json").read_text().replace("1e-06", "1e-05"))
    assert identify(str(copy)).hash != identify(str(tiny_base)).hash


def test_a_small_base_copies_and_one_whose_weights_are_elsewhere_counts_as_a_writer(tiny_base: Path):
    assert not can_write(identify(str(tiny_base)))
    assert can_write(Base("hash", "hosted/model", ""))


def test_the_command_line_is_made_of_the_settings_alone(tiny_base: Path):
    settings = ServingSettings(base_model=str(tiny_base), llm_api_key="secret", max_lora_rank=64)
    base = identify(str(tiny_base))
    argv, env = vllm_argv(settings, base, gpu=False), vllm_env(settings, {"HOME": "/h"}, gpu=False, processors=3)
    assert argv[argv.index("--model") + 1] == str(tiny_base)
    assert argv[argv.index("--served-model-name") + 1] == "base"
    assert argv[argv.index("--host") + 1] == "127.0.0.1"
    assert argv[argv.index("--max-lora-rank") + 1] == "64"
    assert argv[argv.index("--dtype") + 1] == "float32"
    assert "secret" not in argv
    assert env["VLLM_API_KEY"] == "secret"
    assert (env["HOME"], env["OMP_NUM_THREADS"]) == ("/h", "3")
    assert "bfloat16" in vllm_argv(settings, base, gpu=True)


def started(environment: dict[str, str], log: Path) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    """`serving up` and all its processes, at the moment when vLLM has started its engine process."""
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "serving", "up"],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            text=True,
        )
    while process.poll() is None:
        family = psutil.Process(process.pid).children(recursive=True)
        # The shell that became vLLM, its leash, Python's resource tracker, and the engine.
        if len(family) >= 4:
            return process, family
        time.sleep(0.3)
    pytest.fail(f"serving up ended: {log.read_text()}")


def test_a_killed_up_leaves_no_vllm_behind(tmp_path: Path, tiny_base: Path):
    process, family = started(environment_on(tmp_path, tiny_base), tmp_path / "log")
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert survivors(family, PATIENCE) == []


WRITTEN = """\
pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig
  Value error, User-specified max_model_len (500000) is greater than the derived max_model_len. To allow … [type=value]
    For further information visit https://errors.pydantic.dev/2.14/v/value_error
---
(EngineCore pid=9) ERROR 11-24 04:32:21 [core.py:9] RuntimeError: Unsupported CPU attention configuration: head_dim=60
(APIServer pid=7) RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}
---
(APIServer pid=7) INFO nothing of interest
"""


def test_what_vllm_wrote_before_it_ended_becomes_one_sentence():
    """The lines are vLLM 0.32.0's own, for a context that is too long and for a head size that it lacks."""
    too_long, head_size, nothing = (part.splitlines() for part in WRITTEN.split("---\n"))
    assert last_words(too_long, 1) == (
        "vLLM ended with status 1: Value error, User-specified max_model_len (500000) is greater than "
        "the derived max_model_len."
    )
    assert last_words(head_size, 1) == (
        "vLLM ended with status 1: RuntimeError: Unsupported CPU attention configuration: head_dim=60."
    )
    assert "by SIGKILL" in last_words(nothing, -9)


def test_the_base_that_is_served_is_in_the_store_and_every_command_speaks_json(vllm_server: VllmServer):
    db = store.connect(vllm_server.database)
    base = store.base_of_model(db, str(vllm_server.model))
    db.conn.close()
    assert base is not None
    assert base == identify(str(vllm_server.model))
    listed = json.loads(serving("adapters", "--json", environment=vllm_server.environment).stdout)
    assert listed["base"] == base.hash
    assert listed["live"].keys() == {"reply", "summary", "answer"}
    refused = serving("promote", "reply", "no-such-adapter", environment=vllm_server.environment)
    assert "There is no adapter no-such-adapter" in last_line(refused)
    assert serving("promote", "poem", "base", environment=vllm_server.environment).returncode == 2


def test_importing_what_the_bot_needs_loads_no_torch():
    code = "import sys, serving.engine, serving.promotion, serving.settings, serving.up; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
