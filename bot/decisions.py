"""What an agent does with a draft: accept, edit, dismiss. Each decides first (a row), then acts in Slack."""

import asyncio
import time
from dataclasses import dataclass, replace

from bot import blocks, blocks_answers, blocks_feedback, blocks_replies
from bot.access import expect_agent
from bot.blocks import Message
from bot.desk import Desk
from bot.failing import insist
from bot.slack import Address, Click
from data import store, store_replies
from data.errors import DeskError, EmptyText
from data.models import Decision, DecisionKind, Suggestion
from data.store_replies import WithdrawalCause

DONE: dict[DecisionKind, str] = {"accepted": "sent", "edited": "edited and sent", "dismissed": "dismissed"}
WITHDRAWN: dict[WithdrawalCause, str] = {
    "taken_back": "This reply was taken back: ask for a new draft.",
    "refreshed": "You asked for a new draft in this one's place, so it was not sent.",
}
TAKE_BACK_MINUTES = 5
"""How long a reply that was sent can be taken back."""
UNSENT = "You chose to send this, and it is not in the thread. Read on there, then choose."
BEING_SENT = 10.0
"""Seconds that a dismissal waits for what is just being sent."""


@dataclass(frozen=True)
class Decided:
    """A decision that stands. `new`: this click made it. `sends`: it may send what was decided; Dismiss never does."""

    suggestion: Suggestion
    decision: Decision
    new: bool
    sends: bool = True


async def accept(desk: Desk, click: Click) -> Decided:
    """Decide to use the draft as it is."""
    suggestion = await draft_of(desk, click)
    expect_standing(desk, suggestion)
    return _decide(desk, suggestion, "accepted", suggestion.draft, click.user_id)


async def dismiss(desk: Desk, click: Click) -> Decided:
    """Decide not to use the draft."""
    suggestion = await draft_of(desk, click)
    expect_standing(desk, suggestion)
    return replace(_decide(desk, suggestion, "dismissed", None, click.user_id), sends=False)


async def edit(desk: Desk, suggestion_id: str, user_id: str, text: str, reason: str | None = None) -> Decided:
    """Decide to use this text in the draft's place. A text that was not changed counts as accepted.

    Raises EmptyText, and DeskError when another decision stands: the text is then still in the form.
    """
    await expect_agent(desk.workspace, user_id)
    suggestion = store.suggestion(desk.db, suggestion_id)
    expect_standing(desk, suggestion)
    if not text.strip():
        raise EmptyText("Write the text that should be sent, or press Cancel.")
    kind: DecisionKind = "accepted" if text == suggestion.draft else "edited"
    decided = _decide(desk, suggestion, kind, text, user_id, reason)
    if not decided.new and decided.decision.text != text:
        raise DeskError(f"This draft was already {DONE[decided.decision.kind]}, so nothing was changed.")
    return decided


async def draft_of(desk: Desk, click: Click) -> Suggestion:
    """The suggestion that a button belongs to. Raises NotAllowed, UnknownSuggestion, DeskError."""
    await expect_agent(desk.workspace, click.user_id)
    suggestion = store.suggestion(desk.db, click.suggestion_id)
    if suggestion.draft is None:
        raise DeskError("This draft is no longer kept: ask for a new one.")
    return suggestion


def expect_standing(desk: Desk, suggestion: Suggestion) -> None:
    """Raise DeskError when the decision on this draft was withdrawn."""
    withdrawal = store_replies.withdrawal(desk.db, suggestion.id)
    if withdrawal is not None:
        raise DeskError(WITHDRAWN[withdrawal.cause])


def expect_undecided(desk: Desk, suggestion: Suggestion) -> None:
    """Raise DeskError when a decision stands."""
    decision = store.decision(desk.db, suggestion.id)
    if decision is not None:
        raise DeskError(f"This draft was already {DONE[decision.kind]}.")


