"""The buttons that show all of an answer with the passages that it rests on, and that open an article.

Who asks to see more of an answer, or reads on in an article, found what they were looking for: search learns from it.
"""

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot import blocks_answers, slack
from bot.access import reads_internal
from bot.desk import Desk
from bot.slack import Json
from data import store, store_answers


def register(app: AsyncApp, desk: Desk) -> None:
    """The listeners for the buttons."""

    @app.action("more")
    async def more(ack: AsyncAck, body: Json) -> None:
        await ack()
        click = slack.click_of(body)
        suggestion = store.suggestion(desk.db, click.suggestion_id)
        store_answers.record_opening(desk.db, suggestion.id)
        passages = store_answers.cited_passages(desk.db, suggestion.id)
        if any(passage.audience == "internal" for passage in passages):
            # Whoever is in the channel sees the answer; its internal passages are for colleagues all the same.
            inside = await reads_internal(desk.workspace, suggestion.channel_id, click.user_id)
            shown = [passage if inside or passage.audience == "customer_safe" else None for passage in passages]
            view = blocks_answers.more_modal(suggestion, shown)
        else:
            view = blocks_answers.more_modal(suggestion, passages)
        await desk.workspace.open_modal(click.trigger_id, view)

    @app.action("read_article")
    async def read_article(ack: AsyncAck, body: Json) -> None:
        await ack()
        suggestion_id, _, chunk_id = slack.click_of(body).value.partition(" ")
        store_answers.record_opening(desk.db, suggestion_id, int(chunk_id))
