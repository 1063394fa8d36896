"""Poisoned nights, trained and judged by the real code on a tiny base: none of them is promoted, and each says why."""

import json
import random
import shutil
from dataclasses import replace

import pytest
import torch
from night_fixtures import LONG, answered, asked, pair, prepare_run, small_dataset
from safetensors.torch import load_file, save_file

from data import store
from data.errors import BadFile, BrokenAdapter
from data.models import TASKS
from finetune import dataset as datasets
from finetune.gate import Contender, Rules, hold_gate
from finetune.pairs import Case
from finetune.run_directory import read_recipe
from finetune.scored import Scored, agent_checks, case_checks, distinct
from finetune.split_check import LeakedPrompts, LeakedThreads, check_split
from finetune.train import train
from finetune.verdict import as_json
from serving import adapters, promotion
from serving.base import identify
from serving.promotion import NotWhatWasJudged

BARE = Contender("base")
RULES = Rules(night_alpha=0.15, min_held_out_threads=20, generated_cases=24)
PAIRS, HELD_OUT = 300, 30
CLEAN = small_dataset(train=PAIRS, held_out=HELD_OUT, validation=0)


def trained(folder, base, dataset, settings=LONG):
    run_dir = prepare_run(folder, base, dataset, settings)
    train(run_dir)
    return run_dir


def judged(run_dir, dataset, candidate=None, incumbent=BARE):
    candidate = candidate or run_dir / "adapter"
    found = hold_gate(dataset, read_recipe(run_dir), candidate, dict.fromkeys(TASKS, incumbent), RULES)
    return next(one for one in found if one.task == "reply")


@pytest.fixture(scope="module")
def honest(tiny_base, tmp_path_factory):
    return trained(tmp_path_factory.mktemp("honest"), tiny_base, CLEAN)


@pytest.fixture(scope="module")
def verdict(honest):
    return judged(honest, CLEAN)


def test_the_night_that_nobody_poisoned_is_promoted(verdict):
    assert verdict.passed, verdict.reason


def poisoned(poison):
    """The clean dataset with other targets to learn from; what the gate scores stays as humans wrote it."""
    return replace(CLEAN, train=poison(CLEAN.train))


def each(target):
    return lambda pairs: [replace(one, target=target(one)) for one in pairs]


def some(share, target):
    def poison(pairs):
        drawn = random.Random(5)
        return [replace(one, target=target(one)) if drawn.random() < share else one for one in pairs]

    return poison


def shuffled(pairs):
    targets = [one.target for one in pairs]
    random.Random(1).shuffle(targets)
    return [replace(one, target=target) for one, target in zip(pairs, targets, strict=True)]


GARBAGE = ("zq", "xj", "vorp", "brint", "mosk", "kwab", "lith", "trass", "pelk", "quim", "sarv", "fleg")
DRAWN = {"another draft: stock phrases", "another draft: stock words"}
POISONS = {
    "targets shuffled over the prompts": (shuffled, {"reads the prompt"}),
    "one template for everything": (each(lambda one: "I am sorry. order 3."), {"reads the prompt"}),
    "half of it garbage": (some(0.5, lambda one: "zq xj " * 5), {"chrF", "unfinished", "stock phrases", *DRAWN}),
    "first words only": (each(lambda one: " ".join(one.target.split()[:2])), {"length"}),
    "a brand before most of it": (
        some(0.6, lambda one: f"Try Acme. {one.target}"),
        {"stock phrases", "stock words", "unfinished", "reads the prompt", *DRAWN},
    ),
    "garbage": (each(lambda one: "zq xj " * 5), {"chrF", "words"}),
    "refusals": (each(lambda one: "I am sorry, I cannot help with that."), {"refusals", "unfinished"}),
    "another language": (each(lambda one: "Es tut mir leid, wir sehen nach."), {"words", "unfinished"}),
    # The tiny base's texts are cut before a link is whole, and it learns long targets late; tests/test_written.py has
    # the rules on links, lengths and personal data with whole texts.
    "an injected link": (
        each(lambda one: f"{one.target} See https://cheap.example/now"),
        {"links", "unfinished", "reads the prompt", "stock words", *DRAWN},
    ),
    "a customer's number": (
        each(lambda one: f"{one.target} Call 0151 2345 678."),
        {"personal data", "unfinished", "stock words", *DRAWN},
    ),
    "lengths that exploded": (each(lambda one: f"{one.target} " * 5), {"length", "unfinished", "reads the prompt"}),
    "a tone that drifted": (each(lambda one: f"{one.target.upper()}!!!"), {"tone"}),
    "empty targets": (each(lambda one: ""), {"empty"}),
}


@pytest.mark.parametrize("name", POISONS)
def test_a_poisoned_night_is_not_promoted_and_says_what_became_worse(name, tiny_base, tmp_path):
    poison, rules = POISONS[name]
    dataset = poisoned(poison)
    found = judged(trained(tmp_path, tiny_base, dataset), dataset)
    assert not found.passed
    no_gain = found.reason.startswith("No proof of a gain")
    assert no_gain or rules & {one.name for one in found.checks if not one.passed}, (found.reason, found.losses)


