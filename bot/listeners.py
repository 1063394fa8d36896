"""What Slack sends → the desk: remembered before the ack, acked at once, worked on after.

Bolt acks an event before its listener runs, so one global middleware stores whatever has to survive a crash.
Actions and views are acked by their listeners, after the row is written.
"""

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable

from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncBoltContext
from slack_bolt.response import BoltResponse

from bot import (
    agent_view,
    answer_sources,
    blocks,
    blocks_answers,
    commands,
    decisions,
    gaps,
    home,
    installations,
    pins,
    proactive,
    ratings,
    reply_buttons,
    saving,
    slack,
)
from bot.desk import Desk
from bot.failing import fail, insist, sentence_of
from bot.slack import Json
from data.models import Suggestion

log = logging.getLogger(__name__)

ACK_SEEN = 0.05
"""Seconds after which Bolt has surely sent the ack."""

Next = Callable[[], Awaitable[BoltResponse | None]]


def register_listeners(app: AsyncApp, desk: Desk) -> None:
    """Everything that the app listens to."""
    _remember_first(app, desk)
    # Before the one listener for all events, since Bolt runs the first that fits.
    home.register_home(app, desk)
    gaps.register(app, desk)
    saving.register(app, desk)
    pins.register(app, desk)
    agent_view.register(app, desk)
    ratings.register_ratings(app, desk)
    _requests(app, desk)
    _decisions(app, desk)
    reply_buttons.register(app, desk)
    answer_sources.register(app, desk)
    _anything_else(app, desk)
    _errors(app, desk)


def _remember_first(app: AsyncApp, desk: Desk) -> None:
    @app.middleware
    async def remember(body: Json, context: AsyncBoltContext, next_: Next) -> BoltResponse | None:
        if body.get("type") == "app_rate_limited":
            # Over 30,000 events an hour. Nothing can be done, but unanswered it counts against the app.
            log.error("Slack holds back events of workspace %s: too many in an hour", body.get("team_id"))
            return BoltResponse(status=200, body="")
        installations.enter(context)
        shared = slack.shared_channel(body)
        if shared is not None:
            desk.workspace.note_shared(shared)
        request = slack.request_of(body, bot_user_id=context.bot_user_id or "")
        if request is not None:
            if "event" in body:
                request = agent_view.in_view(desk, request, body["event"])
            suggestion = desk.remember(request)
            if suggestion is None:
                log.info("request %s came before", request.key)
                return BoltResponse(status=200, body="")
            context["suggestion"] = suggestion
        question = proactive.question_of(
            body, bot_user_id=context.bot_user_id or "", allowed_bots=desk.workspace.settings.allowed_bots
        )
        if question is not None and proactive.remember(desk, question):
            context["question"] = question
        thread = slack.seen_thread(body)
        if thread is not None:
            desk.see_thread(*thread)
        thumb = slack.thumb_of(body)
        if thumb is not None:
            ratings.remember_thumb(desk, thumb, team_id=slack.team_of(body))
        return await next_()


def _requests(app: AsyncApp, desk: Desk) -> None:
    async def work(ack: AsyncAck, context: AsyncBoltContext) -> None:
        await ack()
        await desk.run(context["suggestion"])

    app.shortcut("suggest_reply")(work)
    app.shortcut("summarize_thread")(work)

    @app.command("/ask")
    @app.command("/summarize")
    async def ask(ack: AsyncAck, body: Json, context: AsyncBoltContext) -> None:
        suggestion = context.get("suggestion")
        if suggestion is None:
            await ack()
            await _tell(desk, body, commands.USAGE[body["command"]])
            return
        if suggestion.task == "answer":
            # In the ack itself, so at once. Slack never replaces what a command's response_url or ack has shown
            # (bolt-js issue 2287, bolt-python issue 1268): it has to stay true beside the answer that follows.
            text, shown = blocks_answers.asked(suggestion.request["text"])
            await ack(text=text, blocks=shown, response_type="ephemeral")
        else:
            await ack()
        await desk.run(suggestion)

    @app.command("/nightshift")
    async def nightshift(ack: AsyncAck, body: Json) -> None:
        answer = commands.answer(desk, body)
        await ack()
        await desk.workspace.whisper([await answer], slack.told_of(body))

    # One listener for all events, since an event without one is not acked, and Slack sends it again.
    @app.event(re.compile(".*"))
    async def event(context: AsyncBoltContext) -> None:
        if "question" in context and (unasked := await proactive.choose(desk, context["question"])) is not None:
            context["suggestion"] = unasked
        if "suggestion" in context:
            await desk.run(context["suggestion"])


