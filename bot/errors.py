"""What can go wrong between Slack and the desk; each message is a sentence for the person who asked.

DeskError (data/errors.py, which has EmptyThread, EmptyText and NotAllowed too)
├── SlackRefused        Slack answered `ok: false`
│   └── NotInChannel    the bot must be invited first
├── SlackUnreachable    no answer from Slack
├── ThreadTooLong       not even its newest message fits the model's context
├── TooMuchToRead       a summary would take too many parts
├── NothingFound        the help centre has no passage on the question
├── NothingViewed       asked about a thread that the person is looking at, and Slack did not say which
├── TooOld              found unfinished at a restart, when nobody waits for it any more
└── NoBase              `python -m serving up` has not recorded the base model yet
"""

from data.errors import DeskError


class SlackRefused(DeskError):
    """Slack answered `ok: false`. `error` is Slack's own word for the reason."""

    def __init__(self, method: str, error: str, sentence: str = "") -> None:
        self.error = error
        super().__init__(sentence or f"Slack refused {method} ({error}). Please try again, or tell an admin.")


class NotInChannel(SlackRefused):
    """The bot is no member of the channel."""

    def __init__(self, method: str, error: str) -> None:
        super().__init__(method, error, "I am not in this channel: type /invite @Nightshift there, then ask again.")


class SlackUnreachable(DeskError):
    """No answer from Slack's Web API."""

    def __init__(self, method: str) -> None:
        super().__init__(f"Slack did not answer {method}. Please try again in a moment.")


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
    """The help centre has no passage on the question."""


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
