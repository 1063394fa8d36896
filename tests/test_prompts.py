"""Prompts as they are stored: a follow-up adds what was said before, and a single question stays as it was."""

from data import prompts
from data.models import Passage, Turn

PASSAGE = Passage(chunk_id=1, document_id="d", title="Reset", text="Open\nSettings.", score=1.0)


def test_a_single_question_stands_alone():
    assert [message["content"] for message in prompts.answer_messages("How\nso?", [PASSAGE])] == [
        prompts.ANSWER,
        "Help centre:\n[1] Reset: Open Settings.\n\nQuestion: How so?",
    ]


def test_a_follow_up_stands_after_what_was_said_and_roles_alternate():
    earlier = [Turn("customer", "How do I reset?"), Turn("agent", "Open\nSettings [1].")]
    system, user = prompts.answer_messages("And then?", [PASSAGE], earlier=earlier)
    assert (system["role"], user["role"]) == ("system", "user")
    assert user["content"].endswith(
        "Earlier in this thread:\nCustomer: How do I reset?\nAgent: Open Settings [1].\n\nQuestion: And then?"
    )
    assert prompts.asked_thread([system, user]) == "Question: And then?"