def _decisions(app: AsyncApp, desk: Desk) -> None:
    @app.action("accept")
    async def accept(ack: AsyncAck, body: Json, context: AsyncBoltContext) -> None:
        decided = await decisions.accept(desk, slack.click_of(body))
        await ack()
        await act(body, context, decided)

    @app.action("dismiss")
    async def dismiss(ack: AsyncAck, body: Json, context: AsyncBoltContext) -> None:
        decided = await decisions.dismiss(desk, slack.click_of(body))
        await ack()
        await act(body, context, decided)

    @app.action("edit")
    async def edit(ack: AsyncAck, body: Json) -> None:
        await ack()
        click = slack.click_of(body)
        suggestion = await decisions.draft_of(desk, click)
        decisions.expect_undecided(desk, suggestion)
        view = blocks.edit_modal(suggestion, channel_id=click.channel_id, response_url=click.response_url)
        await desk.workspace.open_modal(click.trigger_id, view)

    @app.view("edit_draft")
    async def submit(ack: AsyncAck, body: Json, view: Json, context: AsyncBoltContext) -> None:
        values = view["state"]["values"]
        text = values["draft"]["text"]["value"] or ""
        chosen = values.get("reason", {}).get("reason", {}).get("selected_option")
        suggestion_id = json.loads(view["private_metadata"])["suggestion_id"]
        reason = chosen["value"] if chosen else None
        decided = await decisions.edit(desk, suggestion_id, body["user"]["id"], text, reason)
        await ack()
        await act(body, context, decided)

    async def act(body: Json, context: AsyncBoltContext, decided: decisions.Decided) -> None:
        context["suggestion"] = decided.suggestion
        await decisions.act(desk, decided, slack.told_of(body))


def _anything_else(app: AsyncApp, desk: Desk) -> None:
    """The last listeners: a click that nobody takes would leave the person with a warning sign and no word."""
    everything = re.compile(".*", re.DOTALL)

    @app.action(everything)
    @app.shortcut(everything)
    async def unknown(ack: AsyncAck, body: Json, payload: Json) -> None:
        await ack()
        # A button that opens an address sends its click as well.
        if not payload.get("url"):
            log.error("no listener for %s %s", body.get("type"), payload.get("action_id") or payload.get("callback_id"))
            await _tell(desk, body, "This is no longer in use. Ask for a new draft, or see `/nightshift help`.")

    @app.command(everything)
    async def unknown_command(ack: AsyncAck, body: Json) -> None:
        log.error("no listener for command %s", body.get("command"))
        await ack("I don't know this command. See `/nightshift help`.")

    @app.view_submission(everything)
    @app.view_closed(everything)
    async def unknown_view(ack: AsyncAck, body: Json) -> None:
        log.error("no listener for %s", body.get("type"))
        await ack()


def _errors(app: AsyncApp, desk: Desk) -> None:
    @app.error
    async def tell(
        error: Exception, body: Json, context: AsyncBoltContext, response: BoltResponse | None
    ) -> BoltResponse | None:
        # Bolt looks for the ack every 10 ms and drops it once this handler returns: a listener that acks and fails
        # at once would never be acked.
        await asyncio.sleep(ACK_SEEN)
        suggestion = context.get("suggestion")
        unacked = response is not None
        if unacked and body.get("type") == "view_submission":
            block_id = _first_input(body)
            if block_id is not None:
                # The form stays open with the sentence in it, and nothing that was typed is lost.
                errors = {block_id: sentence_of(error, str(body["view"].get("id") or ""))}
                return BoltResponse(status=200, body={"response_action": "errors", "errors": errors})
        if unacked and "event" in body:
            # It could not be stored. Unacked, Slack sends it again; what cannot be read is no better the next time.
            sentence_of(error, str(body.get("event_id", "")))
            log.warning("event %s not stored: %s", body.get("event_id"), type(error).__name__)
            return BoltResponse(status=200, body="") if isinstance(error, slack.BadPayload) else None
        telling = _tell_of(desk, error, body, suggestion)
        if not unacked:
            await telling
            return None
        # The ack waits for nothing that Slack is asked.
        desk.in_background(telling)
        return BoltResponse(status=200, body="")


async def _tell_of(desk: Desk, error: Exception, body: Json, suggestion: Suggestion | None) -> None:
    try:
        if suggestion is not None:
            pressed = "actions" in body or body.get("type") == "view_submission"
            await fail(desk, suggestion, error, told=slack.address_of(body) if pressed else None)
        else:
            await _tell(desk, body, sentence_of(error, str(body.get("trigger_id", ""))))
    except Exception:
        log.exception("could not tell the person who asked (suggestion %s)", suggestion and suggestion.id)


def _first_input(body: Json) -> str | None:
    """The block of a form under which a sentence can stand."""
    view = body.get("view")
    found = view.get("blocks") if isinstance(view, dict) else None
    inputs = [b for b in found if isinstance(b, dict) and b.get("type") == "input"] if isinstance(found, list) else []
    return next((b["block_id"] for b in inputs if isinstance(b.get("block_id"), str)), None)


async def _tell(desk: Desk, body: Json, sentence: str) -> None:
    address = slack.address_of(body)
    if address is not None:
        said = [(sentence, blocks.text_sections(sentence))]
        await insist(lambda: desk.workspace.whisper(said, address))
