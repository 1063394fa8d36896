"""What of a written answer is shown: sentences that a passage bears out, each with a citation that exists."""

import asyncio
import json
from dataclasses import replace
from datetime import date
from functools import partial

import pytest

from bot import answering, blocks_answers, grounding
from bot.errors import NothingFound
from data import vectors
from data.embedding import DEFAULT_MODEL
from data.knowledge import import_knowledge
from data.models import Passage, Suggestion, Turn
from data.search import search

RESET = Passage(
    1,
    "d1",
    "Reset a password",
    "Open Settings, choose Security, press Reset password. The link lives for 30 minutes.",
    2.0,
)
RETURNS = Passage(
    2, "d2", "Returns", "You cannot return a bicycle after 14 days. Within 14 days we pay the full price back.", 1.0
)
BOTH = [RESET, RETURNS]
ASKED = Suggestion(
    id="s1", request_key="k", task="answer", team_id="T", channel_id="C", thread_ts=None, thread_id=None,
    requested_by="U", request={}, state="requested", messages=None, draft=None, base=None, adapter=None, error=None,
    created_at="2026-11-24", shown_at=None,
)  # fmt: skip


def test_every_sentence_gets_the_citation_of_the_passage_that_says_it():
    found = grounding.grounded(
        "Open Settings and press Reset password. Within 14 days we pay the full price back.", BOTH
    )
    assert found.text == "Open Settings and press Reset password [1]. Within 14 days we pay the full price back [2]."
    assert (found.struck, found.cited) == (0, {1, 2})


def test_a_citation_that_does_not_exist_or_names_the_wrong_passage_is_put_right():
    assert grounding.grounded("The link lives for 30 minutes [7].", BOTH).text == "The link lives for 30 minutes [1]."
    assert grounding.grounded("The link lives for 30 minutes [2].", BOTH).text == "The link lives for 30 minutes [1]."
    assert grounding.grounded("The link lives for 30 minutes. [1]", BOTH).text == "The link lives for 30 minutes. [1]"


def test_a_citation_stands_before_the_point_and_behind_a_bracket_without_one():
    passages = [
        Passage(1, "d", "Tasks", "- View scheduled tasks (ETA or countdown)\n\nIt is planned (see below.)", 1.0)
    ]
    for said, shown in [
        ("- View scheduled tasks (ETA or countdown)", "- View scheduled tasks (ETA or countdown) [1]"),
        ("It is planned (see below.)", "It is planned (see below [1].)"),
    ]:
        assert grounding.grounded(said, passages).text == shown


def test_what_no_passage_says_is_struck_and_counted():
    found = grounding.grounded("The link lives for 30 minutes [1]. It costs 9 euros [1]. Call Maria.", BOTH)
    assert (found.text, found.struck) == ("The link lives for 30 minutes [1].", 2)


def test_lists_tables_and_code_stay_what_they_are():
    passages = [
        Passage(1, "d", "Run", "Run `night --all` in the shell.\n\n| key | use |\n|---|---|\n| F5 | reload |", 1.0)
    ]
    text = "1. Run this in the shell:\n```\nnight --all\n```\n| key | use |\n|---|---|\n| F5 | reload |"
    assert grounding.grounded(text, passages).text == (
        "1. Run this in the shell [1]:\n```\nnight --all\n```\n[1]\n| key | use [1] |\n|---|---|\n| F5 | reload [1] |"
    )


@pytest.mark.parametrize(
    "text",
    [
        "Open Settings and press Reset. It is magic. Within 14 days we pay the full price back. [2] The link.",
        "1. Open Settings [1].\n2. Dance.\n3. Press Reset password [9].\n\nThe link lives for 30 minutes",
        "The link lives for 30 days. Open Settings, choose Security. " * 12,
    ],
)
def test_what_is_shown_while_it_is_written_is_always_the_beginning_of_what_is_shown_at_last(text):
    last = grounding.short(grounding.grounded(text, BOTH).text)
    for end in range(len(text)):
        assert last.startswith(grounding.settled(text[:end], BOTH))


def test_a_long_answer_is_cut_between_sentences():
    text = "The link lives for 30 minutes [1]. " * 40
    assert len(grounding.short(text)) <= grounding.SHORT and grounding.short(text).endswith("[1].")
    assert grounding.short("One. Two.") == "One. Two."


def test_a_quote_is_word_for_word_from_the_sentence_that_speaks_of_the_question_on():
    assert grounding.quoted("How long does the link live?", "", BOTH) == "The link lives for 30 minutes [1]."
    assert grounding.quoted("What do I get within 14 days?", "", BOTH) == (
        "Within 14 days we pay the full price back [2]."
    )


def test_a_quote_begins_where_the_meaning_comes_nearest_and_not_where_most_words_are_shared(db, tmp_path):
    (tmp_path / "times.md").write_text("# Opening times\n\nWe bring the money to the bank and are back at ten.\n")
    (tmp_path / "returns.md").write_text("# Returns\n\nWe are sorry. Refunds are paid to your card in six days.\n")
    import_knowledge(db, [tmp_path])
    vectors.embed_passages(db, DEFAULT_MODEL)
    question = "How do I get my money back?"
    found = search(db, question)
    assert "bank" in grounding.quoted(question, "", found)
    near = partial(vectors.nearness, DEFAULT_MODEL, question)
    assert "Refunds are paid to your card in six days [" in grounding.quoted(question, "", found, near)


PAINTING = "```\n" + "paint --frame\n" * 60 + "```"


