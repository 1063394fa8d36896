"""Real parts for every test: a tiny random base model, a fresh store, a vLLM server on loopback."""

import json
import os
import random
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import psutil
import pytest
from sandbox_fixtures import PATIENCE
from sqlite_utils import Database

from data import store
from data.models import Base

# Two processor cores are shared with vLLM; also no test may wait for a model hub.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
# The same texts and payloads at every run: what fails, fails again. Another seed: --hypothesis-profile=default.
hypothesis.settings.register_profile("same", derandomize=True, database=None)
hypothesis.settings.load_profile("same")

CHAT_TEMPLATE = (
    "<|start|>{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)

PORTS = (20_000, 32_000)
"""Below those that Linux gives out (ip_local_port_range, from 32768): vLLM binds the port it was told of half a minute
later, and meanwhile any other server or connection of the suite could have got it."""

LONG = (
    "test_nightly.py",
    "test_team_nights.py",
    "test_families_served.py",
    "test_shift.py",
    "test_poisoned_nights.py",
)
"""Files of a minute and more: they come first, so that no worker is left with one of them at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    """A migrated store in a file of its own."""
    database = store.connect(tmp_path / "nightshift.db")
    yield database
    database.conn.close()


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama of two layers with a tokenizer and a chat template: the smallest model that vLLM serves."""
    return make_tiny_base(tmp_path_factory.mktemp("tiny-base"), seed=0)


def make_tiny_base(directory: Path, *, seed: int, family: str = "LlamaConfig", **config: int) -> Path:
    import torch
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|pad|>", "<|start|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=384,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["Customer: the invoice is wrong.\nAgent: I am sorry to hear that."] * 4, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<|pad|>", bos_token="<|start|>", eos_token="<|end|>"
    )
    fast.chat_template = CHAT_TEMPLATE
    fast.save_pretrained(directory)
    torch.manual_seed(seed)
    sizes = {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 2}
    model = AutoModelForCausalLM.from_config(
        getattr(transformers, family)(
            **(sizes | config),
            vocab_size=len(fast),
            head_dim=64,
            max_position_embeddings=2048,
            tie_word_embeddings=True,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
            # Wide enough that the two likeliest tokens never tie: greedy text is then comparable between engines.
            initializer_range=0.3,
        )
    )
    with torch.no_grad():
        for token in range(len(special), len(fast)):
            text = fast.decode([token])
            # Never the likeliest then: engines show bytes that are no text in different ways.
            if not (text.isascii() and text.isprintable()):
                model.get_input_embeddings().weight[token] = 0
    model.save_pretrained(directory)
    return directory


def make_adapter(directory: Path, base: Base, *, seed: int, rank: int = 8, base_hash: str | None = None) -> Path:
    """A random LoRA that changes what the base writes, on the layers that a training adapts, with its manifest."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from finetune.train import adapted_layers

    model = AutoModelForCausalLM.from_pretrained(base.root, dtype=torch.float32)
    torch.manual_seed(seed)
    layers = adapted_layers(model)
    tuned = get_peft_model(model, LoraConfig(r=rank, lora_alpha=16, target_modules=layers, task_type="CAUSAL_LM"))
    for name, weights in tuned.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weights, std=0.1)
    tuned.save_pretrained(directory, save_embedding_layers=False)
    pairs = [{"id": f"pair-{n}", "thread_id": f"thread-{n}"} for n in (1, 2)]
    manifest = {"base_hash": base_hash or base.hash, "pairs": pairs}
    (directory / "nightshift.json").write_text(json.dumps(manifest))
    return directory


@dataclass(frozen=True)
class VllmServer:
    """A running `python -m serving up`."""

    base_url: str
    database: Path
    adapter_store: Path
    model: Path
    environment: dict[str, str]
    process: subprocess.Popen[str]


@pytest.fixture(scope="session")
def vllm_server(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmServer]:
    """One real vLLM for the whole session, on the tiny base."""
    with running_vllm(tiny_base, tmp_path_factory.mktemp("vllm")) as server:
        yield server


@contextmanager
def running_vllm(base: Path, here: Path) -> Iterator[VllmServer]:
    """A `python -m serving up` on a base model, its files under `here`, and its end, which is under test too."""
    url = f"http://127.0.0.1:{free_port()}/v1"
    environment = serving_environment(here, base_model=base, url=url)
    log = (here / "serving.log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "serving", "up", "--json"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line or not json.loads(line)["ready"]:
        process.wait(timeout=PATIENCE)
        pytest.fail("serving up ended: " + (here / "serving.log").read_text()[-4000:])
    try:
        yield VllmServer(url, here / "nightshift.db", here / "adapters", base, environment, process)
    finally:
        family = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        status = process.wait(timeout=20)
        process.stdout.close()
        log.close()
    # Under test here, since a vLLM of its own for that would cost half a minute.
    assert (status, survivors(family, PATIENCE)) == (0, [])


def serving_environment(directory: Path, *, base_model: Path | str, url: str) -> dict[str, str]:
    """The environment of a `python -m serving …` that keeps everything under `directory`."""
    return os.environ | {
        "BASE_MODEL": str(base_model),
        "LLM_BASE_URL": url,
        "LLM_API_KEY": "",
        "DATABASE_PATH": str(directory / "nightshift.db"),
        "ADAPTER_STORE": str(directory / "adapters"),
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
    }


def survivors(family: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Those that still run after `seconds`."""
    _, alive = psutil.wait_procs(family, timeout=seconds)
    # Nobody may be there to reap an orphan.
    return [process for process in alive if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def free_port() -> int:
    """A port that nobody has, and that the system gives to nobody who asks for any: it stays free for a while."""
    while True:
        port = random.SystemRandom().randrange(*PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
