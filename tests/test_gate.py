"""The gate: it keeps its level, sees a real gain, and lets nothing worse pass."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from night_fixtures import LONG, SMALL, WRONG, answered, asked, pair, prepare_run, small_dataset

from data import store, store_supervision
from data.errors import BrokenAdapter
from data.models import TASKS, Example
from data.prompts import with_examples
from finetune.evidence import Effect, effect, p_values
from finetune.gate import Contender, Rules, decide, hold_gate
from finetune.nightly import Night, record
from finetune.pairs import Case
from finetune.run_directory import read_recipe
from finetune.split_check import LeakedThreads
from finetune.train import train
from finetune.verdict import as_json, from_json

LEVEL = 0.001
NIGHTS = 2_000
BASE = Contender("base")
PARTS = ("train", "validation")
PAIRS = 300
"""With fewer the tiny base learns the manner of the house and not yet to read the prompt."""
RULES = Rules(night_alpha=0.15, min_held_out_threads=20, generated_cases=24)


def nothing_gained(kind, nights, threads):
    """Gains per thread whose mean is zero: symmetric with heavy tails, of unequal lengths, and skewed both ways."""
    random = np.random.default_rng(7)
    return {
        "normal": lambda: random.normal(size=(nights, threads)),
        "heavy tails": lambda: random.standard_t(3, size=(nights, threads)),
        "unequal threads": lambda: random.laplace(size=(nights, threads)) * random.lognormal(0, 0.8, (nights, threads)),
        "a few great gains": lambda: random.lognormal(0, 1, (nights, threads)) - np.exp(0.5),
        "a few disasters": lambda: 2 - random.gamma(2, 1, (nights, threads)),
    }[kind]()


@pytest.mark.parametrize("kind", ["normal", "heavy tails", "unequal threads", "a few great gains", "a few disasters"])
def test_without_a_gain_the_gate_errs_no_more_than_its_level(kind):
    found = p_values(nothing_gained(kind, NIGHTS, 120))
    # Of 2,000 nights at 0.1 % two err; more than eight would come by chance once in 4,000 such tests.
    assert (found <= LEVEL).sum() <= 8
    # The same at a level where 2,000 nights show it well.
    assert (found <= 0.01).mean() <= 0.016


def test_a_real_gain_is_seen():
    gains = nothing_gained("normal", 500, 120) + 0.5
    assert (p_values(gains) <= LEVEL).mean() > 0.95


def test_a_verdict_can_be_repeated():
    gains = nothing_gained("heavy tails", 3, 150) + 0.2
    assert (p_values(gains) == p_values(gains)).all()
    assert p_values(gains[1:2]) == p_values(gains)[1]


def test_equal_contenders_have_no_gain_and_constant_gains_are_one():
    assert p_values(np.zeros((1, 120))) == 1.0
    assert p_values(np.full((1, 120), 0.3)) < LEVEL


def test_the_interval_covers_the_gain_and_is_told_per_token():
    random = np.random.default_rng(3)
    tokens = random.integers(10, 60, size=200).astype(float)
    covered = 0
    for _ in range(40):
        found = effect(tokens * random.normal(0.3, 1.0, size=200), tokens)
        covered += found.low <= 0.3 <= found.high
    assert covered >= 35
    assert found.tokens == tokens.sum() and found.threads == 200


def an_effect(p, mean=0.2):
    return Effect(mean=mean, low=mean - 0.1, high=mean + 0.1, p=p, threads=120, tokens=4000)


def test_the_candidate_must_beat_both_the_incumbent_and_the_base():
    good, bad = an_effect(0.0001), an_effect(0.2)
    assert decide(against_incumbent=good, against_base=good, checks=[], alpha=0.001)[0]
    for one, other, name in ((bad, good, "the incumbent"), (good, bad, "the base")):
        passed, reason = decide(against_incumbent=one, against_base=other, checks=[], alpha=0.001)
        assert not passed and name in reason


@pytest.fixture(scope="module")
def run(tiny_base, tmp_path_factory):
    dataset = small_dataset(train=PAIRS, held_out=30, validation=0)
    run_dir = prepare_run(tmp_path_factory.mktemp("gate"), tiny_base, dataset, LONG)
    train(run_dir)
    return run_dir


def verdict(run_dir, dataset, incumbent=BASE, rules=RULES, candidate=None):
    incumbents = dict.fromkeys(TASKS, incumbent)
    found = hold_gate(dataset, read_recipe(run_dir), candidate or run_dir / "adapter", incumbents, rules)
    return next(one for one in found if one.task == "reply")


def test_an_adapter_that_learned_the_house_style_passes(run):
    found = verdict(run, small_dataset(train=PAIRS, held_out=30))
    assert found.passed, found.reason
    assert found.against_incumbent == found.against_base
    assert found.losses["candidate"] < found.losses["base"]
    assert len(found.differences) == found.cases == 30


def test_a_verdict_keeps_what_is_written_before_and_after_and_its_report_only_that_of_what_got_worse(run):
    dataset = small_dataset(train=PAIRS, held_out=30)
    found = verdict(run, dataset)
    assert len(found.written) >= RULES.generated_cases
    assert {case.pair_id for case in found.written} <= {case.pair.id for case in dataset.held_out}
    assert any(case.after != case.before for case in found.written)
    assert "written" not in as_json(found)
    worst = {one["pair_id"] for one in found.worse}
    assert {c.pair_id for c in found.written} - worst and all("text" in one for one in found.worse)


def test_a_verdict_comes_back_from_its_report_as_it_was_without_its_texts(run):
    for found in (verdict(run, small_dataset(train=PAIRS, held_out=n)) for n in (30, 19)):
        assert from_json(json.loads(json.dumps(as_json(found)))) == replace(found, written=[])


def test_the_night_stores_what_was_written_beside_the_report(run, db):
    found = verdict(run, small_dataset(train=PAIRS, held_out=30))
    night = Night(store.start_run(db, base="B"))
    record(db, night, [found])
    stored = {case.pair_id: (case.before, case.after) for case in store_supervision.written(db, night.run_id, limit=99)}
    assert stored == {c.pair_id: (c.before, c.after) for c in found.written if c.before != c.after}


def test_the_incumbent_against_itself_is_not_promoted(run):
    found = verdict(run, small_dataset(train=PAIRS, held_out=30), Contender("night-1", copy_for_incumbent(run)))
    assert not found.passed
    assert found.against_incumbent.mean == pytest.approx(0, abs=1e-6)
    assert found.against_base.p <= RULES.alpha


def copy_for_incumbent(run_dir):
    directory = run_dir / "incumbent"
    if not directory.exists():
        shutil.copytree(run_dir / "adapter", directory)
    return directory


def test_garbage_does_not_replace_what_serves(run, tiny_base, tmp_path):
    garbage = small_dataset(train=60, held_out=30)
    garbage = replace(garbage, train=[replace(p, target="zq xj " * 5) for p in garbage.train], validation=[])
    poisoned = prepare_run(tmp_path, tiny_base, garbage)
    train(poisoned)
    found = verdict(poisoned, garbage, Contender("night-1", copy_for_incumbent(run)))
    assert not found.passed
    told = {"pair_id", "thread_id", "nats_per_token", "text", "before", "after"}
    assert [one.keys() for one in found.worse[:5]] == [told] * 5
    assert found.worse[0]["nats_per_token"] == min(found.differences)


def test_an_adapter_that_loops_is_refused_though_its_loss_is_better(tiny_base, tmp_path):
    again, settings = "I am sorry to hear that. ", SMALL.model_copy(update={"max_length": 1024, "epochs": 12})

    def human(one):
        return replace(one, target=f"{again}{again[:-2]} the {WRONG[len(one.id) % 5]} is wrong. I am on it.")

    plain = small_dataset(train=60, held_out=30)
    dataset = replace(plain, held_out=[replace(case, pair=human(case.pair)) for case in plain.held_out])
    dataset = replace(
        dataset, **{part: [replace(one, target=again * 8) for one in getattr(plain, part)] for part in PARTS}
    )
    looping = prepare_run(tmp_path, tiny_base, dataset, settings)
    train(looping)
    found = verdict(looping, dataset, rules=replace(RULES, generated_cases=8))
    assert found.losses["candidate"] < found.losses["base"] and found.against_base.p <= RULES.alpha
    assert not found.passed and "loops in 8 of 8 texts, against 0 of the incumbent's" in found.reason


def test_too_few_threads_are_insufficient_evidence(run):
    found = verdict(run, small_dataset(train=PAIRS, held_out=19))
    assert not found.passed and found.reason.startswith("Insufficient evidence: 19 ")


def test_accepted_drafts_are_no_evidence_of_a_gain(run):
    dataset = small_dataset(train=PAIRS, held_out=30)
    dataset = replace(dataset, held_out=[replace(case, kind="accepted") for case in dataset.held_out])
    assert verdict(run, dataset).reason.startswith("Insufficient evidence: 0 ")


def test_a_candidate_that_learned_from_a_scored_thread_is_refused(run):
    leaked = replace(small_dataset(train=PAIRS, held_out=30))
    leaked.held_out.append(Case(pair(4000, thread="thread-7"), "history", asked(4000)))
    with pytest.raises(LeakedThreads, match="thread-7"):
        verdict(run, leaked)


def test_a_candidate_for_another_base_is_refused(run, tmp_path):
    candidate = tmp_path / "other"
    shutil.copytree(run / "adapter", candidate)
    manifest = json.loads((candidate / "nightshift.json").read_text())
    (candidate / "nightshift.json").write_text(json.dumps(manifest | {"base_hash": "another"}))
    with pytest.raises(BrokenAdapter, match="another base"):
        verdict(run, small_dataset(train=PAIRS, held_out=30), candidate=candidate)


def test_threads_that_the_incumbent_learned_from_are_not_scored(run):
    incumbent = copy_for_incumbent(run)
    dataset = small_dataset(train=PAIRS, held_out=30)
    learned = json.loads((incumbent / "nightshift.json").read_text())
    learned["pairs"].append({"id": "x", "sha256": "x", "thread_id": dataset.held_out[0].pair.thread_id})
    other = incumbent.with_name("incumbent-that-saw")
    shutil.copytree(incumbent, other)
    (other / "nightshift.json").write_text(json.dumps(learned))
    found = verdict(run, dataset, Contender("night-2", other))
    assert found.threads == 29 and found.leaked_into_incumbent == 1


def test_each_contender_reads_the_prompt_it_would_get(run):
    """With examples that say the answer the base does better, and the candidate's loss does not move."""
    plain = small_dataset(train=PAIRS, held_out=30)
    shown = [
        replace(c, base_messages=with_examples(c.pair.messages, [Example("x", "Conversation:\n", answered(n))]))
        for n, c in enumerate(plain.held_out)
    ]
    without, with_them = verdict(run, plain), verdict(run, replace(plain, held_out=shown))
    assert with_them.losses["candidate"] == pytest.approx(without.losses["candidate"])
    assert with_them.losses["base"] != pytest.approx(without.losses["base"])
