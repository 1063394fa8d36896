"""Our types → Block Kit. Pure: nothing here touches Slack.

Limits (docs.slack.dev, Block Kit reference): 50 blocks per message, 3,000 characters per section and per
input, 2,000 per button value, 10 elements per context. Slack counts UTF-16 units, so we do.
"""

import json
import re
from collections.abc import Callable, Sequence

from bot.markdown import Piece, pieces, size
from bot.slack import Json, escape
from data.models import BASE, Suggestion
from data.prompts import Wish

SECTION_LIMIT = 3000
INPUT_LIMIT = 3000
MESSAGE_LIMIT = 9_000
"""Text per message: near 13,200 for the whole message Slack answers `msg_blocks_too_long`; the notes need the rest."""
TITLE_LIMIT = 150

Message = tuple[str, list[Json]]
"""Top-level text and blocks of one message."""

WISH_LABELS: dict[Wish, str] = {
    "another": "Another one",
    "shorter": "Shorter",
    "warmer": "Warmer",
    "formal": "More formal",
}
EDIT_REASONS = {
    "wrong_fact": "Wrong fact",
    "wrong_tone": "Wrong tone",
    "missing_step": "Missing step",
    "outdated": "Outdated",
}
"""What was wrong with a draft, as the store keeps it and as a person reads it."""

POSITIVE, NEGATIVE = "👍 Good", "👎 Bad"
KEEPING = "Keep or edit it, and the next summary goes on from yours. 👍 and 👎 rate what the AI wrote."


