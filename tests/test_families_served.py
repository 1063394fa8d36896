"""vLLM serves each family that BASE_MODEL may name as transformers computes it, with an adapter too.

Tiny random models; each needs a vLLM of its own, which takes half a minute to start. Llama is in tests/test_parity.py.
"""

from pathlib import Path

import pytest
import torch
from conftest import make_adapter, make_tiny_base, running_vllm
from test_parity import PROMPTS, greedily, publish, served
from transformers import AutoModelForCausalLM

from data import store
from data.models import BASE
from serving.base import identify
from serving.engine import Engine

WINDOW = 64
FAMILIES = {
    "MistralConfig": {"num_key_value_heads": 1, "sliding_window": WINDOW},
    "Qwen2Config": {"num_key_value_heads": 1},
    "Qwen3Config": {"num_key_value_heads": 1},
    "Gemma3TextConfig": {"num_key_value_heads": 1, "sliding_window": WINDOW, "query_pre_attn_scalar": 64},
    "MixtralConfig": {"num_key_value_heads": 1, "num_local_experts": 4},
}
ON_A_GPU = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="vLLM serves a mixture of experts with adapters on a GPU only"
)


@pytest.mark.parametrize(
    "family", [pytest.param(name, marks=ON_A_GPU if "num_local_experts" in FAMILIES[name] else ()) for name in FAMILIES]
)
async def test_a_family_is_served_as_transformers_computes_it(family: str, tmp_path: Path):
    root = make_tiny_base(tmp_path / "base", seed=0, family=family, **FAMILIES[family])
    if family.startswith("Gemma"):
        _without_its_scale(root)
    base = identify(str(root))
    directory = make_adapter(tmp_path / "adapter", base, seed=7)
    with running_vllm(root, tmp_path) as server:
        db, engine = store.connect(server.database), Engine(server.base_url)
        await publish(db, server, engine, base, directory, "night-parity")
        for messages in PROMPTS:
            wanted = []
            for name, adapter in (("night-parity", directory), (BASE, None)):
                text, expected = greedily(base, adapter, messages)
                assert await served(server, name, messages) == (text, pytest.approx(expected, abs=1e-4))
                wanted.append(expected)
            assert wanted[0] != pytest.approx(wanted[1], abs=0.05)
        assert await engine.count_tokens(PROMPTS[1]) > WINDOW
        await engine.close()
        db.conn.close()


def _without_its_scale(root: Path) -> None:
    """Gemma multiplies embeddings by the root of their width: random ones would then outweigh all layers."""
    model = AutoModelForCausalLM.from_pretrained(root)
    with torch.no_grad():
        model.get_input_embeddings().weight /= model.config.hidden_size**0.5
    model.save_pretrained(root)
