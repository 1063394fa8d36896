"""What an agent may do around a draft beside deciding on it: say why not, ask why, ask again, take back."""

import asyncio

from bot import beside, blocks_replies, decisions
from bot.access import expect_agent
from bot.desk import Desk, address_of
from bot.slack import Click, Json, Request
from data import store, store_replies
from data.errors import DeskError, EmptyText
from data.models import Decision, Suggestion
from data.prompts import WISHES

MEMBERSHIP_TIMEOUT = 1.5
"""Seconds that a look at a channel's members may take, since a click opens a modal within 3 or never."""


async def give_reason(desk: Desk, suggestion_id: str, user_id: str, reason: str) -> str:
    """Keep why a draft was dismissed, and return what to say. The first reason stays.

    Raises NotAllowed, UnknownSuggestion, and DeskError when the draft was not dismissed.
    """
    await expect_agent(desk.workspace, user_id)
    decision = store.decision(desk.db, suggestion_id)
    if decision is None or decision.kind != "dismissed":
        raise DeskError("A reason belongs to a draft that was dismissed; this one was not.")
    if store_replies.record_reason(desk.db, suggestion_id, reason):
        return f"Dismissed: {blocks_replies.reason_label(reason)}. Thank you."
    return f"Dismissed: {blocks_replies.reason_label(decision.reason or '')}. The first reason stays."


def reason_in_words(text: str) -> str:
    """A reason that has no button, as it is kept. Raises EmptyText."""
    if not text.strip():
        raise EmptyText("Write what was wrong, or press Cancel.")
    # The mark keeps it from ever being read as one of the reasons that have a button.
    return f"{blocks_replies.OTHER}: {text.strip()}"


async def why(desk: Desk, suggestion: Suggestion, user_id: str) -> Json:
    """The modal with what stood in a draft's prompt, as far as this person may see it."""
    examples = store_replies.shown_examples(desk.db, suggestion.id)
    seen = await asyncio.gather(*(_may_see(desk, example, suggestion, user_id) for example in examples))
    shown = [example for example, visible in zip(examples, seen, strict=True) if visible]
    return blocks_replies.why_modal(
        suggestion,
        passages=store_replies.shown_passages(desk.db, suggestion.id),
        examples=shown,
        hidden_examples=len(examples) - len(shown),
    )


def ask_again(desk: Desk, suggestion: Suggestion, click: Click) -> Suggestion | None:
    """Store that another draft is wanted for the same thread; the old one is not decided on. None: it came before."""
    wish = {"wish": click.choice, "earlier": suggestion.id} if click.choice in WISHES else {}
    kept = {name: suggestion.request[name] for name in ("shown_in", "asked_in") if name in suggestion.request}
    if click.channel_id != address_of(suggestion).channel_id:
        # Pressed under a copy in the direct message: the thread that the first one was shown in is not there.
        kept.pop("shown_in", None)
    kind = beside.KIND if suggestion.request["kind"] == beside.KIND else "again"
    return desk.remember(
        Request(
            key=click.trigger_id,
            task=suggestion.task,
            team_id=suggestion.team_id,
            channel_id=suggestion.channel_id,
            thread_ts=suggestion.thread_ts,
            user_id=click.user_id,
            details={"kind": kind, "response_url": click.response_url, **kept, **wish},
        )
    )


async def standing(desk: Desk, click: Click) -> decisions.Decided:
    """The decision that was told to be unsent, to be sent now. Raises DeskError when there is nothing to send."""
    suggestion = await decisions.draft_of(desk, click)
    decisions.expect_standing(desk, suggestion)
    decision = store.decision(desk.db, suggestion.id)
    if decision is None or decision.text is None:
        raise DeskError("There is nothing to send: this draft was not accepted.")
    return decisions.Decided(suggestion, decision, new=False)


async def refresh(desk: Desk, click: Click) -> tuple[Suggestion | None, Decision | None]:
    """Store that a new draft is wanted in the place of one that was not sent, or that was taken back.

    Returns the new suggestion (None: it came before) and the decision that is not sent any more.
    """
    suggestion = await decisions.draft_of(desk, click)
    with store.immediate(desk.db):
        decision = store.decision(desk.db, suggestion.id)
        withdrawn = store_replies.withdrawal(desk.db, suggestion.id)
        if withdrawn is not None and withdrawn.cause == "refreshed":
            raise DeskError("A new draft was asked for already; it appears below.")
        if withdrawn is not None or decision is None:
            return ask_again(desk, suggestion, click), None
        if decision.posted_ts is not None or suggestion.id in desk.being_posted:
            raise DeskError("This reply was sent in the meantime. Ask for a new draft in the menu of any message.")
        store_replies.withdraw(desk.db, suggestion.id, cause="refreshed", withdrawn_by=click.user_id)
        return ask_again(desk, suggestion, click), decision


async def take_back(desk: Desk, click: Click) -> tuple[Suggestion, Decision]:
    """Store that a sent reply is taken back, once. Raises NotAllowed, and DeskError when it is too late.

    One that was taken back and that Slack did not delete can be deleted by another press, however late.
    """
    suggestion = await decisions.draft_of(desk, click)
    decision, withdrawn = store.decision(desk.db, suggestion.id), store_replies.withdrawal(desk.db, suggestion.id)
    if decision is not None and withdrawn is not None and withdrawn.still_stands:
        return suggestion, decision
    decisions.expect_standing(desk, suggestion)
    if decision is None or decision.posted_ts is None:
        raise DeskError("This reply is not in the thread, so there is nothing to take back.")
    if not decisions.can_take_back(decision):
        raise DeskError(
            f"It was sent more than {decisions.TAKE_BACK_MINUTES} minutes ago and has surely been read: "
            "correct it with a new message."
        )
    store_replies.withdraw(desk.db, suggestion.id, cause="taken_back", withdrawn_by=click.user_id)
    return suggestion, decision


async def do_not_send(desk: Desk, click: Click) -> tuple[Suggestion, Decision]:
    """Store that a reply which could not be sent is not to be sent. Raises NotAllowed, and DeskError when it was."""
    suggestion = await decisions.draft_of(desk, click)
    decisions.expect_standing(desk, suggestion)
    with store.immediate(desk.db):
        decision = decisions.unsent_decision(desk, suggestion)
        if decision is None:
            raise DeskError("There is nothing to hold back: this reply was sent, or nobody chose to send it.")
        store_replies.withdraw(desk.db, suggestion.id, cause="taken_back", withdrawn_by=click.user_id)
        # Nothing of it stands in Slack.
        store_replies.record_deleted(desk.db, suggestion.id)
    return suggestion, decision


async def _may_see(desk: Desk, example: store_replies.ShownExample, suggestion: Suggestion, user_id: str) -> bool:
    # History was imported for the whole team; a reply from a channel is for who can open that channel.
    if example.channel_id in (None, suggestion.channel_id):
        return True
    try:
        async with asyncio.timeout(MEMBERSHIP_TIMEOUT):
            return await desk.workspace.is_member(example.channel_id, user_id)
    except (DeskError, TimeoutError):
        # Slack does not say: then it is not shown.
        return False
