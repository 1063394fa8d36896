"""The queue of gaps in the help centre: on the Home tab, in a list, and the form that closes one. Pure."""

from collections.abc import Mapping, Sequence

from bot.blocks import EDIT_REASONS, Message, button, note, plain_text, section
from bot.blocks_articles import article_modal
from bot.listing import quoted, shortened, thread_link, when
from bot.slack import Json, escape
from data.articles import Article
from data.store_gaps import Example, Gap

OPEN_SHOWN = 5
LISTED = 10
CLOSED_SHOWN = 3
CLOSED_DAYS = 7
"""How long what was closed stays on the Home tab, with the button that opens it again."""
EMPTY = "No question went unanswered, and no draft was marked as wrong or outdated."
TITLE_LENGTH = 150


def queue(
    gaps: Sequence[Gap], closed: Sequence[Gap], *, links: Mapping[str, str], names: Mapping[str, str]
) -> list[Json]:
    """What waits for an answer, most asked first, each with what can be done about it; below, what was closed."""
    blocks = [block for gap in gaps for block in waiting(gap, links=links, names=names)]
    blocks += [] if gaps else [note(EMPTY)]
    return [*blocks, *(_closed(gap) for gap in closed)]


def waiting(gap: Gap, *, links: Mapping[str, str], names: Mapping[str, str]) -> list[Json]:
    """One gap with its buttons."""
    buttons: list[Json] = [
        button("answer_gap", "Answer it", gap.id, style="primary"),
        button("take_gap", "Take it", gap.id),
        button("dismiss_gap", "Not needed", gap.id),
        {"type": "users_select", "action_id": "assign_gap", "placeholder": plain_text("Give it to …")}
        | ({"initial_user": gap.assigned_to} if gap.assigned_to else {}),
    ]
    # A menu of people sends no value with it, so the block says which gap it is; and Slack keeps what was chosen in a
    # block for as long as its id stays the same, so the owner stands in it, too.
    block_id = f"{gap.id} {gap.assigned_to or ''}"
    return [
        section(_told(gap, links=links, names=names)),
        {"type": "actions", "block_id": block_id, "elements": buttons},
    ]


def listed(gaps: Sequence[Gap], *, links: Mapping[str, str], names: Mapping[str, str]) -> Message:
    """The queue as one message."""
    if not gaps:
        return EMPTY, [note(EMPTY)]
    head = "Gaps in the help centre, most asked first. Answer them on my Home tab."
    return head, [section(head), *(section(_told(gap, links=links, names=names)) for gap in gaps)]


def answer_modal(gap: Gap, article: Article) -> Json:
    """The form for the article that answers a gap, below what was asked."""
    above: list[Json] = []
    for example in gap.examples:
        above += [note(f"{_what(example)}:"), section(quoted(_text(example)))]
        if example.sent:
            above += [note("An agent wrote in its place:"), section(quoted(example.sent))]
    return article_modal("answer_gap", {"gap_id": gap.id}, article, title="Answer a gap", submit="Publish", above=above)


def title_for(gap: Gap) -> str:
    """The title that the form begins with: the question, where there is one."""
    asked = next((one.question for one in gap.examples if one.question), "")
    return shortened(asked, TITLE_LENGTH) if asked else ""


def answered(example: Example, article: Article) -> Message:
    """What who met with a gap is told, once."""
    if example.kind == "not_found":
        head = f"The help centre has an answer now to: “{shortened(example.question)}”. Ask me again any time."
    else:
        head = "What you marked as wrong in a draft stands right in the help centre now."
    shown = section(f"*{escape(article.title)}*\n{quoted(article.text)}")
    return escape(head), [section(escape(head)), shown]


def _told(gap: Gap, *, links: Mapping[str, str], names: Mapping[str, str]) -> str:
    times = "Once" if gap.count == 1 else f"{gap.count} times"
    owner = f" · {escape(names.get(gap.owner, gap.owner))} looks after it" if gap.owner else ""
    lines = [f"*{times}*, the last {when(gap.at)}{owner}"]
    for example in gap.examples:
        lines.append(f"{_what(example)}{thread_link(links.get(example.suggestion_id))}\n{quoted(_text(example))}")
    return "\n".join(lines)


def _closed(gap: Gap) -> Json:
    what = "Answered" if gap.state == "answered" else "Not needed"
    text = f"_{what}_\n{quoted(_text(gap.examples[0]))}"
    return section(text) | {"accessory": _reopen(gap)}


def _reopen(gap: Gap) -> Json:
    made = button("reopen_gap", "Open again", gap.id)
    if gap.state == "dismissed":
        return made
    words = {
        "title": "Open it again?",
        "text": "Its article is taken out of the help centre. The text is kept for the next answer.",
        "confirm": "Open again",
        "deny": "Cancel",
    }
    return made | {"confirm": {name: plain_text(said) for name, said in words.items()}}


def _what(example: Example) -> str:
    if example.kind == "not_found":
        return "Nothing found for a question"
    return f"{EDIT_REASONS[example.kind]} in a draft"


def _text(example: Example) -> str:
    return example.question if example.kind == "not_found" else example.draft or ""