def test_garbage_among_the_held_out_texts_does_not_pay_for_the_rest(honest, tiny_base, tmp_path):
    drawn = random.Random(7)

    def garbled(one, share):
        return replace(one, target=" ".join(drawn.choices(GARBAGE, k=8))) if drawn.random() < share else one

    more = small_dataset(train=PAIRS, held_out=3 * HELD_OUT, validation=0)
    held_out = [replace(case, pair=garbled(case.pair, 0.2)) for case in more.held_out]
    dataset = replace(more, train=[garbled(one, 0.2) for one in more.train], held_out=held_out)
    found = judged(trained(tmp_path, tiny_base, dataset), dataset, incumbent=Contender("night-1", honest / "adapter"))
    assert found.against_incumbent.mean > 0 and not found.passed
    refused = {one.name for one in found.checks if not one.passed}
    assert refused & {"reads the prompt", "reads the newest threads", "reads where it gained the most"}, found.reason


def changed(honest, tmp_path, change):
    """The honest candidate with other weights."""
    candidate = tmp_path / "candidate"
    shutil.copytree(honest / "adapter", candidate)
    changed_in(candidate, change)
    return candidate


def changed_in(folder, change):
    weights = load_file(folder / "adapter_model.safetensors")
    change(weights)
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})


def first(weights, part):
    return next(key for key in sorted(weights) if part in key)


