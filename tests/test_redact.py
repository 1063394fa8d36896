"""What is personal or secret in a text is found and masked, and what a model needs to answer is not."""

import gzip
import json
from pathlib import Path

import pytest

from data import __main__ as command_line
from data.masking import Masker, learn_pair, masked_pair, tells_what_nobody_asked
from data.models import Pair, Passage, Turn
from data.prompts import reply_messages
from data.redact import personal_data

LABELLED = Path(__file__).parents[2] / "shared" / "data" / "pii" / "presidio_synth_v2.dev.jsonl.gz"


def found(text):
    return [(one.kind, text[one.start : one.end]) for one in personal_data(text)]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Write to mira.k+x@example.co.uk, please.", [("EMAIL", "mira.k+x@example.co.uk")]),
        ("My IBAN is DE89 3704 0044 0532 0130 00.", [("IBAN", "DE89 3704 0044 0532 0130 00")]),
        ("I paid with 4111 1111 1111 1111 today", [("CARD", "4111 1111 1111 1111")]),
        ("SSN 460-89-9847", [("ID", "460-89-9847")]),
        ("It comes from 8.8.8.8 or 2a00:1450:4001:81b::200e", [("IP", "8.8.8.8"), ("IP", "2a00:1450:4001:81b::200e")]),
        ("Call me at 202 555 0143!", [("PHONE", "202 555 0143")]),
        ("+49 30 901820", [("PHONE", "+49 30 901820")]),
        ("07700 900 123", [("PHONE", "07700 900 123")]),
        ("I live at 12 Rose Way, Leeds LS1 4DY.", [("ADDRESS", "12 Rose Way, Leeds LS1 4DY")]),
        ("Bring it to Berliner Straße 12a", [("ADDRESS", "Berliner Straße 12a")]),
        ("The password is hunter2!x", [("SECRET", "hunter2!x")]),
        ("AKIAIOSFODNN7EXAMPLE stopped working", [("SECRET", "AKIAIOSFODNN7EXAMPLE")]),
        ("Hi, this is Mira Novak. It squeals.", [("NAME", "Mira Novak")]),
        ("Best regards,\nJürgen", [("NAME", "Jürgen")]),
        ("Mr. Xolani is waiting", [("NAME", "Xolani")]),
    ],
)
def test_personal_data_and_secrets_are_found(text, pieces):
    assert [one for one in found(text) if one[0] == pieces[0][0]] == pieces


@pytest.mark.parametrize(
    "text",
    [
        "My order LB-20417 and ticket #12345678 are late.",
        "order number 2025550143, tracking 12345678901234, invoice no. 4111111111111111",
        "Error E07 since 2026-11-24 12:20, version 1.2.3.4, at 192.168.0.1",
        "It costs 1.299,00 euros for 3,000 kilometres and the drive.",
        "I forgot my password and my pin is not accepted",
        "Will it be ready in May? I am Happy to wait. Thanks!",
        "Open from Monday to Friday, 9:00 to 18:00, 1234567 bikes sold",
        "Customer: Hello there. Agent: Good morning, how can I help?",
    ],
)
def test_order_numbers_dates_prices_and_plain_words_are_left_alone(text):
    assert found(text) == []


def pair(customer, target, passages=()):
    return Pair("p", "reply", "t", reply_messages([Turn("customer", customer)], passages), target, "history", 1.0, "")


def masked(*pairs):
    masker = Masker("t")
    for one in pairs:
        learn_pair(one, masker)
    return [masked_pair(one, masker) for one in pairs]


def test_a_thread_is_masked_alike_throughout_and_order_numbers_stay():
    first = pair(
        "This is Mira. Order LB-20417, write to mira@example.com.", "Hello Mira! LB-20417 goes to mira@example.com."
    )
    second = pair("Mira again: any news of LB-20417?", "Sorry, Mira, LB-20417 is late.")
    one, two = masked(first, second)
    text = " ".join([one.messages[-1]["content"], one.target, two.messages[-1]["content"], two.target])
    assert "Mira" not in text and "mira" not in text
    assert text.count("LB-20417") == 4
    assert text.count("[EMAIL_1]") == 2
    name = one.target.split()[1].rstrip("!")
    assert text.count(name) == 4


