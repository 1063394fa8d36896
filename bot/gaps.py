"""What people do with a gap in the help centre: take it, give it away, answer it, or say that it is not needed."""

import asyncio
import json
import logging
from datetime import UTC, datetime

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot import blocks, blocks_articles, blocks_gaps, gap_notices, home, slack
from bot.access import expect_agent
from bot.blocks import Message
from bot.desk import Desk
from bot.failing import insist
from bot.gathering import gather
from bot.slack import Address, Json
from bot.supervision import supervises
from data import store, store_gaps
from data.articles import Article, put_article
from data.errors import DeskError, NotAllowed
from data.store_gaps import Gap

log = logging.getLogger(__name__)

CLOSED = "This gap was closed in the meantime. Open it again on my Home tab first."


def register(app: AsyncApp, desk: Desk) -> None:
    """Listen to the buttons of the queue and to the form that closes a gap."""

    @app.action("answer_gap")
    async def answer(ack: AsyncAck, body: Json) -> None:
        await ack()
        click = slack.click_of(body)
        gap = await gap_of(desk, click.value, click.user_id)
        article = store_gaps.newest_article(desk.db, gap.id) or Article(
            blocks_gaps.title_for(gap), "", owner=await _name(desk, gap.owner or click.user_id)
        )
        await desk.workspace.open_modal(click.trigger_id, blocks_gaps.answer_modal(gap, article))

    @app.view("answer_gap")
    async def publish(ack: AsyncAck, body: Json, view: Json) -> None:
        user_id = body["user"]["id"]
        gap = await gap_of(desk, json.loads(view["private_metadata"])["gap_id"], user_id)
        article, wrong = blocks_articles.article_in(view["state"]["values"], today=datetime.now(UTC).date())
        if wrong:
            await ack(response_action="errors", errors=wrong)
            return
        close_with(desk, gap.id, article, user_id=user_id, request_key=view["id"])
        await ack()
        desk.in_background(gap_notices.tell(desk))
        await home.publish(desk, user_id, notice=f"“{article.title}” is in the help centre, and the gap is closed.")

    @app.action("take_gap")
    async def take(ack: AsyncAck, body: Json) -> None:
        click = slack.click_of(body)
        gap = await gap_of(desk, click.value, click.user_id)
        assign(desk, gap, owner=click.user_id, decided_by=click.user_id, request_key=click.trigger_id)
        await ack()
        await home.publish(desk, click.user_id, notice="The gap is yours.")

    @app.action("assign_gap")
    async def give(ack: AsyncAck, body: Json) -> None:
        action, click = body["actions"][0], slack.click_of(body)
        gap = await gap_of(desk, action["block_id"].partition(" ")[0], click.user_id)
        owner = action["selected_user"]
        if await desk.workspace.role(owner) is None and not desk.workspace.is_admin(owner):
            raise DeskError("Only agents, supervisors and admins can look after a gap. Choose one of them.")
        new = assign(desk, gap, owner=owner, decided_by=click.user_id, request_key=click.trigger_id)
        await ack()
        if new and owner != click.user_id:
            await _ask(desk, gap, owner, by=click.user_id)
        await home.publish(desk, click.user_id, notice="The gap has a new owner, who was told.")

    @app.action("dismiss_gap")
    async def dismiss(ack: AsyncAck, body: Json) -> None:
        click = slack.click_of(body)
        gap = await gap_of(desk, click.value, click.user_id)
        with store.immediate(desk.db):
            expect_open(desk, gap.id)
            store_gaps.record_event(
                desk.db, gap.id, kind="dismissed", decided_by=click.user_id, request_key=click.trigger_id
            )
        await ack()
        await home.publish(desk, click.user_id, notice="Not needed: the same question asks for nobody again.")

    @app.action("reopen_gap")
    async def reopen(ack: AsyncAck, body: Json) -> None:
        click = slack.click_of(body)
        gap = await gap_of(desk, click.value, click.user_id)
        open_again(desk, gap.id, user_id=click.user_id, request_key=click.trigger_id)
        await ack()
        await home.publish(desk, click.user_id, notice="The gap is open again.")


async def gap_of(desk: Desk, gap_id: str, user_id: str) -> Gap:
    """A gap that this person may decide on. Raises UnknownGap, NotAllowed."""
    gap = store_gaps.gap(desk.db, gap_id)
    if gap.assigned_to == user_id:
        await expect_agent(desk.workspace, user_id)
    elif not await supervises(desk, user_id):
        raise NotAllowed("Only supervisors, admins and who a gap was given to can do this.")
    return gap


def close_with(desk: Desk, gap_id: str, article: Article, *, user_id: str, request_key: str) -> None:
    """Put an article into the help centre, where the next search finds it, and close its gap. Raises DeskError."""
    with store.immediate(desk.db):
        if store_gaps.event_known(desk.db, request_key):
            return
        expect_open(desk, gap_id)
        put_article(desk.db, store_gaps.article_source(gap_id), article)
        store_gaps.record_event(
            desk.db, gap_id, kind="answered", decided_by=user_id, request_key=request_key, article=article
        )


def open_again(desk: Desk, gap_id: str, *, user_id: str, request_key: str) -> None:
    """Undo that a gap was closed; its article leaves the help centre."""
    with store.immediate(desk.db):
        if store_gaps.gap(desk.db, gap_id).state != "open":
            store.remove_document(desk.db, store_gaps.article_source(gap_id))
            store_gaps.record_event(desk.db, gap_id, kind="reopened", decided_by=user_id, request_key=request_key)


def assign(desk: Desk, gap: Gap, *, owner: str, decided_by: str, request_key: str) -> bool:
    """Say who looks after a gap. True when this request is new."""
    return store_gaps.record_event(
        desk.db, gap.id, kind="assigned", decided_by=decided_by, request_key=request_key, owner=owner
    )


def expect_open(desk: Desk, gap_id: str) -> None:
    """Raise DeskError when a gap was closed."""
    if store_gaps.gap(desk.db, gap_id).state != "open":
        raise DeskError(CLOSED)


async def listing(desk: Desk, user_id: str) -> Message:
    """The queue as a message: all of it for supervisors and admins, their own for agents. Raises NotAllowed."""
    owner = None if await supervises(desk, user_id) else user_id
    if owner is not None:
        await expect_agent(desk.workspace, user_id)
    await gather(desk.db)
    gaps = store_gaps.open_gaps(desk.db, limit=blocks_gaps.LISTED, owner=owner)
    links, names = await asyncio.gather(home.gap_links(desk, gaps), home.names_of(desk, home.owners(gaps)))
    return blocks_gaps.listed(gaps, links=links, names=names)


async def _ask(desk: Desk, gap: Gap, owner: str, *, by: str) -> None:
    asked = blocks_gaps.title_for(gap)
    about = f": “{asked}”" if asked else ""
    said = f"{await _name(desk, by)} asks you to close a gap in the help centre{about}. It is on my Home tab."
    await insist(lambda: desk.workspace.whisper([(said, blocks.text_sections(said))], Address("", owner)))


async def _name(desk: Desk, owner: str) -> str:
    """An owner's name; who looks after a document may be a team, in words."""
    return (await home.names_of(desk, [owner])).get(owner, owner)
