"""What was said well in Slack becomes knowledge: a message, an answer that was kept, or a canvas.

Saved again, it takes the place of what was saved of it before. Who saves it sees it whole in the form, and chooses who
may read it: from then on people may read it who are not in the channel that it came from.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import TypeVar

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot import blocks, blocks_articles, slack
from bot.access import expect_open
from bot.blocks import note
from bot.canvases import canvas_in, read_canvas
from bot.desk import Desk
from bot.errors import SlackRefused, SlackUnreachable
from bot.listing import shortened
from bot.messages import mentioned
from bot.rich_text import markdown_of
from bot.slack import Json
from data import store, store_knowledge
from data.articles import Article, put_article
from data.errors import DeskError, EmptyText, NotAllowed
from data.readers.html import read_html
from data.readers.page import BadDocument, Block

log = logging.getLogger(__name__)

LOOKUP_SECONDS = 1.5
"""That a look around the message may take, since a shortcut opens a form within 3 seconds or never."""
OPEN_SECONDS = 0.7
"""That asking whether the channel is shared with another company may take, before that look."""
CANVAS_SECONDS = 2.0
"""That reading a canvas may take, since a form is acked within 3 seconds."""
READERS = "Everybody who may read it can find it from now on, also who is not in the channel that it comes from."
OF_CANVAS = "Its text is the canvas's, as it stands when you press Save. Save it again after it has changed."

T = TypeVar("T")


@dataclass(frozen=True)
class Found:
    """What is to be saved, under which name, and where it came from."""

    source: str
    article: Article
    channel_id: str = ""
    response_url: str = ""
    url: str = ""
    canvas: str = ""
    is_offer: bool = False
    """Does `response_url` belong to an offer? Then the news that it is saved takes the offer's place."""


def register(app: AsyncApp, desk: Desk) -> None:
    """Listen to the shortcut, to the button under an answer that was kept, and to the form."""

    @app.shortcut("save_as_knowledge")
    async def save_message(ack: AsyncAck, body: Json) -> None:
        await ack()
        await expect_writer(desk, body["user"]["id"])
        channel_id = body["channel"]["id"]
        # Where Slack does not say in time, who saves it knows where they are.
        with suppress(SlackRefused, SlackUnreachable, TimeoutError):
            async with asyncio.timeout(OPEN_SECONDS):
                await expect_open(desk.db, desk.workspace, channel_id)
        message = {**body["message"], "ts": str(body["message"].get("ts") or body["message_ts"])}
        found = await found_in(desk, message, team_id=slack.team_of(body), channel_id=channel_id)
        await open_form(desk, replace(found, response_url=body.get("response_url", "")), body)

    @app.action("save_answer")
    async def save_answer(ack: AsyncAck, body: Json) -> None:
        await ack()
        click = slack.click_of(body)
        await expect_writer(desk, click.user_id)
        suggestion = store.suggestion(desk.db, click.suggestion_id)
        decision = store.decision(desk.db, suggestion.id)
        if decision is None or decision.text is None:
            raise DeskError("This answer is no longer kept: ask again, then save the new one.")
        article = Article(_title(suggestion.request.get("text", "")), decision.text)
        found = Found(f"slack:answer/{suggestion.id}", article, click.channel_id, click.response_url)
        await open_form(desk, found, body)

    @app.view("save_as_knowledge")
    async def save(ack: AsyncAck, body: Json, view: Json) -> None:
        user_id = body["user"]["id"]
        await expect_writer(desk, user_id)
        kept = json.loads(view["private_metadata"])
        article, wrong = blocks_articles.article_in(view["state"]["values"], today=datetime.now(UTC).date())
        if kept["canvas"]:
            wrong.pop("text", None)
        if wrong:
            await ack(response_action="errors", errors=wrong)
            return
        made = None
        if kept["canvas"]:
            made, kept["url"] = await _canvas_blocks(desk, kept["canvas"])
        known = store.source(desk.db, kept["source"]) is not None
        put_article(desk.db, kept["source"], article, url=kept["url"] or None, blocks=made)
        log.info("%s saved %s", user_id, kept["source"])
        await ack()
        what = "is up to date in the help centre" if known else "is in the help centre"
        said = f"“{article.title}” {what}: the next question finds it."
        news = (slack.escape(said), blocks.text_sections(said))
        await desk.workspace.whisper([news], slack.told_of(body), replace=kept.get("is_offer", False))