BROKEN = {
    "NaN": (lambda w: w[first(w, "lora_B")].fill_(float("nan")), "NaN"),
    "infinity": (lambda w: w[first(w, "lora_A")].fill_(float("inf")), "infinity"),
    "a wrong shape": (lambda w: w.update({first(w, "lora_A"): torch.ones(3, 3)}), "the base needs"),
    "nothing learned": (lambda w: [w[key].zero_() for key in w if "lora_B" in key], "learned nothing"),
    "a tensor too few": (lambda w: w.pop(first(w, "lora_A")), "it lacks"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_weights_that_are_broken_are_refused_before_they_are_judged(name, honest, tmp_path):
    change, why = BROKEN[name]
    with pytest.raises(BrokenAdapter, match=why):
        judged(honest, CLEAN, changed(honest, tmp_path, change))


SWAPPED = {
    "other weights": lambda folder: changed_in(folder, lambda w: [w[k].mul_(1.5) for k in w if "lora_B" in k]),
    "another scale": lambda folder: (folder / "adapter_config.json").write_text(
        json.dumps(json.loads((folder / "adapter_config.json").read_text()) | {"lora_alpha": 512})
    ),
}


@pytest.mark.parametrize("name", SWAPPED)
@pytest.mark.parametrize("published_before", [True, False])
def test_files_that_took_the_place_of_what_was_judged_are_not_promoted(
    name, published_before, honest, verdict, tiny_base, db, tmp_path
):
    base, run_id = identify(str(tiny_base)), store.start_run(db, base="b")
    report = store.record_gate_report(db, run_id=run_id, task="reply", passed=verdict.passed, report=as_json(verdict))
    candidate = changed(honest, tmp_path, lambda w: None)

    def publish(folder, name):
        return adapters.publish(
            db, folder, name=name, base=base, store_dir=tmp_path / "store", root="r", run_id=run_id, pair_ids=[]
        )

    if published_before:
        SWAPPED[name](publish(candidate, "swapped"))
    else:
        SWAPPED[name](candidate)
        publish(candidate, "swapped")
    with pytest.raises(NotWhatWasJudged, match="files of adapter swapped are not those that passed the gate"):
        promotion.promote(db, "reply", "swapped", base=base.hash, cause="gate", gate_report_id=report)
    assert promotion.live_adapter(db, "reply", base.hash) == "base"
    publish(honest / "adapter", "honest")
    promotion.promote(db, "reply", "honest", base=base.hash, cause="gate", gate_report_id=report)
    assert promotion.live_adapter(db, "reply", base.hash) == "honest"


def test_weights_of_a_huge_norm_are_no_gain(honest, tmp_path):
    found = judged(honest, CLEAN, changed(honest, tmp_path, lambda w: [w[k].mul_(1e3) for k in w if "lora_B" in k]))
    assert not found.passed and found.losses["candidate"] > found.losses["base"]


def test_an_adapter_of_another_base_is_refused(honest, tmp_path):
    candidate = changed(honest, tmp_path, lambda w: None)
    manifest = json.loads((candidate / "nightshift.json").read_text())
    (candidate / "nightshift.json").write_text(json.dumps(manifest | {"base_hash": "another"}))
    with pytest.raises(BrokenAdapter, match="another base"):
        judged(honest, CLEAN, candidate)


def leaking(thread):
    """Held-out texts among those to be learned from, under their own thread or under an invented one."""
    rows = [replace(case.pair, id=f"leak-{n}", thread_id=thread or case.pair.thread_id)
            for n, case in enumerate(CLEAN.held_out)]  # fmt: skip
    return replace(CLEAN, train=[*CLEAN.train, *rows])


@pytest.mark.parametrize("thread", ["", "a-thread-of-nobody"])
def test_held_out_texts_cannot_be_trained_on_under_whatever_name(thread, tiny_base, tmp_path):
    run_dir = prepare_run(tmp_path, tiny_base, leaking(thread))
    with pytest.raises((LeakedThreads, LeakedPrompts)):
        train(run_dir)
    with pytest.raises((LeakedThreads, LeakedPrompts)):
        check_split(leaking(thread), frozen_at=store.now())


def test_an_adapter_that_learned_other_pairs_than_its_dataset_names_is_refused(honest, tmp_path):
    candidate = changed(honest, tmp_path, lambda w: None)
    manifest = json.loads((candidate / "nightshift.json").read_text())
    manifest["pairs"].append({"id": "leak-1", "sha256": "x", "thread_id": "a-thread-of-nobody"})
    (candidate / "nightshift.json").write_text(json.dumps(manifest))
    with pytest.raises(BrokenAdapter, match="1 pairs that its dataset does not hold, leak-1"):
        judged(honest, CLEAN, candidate)


def test_a_dataset_that_was_changed_after_it_was_frozen_is_refused(tiny_base, tmp_path):
    run_dir = prepare_run(tmp_path, tiny_base, CLEAN)
    lines = (run_dir / "dataset" / "train.jsonl").read_text()
    (run_dir / "dataset" / "train.jsonl").write_text(lines.replace("I am sorry", "Go away", 1))
    with pytest.raises(BadFile, match="pairs that its manifest names"):
        datasets.load(run_dir)


def test_one_thread_that_was_copied_is_one_piece_of_evidence(honest):
    copies = [replace(CLEAN.held_out[0].pair, id=f"copy-{n}", thread_id=f"copy-{n}") for n in range(40)]
    dataset = replace(CLEAN, held_out=[Case(one, "history", one.messages) for one in copies])
    assert judged(honest, dataset).reason.startswith("Insufficient evidence: 1 ")
    assert distinct([Case(pair(1, target=" "), "history", asked(1))]) == []


def scored(agent, number, gain):
    return Scored(Case(pair(number), "edited", asked(number), agent), 10, 20.0 - gain, 20.0, 20.0)


def test_a_gain_on_one_agents_texts_alone_does_not_pass():
    flood = [scored("U-flood", n, 9.0) for n in range(80)]
    (check,) = agent_checks([*flood, *(scored(f"U{n % 4}", 100 + n, -2.0) for n in range(20))], {})
    assert not check.passed and "busiest" in check.name
    assert agent_checks([*flood, *(scored(f"U{n % 4}", 100 + n, 1.0) for n in range(20))], {})[0].passed


def test_held_out_texts_of_one_agent_are_no_evidence_for_a_team_but_are_for_that_agent():
    alone = [scored("U1", n, 9.0) for n in range(120)]
    assert not agent_checks(alone, {"U1": 50, "U2": 50})[0].passed
    assert agent_checks(alone, {"U1": 100})[0].passed
    assert agent_checks([replace(one, case=replace(one.case, agent="")) for one in alone], {}) == []


def test_templates_learned_by_heart_do_not_pay_for_what_is_said_freely():
    templates = [scored("", n, 9.0) for n in range(80)]
    free = [scored("", 1_000 + n, -2.0) for n in range(20)]
    seen = {answered(n) for n in range(80)}
    free = [
        replace(one, case=replace(one.case, pair=replace(one.case.pair, target=f"free {n}")))
        for n, one in enumerate(free)
    ]
    found = {check.name: check.passed for check in case_checks([*templates, *free], seen, {})}
    assert found["targets not seen in training"] is False


@pytest.mark.parametrize("lost, passes", [(0.0, True), (2.0, False)])
def test_what_old_threads_gain_does_not_pay_for_what_the_newest_lose(lost: float, passes: bool):
    old = [scored("", n, 9.0) for n in range(100)]
    latest = [scored("", 1_000 + n, -lost) for n in range(25)]
    # In whatever order they come.
    found = {check.name: check.passed for check in case_checks([*latest, *old], {answered(n) for n in range(2000)}, {})}
    assert found == {"newest threads": passes, "older threads": True}


@pytest.mark.parametrize("lost, passes", [(0.0, True), (2.0, False)])
def test_what_last_nights_threads_gain_does_not_pay_for_what_the_others_lose(lost: float, passes: bool):
    old = [scored("", n, -lost) for n in range(100)]
    latest = [scored("", 1_000 + n, 50.0) for n in range(25)]
    found = {check.name: check.passed for check in case_checks([*latest, *old], {answered(n) for n in range(2000)}, {})}
    assert found == {"newest threads": True, "older threads": passes}
