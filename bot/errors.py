"""What can go wrong between Slack and the desk; each message is a sentence for the person who asked.

DeskError (data/errors.py, which has EmptyThread, EmptyText and NotAllowed too)
├── SlackRefused        Slack answered `ok: false`
│   └── NotInChannel    the bot must be invited first
├── SlackUnreachable    no answer from Slack
├── ThreadMovedOn       something was said, edited or deleted after the draft was made; nothing was sent
├── ThreadTooLong       not even its newest message fits the model's context
├── TooMuchToRead       a summary would take too many parts
├── NothingFound        the help centre has no passage that answers the question
├── NothingSafe         guests ask or read along, and no source is marked as customer-safe
├── NothingViewed       asked about a thread that the person is looking at, and Slack did not say which
├── TooOld              found unfinished at a restart, when nobody waits for it any more
└── NoBase              `python -m serving up` has not recorded the base model yet
"""

from collections.abc import Sequence

from data.errors import DeskError
from data.models import Passage
from data.prompts import NOT_FOUND

WHAT_TO_DO = {
    "msg_too_long": "This text is too long for Slack. Shorten it, then send it again",
    "msg_blocks_too_long": "This text is too long for Slack. Shorten it, then send it again",
    "ratelimited": "Slack asks me to slow down. Please try again in a minute",
    "is_archived": "This channel is archived, so nothing can be posted here",
    "thread_not_found": "That thread is not there any more",
    "message_not_found": "That message is not there any more",
    "file_not_found": "I cannot open that canvas. Share it in a channel that I am in, then save it there",
    "file_deleted": "That canvas is not there any more",
    "restricted_action": "This workspace's rules do not let me post here. Please tell an admin",
    "expired_trigger_id": "Slack waits 3 seconds for a form and that was too long. Please press the button again",
    "missing_scope": "I lack a permission in Slack. Please tell an admin to install the app again",
    "token_revoked": "I was removed from this workspace. Please tell an admin to install the app again",
    "account_inactive": "I was removed from this workspace. Please tell an admin to install the app again",
}
"""Slack's words for a refusal → what a person can do about it."""


class SlackRefused(DeskError):
    """Slack answered `ok: false`. `error` is Slack's own word for the reason."""

    def __init__(self, method: str, error: str, sentence: str = "") -> None:
        self.error = error
        known = f"{WHAT_TO_DO[error]} ({error})." if error in WHAT_TO_DO else ""
        super().__init__(sentence or known or f"Slack refused {method} ({error}). Please try again, or tell an admin.")


class NotInChannel(SlackRefused):
    """The bot is no member of the channel."""

    def __init__(self, method: str, error: str, channel_id: str = "") -> None:
        if channel_id.startswith("D"):
            # Nobody can be invited to a conversation of two.
            sentence = "I cannot read a direct message between people: forward it to a channel that I am in."
        else:
            sentence = "I am not in this channel: type /invite @Nightshift there, then ask again."
        super().__init__(method, error, sentence)


class SlackUnreachable(DeskError):
    """No answer from Slack's Web API."""

    def __init__(self, method: str) -> None:
        super().__init__(f"Slack did not answer {method}. Please try again in a moment.")


class ThreadMovedOn(DeskError):
    """Something was said in the thread, edited or deleted after the draft was made, so the reply was not sent."""

    def __init__(self, newer: int, edited: int = 0, deleted: int = 0) -> None:
        came = "1 message has come" if newer == 1 else f"{newer} messages have come"
        changes = [
            f"{came} into the thread" if newer else "",
            f"{_messages(edited)} edited" if edited else "",
            f"{_messages(deleted)} deleted" if deleted else "",
        ]
        happened = " and ".join(filter(None, changes))
        super().__init__(f"Not sent: {happened} since this was drafted. Read on, then choose.")


def _messages(count: int) -> str:
    return "1 message was" if count == 1 else f"{count} messages were"


class ThreadTooLong(DeskError):
    """Not even the newest message fits the model's context."""

    def __init__(self, tokens: int, limit: int) -> None:
        super().__init__(
            f"The newest message alone takes {tokens:,} tokens and the model reads {limit:,}: "
            "shorten it, or serve a model with a longer context."
        )


class TooMuchToRead(DeskError):
    """A summary would take too many parts."""

    def __init__(self, parts: int, most: int) -> None:
        super().__init__(
            f"This is too much to read: the model would need {parts:,} parts and I stop at {most}. "
            "Ask for less at a time, for example /summarize 12h."
        )


class NothingFound(DeskError):
    """The help centre has no passage that answers the question. `nearest` are those that come closest."""

    def __init__(self, nearest: Sequence[Passage] = ()) -> None:
        self.nearest = tuple(nearest)
        super().__init__(NOT_FOUND)


class NothingSafe(DeskError):
    """Guests or customers ask or read along, and no source is marked as customer-safe."""

    def __init__(self) -> None:
        super().__init__(
            "Guests or customers read this, so I answer from customer-safe articles only, and none is marked so yet. "
            "Colleagues can ask in private with /ask; an admin can mark articles as customer-safe."
        )


class NothingViewed(DeskError):
    """Slack did not say which channel or thread the person is looking at."""

    def __init__(self) -> None:
        super().__init__("I do not know which thread you are looking at: open it beside me, then ask again.")


class TooOld(DeskError):
    """Found unfinished at a restart, when nobody waits for it any more."""


class NoBase(DeskError):
    """The base model's identity is not in the store."""

    def __init__(self) -> None:
        super().__init__("No base model has been served yet: run `python -m serving up`, then ask again.")