async def found_in(desk: Desk, message: Json, *, team_id: str, channel_id: str) -> Found:
    """What there is to save in a message: a canvas that it shares, else what it says.

    In a question that was answered in its thread it is the newest answer there. Raises EmptyText.
    """
    ts = message["ts"]
    if (canvas := canvas_in(message)) is not None:
        file_id, title = canvas
        article = Article(shortened(title, blocks_articles.TITLE_LIMIT), "")
        return Found(f"slack:canvas/{team_id}/{file_id}", article, channel_id, canvas=file_id)
    (title, text), url = await asyncio.gather(
        _in_time(_read_thread(desk, channel_id, message, ts), otherwise=("", "")),
        _in_time(desk.workspace.permalink(channel_id, ts), otherwise=""),
    )
    text = text or await _text(desk, message)
    if not text:
        raise EmptyText("There is no text in this message that could be saved.")
    source = f"slack:message/{team_id}/{channel_id}/{ts}"
    known = store.source(desk.db, source)
    if known is not None and not _edited_since(message, known.imported_at):
        # As it was put right in the form the last time.
        text = store_knowledge.document_text(desk.db, source) or text
    return Found(source, Article(title, text), channel_id, url=url)


async def open_form(desk: Desk, found: Found, body: Json) -> None:
    """Show the form, within the life of the trigger in `body`."""
    known = store.source(desk.db, found.source)
    article = found.article
    if known is not None:
        stale_after = date.fromisoformat(known.stale_after) if known.stale_after else None
        article = replace(article, title=known.title, audience=known.audience, owner=known.owner or "")
        # A last day that has passed must be chosen anew.
        article = replace(article, stale_after=None if known.is_stale else stale_after)
    else:
        article = replace(article, owner=await _in_time(desk.workspace.name(body["user"]["id"]), otherwise=""))
    kept = {name: value for name, value in vars(found).items() if name != "article"}
    view = blocks_articles.article_modal(
        "save_as_knowledge",
        kept,
        article,
        title="Save as knowledge",
        submit="Save",
        above=[note(OF_CANVAS if found.canvas else READERS)],
        with_text=not found.canvas,
    )
    await desk.workspace.open_modal(body["trigger_id"], view)


async def _read_thread(desk: Desk, channel_id: str, message: Json, ts: str) -> tuple[str, str]:
    """(title, text): the thread's question, and, when the message is that question, the newest answer to it."""
    root_ts = message.get("thread_ts") or ts
    if not message.get("thread_ts") and not message.get("reply_count"):
        return "", ""
    first, *replies = await desk.workspace.replies(channel_id, root_ts)
    question = await _text(desk, first)
    if root_ts != ts:
        return _title(question), ""
    answers = [turn.text for turn in await desk.workspace.turns(replies) if turn.speaker == "agent"]
    return (_title(question), answers[-1]) if answers else ("", "")


async def _text(desk: Desk, message: Json) -> str:
    """What a message says, in Markdown; what we wrote was Markdown before it was escaped."""
    if message.get("bot_id") and message["bot_id"] == (await desk.workspace.identity()).bot_id:
        return slack.plain(message.get("text") or "").strip()
    people = sorted(mentioned([message]))
    names = await asyncio.gather(*map(desk.workspace.name, people), return_exceptions=True)
    known = {user: name for user, name in zip(people, names, strict=True) if isinstance(name, str)}
    return markdown_of(message, known)


async def _canvas_blocks(desk: Desk, file_id: str) -> tuple[list[Block], str]:
    try:
        async with asyncio.timeout(CANVAS_SECONDS):
            canvas = await read_canvas(desk.workspace, file_id)
    except TimeoutError as error:
        raise DeskError("Slack did not hand over the canvas in time. Press Save again in a moment.") from error
    try:
        made = list((await asyncio.to_thread(read_html, canvas.html, name=canvas.title)).blocks)
    except BadDocument as error:
        raise DeskError(f"The canvas cannot be read: {error}.") from error
    if not made:
        raise EmptyText("There is no text in this canvas that could be saved.")
    return made, canvas.url or ""


async def is_writer(desk: Desk, user_id: str) -> bool:
    """May this person write for the help centre?"""
    return await desk.workspace.role(user_id) is not None or desk.workspace.is_admin(user_id)


async def expect_writer(desk: Desk, user_id: str) -> None:
    """Raise NotAllowed unless this person may write for the help centre."""
    if not await is_writer(desk, user_id):
        raise NotAllowed("Only agents, supervisors and admins write for the help centre.")


async def _in_time(work: Awaitable[T], *, otherwise: T) -> T:
    """What this finds out before the form must open. A form that knows less is better than none."""
    try:
        async with asyncio.timeout(LOOKUP_SECONDS):
            return await work
    except (DeskError, TimeoutError) as error:
        log.info("a form was opened without all that it could know: %s", type(error).__name__)
        return otherwise


def _title(question: str) -> str:
    return shortened(question, blocks_articles.TITLE_LIMIT - 2)


def _edited_since(message: Json, at: str) -> bool:
    edited = (message.get("edited") or {}).get("ts")
    return edited is not None and float(edited) > datetime.fromisoformat(at).timestamp()
