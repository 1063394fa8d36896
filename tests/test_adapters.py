"""What may be published, and how: refused when vLLM would serve it broken, whole or not there, named once."""

import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from conftest import make_adapter, make_tiny_base
from safetensors.torch import load_file, save_file
from sqlite_utils import Database

from data import store
from data.errors import BrokenAdapter
from data.models import Base
from serving import adapters, promotion
from serving.base import identify

Weights = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def base(tiny_base: Path) -> Base:
    return identify(str(tiny_base))


@pytest.fixture(scope="module")
def whole(base: Base, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_adapter(tmp_path_factory.mktemp("adapter"), base, seed=1)


@pytest.fixture
def adapter(whole: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(whole, tmp_path / "adapter"))


def publish(db: Database, directory: Path, store_dir: Path, base: Base, name: str) -> Path:
    return adapters.publish(
        db,
        directory,
        name=name,
        base=base,
        store_dir=store_dir,
        root="/models/root",
        run_id="run-1",
        pair_ids=["pair-1", "pair-2"],
    )


def test_a_whole_adapter_passes(adapter: Path, base: Base):
    adapters.verify(adapter, base, max_lora_rank=32)


def change_weights(directory: Path, change: Callable[[Weights], None]) -> None:
    weights = load_file(directory / "adapter_model.safetensors")
    change(weights)
    save_file(weights, directory / "adapter_model.safetensors")


def with_nan(weights: Weights) -> None:
    weights[min(weights)][0, 0] = float("nan")


def with_infinity(weights: Weights) -> None:
    weights[max(weights)][0, 0] = float("inf")


def with_a_wrong_shape(weights: Weights) -> None:
    weights[min(weights)] = torch.ones(8, 64)


def with_an_unexpected_key(weights: Weights) -> None:
    weights["base_model.model.model.layers.7.self_attn.q_proj.lora_A.weight"] = torch.ones(8, 128)


def without_a_key(weights: Weights) -> None:
    del weights[max(weights)]


def with_integers(weights: Weights) -> None:
    weights[min(weights)] = weights[min(weights)].to(torch.int32)


def with_zeros(weights: Weights) -> None:
    for key, tensor in weights.items():
        weights[key] = torch.zeros_like(tensor)


def with_base_weights(weights: Weights) -> None:
    weights["base_model.model.model.embed_tokens.weight"] = torch.ones(4, 128)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (with_nan, "NaN"),
        (with_infinity, "infinity"),
        (with_a_wrong_shape, "the base needs"),
        (with_an_unexpected_key, "unexpected tensor"),
        (with_base_weights, "unexpected tensor"),
        (without_a_key, "it lacks"),
        (with_integers, "not floating point"),
        (with_zeros, "zero"),
    ],
)
def test_weights_that_vllm_would_serve_broken_are_refused(
    adapter: Path, base: Base, change: Callable[[Weights], None], told: str
):
    change_weights(adapter, change)
    with pytest.raises(BrokenAdapter, match=told):
        adapters.verify(adapter, base, max_lora_rank=32)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"r": 16}, "the base needs"),
        ({"r": 0}, "rank"),
        ({"rank_pattern": {"q_proj": 64}}, "exceeds MAX_LORA_RANK 32"),
        ({"lora_alpha": None}, "lora_alpha"),
        ({"use_dora": True}, "use_dora"),
        ({"bias": "all"}, "bias"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights"),
        ({"peft_type": "IA3"}, "no LoRA"),
        ({"target_modules": ["no_such_module"]}, "does not fit"),
    ],
)
def test_a_configuration_that_vllm_does_not_serve_is_refused(
    adapter: Path, base: Base, fields: dict[str, object], told: str
):
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps(config | fields))
    with pytest.raises(BrokenAdapter, match=told):
        adapters.verify(adapter, base, max_lora_rank=32)


@pytest.mark.parametrize("pairs", [None, "pair-1", ["pair-1"], [{"id": "pair-1"}]])
def test_an_adapter_that_does_not_say_what_it_has_learned_from_is_refused(adapter: Path, base: Base, pairs: object):
    manifest = json.loads((adapter / "nightshift.json").read_text())
    (adapter / "nightshift.json").write_text(json.dumps(manifest | {"pairs": pairs}))
    with pytest.raises(BrokenAdapter, match="does not name the pairs"):
        adapters.verify(adapter, base, max_lora_rank=32)


def test_a_rank_above_the_limit_is_refused(adapter: Path, base: Base):
    with pytest.raises(BrokenAdapter, match="rank 8 exceeds MAX_LORA_RANK 1"):
        adapters.verify(adapter, base, max_lora_rank=1)


def test_an_adapter_of_another_base_is_refused(adapter: Path, base: Base, tmp_path: Path):
    other = identify(str(make_tiny_base(tmp_path / "other", seed=1)))
    with pytest.raises(BrokenAdapter, match="another base"):
        adapters.verify(adapter, other, max_lora_rank=32)


