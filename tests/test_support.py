"""The check of a sentence against passages: what it lets through, what sinks it, and how well it agrees with people."""

import gzip
import json
from pathlib import Path

import pytest

from data import agreement
from data.__main__ import main
from data.answerability import answerability, can_be_answered, can_be_quoted, unclear
from data.calibration import calibrate_support, write_threshold
from data.conflicts import conflicts
from data.models import Passage
from data.refusal import evaluate_refusal
from data.sentences import finished, split_sentences
from data.support import THRESHOLD, support_of, unfounded

RESET = "Reset a password\nOpen Settings, choose Security, press Reset password. The link lives for 30 minutes."
RETURNS = "Returns\nYou cannot return a bicycle after 14 days. Within 14 days we pay the full price back."
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.mark.parametrize(
    "sentence",
    [
        "Open Settings and choose Security.",
        "1. Press **Reset password** [1].",
        "The link lives for thirty minutes".replace("thirty", "30"),
        "You cannot return a bicycle after 14 days.",
        "We pay back the full price within 14 days.",
    ],
)
def test_what_a_passage_says_is_supported(sentence):
    assert support_of(sentence, [RESET, RETURNS]).is_enough


@pytest.mark.parametrize(
    "sentence",
    [
        "We will look into it today.",
        "The link lives for 45 minutes.",
        "The link lives for 30 days.",
        "You can return a bicycle after 14 days.",
        "You cannot return a bicycle before 14 days.",
        "In Acme, open Settings and choose Security.",
        "Open https://evil.example and choose Security.",
        "Yes.",
        "",
    ],
)
def test_a_wrong_number_unit_name_address_or_negation_sinks_a_sentence(sentence):
    assert not support_of(sentence, [RESET, RETURNS]).is_enough


def test_the_passage_that_the_model_named_is_kept_where_it_bears_the_sentence_out():
    twice = [RESET, RESET]
    assert support_of("The link lives for 30 minutes [2].", twice, preferred=2).passage == 2
    assert support_of("The link lives for 30 minutes [2].", [RESET, RETURNS], preferred=2).passage == 1


def test_what_stands_nowhere_in_the_sources_is_named():
    assert unfounded("Write to Maria within 45 days.", RESET) == ("45", "Maria")
    assert unfounded("The link lives for 30 minutes.", RESET) == ()


@pytest.mark.parametrize(
    "text",
    [
        "Open it. Press Reset [1]. Then wait! [2] Done.",
        "1. Open it.\n2. Close it [1].\n\nUse e.g. this one. ok",
        "Run:\n```\na b. c\n```\nThen go.",
        "| a | b |\n|---|---|\n| c. | d |",
        "Öffne es. 保存します。次へ。",
    ],
)
def test_sentences_joined_are_the_text_and_a_growing_text_never_takes_one_back(text):
    assert "".join(split_sentences(text)) == text
    whole = split_sentences(text)
    for end in range(len(text)):
        assert whole[: len(finished(text[:end]))] == finished(text[:end])


def test_sources_that_give_other_numbers_for_the_same_are_named():
    other = "Returns\nWithin 30 days we pay the full price back. A bicycle weighs 14 kilograms."
    (found,) = conflicts("Within 14 days we pay the full price back.", [RETURNS, other], but=1)
    assert (found.says, found.other, found.other_says) == ("14 days", 2, "30 days")
    assert conflicts("The link lives for 30 minutes.", [RESET, RETURNS], but=1) == []


@pytest.mark.parametrize(
    ("sentence", "first", "other"),
    [
        ("The basic plan costs 9 euros a month.", "Prices\n{}", "Prices\nThe team plan costs 19 euros a month."),
        ("City costs 49 euros a month.", "City\n{}", "Tour\nTour costs 69 euros a month."),
        ("It costs 9 euros a month.", "Plans / Basic plan\n{}", "Plans / Team plan\nIt costs 19 euros a month."),
        ("City costs 49 euros, Tour costs 69 euros.", "Plans\n{}", "Tour\nTour costs 69 euros and City less."),
        ("| Basic plan | 9 euros a month |", "Plans\n{}", "More plans\n| Team plan | 19 euros a month |"),
    ],
)
def test_the_prices_of_two_plans_are_no_conflict(sentence, first, other):
    assert conflicts(sentence, [first.format(sentence), other], but=1) == []


def test_two_prices_of_one_plan_are_a_conflict():
    for title in ("Prices", "New prices"):
        passages = ["Old prices\nThe team plan costs 15 euros.", f"{title}\nThe team plan costs 19 euros."]
        (found,) = conflicts("The team plan costs 15 euros.", passages, but=1)
        assert (found.says, found.other_says) == ("15 euros", "19 euros")


def test_a_question_that_the_passages_do_not_speak_of_scores_lower():
    inside = answerability("How long does the reset link live?", "", [RESET])
    outside = answerability("Which insurance covers theft abroad?", "", [RESET])
    assert inside > 0.4 > 0.3 > outside
    assert answerability("Why?", "How do I reset a password?", [RESET]) > 0.4


