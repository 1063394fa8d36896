"""The supervisors' review queue: a message per decision on a draft, with thumbs. Pure."""

from bot.blocks import Message, messages_of, note, written_by
from bot.blocks_feedback import feedback
from bot.listing import reason
from bot.slack import Json, escape, plain
from data.models import Decision, Suggestion


def reviewed_text(suggestion: Suggestion, decision: Decision | None) -> str:
    """The text that a review message shows: what was sent, or the draft that was not."""
    return (decision.text if decision else None) or suggestion.draft or ""


def review_messages(suggestion: Suggestion, decision: Decision, *, sender: str, link: str) -> list[Message]:
    """What supervisors see of one decision, with two thumbs. A dismissed draft is one that no customer ever saw."""
    who = {
        "accepted": f"{sender} sent this draft as it was.",
        "edited": f"{sender} edited the draft and sent this.",
        "dismissed": f"{sender} dismissed this draft{_why(decision.reason)}. The customer never saw it.",
    }[decision.kind]
    text = reviewed_text(suggestion, decision)
    *before, (top, blocks) = messages_of(text)
    where: Json = {"type": "mrkdwn", "text": f"<{escape(link)}|Open the thread>", "verbatim": True}
    context: Json = {"type": "context", "elements": [where]}
    head = note(f"{who} Drafted by AI ({written_by(suggestion.adapter)}).")
    return [*before, (top, [head, *blocks, context, feedback(suggestion.id, text)])]


def _why(stored: str | None) -> str:
    # Agents are asked for a reason after they have dismissed a draft: mostly there is none yet.
    return f": {plain(reason(stored))}" if stored else ""