def split(text: str, limit: int, render: Callable[[str], str]) -> list[str]:
    """Cut a text into pieces that render within `limit`, at a paragraph, line or word where possible."""
    pieces, rest = [], text.strip()
    while size(render(rest)) > limit:
        low, high = 1, len(rest)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if size(render(rest[:middle])) <= limit else (low, middle - 1)
        cut = next((at for mark in ("\n\n", "\n", " ") if (at := rest.rfind(mark, 0, low + 1)) > low // 2), low)
        pieces.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return [*pieces, rest] if rest else pieces


def text_sections(text: str) -> list[Json]:
    """A text that people or the model wrote in markdown, as sections that show it."""
    return _sections(pieces(text.strip(), SECTION_LIMIT))


def section(text: str) -> Json:
    """Our own mrkdwn, with what others wrote in it escaped."""
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}


def note(text: str) -> Json:
    """A line of small grey text, without any markup."""
    return {"type": "context", "elements": [{"type": "plain_text", "text": clip(text, 2000), "emoji": True}]}


def messages_of(text: str) -> list[Message]:
    """A text in markdown as one or more messages: (top-level text, blocks).

    The top-level text is what was written, only escaped: it is read back as the turn, and training learns from it.
    The blocks are how it looks.
    """
    messages: list[list[Piece]] = [[]]
    for piece in pieces(text.strip(), SECTION_LIMIT):
        if messages[-1] and _length([*messages[-1], piece]) > MESSAGE_LIMIT:
            messages.append([])
        messages[-1].append(piece)
    tops = [escape("".join(piece.written for piece in message)).strip() for message in messages]
    return [(top, _sections(message)) for top, message in zip(tops, messages, strict=True) if top]


def _length(message: Sequence[Piece]) -> int:
    return max(sum(size(piece.mrkdwn) + 2 for piece in message), sum(size(escape(piece.written)) for piece in message))


def _sections(shown: Sequence[Piece]) -> list[Json]:
    texts: list[str] = []
    apart = False
    for piece in filter(lambda piece: piece.mrkdwn, shown):
        # Slack sets code and quotes off by itself.
        boxed = piece.mrkdwn.startswith(("```", ">")) or (texts and texts[-1].endswith("```"))
        gap = "\n\n" if apart and not boxed else "\n"
        if texts and size(joined := texts[-1] + gap + piece.mrkdwn) <= SECTION_LIMIT:
            texts[-1] = joined
        else:
            texts.append(piece.mrkdwn)
        apart = re.search(r"\n\s*\n\Z", piece.written) is not None
    return [{"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}} for text in texts]


def draft_messages(
    suggestion: Suggestion,
    *,
    titles: Sequence[str] = (),
    remarks: Sequence[str] = (),
    buttons: bool = True,
    body: Sequence[Message] = (),
    below: Sequence[Json] = (),
) -> list[Message]:
    """A draft for one person's eyes, as one or more messages; sources, author and buttons stand under the last.

    `body` shows the draft in another form than as it is, `below` stands under the buttons.
    """
    draft = suggestion.draft or ""
    *before, (text, blocks) = body or messages_of(draft)
    lines = [f"Drafted by AI ({written_by(suggestion.adapter)}). Only you can see this."]
    if titles:
        lines.append("Sources: " + " · ".join(f"[{n}] {clip(t, TITLE_LIMIT)}" for n, t in enumerate(titles, start=1)))
    lines += remarks
    if buttons and suggestion.task == "summary":
        lines.append(KEEPING)
    editable = size(draft) <= INPUT_LIMIT
    if buttons and not editable:
        lines.append(f"Too long to edit here: a Slack form holds {INPUT_LIMIT:,} characters.")
    blocks = [*blocks, *(note(line) for line in lines)]
    if buttons:
        blocks.append(decision_buttons(suggestion, editable=editable))
        if suggestion.task == "summary":
            blocks.append(thumbs(suggestion))
    blocks += below
    return [*before, (text, blocks)]


def decision_buttons(suggestion: Suggestion, *, editable: bool = True) -> Json:
    """Accept, edit, dismiss, and for a reply why and another one. The value is the suggestion's id, never the draft."""
    accept = "Send" if suggestion.task == "reply" else "Keep it"
    buttons = [button("accept", accept, suggestion.id, style="primary")]
    if editable:
        buttons.append(button("edit", "Edit", suggestion.id))
    buttons.append(button("dismiss", "Dismiss", suggestion.id))
    if suggestion.task == "reply":
        buttons += [button("why", "Why this?", suggestion.id), _wishes(suggestion)]
    return {"type": "actions", "elements": buttons}


def thumbs(suggestion: Suggestion) -> Json:
    """👍 and 👎, for those who may rate."""
    buttons = [button("rate_up", POSITIVE, suggestion.id), button("rate_down", NEGATIVE, suggestion.id)]
    return {"type": "actions", "elements": buttons}


def send_again(suggestion: Suggestion) -> Json:
    """The buttons under a reply that was decided on and could not be posted."""
    send = button("accept", "Send", suggestion.id, style="primary")
    return {"type": "actions", "elements": [send, button("do_not_send", "Do not send", suggestion.id)]}


def reply_messages(text: str, *, sender: str) -> list[Message]:
    """The reply that the customer reads. The sender is a plain name, so nobody is pinged."""
    *before, (top, blocks) = messages_of(text)
    return [*before, (top, [*blocks, note(f"Drafted by AI, sent by {sender}")])]


def edit_modal(suggestion: Suggestion, *, channel_id: str, response_url: str) -> Json:
    """The form in which an agent changes a draft."""
    return {
        "type": "modal",
        "callback_id": "edit_draft",
        "title": plain_text("Edit the draft"),
        "submit": plain_text("Send" if suggestion.task == "reply" else "Save"),
        "close": plain_text("Cancel"),
        "private_metadata": json.dumps(
            {"suggestion_id": suggestion.id, "channel_id": channel_id, "response_url": response_url}
        ),
        "blocks": [
            {
                "type": "input",
                "block_id": "draft",
                "label": plain_text({"reply": "Your reply", "summary": "Summary", "answer": "Answer"}[suggestion.task]),
                "element": {
                    "type": "plain_text_input",
                    "action_id": "text",
                    "multiline": True,
                    "max_length": INPUT_LIMIT,
                    "initial_value": suggestion.draft or "",
                },
            },
            {
                "type": "input",
                "block_id": "reason",
                "optional": True,
                "label": plain_text("What was wrong with the draft?"),
                "element": {
                    "type": "static_select",
                    "action_id": "reason",
                    "options": [option(label, reason) for reason, label in EDIT_REASONS.items()],
                },
            },
        ],
    }


def _wishes(suggestion: Suggestion) -> Json:
    choices = [option(label, f"{wish}:{suggestion.id}") for wish, label in WISH_LABELS.items()]
    return {"type": "overflow", "action_id": "rewrite", "options": choices}


def written_by(adapter: str | None) -> str:
    """Who wrote a draft, in words."""
    return "base model" if adapter in (None, BASE) else f"adapter {adapter}"


def button(action_id: str, label: str, value: str, *, style: str | None = None) -> Json:
    """A button."""
    made: Json = {"type": "button", "action_id": action_id, "text": plain_text(label), "value": value}
    return made | {"style": style} if style else made


def plain_text(text: str) -> Json:
    """A text object without markup."""
    return {"type": "plain_text", "text": text, "emoji": True}


def option(label: str, value: str) -> Json:
    """One choice of a menu."""
    return {"text": plain_text(label), "value": value}


def clip(text: str, limit: int) -> str:
    """The text, or as much of it as fits."""
    return text if size(text) <= limit else text[: limit // 2 - 1] + "…"
