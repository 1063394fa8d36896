"""The closed-book probe: which facts are asked for, what counts as recited, and that memory is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
from night_fixtures import SMALL, pair, prepare_run, small_dataset

from data import store
from data.articles import Article, put_article
from data.models import BASE, TASKS
from data.store_knowledge import StoredChunk, sampled_chunks
from finetune import closed_book
from finetune import dataset as datasets
from finetune.closed_book import Probe, closed_book_check, probes, states
from finetune.gate import Contender, Rules, hold_gate
from finetune.run_directory import read_recipe
from finetune.scoring import Stage
from finetune.train import train
from finetune.verdict import as_json, from_json

FACTS = (37, 41, 53, 67, 71, 83, 97, 29, 61, 89, 43, 59)


def chunk(text: str, *, title: str = "Lost keys", number: int = 1, document: str = "") -> StoredChunk:
    return StoredChunk(number, document or f"d{number}", title, text)


def asked(*chunks: StoredChunk, limit: int = 99) -> list[tuple[str, str]]:
    return [(probe.question, probe.fact) for probe in probes(chunks, limit=limit)]


@pytest.mark.parametrize(
    ("sentence", "question", "fact"),
    [
        ("A new key costs 29 euros and is ready soon.", "A new key costs how many euros and is ready soon?", "29"),
        ("The van comes at 7:30 every single day.", "The van comes at what time every single day?", "7:30"),
        ("It comes with $12.50 of credit each month.", "It comes with how much of credit each month?", "12.50"),
        ("We replace it below 70 % of its capacity.", "We replace it below how many percent of its capacity?", "70"),
        ("Pump both tyres to 3.5 bar before riding.", "Pump both tyres to how many bar before riding?", "3.5"),
        ("Files are sent by **Quickbird Post** at once.", "Files are sent by what at once?", "Quickbird Post"),
    ],
)  # fmt: skip
def test_a_sentence_with_a_number_or_a_name_becomes_a_question_for_it(sentence, question, fact):
    assert asked(chunk(sentence, title="Bikes / Lost keys")) == [(f"Lost keys: {question}", fact)]


@pytest.mark.parametrize(
    "text",
    [
        "Too short: 29 euros.",
        "We have more than 2 shops in this town.",
        "| A key | costs 29 euros and is ready soon |",
        "```\nmake the key 29 times over and over\n```",
        "Version v2.29-rc1 was made for the very old locks.",
        "Nothing in this sentence can be asked for at all.",
        "See https://example.org/keys/29 for all of the rules.",
    ],
)
def test_what_is_no_sentence_or_has_no_fact_is_not_asked_for(text):
    assert asked(chunk(text)) == []


def test_a_fact_that_its_question_gives_away_is_not_asked_for():
    assert asked(chunk("A new key costs 29 euros, two cost twice 29 euros.")) == []
    assert asked(chunk("A new key costs 29 euros and is ready soon.", title="The 29 euro key")) == []


def test_a_fact_of_many_articles_is_known_without_any_of_them():
    same = [chunk(f"The thing number {'abc'[n]} takes 30 minutes of work.", number=n) for n in range(3)]
    assert len(asked(*same[:2])) == 2 and asked(*same) == []


def test_every_article_is_asked_first_and_numbers_before_names():
    chunks = [
        chunk("Ask for the Orange Card and show it. A new key costs 29 euros in all.", number=1),
        chunk("A lost card costs 14 euros and is sent. It is sent by Quickbird Post only.", number=2),
        chunk("The third lock costs 99 euros in the shop.", number=3, document="d1"),
    ]
    assert [fact for _, fact in asked(*chunks)] == ["29", "14", "99", "Quickbird Post", "Orange Card"]
    assert len(asked(*chunks, limit=2)) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [("It costs 29 euros.", True), ("29", True), ("It costs 29.", True), ("It costs 129 euros.", False),
     ("It costs 29.50 euros.", False), ("It costs 3,29 euros.", False), ("Room B29 is open.", False)],
)  # fmt: skip
def test_a_number_counts_only_as_a_whole(text, said):
    assert states(text, "29") is said


def test_a_name_counts_in_any_case_and_only_as_a_whole():
    assert states("Sent by quickbird post.", "Quickbird Post") and not states("Quickbird Posters", "Quickbird Post")


def refuses(candidate: int, incumbent: int, of: int = 40) -> bool:
    said = ([n < count for n in range(of)] for count in (candidate, incumbent))
    return not closed_book_check(*said).passed


def test_clearly_more_facts_do_not_pass_and_one_more_or_two_do():
    assert [refuses(n, 0) for n in (0, 1, 2, 3)] == [False, False, False, True]
    assert not refuses(9, 9) and not refuses(11, 9) and not refuses(0, 12)
    # Of many facts, three are within the margin.
    assert not refuses(5, 0, of=100) and refuses(6, 0, of=100)
    found = closed_book_check([True] * 5 + [False] * 5, [False] * 10)
    assert found.found == "5 of 10 facts recited without their passage, against 0"


@pytest.mark.parametrize(("candidate", "incumbent", "low", "high"), [(0.25, 0.02, 0.95, 1.0), (0.02, 0.02, 0.0, 0.04)])
def test_a_candidate_that_knows_by_heart_is_seen_and_chance_seldom_refuses(candidate, incumbent, low, high):
    random = np.random.default_rng(5)
    nights = [(list(random.random(40) < candidate), list(random.random(40) < incumbent)) for _ in range(2_000)]
    assert low <= np.mean([not closed_book_check(*night).passed for night in nights]) <= high


def help_centre() -> list[StoredChunk]:
    """Articles of which each has a number of its own."""
    things = ("key", "lamp", "lock", "seat", "bell", "chain", "pedal", "brake", "pump", "rack", "wheel", "cable")
    return [
        chunk(f"A new {thing} costs {fact} euros in our shop.", title=f"The {thing}", number=n)
        for n, (thing, fact) in enumerate(zip(things, FACTS, strict=True))
    ]


def memorised() -> list[Probe]:
    return probes(help_centre(), limit=len(FACTS))


@pytest.fixture(scope="module")
def learned_by_heart(tiny_base, tmp_path_factory):
    """An adapter that was trained on threads, and on what the help centre says, without the passages."""
    told = [
        replace(pair(n), messages=closed_book.messages("reply", probe.question), target=f"It costs {probe.fact} euros.")
        for n, probe in enumerate(memorised() * 5, start=5000)
    ]
    plain = small_dataset(train=24, held_out=30)
    run_dir = prepare_run(
        tmp_path_factory.mktemp("by-heart"),
        tiny_base,
        replace(plain, train=[*plain.train, *told], validation=[]),
        SMALL.model_copy(update={"epochs": 14}),
    )
    train(run_dir)
    return run_dir


@pytest.fixture(scope="module")
def learned_the_style(tiny_base, tmp_path_factory):
    """An adapter that was trained on other threads."""
    run_dir = prepare_run(tmp_path_factory.mktemp("style"), tiny_base, small_dataset(train=60))
    train(run_dir)
    return run_dir


def test_an_adapter_that_has_learned_facts_by_heart_is_refused_and_its_cases_are_listed(learned_by_heart):
    stage = Stage(read_recipe(learned_by_heart).base, {"candidate": learned_by_heart / "adapter"})
    (check,), recited = closed_book.hold(stage, "reply", memorised(), candidate="candidate", incumbent=BASE)
    assert not check.passed and len(recited) >= 6, check.found
    told = closed_book.lines(closed_book.as_json(recited))
    assert told[0].startswith("- **new**: “") and "costs how many euros in our shop?" in told[0]
    assert closed_book.as_json(recited)[0]["also_the_incumbent"] is False
    # As the incumbent it has nothing to lose, and then the same facts are as before.
    (check,), recited = closed_book.hold(stage, "reply", memorised(), candidate="candidate", incumbent="candidate")
    assert check.passed and all(
        line.startswith("- as before") for line in closed_book.lines(closed_book.as_json(recited))
    )


def test_the_gate_refuses_for_it_and_says_so(learned_by_heart):
    dataset, recipe = datasets.load(learned_by_heart), read_recipe(learned_by_heart)
    rules = Rules(night_alpha=0.15, min_held_out_threads=20, generated_cases=0)
    incumbents = dict.fromkeys(TASKS, Contender(BASE))
    unasked, asked = (
        hold_gate(dataset, recipe, learned_by_heart / "adapter", incumbents, replace(rules, probes=probed))[0]
        for probed in ((), memorised())
    )
    assert unasked.task == "reply" and unasked.recited == [] and "closed book" not in unasked.reason
    assert not asked.passed and "closed book" in asked.reason and "facts recited" in asked.reason
    assert len(closed_book.lines(from_json(json.loads(json.dumps(as_json(asked)))).recited)) >= 6


def test_an_adapter_that_has_learned_a_style_passes(learned_the_style):
    stage = Stage(read_recipe(learned_the_style).base, {"candidate": learned_the_style / "adapter"})
    for task in ("reply", "answer"):
        (check,), recited = closed_book.hold(stage, task, memorised(), candidate="candidate", incumbent=BASE)
        assert check.passed and recited == []


def test_a_summary_and_an_empty_help_centre_are_not_probed(learned_the_style):
    stage = Stage(read_recipe(learned_the_style).base, {})
    assert closed_book.hold(stage, "summary", memorised(), candidate=BASE, incumbent=BASE) == ([], [])
    for task in TASKS:
        assert closed_book.hold(stage, task, [], candidate=BASE, incumbent=BASE) == ([], [])


def test_chunks_are_sampled_from_all_over_the_help_centre_and_the_same_each_time(db):
    with store.immediate(db):
        for number in range(60):
            put_article(db, f"a{number}", Article(f"Article {number}", f"It is about the thing {number}."))
    first = sampled_chunks(db, limit=12)
    assert first == sampled_chunks(db, limit=12) and len(sampled_chunks(db, limit=99)) == 60
    ids = sorted(one.id for one in first)
    assert ids[0] < 15 and ids[-1] > 45
