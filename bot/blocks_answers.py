"""An answer → the messages that a thread sees. Pure.

A stream shows Markdown, so these do as well: an answer looks the same whether it was streamed or posted.
"""

from collections.abc import Sequence
from itertools import pairwise
from urllib.parse import quote

from bot.blocks import (
    MESSAGE_LIMIT,
    TITLE_LIMIT,
    Message,
    button,
    clip,
    note,
    plain_text,
    size,
    split,
    text_sections,
    written_by,
)
from bot.grounding import citations, short
from bot.harmless import safe_markdown
from bot.listing import shortened
from bot.markdown import block_starts
from bot.slack import Json, escape
from data.models import Passage, Suggestion
from data.store_answers import CitedPassage

PARTS_PER_MESSAGE = 40
"""Of the 50 blocks that Slack takes. It counts headings, rules and tables of a markdown block as blocks of their own
(slack.md, 6); whether it counts paragraphs and lists as well is not certain, so all are counted."""
QUESTION_LIMIT = 500
"""Characters of a question that are shown again."""
UPDATE_LIMIT = 3_900
"""Characters of the top-level text that chat.update takes with surety; the blocks hold all of it."""
EXCERPT = 200
"""Characters of a passage that are shown with a refusal."""
VIEW_BLOCKS = 100
URL_LIMIT = 3_000
"""Characters of an address that a button takes."""
ADDRESS = "%/:?#[]@!$&'()*+,;=~"
"""What an address may hold beside letters and digits (RFC 3986)."""


def messages(
    suggestion: Suggestion, *, titles: Sequence[str], remarks: Sequence[str], below: Sequence[Json] = ()
) -> list[Message]:
    """The first sentences of an answer as one or more messages; sources, author and what is `below` under the last."""
    pages = _pages(short(suggestion.draft or ""))
    pieces = [piece for page in pages for piece in split(page, MESSAGE_LIMIT, safe_markdown)]
    *before, (text, shown) = [(escape(piece), [_markdown(safe_markdown(piece))]) for piece in pieces]
    lines = [f"Answered by AI ({written_by(suggestion.adapter)})."]
    cited = {number for _, numbers in citations(suggestion.draft or "") for number in numbers}
    # What was read and is not cited stands in the form that shows all passages.
    if named := [f"[{n}] {clip(t, TITLE_LIMIT)}" for n, t in enumerate(titles, start=1) if n in cited]:
        lines.append("Sources: " + " · ".join(named))
    return [*before, (text, [*shown, *(note(line) for line in [*lines, *remarks]), *below])]


def fits(markdown: str) -> bool:
    """Does this much of an answer fit in one message?"""
    if size(markdown) > MESSAGE_LIMIT:
        return False
    # Each block ends with a line, so the lines are counted before anything is parsed.
    return markdown.count("\n") < PARTS_PER_MESSAGE or len(block_starts(markdown)) <= PARTS_PER_MESSAGE


def _pages(text: str) -> list[str]:
    """The text in pieces of so many parts at most."""
    cuts = [0, *block_starts(text)[PARTS_PER_MESSAGE::PARTS_PER_MESSAGE], len(text)]
    return [text[begin:end] for begin, end in pairwise(cuts)]


def more(suggestion: Suggestion) -> list[Json]:
    """The button under an answer that shows all of it and its passages."""
    if suggestion.task != "answer":
        return []
    draft = suggestion.draft or ""
    label = "More" if short(draft) != draft.strip() else "Show the sources"
    return [{"type": "actions", "elements": [button("more", label, suggestion.id)]}]


def more_modal(suggestion: Suggestion, passages: Sequence[CitedPassage | None]) -> Json:
    """The whole answer and its passages, word for word. None: one that this person may not read."""
    made = text_sections(suggestion.draft or "This answer is no longer kept.")
    for number, passage in enumerate(passages, start=1):
        if passage is None:
            made += [{"type": "divider"}, note(f"[{number}] is for colleagues only.")]
            continue
        made += [{"type": "divider"}, note(f"[{number}] {clip(passage.title, TITLE_LIMIT)}{_until(passage)}")]
        made += text_sections(passage.text)
        if passage.url and passage.url.startswith(("https://", "http://")):
            made += _article(suggestion, passage.chunk_id, quote(passage.url, safe=ADDRESS))
    return {
        "type": "modal",
        "callback_id": "more_answer",
        "title": plain_text("Answer and sources"),
        "close": plain_text("Close"),
        "blocks": made[:VIEW_BLOCKS],
    }


def refusal(sentence: str, nearest: Sequence[Passage]) -> Message:
    """That nothing answers the question, with the passages that come closest."""
    lines = [f"{clip(one.title, TITLE_LIMIT)}: {shortened(one.text, EXCERPT)}" for one in nearest]
    if lines:
        lines[0] = f"The nearest that I have: {lines[0]}"
    return sentence, [*text_sections(sentence), *map(note, lines)]


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


def _until(passage: CitedPassage) -> str:
    return f" (was to be checked again after {passage.stale_after})" if passage.is_stale else ""


def _article(suggestion: Suggestion, chunk_id: int, url: str) -> list[Json]:
    # A button and not a link, since Slack tells only of those: what is opened teaches search.
    opening = button("read_article", "Read the article", f"{suggestion.id} {chunk_id}")
    return [{"type": "actions", "elements": [opening | {"url": url}]}] if len(url) <= URL_LIMIT else []


def _markdown(text: str) -> Json:
    return {"type": "markdown", "text": text}
