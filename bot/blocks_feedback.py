"""Thumbs under a text, and the form after a bad one. Pure."""

import json
from typing import Literal

from bot.blocks import INPUT_LIMIT, Message, button, note, plain_text, text_sections
from bot.slack import Json
from data import store
from data.errors import DeskError
from data.models import Suggestion

RATE = "rate"
SIDES: dict[str, Literal[-1, 1]] = {"up": 1, "down": -1}


def feedback(suggestion_id: str, text: str) -> Json:
    """Slack's two feedback buttons, under this text."""
    # The hash stands in the value, so that the rating knows the text that was looked at, whatever is stored by then.
    seen = store.text_sha256(text)
    return {
        "type": "context_actions",
        "elements": [
            {
                "type": "feedback_buttons",
                "action_id": RATE,
                "positive_button": _side("up", "Good", "Good: rate this text up", suggestion_id, seen),
                "negative_button": _side("down", "Bad", "Bad: rate this text down", suggestion_id, seen),
            }
        ],
    }


def under_answer(suggestion: Suggestion, text: str) -> list[Json]:
    """The feedback buttons under an answer; nothing under other texts, which have thumbs elsewhere."""
    return [feedback(suggestion.id, text)] if suggestion.task == "answer" else []


def thumb_in(value: str) -> tuple[str, Literal[-1, 1], str]:
    """(suggestion, thumb, hash of the text that was seen) of a pressed feedback button. Raises DeskError."""
    side, _, rest = value.partition(" ")
    suggestion_id, _, seen = rest.partition(" ")
    if side not in SIDES or not suggestion_id:
        raise DeskError("This button is out of date: rate the reply in its thread with 👍 or 👎.")
    return suggestion_id, SIDES[side], seen


def offer_to_comment(suggestion_id: str) -> Message:
    """Under a reply that somebody put a 👎 on, for their eyes only."""
    said = "Your 👎 is stored."
    actions: Json = {"type": "actions", "elements": [button("say_why", "Say what is wrong", suggestion_id)]}
    return said, [*text_sections(said), actions]


def comment_modal(suggestion_id: str) -> Json:
    """The form that asks what is wrong with a text; its thumb is stored already."""
    element: Json = {
        "type": "plain_text_input",
        "action_id": "text",
        "multiline": True,
        "max_length": INPUT_LIMIT,
        "placeholder": plain_text("A wrong fact, a wrong tone, a missing step …"),
    }
    return {
        "type": "modal",
        "callback_id": "rating_comment",
        "title": plain_text("What is wrong with it?"),
        "submit": plain_text("Save"),
        "close": plain_text("Skip"),
        "private_metadata": json.dumps({"suggestion_id": suggestion_id}),
        "blocks": [
            note("Your 👎 is stored. Skip this if it says enough."),
            {"type": "input", "block_id": "comment", "label": plain_text("In your words"), "element": element},
        ],
    }


def _side(side: str, label: str, spoken: str, suggestion_id: str, seen: str) -> Json:
    return {"text": plain_text(label), "value": f"{side} {suggestion_id} {seen}", "accessibility_label": spoken}
