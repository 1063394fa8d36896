"""What an agent sees around a reply: why a draft was made, what was wrong with it, and what can still be undone. Pure.

A draft's own buttons and form stand in blocks.py, whose notes on Slack's limits hold here too.
"""

import json
from collections.abc import Sequence

from bot.blocks import (
    EDIT_REASONS,
    INPUT_LIMIT,
    Message,
    button,
    clip,
    messages_of,
    note,
    plain_text,
    text_sections,
    written_by,
)
from bot.slack import Json
from data.models import BASE, Suggestion
from data.store_replies import ShownExample, ShownPassage

REASONS = {**EDIT_REASONS, "not_needed": "Not needed"}
"""Why a draft was dismissed, as the store keeps it and as a person reads it."""
OTHER = "other"
TITLE_LIMIT = 150
VIEW_BLOCKS = 100


def dismissed(suggestion: Suggestion) -> Message:
    """What stands in a dismissed draft's place: one click says why."""
    sentence = "Dismissed. What was wrong with it?"
    buttons = [button(f"reason_{reason}", label, suggestion.id) for reason, label in REASONS.items()]
    buttons.append(button(f"reason_{OTHER}", "Other…", suggestion.id))
    return sentence, [*text_sections(sentence), {"type": "actions", "elements": buttons}]


def reason_label(reason: str) -> str:
    """A stored reason in words, as part of a sentence."""
    return REASONS[reason].lower() if reason in REASONS else OTHER


def reason_modal(suggestion: Suggestion, *, channel_id: str, response_url: str) -> Json:
    """The form for a reason that has no button."""
    return {
        "type": "modal",
        "callback_id": "dismiss_reason",
        "title": plain_text("Why dismissed?"),
        "submit": plain_text("Save"),
        "close": plain_text("Cancel"),
        "private_metadata": json.dumps(
            {"suggestion_id": suggestion.id, "channel_id": channel_id, "response_url": response_url}
        ),
        "blocks": [
            {
                "type": "input",
                "block_id": "reason",
                "label": plain_text("What was wrong with the draft?"),
                "element": {
                    "type": "plain_text_input",
                    "action_id": "text",
                    "multiline": True,
                    "max_length": INPUT_LIMIT,
                },
            }
        ],
    }


def unsent(sentence: str, text: str, buttons: Json) -> list[Message]:
    """A text that could not be sent, below the sentence that says why, with what can be done now."""
    (first, sections), *others = messages_of(text)
    messages = [(first, [*text_sections(sentence), {"type": "divider"}, *sections]), *others]
    *before, (top, made) = messages
    return [*before, (top, [*made, buttons])]


def moved_on(suggestion: Suggestion) -> Json:
    """The buttons under a text that was not sent, because the thread has moved on."""
    return {
        "type": "actions",
        "elements": [
            button("refresh", "Refresh the draft", suggestion.id, style="primary"),
            button("send_anyway", "Send anyway", suggestion.id),
            button("do_not_send", "Do not send", suggestion.id),
        ],
    }


def sent(suggestion: Suggestion, sentence: str, text: str, *, minutes: int) -> Message:
    """The agent's confirmation, which takes the reply back for a while. It tells one of several from the others."""
    actions: Json = {"type": "actions", "elements": [button("take_back", "Take it back", suggestion.id)]}
    which = note(f"“{clip(' '.join(text.split()), TITLE_LIMIT)}” It can be taken back for {minutes} minutes.")
    return sentence, [*text_sections(sentence), actions, which]


def not_sent(text: str) -> list[Message]:
    """A text that stays in view, for its agent, after a new draft was asked for in its place."""
    *before, (top, sections) = messages_of(text)
    return [*before, (top, [*sections, note("Not sent. A new draft follows. Only you can see this.")])]


def taken_back(suggestion: Suggestion, text: str, *, was_posted: bool) -> list[Message]:
    """What stands in the place of what was pressed: the text, which only the agent sees now, and a way on."""
    became = "Taken back: it is deleted from the thread." if was_posted else "Not sent."
    head = note(f"{became} Only you can see this.")
    *before, (top, sections) = messages_of(text)
    again: Json = {"type": "actions", "elements": [button("refresh", "Draft again", suggestion.id)]}
    return [*before, (top, [*sections, head, again])]


def unasked(text: str) -> str:
    """The remark under a draft that nobody asked for: which message it answers, and how to end this."""
    asked = clip(" ".join(text.split()), TITLE_LIMIT)
    end = "" if asked.endswith((".", "!", "?", "…")) else "."
    return f"For: “{asked}”{end} You did not ask for this; an admin ends it here with /nightshift proactive off."


def why_modal(
    suggestion: Suggestion,
    *,
    passages: Sequence[ShownPassage],
    examples: Sequence[ShownExample],
    hidden_examples: int,
) -> Json:
    """What stood in the prompt beside the thread, and who wrote the draft.

    `hidden_examples` come from channels that the person is not in.
    """
    made = [*text_sections(f"Written by the {written_by(suggestion.adapter)}, from this thread and what follows.")]
    made.append(_header("From the help centre"))
    for number, passage in enumerate(passages, start=1):
        made += [note(f"[{number}] {clip(passage.title, TITLE_LIMIT)}"), *text_sections(passage.text)]
    if not passages:
        made += text_sections("No article fitted, so none was read.")
    made.append(_header("Replies that agents sent before"))
    for example in examples:
        made += [note("An example of how your team writes"), *text_sections(example.text)]
    if hidden_examples:
        made.append(note(f"{hidden_examples} more from channels that you are not in."))
    if not examples and not hidden_examples:
        made += text_sections(
            "None: an adapter has learned how your team writes."
            if suggestion.adapter not in (None, BASE)
            else "None was like this one."
        )
    return {
        "type": "modal",
        "callback_id": "why_draft",
        "title": plain_text("Why this draft"),
        "close": plain_text("Close"),
        "blocks": made[:VIEW_BLOCKS],
    }


def _header(text: str) -> Json:
    return {"type": "header", "text": plain_text(text)}