def test_other_threads_get_other_names():
    names = set()
    for thread in map(str, range(20)):
        masker = Masker(thread)
        masker.learn("Hi, this is Mira.")
        names.add(masker.mask("Mira"))
    assert len(names) > 5 and "Mira" not in names


def test_what_stands_in_the_help_centre_is_public_and_stays():
    passage = Passage(1, "d", "Contact", "Write to help@larkspur.example or call 202 555 0143.", 0.0)
    (one,) = masked(pair("Where can I write? I am at me@example.com.", "To help@larkspur.example.", [passage]))
    assert one.target == "To help@larkspur.example."
    assert "help@larkspur.example or call 202 555 0143" in one.messages[-1]["content"]
    assert "me@example.com" not in one.messages[-1]["content"]


def test_a_target_with_data_that_its_prompt_does_not_have_is_told_apart():
    told, asked = masked(
        pair("Hi", "My number is +49 30 901820."), pair("Write to a@example.com", "Done: a@example.com")
    )
    assert tells_what_nobody_asked(told)
    assert not tells_what_nobody_asked(asked)


def test_the_measure_counts_what_was_found_and_what_was_not(tmp_path, capsys):
    texts = [
        {"text": "a@example.com", "spans": [{"type": "EMAIL_ADDRESS", "start": 0, "end": 13}]},
        {"text": "b@example.com", "spans": []},
        {
            "text": "Xqz lives in Rome",
            "spans": [{"type": "PERSON", "start": 0, "end": 3}, {"type": "GPE", "start": 13, "end": 17}],
        },
    ]
    file = tmp_path / "labelled.jsonl.gz"
    file.write_bytes(gzip.compress("\n".join(map(json.dumps, texts)).encode()))
    assert command_line.main(["evaluate-redaction", str(file), "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert measured["kinds"] == {
        "EMAIL": {"found": 2, "precision": 0.5, "labelled": 1, "recall": 1.0},
        "NAME": {"found": 0, "precision": None, "labelled": 1, "recall": 0.0},
    }
    assert measured["not_sought"] == {"GPE": 1}
    assert command_line.main(["evaluate-redaction", str(file)]) == 0
    assert "labels that nothing looks for: GPE 1" in capsys.readouterr().out
    (tmp_path / "bad.jsonl").write_text('{"text": 1}\n')
    assert command_line.main(["evaluate-redaction", str(tmp_path / "bad.jsonl")]) == 1


@pytest.mark.skipif(not LABELLED.exists(), reason="the shared labelled texts are not here")
def test_on_labelled_texts_forms_with_a_check_are_found_and_names_stand_as_measured(capsys):
    assert command_line.main(["evaluate-redaction", str(LABELLED), "--json"]) == 0
    kinds = json.loads(capsys.readouterr().out)["kinds"]
    for kind in ("EMAIL", "IBAN", "CARD", "ID", "PHONE"):
        assert kinds[kind]["precision"] >= 0.95 and kinds[kind]["recall"] >= 0.95, kind
    assert kinds["NAME"]["precision"] >= 0.85 and kinds["NAME"]["recall"] >= 0.5


def test_known_names_are_masked_where_no_word_tells_and_words_that_are_also_names_only_where_one_does():
    masker = Masker("t", names=["Xqazl Mark", "Bo"])
    masker.learn("Mark Xqazl's bike as ready? Bo asked.")
    text = masker.mask("Mark Xqazl's bike as ready? Bo asked.")
    assert "Xqazl" not in text and "Bo " not in text
    assert text.startswith("Mark ") and text.endswith("asked.")
    masker.learn("Hi, this is Mark.")
    assert masker.mask("Hi, this is Mark. Mark it work?").endswith(" Mark it work?")
    assert "Mark." not in masker.mask("Hi, this is Mark. Mark it work?")


def test_a_name_that_is_also_a_place_is_the_same_in_prompt_and_target():
    (one,) = masked(pair("Thank you! This is Sofia again.", "Good to hear from you, Sofia."))
    assert "Sofia" not in one.messages[-1]["content"] + one.target
    assert one.target.split()[-1].rstrip(".") in one.messages[-1]["content"]


def test_a_short_secret_breaks_no_order_number():
    masker = Masker("t")
    masker.learn("My pin is 2041, order LB-2041.")
    assert (
        masker.mask("My pin is 2041, order LB-2041 and LB-20417.")
        == "My pin is [SECRET_1], order LB-2041 and LB-20417."
    )
