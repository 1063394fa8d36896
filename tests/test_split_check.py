"""The check of a night's split: what leaks by thread, prompt, example or time is refused, and the pair is named."""

from dataclasses import replace

import pytest
from night_fixtures import answered, asked, import_tickets, pair, small_dataset
from test_dataset import decide

from data import store
from data.errors import BadFile
from data.history import import_history
from data.models import Example, HistoryPair, PreferencePair
from data.prompts import examples_in, with_examples
from data.store_connection import dumps
from finetune import __main__ as command_line
from finetune.dataset import build, freeze, load
from finetune.pairs import Shown
from finetune.split_check import DatedAhead, LeakedExamples, LeakedPrompts, LeakedThreads, check_split
from finetune.thumbs import Thumb

NOW = "2026-02-01T00:00:00.000000+00:00"
LATER = "2026-02-01T00:00:00.000001+00:00"


def preference(number, thread):
    return PreferencePair(f"edit-{number}", "reply", thread, asked(number), answered(number), "No.", NOW)


def with_case(dataset, **changes):
    """The dataset with another first held-out case."""
    return replace(dataset, held_out=[replace(dataset.held_out[0], **changes), *dataset.held_out[1:]])


def test_a_split_that_holds_passes_at_the_moment_of_its_newest_pair():
    dataset = small_dataset()
    newest = max(case.pair.created_at for case in dataset.held_out)
    check_split(dataset, frozen_at=newest)
    with pytest.raises(DatedAhead):
        check_split(dataset, frozen_at=newest[:-7] + "0+00:00")


AHEAD = {
    "train": lambda d: replace(d, train=[*d.train, replace(pair(77), created_at=LATER)]),
    "validation": lambda d: replace(d, validation=[*d.validation, replace(pair(77), created_at=LATER)]),
    "thumbs": lambda d: replace(d, thumbs=[Thumb(replace(pair(77), created_at=LATER), liked=False)]),
    "preferences": lambda d: replace(d, preferences=[replace(preference(77, "t"), id="pair-77", created_at=LATER)]),
    "held_out": lambda d: with_case(d, pair=replace(pair(77), created_at=LATER)),
    "an example of the base's": lambda d: with_case(d, examples=[Shown("pair-77", "thread-77", LATER)]),
}


@pytest.mark.parametrize("side", AHEAD)
def test_a_pair_dated_after_the_freezing_is_refused_by_its_id(side):
    with pytest.raises(DatedAhead, match=r"pair-77 is dated 2026-02-01T00:00:00\.000001"):
        check_split(AHEAD[side](small_dataset()), frozen_at=NOW)


def test_a_frozen_dataset_with_a_pair_dated_ahead_ends_the_command_with_exit_1(tmp_path, capsys):
    freeze(AHEAD["train"](small_dataset()), tmp_path)
    assert command_line.main(["dataset", str(tmp_path), "--check"]) == 0
    manifest = tmp_path / "dataset" / "manifest.json"
    moment = load_created_at(manifest)
    manifest.write_text(manifest.read_text().replace(moment, NOW))
    assert command_line.main(["dataset", str(tmp_path), "--check"]) == 1
    assert "The pair pair-77 is dated" in capsys.readouterr().err


def load_created_at(manifest):
    return next(line.split('"')[3] for line in manifest.read_text().splitlines() if '"created_at"' in line)


@pytest.mark.parametrize("thread", ["thread-1000", "thread-1003"], ids=["its own", "another held-out one"])
def test_an_example_of_a_held_out_thread_in_a_held_out_prompt_is_refused(thread):
    dataset = with_case(small_dataset(), examples=[Shown("p", thread, NOW)])
    with pytest.raises(LeakedExamples, match=f"pair-1000 would be asked with the example p .* {thread}"):
        check_split(dataset, frozen_at=NOW)


def test_an_example_that_was_decided_after_the_case_is_what_the_candidate_may_learn_too():
    check_split(with_case(small_dataset(), examples=[Shown("pair-9", "thread-9", NOW)]), frozen_at=NOW)


@pytest.mark.parametrize(
    ("thread", "number", "error"),
    [("thread-1000", 1, LeakedThreads), ("thread-0", 1, LeakedThreads), ("elsewhere", 1000, LeakedPrompts)],
    ids=["a held-out thread", "a validation thread", "a held-out prompt"],
)
def test_a_leak_among_preferences_is_refused(thread, number, error):
    with pytest.raises(error):
        check_split(replace(small_dataset(), preferences=[preference(number, thread)]), frozen_at=NOW)


