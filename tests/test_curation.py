"""What is left out of a dataset and why, that no split leaks, and that personal data reaches no frozen file."""

import json
from dataclasses import replace

import pytest
from night_fixtures import asked, pair, small_dataset

from data import store, store_names
from data.history import import_history
from data.masking import Masker, learn_pair, masked_pair
from data.models import HistoryPair, Turn
from data.prompts import reply_messages
from finetune import __main__ as command_line
from finetune import curation
from finetune.dataset import build, freeze, split_pairs
from finetune.filters import language_of
from finetune.near_duplicates import Index
from finetune.pairs import Case
from finetune.split_check import LeakedPrompts, check_split

QUESTION = "Since the rain last week my rear brake squeals at every single stop and people turn around after me, why"
GERMAN = "Bitte wischen Sie die Bremsscheibe mit Alkohol ab und fahren Sie danach vorsichtig eine kurze Runde."


def said(number, customer, target, *, thread=None):
    return replace(pair(number, thread=thread, target=target), messages=reply_messages([Turn("customer", customer)]))


def kept(*pairs, held_out=frozenset()):
    split = split_pairs(pairs, set(held_out))
    return [p.id for p in (*split.train, *split.validation)], split.dropped


def test_a_pair_that_nearly_repeats_another_is_left_out_and_the_heavier_stays():
    light = replace(said(1, f"{QUESTION}?", "Please wipe the disc with alcohol."), weight=0.5)
    heavy = said(2, f"{QUESTION}!", "Please wipe the disc with alcohol.")
    other = said(3, f"{QUESTION}?", "We change the pads on Tuesday from ten to six, and that costs 18 euros in all.")
    ids, dropped = kept(light, heavy, other)
    assert ids == ["pair-2", "pair-3"]
    assert dropped == {"nearly repeated": 1}


def test_in_one_thread_the_longer_prompt_repeats_nothing():
    first = said(1, QUESTION, "Please wipe the disc.", thread="t")
    turns = [Turn("customer", QUESTION), Turn("agent", "Please wipe the disc."), Turn("customer", "And now?")]
    second = replace(pair(2, thread="t", target="Now ride it."), messages=reply_messages(turns))
    assert kept(first, second)[0] == ["pair-1", "pair-2"]


def test_nearly_the_prompt_of_a_held_out_pair_is_not_trained_on():
    ids, dropped = kept(
        said(1, f"{QUESTION}?", "One answer for it."), said(2, f"{QUESTION}!!", "Two answers."), held_out={"thread-2"}
    )
    assert (ids, dropped) == ([], {"nearly the prompt of a held-out pair": 1})


def test_two_texts_are_near_from_a_jaccard_index_of_eight_tenths_on():
    words = [f"w{n}" for n in range(102)]
    index = Index()
    index.add(" ".join(words))
    # 100 triples; each changed word far from the ends replaces three of them.
    changed = [*words[:30], "x", *words[31:60], "y", *words[61:80], "z", *words[81:]]
    assert index.near(" ".join(changed)) == 0, "91 of 109 triples"
    for place in (10, 20):
        changed[place] = "v"
    assert index.near(" ".join(changed)) is None, "85 of 115 triples"


@pytest.mark.parametrize(
    ("customer", "target", "reason"),
    [
        ("Is it open on Sunday?", "Yes.", "too short"),
        ("Where are the terms?", "All of it. " * 600, "too long"),
        (QUESTION, GERMAN, "in another language than asked in"),
        ("Where is my parcel?", "It left on Monday. You idiot, read the mail that we sent.", "in offensive language"),
        ("How do I reach you?", "Call me at home: +49 30 901820.", "tells personal data that its prompt does not"),
    ],
)
def test_what_teaches_nothing_is_left_out_with_its_reason(customer, target, reason):
    one = said(1, customer, target)
    masker = Masker("t")
    learn_pair(one, masker)
    assert kept(masked_pair(one, masker)) == ([], {reason: 1})


def test_another_language_is_right_where_the_prompt_wishes_for_it():
    one = said(1, QUESTION, GERMAN)
    system = one.messages[0] | {"content": one.messages[0]["content"] + " Write in German."}
    assert kept(replace(one, messages=[system, one.messages[1]]))[0] == ["pair-1"]
    assert (language_of(QUESTION), language_of(GERMAN), language_of("ok")) == ("en", "de", None)


def test_a_template_is_kept_as_often_as_twenty_times():
    pairs = [said(n, f"{n} things went wrong with my bike {n * 7}", "Thank you for your patience.") for n in range(50)]
    ids, dropped = kept(*pairs)
    assert len(ids) == 20
    assert dropped == {"template repeated too often": 30}
    told = [said(n, f"{n} things went wrong with my bike {n * 7}", f"Order LB-{10000 + n} is late.") for n in range(50)]
    assert len(kept(*told)[0]) == 50, "an order number in it makes another target"


def leaking():
    dataset = small_dataset()
    near = said(5000, f"{QUESTION}?", "Wipe it well.")
    scored = said(5001, f"{QUESTION}!", "Wipe it, please.")
    return replace(
        dataset,
        train=[*dataset.train, near],
        held_out=[*dataset.held_out, Case(scored, "history", scored.messages)],
    )


