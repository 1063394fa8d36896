"""What is asked in the direct message with us about a thread or channel that the person is looking at beside it."""

from collections.abc import Sequence

from bot import blocks_answers
from bot.blocks import Message
from bot.messages import DRAFT_EVENT
from bot.slack import Address
from bot.workspace import Workspace
from data.models import Suggestion

KIND = "beside"
"""The kind of such a request."""


async def show(
    workspace: Workspace, suggestion: Suggestion, messages: Sequence[Message], to: Address, *, look: bool
) -> None:
    """Show a draft under a link to what it is about, since the person may look elsewhere by now. Once."""
    link = ""
    if suggestion.thread_ts is not None:
        link = await workspace.permalink(suggestion.channel_id, suggestion.thread_ts)
    (text, shown), *rest = messages
    await workspace.post_once(
        [(text, [blocks_answers.about(suggestion.channel_id, link), *shown]), *rest],
        channel_id=to.channel_id,
        thread_ts=to.thread_ts,
        event_type=DRAFT_EVENT,
        suggestion_id=suggestion.id,
        look=look,
    )