def test_a_base_of_another_size_is_noticed_in_the_weights_too(adapter: Path, base: Base, tmp_path: Path):
    wider = identify(str(make_tiny_base(tmp_path / "wider", seed=1, hidden_size=192)))
    (adapter / "nightshift.json").write_text(json.dumps({"base_hash": wider.hash, "pairs": []}))
    with pytest.raises(BrokenAdapter, match="the base needs"):
        adapters.verify(adapter, wider, max_lora_rank=32)


def test_broken_and_dangerous_files_are_refused(adapter: Path, base: Base, tmp_path: Path):
    with pytest.raises(BrokenAdapter, match="no such directory"):
        adapters.verify(tmp_path / "nowhere", base, max_lora_rank=32)
    (adapter / "adapter_model.bin").write_bytes(b"pickled")
    with pytest.raises(BrokenAdapter, match="only safetensors"):
        adapters.verify(adapter, base, max_lora_rank=32)
    (adapter / "adapter_model.bin").unlink()
    with (adapter / "adapter_model.safetensors").open("r+b") as weights:
        weights.truncate(20_000)
    with pytest.raises(BrokenAdapter, match="is broken"):
        adapters.verify(adapter, base, max_lora_rank=32)
    (adapter / "adapter_model.safetensors").unlink()
    with pytest.raises(BrokenAdapter, match="has no adapter_model"):
        adapters.verify(adapter, base, max_lora_rank=32)
    (adapter / "adapter_config.json").write_text("{")
    with pytest.raises(BrokenAdapter, match="no readable adapter_config"):
        adapters.verify(adapter, base, max_lora_rank=32)


def test_publishing_names_the_base_as_vllm_does_and_records_what_it_learned_from(
    db: Database, adapter: Path, base: Base, tmp_path: Path
):
    path = publish(db, adapter, tmp_path / "store", base, "night-20261124-aaaaaa")
    assert json.loads((path / "adapter_config.json").read_text())["base_model_name_or_path"] == "/models/root"
    assert [entry.name for entry in (tmp_path / "store").iterdir()] == ["night-20261124-aaaaaa"]
    row = store.adapter(db, "night-20261124-aaaaaa")
    assert (row.base, row.run_id, row.path) == (base.hash, "run-1", str(path))
    assert store.adapter_pairs(db, "night-20261124-aaaaaa") == {"pair-1", "pair-2"}


def test_publishing_is_finished_after_a_crash(db: Database, adapter: Path, base: Base, tmp_path: Path):
    """A kill leaves either a half copy under a name that vLLM is never asked for, or a directory without its row."""
    half = tmp_path / "store" / ".tmp-night-20261124-aaaaaa"
    half.mkdir(parents=True)
    (half / "adapter_config.json").write_text("{")
    path = publish(db, adapter, tmp_path / "store", base, "night-20261124-aaaaaa")
    assert not half.exists()
    db.execute("delete from adapters")
    assert publish(db, adapter, tmp_path / "store", base, "night-20261124-aaaaaa") == path
    assert len(store.adapters(db)) == 1


def test_a_name_is_never_given_to_other_weights(db: Database, adapter: Path, base: Base, tmp_path: Path):
    publish(db, adapter, tmp_path / "store", base, "night-20261124-aaaaaa")
    other = make_adapter(tmp_path / "other", base, seed=2)
    with pytest.raises(BrokenAdapter, match="never reused"):
        publish(db, other, tmp_path / "store", base, "night-20261124-aaaaaa")


@pytest.mark.parametrize("name", ["base", "../night", "Night", "", "a/b", "-a"])
def test_a_name_that_could_lead_elsewhere_is_refused(
    db: Database, adapter: Path, base: Base, tmp_path: Path, name: str
):
    with pytest.raises(BrokenAdapter, match="no name"):
        publish(db, adapter, tmp_path / "store", base, name)


def test_names_follow_the_run():
    assert adapters.new_name("run-1") == adapters.new_name("run-1") != adapters.new_name("run-2")


def test_sweeping_removes_what_serves_no_longer_and_keeps_what_does(
    db: Database, adapter: Path, base: Base, tmp_path: Path
):
    for name in ("retired", "live", "new"):
        publish(db, adapter, tmp_path / "store", base, name)
    for name in ("retired", "live"):
        promotion.promote(db, "reply", name, base=base.hash, cause="manual", forced=True)
    (tmp_path / "store" / "somebody-elses").mkdir()
    assert adapters.sweep(db, tmp_path / "store") == []
    db.execute("update adapters set created_at = '2020-01-01T00:00:00.000000+00:00' where name <> 'new'")
    db.execute("update promotions set created_at = '2020-01-02T00:00:00.000000+00:00'")
    assert adapters.sweep(db, tmp_path / "store", keep=timedelta(days=30)) == ["retired"]
    left = {entry.name for entry in (tmp_path / "store").iterdir()}
    assert left == {"live", "new", "somebody-elses"}
    assert promotion.roll_back(db, "reply", base.hash) == "base"
