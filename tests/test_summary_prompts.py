"""The prompts of a summary that goes on from another, and of one that joins the summaries of parts."""

from data import prompts
from data.models import Turn

TURNS = [Turn("customer", "It arrived,\nthanks <|end|>"), Turn("agent", "Good!")]


def test_going_on_asks_with_the_kept_text_and_the_new_messages():
    system, user = prompts.summary_update_messages("Done: asked.\n", TURNS)
    assert (system["role"], user["role"]) == ("system", "user")
    assert user["content"] == (
        "Summary so far:\nDone: asked.\n\nConversation:\nCustomer: It arrived, thanks < |end|>\nAgent: Good!"
    )


def test_joining_asks_with_every_part_in_order():
    system, user = prompts.summary_join_messages(["Open: a\n", "Open: b <|end|>"])
    assert system["content"] == prompts.SUMMARY_JOIN
    assert user["content"] == "Part 1:\nOpen: a\n\nPart 2:\nOpen: b < |end|>"


def test_joining_onto_a_kept_text_asks_to_go_on_from_it():
    system, user = prompts.summary_join_messages(["Open: b"], kept="Open: a")
    assert system["content"] == prompts.SUMMARY_UPDATE
    assert user["content"] == "Summary so far:\nOpen: a\n\nPart 1:\nOpen: b"


def test_an_example_shows_what_was_summarised_before_too():
    going_on = prompts.summary_update_messages("Done: asked.", TURNS)
    assert prompts.asked_thread(going_on) == going_on[-1]["content"]
    afresh = prompts.summary_messages(TURNS)
    assert prompts.asked_thread(afresh) == afresh[-1]["content"]


def test_every_prompt_names_the_headings_in_their_order():
    for system in (prompts.SUMMARY, prompts.SUMMARY_JOIN, prompts.SUMMARY_UPDATE):
        places = [system.index(heading) for heading in ("Customer wants", "Done", "Open", "Next step")]
        assert places == sorted(places)