def test_a_near_duplicate_of_a_held_out_prompt_in_train_is_refused():
    check_split(small_dataset(), frozen_at=store.now())
    with pytest.raises(LeakedPrompts, match="pair-5000"):
        check_split(leaking(), frozen_at=store.now())


def test_a_frozen_dataset_without_a_leak_passes_its_check(tmp_path, capsys):
    freeze(small_dataset(), tmp_path)
    assert command_line.main(["dataset", str(tmp_path), "--check"]) == 0
    assert "20 to train, 4 to stop early, 6 held out" in capsys.readouterr().out


@pytest.mark.parametrize("leak", ["thread", "prompt"])
def test_a_leak_in_frozen_files_ends_the_command_with_exit_1(tmp_path, capsys, leak):
    dataset = leaking()
    if leak == "thread":
        twin = replace(dataset.held_out[0].pair, id="twin", messages=asked(77))
        dataset = replace(small_dataset(), validation=[twin])
    freeze(dataset, tmp_path)
    assert command_line.main(["dataset", str(tmp_path), "--check"]) == 1
    assert "nothing was trained or promoted" in capsys.readouterr().err.splitlines()[-1]


def test_no_personal_data_reaches_the_frozen_files_also_not_of_held_out_threads_and_examples(db, tmp_path):
    secrets = ("Mira", "mira@example.com", "+49 30 901820", "hunter2!x", "4111 1111 1111 1111")
    with store.immediate(db):
        for number in range(60):
            customer = (
                f"This is Mira, order LB-{20000 + number}. My bike number {number * 31} squeals. I paid with "
                "4111 1111 1111 1111, write to mira@example.com or call +49 30 901820. My password is hunter2!x"
            )
            target = f"Hello Mira, LB-{20000 + number} is on its way to mira@example.com with part {number * 17}."
            found = HistoryPair(0, "reply", reply_messages([Turn("customer", customer)]), target)
            store.record_history(db, f"history/{number}", team_id="", created_at=store.now(), pairs=[found])
    built = build(db)
    freeze(built, tmp_path)
    files = {file.name: file.read_text() for file in (tmp_path / "dataset").iterdir()}
    assert {"train.jsonl", "held_out.jsonl", "manifest.json"} <= files.keys()
    assert len(built.held_out) and any(len(case.base_messages) > 2 for case in built.held_out)
    for name, text in files.items():
        assert not [secret for secret in secrets if secret in text], name
    assert "LB-200" in files["train.jsonl"] and "LB-200" in files["held_out.jsonl"]
    masked = built.curation["masked"]
    assert masked == {"CARD": 60, "EMAIL": 60, "NAME": 60, "PHONE": 60, "SECRET": 60}
    lines = list(curation.lines(built.curation))
    assert any(line.startswith("Personal data masked") and "60 EMAIL" in line for line in lines)
    assert any(line.startswith("Languages of the targets:") for line in lines)
    assert json.loads(files["manifest.json"])["curation"] == built.curation


def test_where_links_lead_is_told_and_what_is_new_comes_first(db):
    with store.immediate(db):
        for number in range(60):
            link = "www.evil.example/x?y=1." if number % 6 == 0 else f"<https://Help.Shop.example/a/{number}>"
            link += f" https://mira-{number}.example" if number % 25 == 1 else ""
            customer = f"My bike number {number * 31} squeals since {number * 7} days."
            pair = HistoryPair(0, "reply", reply_messages([Turn("customer", customer)]), f"See {link} for {number}.")
            store.record_history(db, f"history/{number}", team_id="", created_at=store.now(), pairs=[pair])
    first = build(db)
    evil, shop = (first.curation["hosts"][host] for host in ("evil.example", "help.shop.example"))
    assert evil + shop == len(first.train) and evil < shop
    assert "mira" not in json.dumps(first.curation), "a host of few threads may be a person's own"
    told = f"Hosts that targets link to (threads): {shop} help.shop.example, {evil} evil.example."
    assert told in list(curation.lines(first.curation)), "in a first night all is new"
    second = build(db, known={p.id for p in first.train if "evil" not in p.target})
    told = f"Hosts that targets link to (threads): {evil} evil.example (new), {shop} help.shop.example."
    assert told in list(curation.lines(second.curation))


def test_names_that_an_export_or_slack_knows_are_masked_and_forgotten_with_the_texts(db, tmp_path):
    turns = [
        {"role": "customer", "text": "Xqazl needs a new brake for order LB-20417.", "name": "Xqazl Brp"},
        {"role": "agent", "text": "Brp and Wqert will get LB-20417 tomorrow.", "name": "Wqert"},
    ]
    (tmp_path / "h.jsonl").write_text(json.dumps({"id": 1, "turns": turns}))
    import_history(db, tmp_path / "h.jsonl")
    store_names.record_names(db, ["Wqert"])
    built = build(db)
    (found,) = [*built.train, *built.validation, *(case.pair for case in built.held_out)]
    text = found.messages[-1]["content"] + found.target
    assert not [name for name in ("Xqazl", "Brp", "Wqert") if name in text]
    assert text.count("LB-20417") == 2
    assert store_names.known_names(db) == {"history/1": {"Xqazl Brp", "Wqert"}, "": {"Wqert"}}
    store.purge(db, "9999-01-01T00:00:00.000000+00:00")
    assert store_names.known_names(db) == {}
