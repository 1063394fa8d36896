"""What a crash left behind → finished, or honestly failed."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from bot import gap_notices, installations, proactive, ratings, streams
from bot.desk import Desk
from bot.errors import TooOld
from bot.failing import or_fail, unsent_key
from data import store, store_answers, store_desk, store_replies, store_waiting
from data.models import Decision, Suggestion
from data.store_answers import Stream
from data.store_waiting import WaitingQuestion

WAITED_FOR = timedelta(minutes=30)
"""How long a person waits: a `response_url` lives as long. Older work found at a restart is failed, not done."""


def resume(desk: Desk) -> None:
    """Begin to finish, or honestly to fail, what a crash left behind, in the background: no ack waits for it.

    What was left behind is read at once, so that nothing that comes in from now on is taken for it.
    """
    for decision in store.unposted_decisions(desk.db):
        if not store_desk.request_known(desk.db, unsent_key(decision.suggestion_id)):
            suggestion = store.suggestion(desk.db, decision.suggestion_id)
            # Each at once, so that a thumb on one waits until it is known as posted.
            desk.in_background(or_fail(desk, suggestion, _repost(desk, suggestion, decision)))
    waited_for = store.iso(datetime.now(UTC) - WAITED_FOR)
    for decision in store_desk.unreviewed_decisions(desk.db, since=waited_for) if desk.review_channel else []:
        suggestion = store.suggestion(desk.db, decision.suggestion_id)
        desk.in_background(or_fail(desk, suggestion, desk.review(suggestion, look=True)))
    for withdrawal in store_replies.undeleted_withdrawals(desk.db):
        suggestion = store.suggestion(desk.db, withdrawal.suggestion_id)
        desk.in_background(or_fail(desk, suggestion, desk.unpost(suggestion)))
    teams = {thumb.channel_id: thumb.team_id for thumb in store_waiting.waiting_thumbs(desk.db)}
    for channel_id, team_id in teams.items():
        desk.in_background(_settle_thumbs(desk, channel_id, team_id))
    desk.in_background(gap_notices.tell(desk))
    for waiting in store_waiting.waiting_questions(desk.db):
        desk.in_background(_choose_again(desk, waiting))
    streams_left = store_answers.abandoned_streams(desk.db)
    desk.in_background(_take_up(desk, streams_left, store.unfinished_suggestions(desk.db)))


async def _take_up(desk: Desk, left: Sequence[Stream], unfinished: Sequence[Suggestion]) -> None:
    """Streams first: what is answered anew must find the old beginning ended."""
    for stream in left:
        suggestion = store.suggestion(desk.db, stream.suggestion_id)
        installations.enter_team(suggestion.team_id)
        whole = suggestion.state == "shown"
        settling = streams.settle(desk.db, desk.workspace, stream, whole=whole)
        if streams.may_come(stream):
            desk.in_background(settling)
        else:
            await settling
    for suggestion in unfinished:
        desk.in_background(or_fail(desk, suggestion, _rerun(desk, suggestion)))


async def _repost(desk: Desk, suggestion: Suggestion, decision: Decision) -> None:
    if _is_old(decision.created_at):
        raise TooOld("This reply was not sent, because I was interrupted. If it still fits, send it now.")
    await desk.post(suggestion, decision, look=True)
    await desk.review(suggestion, look=True)


async def _rerun(desk: Desk, suggestion: Suggestion) -> None:
    if _is_old(suggestion.created_at):
        raise TooOld("I was interrupted before I could finish what you asked for. Please ask again.")
    await desk.run(suggestion, resumed=True)


async def _settle_thumbs(desk: Desk, channel_id: str, team_id: str) -> None:
    installations.enter_team(team_id)
    await ratings.settle_thumbs(desk, channel_id)


async def _choose_again(desk: Desk, waiting: WaitingQuestion) -> None:
    installations.enter_team(waiting.team_id)
    if _is_old(waiting.created_at):
        # Nobody asked for it, so there is nobody to tell.
        store_waiting.forget_question(desk.db, waiting.request_key)
        return
    question = await proactive.read_again(desk, waiting)
    suggestion = await proactive.choose(desk, question) if question is not None else None
    if suggestion is not None:
        await or_fail(desk, suggestion, desk.run(suggestion))


def _is_old(created_at: str) -> bool:
    return datetime.now(UTC) - datetime.fromisoformat(created_at) > WAITED_FOR