def test_a_thing_that_nobody_has_named_is_asked_back():
    assert unclear("Are dogs allowed in this park?", "") == "park"
    assert unclear("Are dogs allowed in this park?", "Which park is near Reno?") == ""
    assert unclear("How do I reset my password?", "") == ""


def test_agreement_is_counted_as_its_definitions_say():
    assert agreement.auroc([1, 2, 3, 3], [False, False, True, False]) == pytest.approx(5 / 6)
    assert agreement.spearman([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)
    assert agreement.kappa([True, True, False, False], [True, False, False, False]) == pytest.approx(0.5)


def rated(folder: Path) -> Path:
    """Answers that say what their passage says, rated well, and others, rated badly."""
    lines = [
        {
            "task_id": f"t{n}",
            "contexts": [{"id": "1", "text": RESET}],
            "response": "The link lives for 30 minutes." if n % 2 else "Ask your manager for a form.",
            "human": {"faithfulness": [4, 4, 3] if n % 2 else [1, 2, 1]},
        }
        for n in range(20)
    ]
    (folder / "ratings.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return folder / "ratings.jsonl"


def test_calibration_prints_the_agreement_and_writes_the_threshold(tmp_path, capsys):
    file = rated(tmp_path)
    assert main(["calibrate-support", "--json", str(file)]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert (measured["answers"], measured["auroc"], measured["kappa"]) == (20, 1, 1)
    write_threshold(measured, tmp_path / "support.json")
    assert json.loads((tmp_path / "support.json").read_text())["threshold"] == measured["threshold"]


def test_ratings_of_one_kind_or_without_passages_are_refused_in_a_sentence(tmp_path, capsys):
    file = tmp_path / "bad.jsonl"
    file.write_text('{"response": "x.", "contexts": 1, "human": {}}')
    assert main(["calibrate-support", str(file)]) == 1
    assert "answer 1 needs contexts" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("score", "nearness", "strength", "among", "answered", "quoted"),
    [
        (0.4, 0.5, 1.2, 100, True, True),
        (0.4, 0.5, 1.2, 10_000, False, False),
        (0.4, 0.5, 2.0, 10_000, True, True),
        (0.4, 0.5, 0.4, 100, True, False),
        (0.35, 0.0, 0.9, 10_000, True, False),
        (0.25, 0.0, 0.9, 10, False, False),
    ],
)
def test_a_question_is_answered_where_more_speaks_for_it_than_chance_and_by_words_where_there_are_no_vectors(
    score, nearness, strength, among, answered, quoted
):
    found = [Passage(1, "d", "T", "Text.", 9.0, nearness, strength)]
    assert can_be_answered(score, found, among) == answered
    assert can_be_quoted("What is it?", score, found, among) == quoted


@pytest.mark.parametrize(
    ("question", "quoted"),
    [
        ("Does it run on Windows 95?", False),
        ("Does it run on Windows 11?", True),
        ("Does it run on Windows 1?", False),
        ("Does it run 95 hours?", True),
    ],
)
def test_nothing_is_quoted_for_a_version_that_no_passage_names(question, quoted):
    found = [Passage(1, "d", "Systems", "It runs on Windows 10 and 11.", 2.0, 0.9, 2.0)]
    assert can_be_quoted(question, 1.0, found, 100) == quoted


def test_refusal_is_measured_beside_its_baseline(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("EMBEDDING_MODEL", "none")
    docs, questions = tmp_path / "docs.jsonl", tmp_path / "questions.jsonl"
    docs.write_text("\n".join(json.dumps({"id": str(n), "text": text}) for n, text in enumerate([RESET, RETURNS])))
    rows = [("How long does the link live?", "answerable"), ("Who insures theft of a bicycle?", "unanswerable")]
    questions.write_text("\n".join(json.dumps({"question": q, "history": [], "answerability": a}) for q, a in rows))
    assert main(["evaluate-refusal", "--json", str(docs), str(questions)]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert (measured["questions"], measured["auroc"], measured["answerable"]) == (2, 1, 1)
    assert "auroc_bm25" in measured


@pytest.mark.skipif(not (SHARED / "judge").exists(), reason="shared/data is not here")
def test_the_check_agrees_with_people_at_least_as_well_as_when_it_was_calibrated(tmp_path):
    file = SHARED / "judge" / "mtrag_human_ratings.dev.jsonl.gz"
    fewer = tmp_path / "some.jsonl"
    with gzip.open(file, "rt") as lines:
        fewer.write_text("".join(line for n, line in enumerate(lines) if n % 3 == 0))
    measured = calibrate_support(fewer)
    assert measured["auroc"] > 0.8 and measured["spearman"] > 0.45
    assert 0.3 <= THRESHOLD <= 0.7


@pytest.mark.skipif(not (SHARED / "retrieval").exists(), reason="shared/data is not here")
def test_unanswerable_questions_are_told_apart_better_than_by_the_best_bm25_score(tmp_path):
    folder = SHARED / "retrieval" / "mtrag_un"
    measured = evaluate_refusal(folder / "docs.jsonl.gz", folder / "questions.dev.jsonl.gz", model="none")
    assert measured["auroc"] > measured["auroc_bm25"] + 0.05
    assert measured["refused_of_answerable"] < 0.1
