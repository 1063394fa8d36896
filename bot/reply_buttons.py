"""The listeners of what an agent may press around a draft. Each stores first, then acks, then works."""

import json
import re

from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncBoltContext

from bot import blocks, blocks_replies, decisions, replies, slack
from bot.blocks import Message
from bot.desk import Desk
from bot.failing import insist, or_fail
from bot.slack import Json
from data.models import Suggestion


def register(app: AsyncApp, desk: Desk) -> None:
    """Reasons, why, another draft, send anyway or not at all, refresh, take back."""
    _reasons(app, desk)
    _another_draft(app, desk)
    _sent_replies(app, desk)


def _reasons(app: AsyncApp, desk: Desk) -> None:
    @app.action(f"reason_{blocks_replies.OTHER}")
    async def other(ack: AsyncAck, body: Json) -> None:
        await ack()
        click = slack.click_of(body)
        suggestion = await decisions.draft_of(desk, click)
        view = blocks_replies.reason_modal(suggestion, channel_id=click.channel_id, response_url=click.response_url)
        await desk.workspace.open_modal(click.trigger_id, view)

    @app.action(re.compile(f"^reason_({'|'.join(blocks_replies.REASONS)})$"))
    async def reason(ack: AsyncAck, body: Json) -> None:
        click = slack.click_of(body)
        pressed = body["actions"][0]["action_id"].removeprefix("reason_")
        said = await replies.give_reason(desk, click.suggestion_id, click.user_id, pressed)
        await ack()
        await _replace(desk, body, [_line(said)])

    @app.view("dismiss_reason")
    async def submitted(ack: AsyncAck, body: Json, view: Json) -> None:
        text = replies.reason_in_words(view["state"]["values"]["reason"]["text"]["value"] or "")
        suggestion_id = json.loads(view["private_metadata"])["suggestion_id"]
        said = await replies.give_reason(desk, suggestion_id, body["user"]["id"], text)
        await ack()
        await _replace(desk, body, [_line(said)])


def _another_draft(app: AsyncApp, desk: Desk) -> None:
    @app.action("why")
    async def why(ack: AsyncAck, body: Json) -> None:
        await ack()
        click = slack.click_of(body)
        suggestion = await decisions.draft_of(desk, click)
        await desk.workspace.open_modal(click.trigger_id, await replies.why(desk, suggestion, click.user_id))

    @app.action("rewrite")
    async def rewrite(ack: AsyncAck, body: Json) -> None:
        click = slack.click_of(body)
        suggestion = await decisions.draft_of(desk, click)
        decisions.expect_undecided(desk, suggestion)
        asked = replies.ask_again(desk, suggestion, click)
        await ack()
        await _run(desk, asked)

    @app.action("refresh")
    async def refresh(ack: AsyncAck, body: Json) -> None:
        asked, unsent = await replies.refresh(desk, slack.click_of(body))
        await ack()
        if unsent is not None:
            await _replace(desk, body, blocks_replies.not_sent(unsent.text or ""))
        await _run(desk, asked)


def _sent_replies(app: AsyncApp, desk: Desk) -> None:
    @app.action("send_anyway")
    async def send_anyway(ack: AsyncAck, body: Json, context: AsyncBoltContext) -> None:
        decided = await replies.standing(desk, slack.click_of(body))
        await ack()
        context["suggestion"] = decided.suggestion
        await decisions.act(desk, decided, slack.told_of(body), anyway=True)

    @app.action("take_back")
    async def take_back(ack: AsyncAck, body: Json) -> None:
        suggestion, decision = await replies.take_back(desk, slack.click_of(body))
        await ack()
        await insist(lambda: desk.unpost(suggestion))
        await _replace(desk, body, blocks_replies.taken_back(suggestion, decision.text or "", was_posted=True))

    @app.action("do_not_send")
    async def do_not_send(ack: AsyncAck, body: Json) -> None:
        suggestion, decision = await replies.do_not_send(desk, slack.click_of(body))
        await ack()
        await _replace(desk, body, blocks_replies.taken_back(suggestion, decision.text or "", was_posted=False))


async def _run(desk: Desk, suggestion: Suggestion | None) -> None:
    # Not through Bolt's error handler: it would put the error in the old draft's place, which is still wanted.
    if suggestion is not None:
        await or_fail(desk, suggestion, desk.run(suggestion))


async def _replace(desk: Desk, body: Json, messages: list[Message]) -> None:
    await desk.workspace.whisper(messages, slack.told_of(body), replace=True)


def _line(sentence: str) -> Message:
    return sentence, blocks.text_sections(sentence)