async def act(desk: Desk, decided: Decided, told: Address, *, anyway: bool = False) -> None:
    """Carry a decision out and tell the agent, in the draft's place, what became of it. Raises ThreadMovedOn."""
    suggestion, decision = decided.suggestion, decided.decision
    posted = False
    if suggestion.task == "reply" and decision.kind != "dismissed" and not decided.sends:
        await desk.settled(suggestion.channel_id, seconds=BEING_SENT)
        if unsent_decision(desk, suggestion) is not None:
            await desk.workspace.whisper(unsent(suggestion, decision), told, replace=True)
            return
    elif suggestion.task == "reply" and decision.kind != "dismissed":
        posted = await desk.post(suggestion, decision, look=not decided.new, anyway=anyway)
    body = await desk.body(suggestion, decision.text or "")
    messages = _confirmation(desk, decided, posted=posted, body=body)
    confirmed = desk.workspace.whisper(messages, told, replace=True)
    if posted or (decided.new and decision.kind == "dismissed"):
        # A second try may find that the first one reached Slack.
        looks = iter([not decided.new])
        await asyncio.gather(confirmed, insist(lambda: desk.review(suggestion, look=next(looks, True))))
    else:
        await confirmed


def unsent_decision(desk: Desk, suggestion: Suggestion) -> Decision | None:
    """The decision to send a reply that is not in its thread, nor on its way; None where there is none that stands."""
    decision = store.decision(desk.db, suggestion.id)
    if suggestion.id in desk.being_posted or suggestion.task != "reply":
        return None
    if decision is None or decision.text is None or decision.posted_ts is not None:
        return None
    return decision if store_replies.withdrawal(desk.db, suggestion.id) is None else None


def unsent(suggestion: Suggestion, decision: Decision) -> list[Message]:
    """A reply that its agent chose to send and that is not in the thread, with what can be done now."""
    return blocks_replies.unsent(UNSENT, decision.text or "", blocks_replies.moved_on(suggestion))


def can_take_back(decision: Decision) -> bool:
    """Is the reply in its thread, and new enough to be taken back?"""
    # A message's ts is the time at which Slack took it, in seconds.
    return decision.posted_ts is not None and time.time() - float(decision.posted_ts) < TAKE_BACK_MINUTES * 60


def _decide(
    desk: Desk, suggestion: Suggestion, kind: DecisionKind, text: str | None, user_id: str, reason: str | None = None
) -> Decided:
    decision, new = store.decide(desk.db, suggestion.id, kind=kind, text=text, reason=reason, decided_by=user_id)
    return Decided(suggestion, decision, new)


def _confirmation(desk: Desk, decided: Decided, *, posted: bool, body: list[Message]) -> list[Message]:
    suggestion, decision = decided.suggestion, decided.decision
    if decision.kind == "dismissed":
        if decided.new:
            return [blocks_replies.dismissed(suggestion)]
        return [_line("This draft was already dismissed.")]
    if suggestion.task == "reply":
        sentence = "Sent." if posted or decided.new else f"This draft was already {DONE[decision.kind]}."
        newest = store.decision(desk.db, suggestion.id)
        if newest is None or not can_take_back(newest):
            return [_line(sentence)]
        return [blocks_replies.sent(suggestion, sentence, decision.text or "", minutes=TAKE_BACK_MINUTES)]
    # A summary or an answer is for the person who asked: it stays in view, without its buttons.
    saved = "Saved, thank you." if decided.new else "This was already saved."
    *before, (text, sections) = body or blocks.messages_of(decision.text or "")
    thumbs = [blocks.thumbs(suggestion)] if suggestion.task == "summary" else []
    thumbs += blocks_answers.more(suggestion) if decision.kind == "accepted" else []
    thumbs += blocks_feedback.under_answer(suggestion, decision.text or "")
    if suggestion.task == "answer":
        keep = blocks.button("save_answer", "Save as knowledge", suggestion.id)
        thumbs.append({"type": "actions", "elements": [keep]})
    return [*before, (text, [*sections, blocks.note(saved), *thumbs])]


def _line(sentence: str) -> Message:
    return sentence, blocks.text_sections(sentence)
