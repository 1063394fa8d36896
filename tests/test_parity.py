"""What vLLM serves is what transformers and PEFT compute with the same adapter, from its first request on."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import openai
import pytest
import torch
from conftest import VllmServer, make_adapter
from peft import PeftModel
from sqlite_utils import Database
from transformers import AutoModelForCausalLM, AutoTokenizer, LogitsProcessorList

from data import store
from data.errors import BrokenAdapter
from data.models import BASE, Base, Message, Turn
from data.prompts import reply_messages
from finetune.scoring import FrequencyPenalty
from serving import adapters, promotion
from serving.base import identify
from serving.engine import Engine

LENGTH = 24
PROMPTS = [
    [Message(role="user", content="Hello")],
    reply_messages([Turn("customer", "The invoice is wrong!"), Turn("agent", "Sorry."), Turn("customer", "So?")]),
]


@pytest.fixture(scope="module")
def base(tiny_base: Path) -> Base:
    return identify(str(tiny_base))


@pytest.fixture
def served_store(vllm_server: VllmServer) -> Iterator[Database]:
    db = store.connect(vllm_server.database)
    yield db
    db.conn.close()


@pytest.fixture
async def engine(vllm_server: VllmServer) -> AsyncIterator[Engine]:
    engine = Engine(vllm_server.base_url)
    yield engine
    await engine.close()


def greedily(
    base: Base, adapter: Path | None, messages: list[Message], *, penalty: float = 0.0
) -> tuple[str, list[float]]:
    """Text and log probabilities of the tokens that transformers chooses in float32."""
    tokenizer = AutoTokenizer.from_pretrained(base.root)
    model = AutoModelForCausalLM.from_pretrained(base.root, dtype=torch.float32)
    if adapter:
        model = PeftModel.from_pretrained(model, adapter)
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    with torch.inference_mode():
        found = model.generate(
            **prompt,
            max_new_tokens=LENGTH,
            do_sample=False,
            logits_processor=LogitsProcessorList([FrequencyPenalty(penalty, prompt["input_ids"].shape[1])]),
            output_logits=True,
            return_dict_in_generate=True,
        )
    chosen = found.sequences[0, prompt["input_ids"].shape[1] :]
    scores = torch.stack(found.logits)[:, 0].log_softmax(-1)
    return tokenizer.decode(chosen, skip_special_tokens=True), scores.gather(1, chosen[:, None])[:, 0].tolist()


async def served(
    server: VllmServer, model: str, messages: list[Message], *, penalty: float = 0.0
) -> tuple[str, list[float]]:
    async with openai.AsyncOpenAI(base_url=server.base_url, api_key="none") as client:
        answer = await client.chat.completions.create(
            model=model,
            messages=messages,
            max_tokens=LENGTH,
            temperature=0,
            frequency_penalty=penalty,
            logprobs=True,
        )
    choice = answer.choices[0]
    return choice.message.content, [token.logprob for token in choice.logprobs.content]


async def publish(db: Database, server: VllmServer, engine: Engine, base: Base, directory: Path, name: str) -> None:
    adapters.verify(directory, base, max_lora_rank=32)
    adapters.publish(
        db,
        directory,
        name=name,
        base=base,
        store_dir=server.adapter_store,
        root=await engine.root(),
        run_id=name,
        pair_ids=["pair-1"],
    )


async def test_a_published_adapter_is_served_from_its_first_request_as_transformers_computes_it(
    vllm_server: VllmServer, served_store: Database, engine: Engine, base: Base, tmp_path: Path
):
    directory = make_adapter(tmp_path / "adapter", base, seed=7)
    await publish(served_store, vllm_server, engine, base, directory, "night-parity")
    first = await asyncio.gather(*(served(vllm_server, "night-parity", PROMPTS[0]) for _ in range(8)))
    assert len({text for text, _ in first}) == 1
    for messages in PROMPTS:
        for name, adapter in (("night-parity", directory), (BASE, None)):
            text, expected = greedily(base, adapter, messages)
            found, logprobs = await served(vllm_server, name, messages)
            assert found == text
            assert logprobs == pytest.approx(expected, abs=1e-4)
    assert greedily(base, directory, PROMPTS[0])[0] != greedily(base, None, PROMPTS[0])[0]


async def test_two_adapters_in_one_batch_stay_apart(
    vllm_server: VllmServer, served_store: Database, engine: Engine, base: Base, tmp_path: Path
):
    expected = {}
    for seed in (11, 12, 13):
        directory = make_adapter(tmp_path / f"adapter-{seed}", base, seed=seed)
        await publish(served_store, vllm_server, engine, base, directory, f"night-{seed}")
        expected[f"night-{seed}"] = greedily(base, directory, PROMPTS[1])[0]
    asked = [name for name in expected for _ in range(3)]
    found = await asyncio.gather(
        *(engine.complete(PROMPTS[1], model=n, max_tokens=LENGTH, cut_loops=False) for n in asked)
    )
    assert [completion.text for completion in found] == [expected[name] for name in asked]


async def test_the_base_beside_two_adapters_is_served_without_them(
    vllm_server: VllmServer, served_store: Database, engine: Engine, base: Base, tmp_path: Path
):
    names = [BASE]
    for seed in (21, 22):
        directory = make_adapter(tmp_path / f"adapter-{seed}", base, seed=seed)
        await publish(served_store, vllm_server, engine, base, directory, f"night-{seed}")
        names.append(f"night-{seed}")
    expected = greedily(base, None, PROMPTS[1])[0]
    asked = [name for name in names for _ in range(3)]
    found = await asyncio.gather(
        *(engine.complete(PROMPTS[1], model=n, max_tokens=LENGTH, cut_loops=False) for n in asked)
    )
    assert [completion.text for completion in found[:3]] == [expected] * 3


async def test_a_penalty_on_what_was_said_chooses_as_vllm_does(vllm_server: VllmServer, base: Base):
    changed = [greedily(base, None, one)[0] != greedily(base, None, one, penalty=2.0)[0] for one in PROMPTS]
    assert any(changed)
    for messages in PROMPTS:
        assert (await served(vllm_server, BASE, messages, penalty=2.0))[0] == greedily(
            base, None, messages, penalty=2.0
        )[0]


async def test_serving_and_training_make_the_same_tokens_of_messages(engine: Engine, base: Base):
    tokenizer = AutoTokenizer.from_pretrained(base.root)
    for messages in PROMPTS:
        ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)["input_ids"]
        assert await engine.count_tokens(messages) == len(ids)


async def test_warming_compares_with_what_training_wrote(
    vllm_server: VllmServer, served_store: Database, engine: Engine, base: Base, tmp_path: Path
):
    directory = make_adapter(tmp_path / "adapter", base, seed=8)
    await publish(served_store, vllm_server, engine, base, directory, "night-warm")
    text = greedily(base, directory, PROMPTS[0])[0]
    canary = adapters.Canary(messages=PROMPTS[0], text=text, max_tokens=LENGTH)
    assert await adapters.warm([engine], "night-warm", canary) < 30
    with pytest.raises(BrokenAdapter, match="night-warm"):
        await adapters.warm([engine], "night-warm", canary | {"text": text + "!"})


async def test_an_adapter_from_elsewhere_is_adopted_promoted_and_rolled_back_by_command(
    vllm_server: VllmServer, served_store: Database, base: Base, tmp_path: Path
):
    directory = make_adapter(tmp_path / "adapter", base, seed=9)
    canary = {"messages": PROMPTS[0], "text": greedily(base, directory, PROMPTS[0])[0], "max_tokens": LENGTH}
    (directory / "canary.json").write_text(json.dumps(canary))

    def serving(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "serving", *arguments]
        return subprocess.run(command, env=vllm_server.environment, capture_output=True, text=True, check=False)

    adopted = serving("adopt", str(directory), "--json")
    assert adopted.returncode == 0, adopted.stderr
    name = json.loads(adopted.stdout)["adapter"]
    assert store.adapter_pairs(served_store, name) == {"pair-1", "pair-2"}
    refused = serving("promote", "answer", name)
    assert (refused.returncode, "--force" in refused.stderr) == (1, True)
    assert serving("promote", "answer", name, "--force").returncode == 0
    assert promotion.live_adapter(served_store, "answer", base.hash) == name
    assert f"{name} " in serving("adapters").stdout
    rolled_back = serving("rollback", "answer", "--json")
    assert json.loads(rolled_back.stdout)["adapter"] == BASE
    assert promotion.live_adapter(served_store, "answer", base.hash) == BASE
