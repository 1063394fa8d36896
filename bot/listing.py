"""Small pieces of text in lists: a time on the reader's clock, a quoted first line, what became of a draft. Pure."""

from datetime import datetime

from bot.blocks_replies import OTHER, REASONS
from bot.markdown import as_is, words_of
from bot.slack import escape
from data.models import Task
from data.store_supervision import ListedDraft

SHOWN = 180
"""Characters of a text in a list."""
TASK_NAME: dict[Task, str] = {"reply": "Reply", "summary": "Summary", "answer": "Answer"}


def when(at: str) -> str:
    """A stored time as Slack shows it on the reader's own clock; where it cannot, in UTC."""
    moment = datetime.fromisoformat(at)
    return f"<!date^{int(moment.timestamp())}^{{date_short_pretty}} at {{time}}|{moment:%d %b %Y, %H:%M} UTC>"


def shortened(text: str, limit: int = SHOWN) -> str:
    """A text's beginning on one line."""
    flat = " ".join(text.split())
    if len(flat) <= limit:
        return flat
    cut = flat[: limit - 1]
    # At a word's end, but not in a language without spaces.
    at = cut.rfind(" ")
    return (cut[:at] if at > limit // 2 else cut).rstrip() + " …"


def quoted(text: str | None) -> str:
    """The beginning of a text that people or the model wrote, as a quotation that pings nobody."""
    if not text:
        return "> _erased_" if text is None else "> _nothing_"
    words = words_of(text) or text
    shown = as_is(shortened(words))
    # Of a text full of & and < Slack counts five characters for each.
    return "> " + (shown if len(shown) <= 2 * SHOWN else as_is(shortened(words, SHOWN // 5)))


def thread_link(link: str | None) -> str:
    """Where a thread is, as the end of a line; nothing where it is nowhere in Slack."""
    return f" · <{escape(link)}|Open the thread>" if link else ""


def fate(draft: ListedDraft) -> str:
    """What became of a draft, in words."""
    if draft.withdrawn == "taken_back" and draft.posted_ts is None:
        return "not sent"
    if draft.withdrawn is not None:
        return {"taken_back": "taken back", "refreshed": "not sent: a new draft was asked for"}[draft.withdrawn]
    if draft.kind == "dismissed":
        return "dismissed" + (f" ({reason(draft.reason)})" if draft.reason else "")
    if draft.kind is not None:
        sent = draft.task == "reply"
        if sent and draft.posted_ts is None:
            return "not sent yet"
        how = {"accepted": ("sent as drafted", "kept as drafted"), "edited": ("edited and sent", "edited and kept")}
        return how[draft.kind][0 if sent else 1]
    return {
        "requested": "being written",
        "drafted": "being written",
        "shown": "waiting for your decision",
        "failed": "not written",
    }[draft.state]


def reason(stored: str | None) -> str:
    """Why a draft was dismissed, as part of a sentence: a reason that has a button, or what the agent wrote."""
    if not stored:
        return "no reason given"
    return REASONS[stored].lower() if stored in REASONS else escape(shortened(stored.removeprefix(f"{OTHER}: ")))
