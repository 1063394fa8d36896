"""Block Kit out of our types: within Slack's limits, exactly the text, and nobody pinged."""

import json

import pytest

from bot import blocks, blocks_answers, blocks_replies, blocks_review
from bot.sandbox import rules
from bot.slack import plain
from data.models import Decision, Suggestion
from data.prompts import WISHES
from data.store_replies import ShownExample, ShownPassage

SUGGESTION = Suggestion(
    id="5" * 32,
    request_key="k",
    task="reply",
    team_id="T1",
    channel_id="C1",
    thread_ts="1700000000.000100",
    thread_id="T1/C1/1700000000.000100",
    requested_by="U1",
    request={"kind": "shortcut"},
    state="drafted",
    messages=[],
    draft="Hello",
    base="b",
    adapter="night-20261124-1a2b3c",
    error=None,
    created_at="2026-11-24T00:00:00.000000+00:00",
    shown_at=None,
)
DECISION = Decision("d", SUGGESTION.id, "edited", "Hello there", None, "U1", "1700000001.000100", SUGGESTION.created_at)
DISMISSED = Decision("d", SUGGESTION.id, "dismissed", None, "wrong_fact", "U1", None, SUGGESTION.created_at)

TEXTS = [
    "Hello",
    "<!channel> <@U1> <!subteam^S1> & <b> &lt;!here&gt;",
    "&" * 2999,
    "word " * 5000,
    "x" * 40_000,
    "🙂" * 3000,
    "first\n\nsecond\n\n" * 900,
    "see https://example.com/a?b=1&c=2>, or <https://evil.example|https://bank.example>.",
]


def with_draft(text: str) -> Suggestion:
    return Suggestion(**(vars(SUGGESTION) | {"draft": text}))


def shown_text(messages: list[blocks.Message]) -> str:
    sections = [b for _, sections in messages for b in sections if b["type"] == "section"]
    return "".join(plain(b["text"]["text"]) for b in sections)


def test_under_an_answer_stand_the_passages_that_it_cites_and_no_others():
    titles = ["Delivery", "Refunds", "Opening hours"]
    (told,) = blocks_answers.messages(with_draft("Six days [2]. To the card [2]."), titles=titles, remarks=[])
    assert "Sources: [2] Refunds" in json.dumps(told)
    assert "Delivery" not in json.dumps(told)


@pytest.mark.parametrize("text", TEXTS)
def test_every_message_is_one_that_slack_takes(text):
    decision = Decision(**(vars(DECISION) | {"text": text}))
    link = "https://t.slack.com/archives/C1/p1700000001000100?thread_ts=1700000000.000100&cid=C1"
    titles = ["A title & more <b>", "T" * 5000]
    for messages in (
        blocks.draft_messages(with_draft(text), titles=titles, remarks=["Cut."]),
        blocks_answers.messages(with_draft(text), titles=titles, remarks=()),
        blocks.reply_messages(text, sender="Ana <!here> Ruiz"),
        blocks_review.review_messages(SUGGESTION, decision, sender="Ana", link=link),
        blocks_review.review_messages(with_draft(text), DISMISSED, sender="Ana", link=link),
    ):
        for top, made in messages:
            rules.check_blocks(json.loads(json.dumps(made)))
            assert 0 < blocks.size(top) <= blocks.MESSAGE_LIMIT


@pytest.mark.parametrize("text", TEXTS)
def test_no_word_of_a_long_text_is_lost(text):
    assert "".join(shown_text(blocks.reply_messages(text, sender="Ana")).split()) == "".join(text.split())


@pytest.mark.parametrize("text", TEXTS)
def test_no_text_can_ping(text):
    for _, made in blocks.reply_messages(text, sender="Ana"):
        for block in made:
            if block["type"] == "section":
                assert block["text"]["verbatim"] is True
                assert not any(mark in block["text"]["text"] for mark in ("<@", "<!", "<#"))


def test_the_button_carries_the_id_and_not_the_draft():
    *buttons, menu = blocks.decision_buttons(SUGGESTION)["elements"]
    assert [(b["action_id"], b["value"]) for b in buttons] == [
        (action, SUGGESTION.id) for action in ("accept", "edit", "dismiss", "why")
    ]
    assert [option["value"] for option in menu["options"]] == [f"{wish}:{SUGGESTION.id}" for wish in WISHES]


def test_a_draft_longer_than_a_form_has_no_edit_button():
    *_, (_, made) = blocks.draft_messages(with_draft("x" * 3001))
    assert [b["action_id"] for b in made[-1]["elements"]] == ["accept", "dismiss", "why", "rewrite"]
    assert any("Too long to edit" in json.dumps(block) for block in made)


def test_the_form_holds_exactly_the_draft():
    view = blocks.edit_modal(with_draft("a\n\nb & <c>"), channel_id="C1", response_url="https://hooks.slack.com/x")
    assert view["callback_id"] == "edit_draft"
    assert view["blocks"][0]["block_id"] == "draft"
    assert view["blocks"][0]["element"]["initial_value"] == "a\n\nb & <c>"
    rules.check_view(json.loads(json.dumps(view)), "modal")


def test_the_reply_names_the_agent_plainly():
    ((top, made),) = blocks.reply_messages("Done & dusted", sender="Ana Ruiz")
    assert top == "Done &amp; dusted"
    assert made[-1]["elements"][0] == {
        "type": "plain_text",
        "text": "Drafted by AI, sent by Ana Ruiz",
        "emoji": True,
    }


@pytest.mark.parametrize("text", TEXTS)
def test_what_stands_around_a_reply_is_taken_by_slack(text):
    for messages in (
        [blocks_replies.dismissed(SUGGESTION)],
        [blocks_replies.sent(SUGGESTION, "Sent.", text, minutes=5)],
        blocks_replies.not_sent(text),
        blocks_replies.unsent("Not sent: " + "why " * 50, text, blocks_replies.moved_on(SUGGESTION)),
        blocks_replies.taken_back(SUGGESTION, text, was_posted=True),
    ):
        for _, made in messages:
            rules.check_blocks(json.loads(json.dumps(made)))
    passage, example = ShownPassage("T" * 5000, text), ShownExample(text, "C1")
    for view in (
        blocks_replies.why_modal(SUGGESTION, passages=[passage] * 3, examples=[example] * 2, hidden_examples=2),
        blocks_replies.why_modal(SUGGESTION, passages=[], examples=[], hidden_examples=0),
        blocks_replies.reason_modal(SUGGESTION, channel_id="C1", response_url="https://hooks.slack.com/x"),
    ):
        rules.check_view(json.loads(json.dumps(view)), "modal")


@pytest.mark.parametrize(
    ("adapter", "expected"), [("base", "None was like this one."), ("night-1", "an adapter has learned how your team")]
)
def test_a_draft_without_examples_says_why_it_has_none(adapter, expected):
    suggestion = Suggestion(**(vars(SUGGESTION) | {"adapter": adapter}))
    assert expected in json.dumps(blocks_replies.why_modal(suggestion, passages=[], examples=[], hidden_examples=0))