def shows(number, example):
    shown = [Example("x", asked(example)[-1]["content"], answered(example))]
    return replace(pair(number), messages=with_examples(asked(number), shown))


def test_a_training_prompt_that_shows_a_held_out_one_is_refused():
    dataset = small_dataset()
    check_split(replace(dataset, train=[*dataset.train, shows(50, 51)]), frozen_at=NOW)
    with pytest.raises(LeakedPrompts, match="pair-50"):
        check_split(replace(dataset, train=[*dataset.train, shows(50, 1001)]), frozen_at=NOW)


def test_no_prompt_of_a_dataset_shows_what_the_gate_asks(db):
    """A thread was copied: one copy is held out, the other stood in many a prompt as an example."""
    import_tickets(db, 80)
    scored = next(one for one in store.training_pairs(db) if one.thread_id in store.held_out_threads(db))
    store.set_consent(db, "C1", granted_by="U9", granted=True)
    for number in range(100, 130):
        one = decide(db, number, kind="edited", text=answered(number))
        shown = [Example("copy", scored.messages[-1]["content"], scored.target)]
        messages = with_examples(asked(number), shown)
        db["suggestions"].update(one, {"messages": dumps(messages)})
    built = build(db)
    assert any(one.source == "suggestion" for one in built.train)
    prompts = [one.messages for one in (*built.train, *built.validation)]
    assert all(scored.target != answer["content"] for one in prompts for _, answer in examples_in(one))


def test_what_is_dated_ahead_waits_until_then_and_is_counted(db):
    import_tickets(db, 40)
    with store.immediate(db):
        for number, year in ((900, 2300), (901, 2400)):
            one = HistoryPair(0, "reply", asked(number), answered(number))
            created = f"{year}-01-01T00:00:00.000000+00:00"
            store.record_history(db, f"ahead/{number}", team_id="", created_at=created, pairs=[one])
    built = build(db)
    assert built.dropped["dated in the future"] == 2
    assert not [one for one in built.train if one.thread_id.startswith("ahead/")]
    assert all(one.weight == pytest.approx(1.0, abs=0.01) for one in built.train), "nothing else looks old beside it"
    assert all(shown.created_at < "2027" for case in built.held_out for shown in case.examples)


def test_a_ticket_that_claims_to_be_closed_in_the_future_is_dated_by_its_import(db, tmp_path):
    turns = '[{"role": "customer", "text": "Where is it?"}, {"role": "agent", "text": "On its way to you."}]'
    file = tmp_path / "h.jsonl"
    file.write_text("".join(f'{{"id": "{n}", "closed_at": "2399-01-01", "turns": {turns}}}\n' for n in "ab"))
    import_history(db, file)
    first, second = store.training_pairs(db)
    assert first.created_at < second.created_at < store.now()


def test_the_base_is_asked_with_what_is_known_tonight_and_not_with_what_was_known_then(db):
    import_tickets(db, 60)
    store.set_consent(db, "C1", granted_by="U9", granted=True)
    stale = [Example("stale", "Conversation:\nCustomer: hi", "Hello!")]
    for number in range(200, 240):
        one = decide(db, number, kind="edited", text=answered(number))
        db["suggestions"].update(one, {"messages": dumps(with_examples(asked(number), stale))})
    cases = [case for case in build(db).held_out if case.kind == "edited"]
    assert cases
    for case in cases:
        answers = [answer["content"] for _, answer in examples_in(case.base_messages)]
        assert len(case.examples) == len(answers) == 2 and "Hello!" not in answers
        assert case.pair.thread_id not in {shown.thread_id for shown in case.examples}


CHANGES = {
    "a held-out prompt of the base": ("held_out", '"role": "user", "content": "', '"role": "user", "content": "zq '),
    "a weight": ("train", '"weight": 1.0', '"weight": 9.0'),
    "the sides of a preference": ("preferences", '"rejected": "No."', '"rejected": "Yes."'),
}


@pytest.mark.parametrize("name", CHANGES)
def test_any_byte_that_was_changed_after_freezing_is_refused(name, tmp_path):
    side, old, new = CHANGES[name]
    dataset = replace(small_dataset(), preferences=[preference(70, "thread-70")])
    freeze(dataset, tmp_path)
    assert load(tmp_path) == dataset
    file = tmp_path / "dataset" / f"{side}.jsonl"
    text = file.read_text()
    at = text.rindex(old)
    file.write_text(text[:at] + new + text[at + len(old) :])
    with pytest.raises(BadFile, match="does not hold the pairs"):
        load(tmp_path)
