"""What is asked in the direct message with us about a thread or channel that the person is looking at beside it."""

from collections.abc import Sequence

from sqlite_utils import Database

from bot import blocks_answers
from bot.blocks import Message
from bot.messages import DRAFT_EVENT
from bot.slack import Address
from bot.workspace import Workspace
from data import store_viewed
from data.models import Suggestion

KIND = "beside"
"""The kind of such a request."""


async def in_its_thread(db: Database, workspace: Workspace, suggestion: Suggestion) -> Suggestion:
    """The suggestion in the whole thread of the message that is looked at: only Slack knows where that begins.

    Asked after the request's ack. Raises SlackRefused.
    """
    if suggestion.request["kind"] != KIND or suggestion.thread_ts is None:
        return suggestion
    channel_id, message_ts = suggestion.channel_id, suggestion.thread_ts
    answer = await workspace.call("conversations.replies", channel=channel_id, ts=message_ts, limit=1)
    root = str(answer["messages"][0].get("thread_ts") or message_ts)
    return suggestion if root == message_ts else store_viewed.place_in_thread(db, suggestion.id, root)


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