@pytest.mark.parametrize(
    ("text", "asked", "quote"),
    [
        (
            "The brake wears. It is checked in spring. Then the pads are changed.",
            "When are the pads changed?",
            "The brake wears [1]. It is checked in spring [1]. Then the pads are changed [1].",
        ),
        (
            f"Do this:\n\n1. Open the box.\n2. Press the red button.\n\nElse it goes on{' and on' * 40}.",
            "Which button do I press?",
            "Do this [1]:\n\n1. Open the box [1].\n2. Press the red button [1].",
        ),
        (
            f"Charge it overnight.\n\nThis makes the battery last for years.\n\nElse it goes on{' and on' * 40}.",
            "What makes the battery last?",
            "Charge it overnight [1].\n\nThis makes the battery last for years [1].",
        ),
        (
            f"Paint the frame like this:\n\n{PAINTING}",
            "How do I paint the frame?",
            f"{PAINTING}\n[1]",
        ),
    ],
)
def test_a_quote_by_meaning_begins_where_its_paragraph_or_its_steps_do_and_is_no_mere_introduction(text, asked, quote):
    near = partial(vectors.nearness, DEFAULT_MODEL, asked)
    assert grounding.quoted(asked, "", [Passage(1, "d", "Care", text, 1.0)], near) == quote


def ask(text: str, *before: str) -> list[Turn]:
    return [Turn("customer", one) for one in (*before, text)]


def test_an_answer_that_does_not_hold_up_is_a_quote_or_a_refusal(db):
    answer = asyncio.run(answering.checked(db, "It costs 9 euros.", ask("How long does the reset link live?"), BOTH))
    assert (answer.text, answer.remarks) == ("The link lives for 30 minutes [1].", [answering.QUOTED])
    with pytest.raises(NothingFound) as refused:
        asyncio.run(answering.checked(db, "It costs 9 euros.", ask("Who insures theft abroad for racing teams?"), BOTH))
    assert refused.value.nearest == tuple(BOTH)
    with pytest.raises(NothingFound):
        asyncio.run(
            answering.checked(
                db, "I could not find this in the help centre.", ask("How long does the link live?"), BOTH
            )
        )


def test_of_a_model_that_can_only_copy_a_question_needs_as_much_as_a_quote_does(db):
    found = [Passage(1, "d", "Opening times", "We are open from nine to five.", 1.0, nearness=0.3, strength=0.8)]
    asked = ask("Do you close for lunch on bank holidays?")
    answering.expect_answerable(db, asked, found)
    with pytest.raises(NothingFound):
        answering.expect_answerable(db, asked, found, word_for_word=True)


def test_a_passage_that_comes_near_in_other_words_is_quoted(db):
    told = Passage(
        1, "d", "Git / SSH keys", "Load your key into ssh-agent before you fetch a repository.", 1.0, nearness=0.73
    )
    asked = ask("My private repository needs SSH, why can nobody authenticate?")
    answer = asyncio.run(answering.checked(db, "It costs 9 euros.", asked, [told]))
    assert answer.text == "Load your key into ssh-agent before you fetch a repository [1]."
    with pytest.raises(NothingFound):
        asyncio.run(answering.checked(db, "It costs 9 euros.", asked, [replace(told, nearness=0.0)]))


def test_a_question_that_leaves_open_what_it_is_about_is_asked_back_where_several_are_known():
    parks = [
        Passage(n, f"d{n}", f"{name} park / Dogs", "Dogs are welcome.", 1.0) for n, name in enumerate(("Elm", "Oak"))
    ]
    back = answering.question_back(ask("Are dogs allowed in the park?"), parks)
    assert back == "Which park do you mean? The nearest that I have: Elm park [1]; Oak park [2]."
    assert answering.question_back(ask("Are dogs allowed in the park?"), parks[:1]) == ""
    assert answering.question_back(ask("Are dogs allowed in the park?", "I am at Elm park"), parks) == ""


def test_stale_and_differing_sources_are_said_to_be_so(db, tmp_path):
    (tmp_path / "old.md").write_text("# Returns\n\nWithin 14 days we pay the full price back.")
    (tmp_path / "new.md").write_text("# Refunds\n\nWithin 30 days we pay the full price back.")
    import_knowledge(db, [tmp_path / "new.md"])
    import_knowledge(db, [tmp_path / "old.md"], stale_after=date(2020, 1, 31), owner="Ada")
    passages = sorted(search(db, "full price back"), key=lambda one: one.title, reverse=True)
    answer = asyncio.run(
        answering.checked(db, "Within 14 days we pay the full price back.", ask("full price back?"), passages)
    )
    assert answer.remarks == [
        "The sources differ: [1] says 14 days, [2] says 30 days.",
        "[1] was to be checked again after 2020-01-31: it may be out of date. Ask Ada, who looks after it.",
    ]


def test_a_short_answer_of_more_parts_than_slack_takes_blocks_is_split():
    text = "\n\n".join(f"{'#' if n % 2 else '*'} {n}" for n in range(60))
    shown = replace(ASKED, task="answer", state="drafted", draft=text)
    first, second = blocks_answers.messages(shown, titles=[], remarks=[])
    assert first[1][0]["text"].startswith("* 0") and second[1][0]["text"].endswith("# 59")


def test_the_modal_hides_what_is_for_colleagues_only():
    view = blocks_answers.more_modal(ASKED, [None])
    assert "[1] is for colleagues only." in json.dumps(view)
