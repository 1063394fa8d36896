"""An answer → the messages that a thread sees. Pure.

A stream shows Markdown, so these do as well: an answer looks the same whether it was streamed or posted.
"""

from collections.abc import Sequence

from bot.blocks import MESSAGE_LIMIT, TITLE_LIMIT, Message, clip, note, size, split, written_by
from bot.slack import Json, escape
from bot.unfinished import safe_markdown
from data.models import Suggestion

QUESTION_LIMIT = 500
"""Characters of a question that are shown again."""
UPDATE_LIMIT = 3_900
"""Characters of the top-level text that chat.update takes with surety; the blocks hold all of it."""


def messages(
    suggestion: Suggestion, *, titles: Sequence[str], remarks: Sequence[str], below: Sequence[Json] = ()
) -> list[Message]:
    """An answer as one or more messages; sources, author and what is `below` stand under the last."""
    pieces = split(suggestion.draft or "", MESSAGE_LIMIT, safe_markdown)
    *before, (text, shown) = [(escape(piece), [_markdown(safe_markdown(piece))]) for piece in pieces]
    lines = [f"Answered by AI ({written_by(suggestion.adapter)})."]
    if titles:
        lines.append("Sources: " + " · ".join(f"[{n}] {clip(t, TITLE_LIMIT)}" for n, t in enumerate(titles, start=1)))
    return [*before, (text, [*shown, *(note(line) for line in [*lines, *remarks]), *below])]


def asked(question: str) -> Message:
    """What the person who asks in private sees at once, and above the answer: Slack does not show what was typed."""
    said = f"You asked: {clip(' '.join(question.split()), QUESTION_LIMIT)}"
    return escape(said), [note(said), note("The answer from the help centre comes below, for your eyes only.")]


def parts(message: Message) -> tuple[str, list[Json]]:
    """A message's Markdown, and the blocks below it: what a stream's end takes apart."""
    _, (text, *below) = message
    return text["text"], below


def sentence(text: str) -> list[Json]:
    """One sentence of ours."""
    return [_markdown(safe_markdown(text))]


def clipped(text: str) -> str:
    """Top-level text that chat.update takes."""
    return text if size(text) <= UPDATE_LIMIT else text[: UPDATE_LIMIT // 2] + "…"


def about(channel_id: str, link: str) -> Json:
    """What a draft is about: the thread at this link, or the channel."""
    text = f"<{escape(link)}|The thread> that you were looking at" if link else f"<#{channel_id}>"
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": text, "verbatim": True}]}


def _markdown(text: str) -> Json:
    return {"type": "markdown", "text": text}
