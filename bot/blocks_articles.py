"""The form in which a person writes an article for the help centre, and what stands in it. Pure."""

import json
from collections.abc import Mapping, Sequence
from datetime import date

from bot.blocks import INPUT_LIMIT, Message, button, note, option, plain_text, section, split
from bot.slack import Json, escape
from data.articles import Article
from data.models import Audience

TITLE_LIMIT = 150
OWNER_LIMIT = 100
AUDIENCE_NAMES: Mapping[Audience, str] = {
    "internal": "Colleagues only",
    "customer_safe": "Customers too",
}
MISSING = {"title": "Give it a title that says what it answers.", "text": "Write what people should know."}
PIECES = 4
"""Fields that a long text is spread over: Slack's hold 3,000 characters each."""
CUT = "The text is longer than a form holds. What is missing here is not saved: import it as a file."
PAST = "This day has passed: nothing would be found."
SAVE_PINNED = "save_pinned"


def article_modal(
    callback_id: str,
    kept: Mapping[str, str | bool],
    article: Article,
    *,
    title: str,
    submit: str,
    above: Sequence[Json] = (),
    with_text: bool = True,
) -> Json:
    """The form, with what is known already filled in. `kept` comes back with it."""
    stale_after = {"initial_date": article.stale_after.isoformat()} if article.stale_after else {}
    audiences = {audience: option(label, audience) for audience, label in AUDIENCE_NAMES.items()}
    return {
        "type": "modal",
        "callback_id": callback_id,
        "title": plain_text(title),
        "submit": plain_text(submit),
        "close": plain_text("Cancel"),
        "private_metadata": json.dumps(dict(kept)),
        "blocks": [
            *above,
            _input("title", "Title", _written(article.title, TITLE_LIMIT), hint="The question that it answers."),
            *(_texts(article.text) if with_text else ()),
            _input("audience", "Who may read it",
                   {"type": "static_select", "action_id": "value", "options": list(audiences.values()),
                    "initial_option": audiences[article.audience]}),
            _input("owner", "Who looks after it", _written(article.owner, OWNER_LIMIT), optional=True),
            _input("stale_after", "Holds until", {"type": "datepicker", "action_id": "value", **stale_after},
                   optional=True, hint="The last day. From then on it is shown as out of date. Empty: it holds on."),
        ],
    }  # fmt: skip


def article_in(values: Json, *, today: date) -> tuple[Article, dict[str, str]]:
    """What was entered, and what is wrong with it: a sentence by its block."""
    given = {block: _entered(values, block) for block in ("title", "owner")}
    given["text"] = "\n\n".join(filter(None, (_entered(values, block) for block in values if block.startswith("text"))))
    wrong = {block: sentence for block, sentence in MISSING.items() if not given[block]}
    chosen = values["stale_after"]["value"]["selected_date"]
    stale_after = date.fromisoformat(chosen) if chosen else None
    if stale_after is not None and stale_after < today:
        wrong["stale_after"] = PAST
    audience = values["audience"]["value"]["selected_option"]["value"]
    # An option that the form does not have is for nobody outside.
    known: Audience = "customer_safe" if audience == "customer_safe" else "internal"
    return Article(given["title"], given["text"], known, given["owner"], stale_after), wrong


def pin_offer(message_ts: str, *, link: str, canvas: str | None, saved_as: str | None) -> Message:
    """What who pinned a message is offered, with the button. `canvas` and `saved_as` are titles."""
    message = f"<{escape(link)}|this message>" if link else "a message"
    pinned = message if canvas is None else f"the canvas “{escape(canvas)}”"
    if saved_as is None:
        label, said = "Save as knowledge", "Save it as knowledge, and the next question finds it."
    else:
        label, said = "Update the article", f"It is in the help centre as “{escape(saved_as)}”. Has it changed since?"
    text = f"You pinned {pinned}. {said}"
    return text, [section(text), {"type": "actions", "elements": [button(SAVE_PINNED, label, message_ts)]}]


def _texts(text: str) -> list[Json]:
    """One field, or as many as the text needs."""
    first, *more = split(text, INPUT_LIMIT, str) or [""]
    made = [
        _input("text", "Text", _written(first, INPUT_LIMIT) | {"multiline": True},
               hint="Markdown: # headings, - lists, | tables |. No names or data of a customer's, please."),
    ]  # fmt: skip
    for number, piece in enumerate(more[: PIECES - 1], start=2):
        element = _written(piece, INPUT_LIMIT) | {"multiline": True}
        made.append(_input(f"text_{number}", f"Text, part {number}", element, optional=True))
    return [*made, *([note(CUT)] if len(more) >= PIECES else [])]


def _entered(values: Json, block_id: str) -> str:
    return (values[block_id]["value"].get("value") or "").strip()


def _input(block_id: str, label: str, element: Json, *, hint: str = "", optional: bool = False) -> Json:
    block: Json = {"type": "input", "block_id": block_id, "label": plain_text(label), "element": element}
    return block | ({"hint": plain_text(hint)} if hint else {}) | ({"optional": True} if optional else {})


def _written(initial: str, most: int) -> Json:
    filled = {"initial_value": initial[:most]} if initial else {}
    return {"type": "plain_text_input", "action_id": "value", "max_length": most, **filled}
