"""/nightshift: status, consent, the night's report; and what commands say about themselves."""

import asyncio
import logging
from collections.abc import Coroutine

from bot import blocks, gaps, home, night_report, supervision
from bot.access import expect_agent
from bot.blocks import Message
from bot.desk import Desk
from bot.slack import Json, key_of
from data import store, store_proactive, store_supervision
from data.errors import DeskError
from data.models import Task, pointer_name
from data.store_fallbacks import Fallback, fallback
from serving import promotion

log = logging.getLogger(__name__)

HELP = (
    "**In the menu of any message**: Suggest a reply, Summarise thread, Save as knowledge\n"
    "**In a thread**: `@Nightshift draft a reply`, `@Nightshift summarise`; only you see what comes\n"
    "**Anywhere**, for your eyes only:\n"
    "- `/ask` and a question: answered from the help centre\n"
    "- `/summarize`, alone or with `today`, `12h`, `last 100` or a link to a thread\n"
    "- `/nightshift status`: what is served, and whether I learn in this channel\n"
    "- `/nightshift consent`: who switched learning on in this channel, and when\n"
    "- `/nightshift report`: what the newest night changed, and why\n"
    "- `/nightshift gaps`: what the help centre lacks or has wrong, most asked first\n\n"
    "**Admins** say for this channel:\n"
    "- `/nightshift consent on` or `consent off`: whether I learn here; who pins a message is then offered to save it\n"
    "- `/nightshift proactive on` or `proactive off`: whether I draft here without being asked"
)
USAGE = {
    "/ask": "Type a question after /ask, for example: /ask How do I reset a password?",
    "/summarize": "Type /summarize for this channel's last 50 messages, or add today, yesterday, 12h, 2d (up to 31d), "
    "last 100 (up to 1000) or a link to a thread.",
}
NO_ADMIN_FOR_DRAFTS = "Only admins may change whether I draft without being asked. They are listed in ADMINS."
NOT_JOINED = "I am not in this channel yet, so nothing happens here before somebody types /invite @Nightshift."
SHARED_ON = "People of another company are in this channel: what I write here stands on customer-safe articles only."
SHARED_OFF = (
    "People of another company are in this channel, so I keep out of it until an admin types /nightshift consent on."
)
NOT_AN_ADMIN = "Only admins may change whether I learn in a channel. They are listed in ADMINS."


def answer(desk: Desk, body: Json) -> Coroutine[None, None, Message]:
    """Store what the command changes, at once, and return the message to its person as work still to do."""
    # A phone begins with a capital letter.
    words = (body.get("text") or "").casefold().split()
    channel_id, user_id = body["channel_id"], body["user_id"]
    if words == ["consent"]:
        return _consent_now(desk, channel_id)
    if words[:1] == ["consent"]:
        return _switched(desk, body, _consent(desk, body, words[1:]), is_on=words[1:] == ["on"])
    if words[:1] == ["proactive"]:
        return _switched(desk, body, _proactive(desk, body, words[1:]), is_on=words[1:] == ["on"])
    if words == ["status"]:
        return _status(desk, channel_id)
    if words == ["report"]:
        return _report(desk, user_id)
    if words == ["gaps"]:
        return gaps.listing(desk, user_id)
    return _said(HELP)


def _consent(desk: Desk, body: Json, words: list[str]) -> str:
    channel_id, user_id = body["channel_id"], body["user_id"]
    if words not in (["on"], ["off"]):
        return "Type /nightshift consent, /nightshift consent on, or /nightshift consent off."
    if not desk.workspace.is_admin(user_id):
        return NOT_AN_ADMIN
    granted = words == ["on"]
    store.set_consent(desk.db, channel_id, granted_by=user_id, granted=granted, request_key=key_of(body))
    if granted:
        return "From now on I learn from what agents send, edit and dismiss in this channel."
    return "I no longer learn from this channel; the next night trains without it."


def _proactive(desk: Desk, body: Json, words: list[str]) -> str:
    if words not in (["on"], ["off"]):
        return "Type /nightshift proactive on, or /nightshift proactive off."
    if not desk.workspace.is_admin(body["user_id"]):
        return NO_ADMIN_FOR_DRAFTS
    is_on = words == ["on"]
    store_proactive.switch(
        desk.db, body["channel_id"], switched_by=body["user_id"], is_on=is_on, request_key=key_of(body)
    )
    if is_on:
        most = desk.workspace.settings.proactive_per_hour
        return f"From now on one agent gets a private draft when a customer writes here, at most {most} an hour."
    return "From now on I draft in this channel only when I am asked."


async def _switched(desk: Desk, body: Json, sentence: str, *, is_on: bool) -> Message:
    """The sentence, and what an admin who switched something on has to know of this channel."""
    told = is_on and desk.workspace.is_admin(body["user_id"])
    return await _said(" ".join([sentence, *(await _about(desk, body["channel_id"]) if told else ())]))


async def _about(desk: Desk, channel_id: str) -> list[str]:
    try:
        if not await desk.workspace.is_joined(channel_id):
            return [NOT_JOINED]
        if not await desk.workspace.is_shared(channel_id):
            return []
    except DeskError as error:
        # What was switched is switched, whatever Slack says of the channel.
        log.warning("nothing is known of channel %s: %s", channel_id, type(error).__name__)
        return []
    consent = store.consent(desk.db, channel_id)
    return [SHARED_ON if consent is not None and consent.granted else SHARED_OFF]


async def _consent_now(desk: Desk, channel_id: str) -> Message:
    return await _said(f"Learning in this channel is {await _learning(desk, channel_id)}.")


async def _status(desk: Desk, channel_id: str) -> Message:
    base = store.base_of_model(desk.db, desk.base_model)
    # Not an error here: whether the server answers is what was asked.
    (reached,) = await asyncio.gather(desk.engine.root(), return_exceptions=True)
    lines = [f"• Model server: {reached if isinstance(reached, Exception) else 'answers'}"]
    if base is not None:
        live = promotion.live_everywhere(desk.db, base.hash)
        served = ", ".join(f"{pointer_name(task, team)} {name}" for (task, team), name in live.items())
        lines.append(f"• Served: {served}")
        lines += [
            _fallen_back(task, found) for task, team in live if (found := fallback(desk.db, task, base.hash, team))
        ]
    if hold := store_supervision.hold(desk.db):
        name = await desk.workspace.name(hold.decided_by)
        lines.append(f"• Promotions: held by {name} since {hold.created_at[:10]}")
    lines.append(f"• Learning in this channel: {await _learning(desk, channel_id)}")
    switch = store_proactive.newest_switch(desk.db, channel_id)
    unasked = f"on since {switch.created_at[:10]}" if switch is not None and switch.is_on else "off"
    lines.append(f"• Drafts without being asked: {unasked}")
    return await _said("\n".join(lines))


def _fallen_back(task: Task, found: Fallback) -> str:
    drafts = "the newest draft was" if found.drafts == 1 else f"the newest {found.drafts} drafts were"
    return (
        f"• Not served: {found.adapter}. The model server could not give it, so {drafts} written by base, the last on "
        f"{found.newest[:16]} UTC. See the server's log, or type python -m serving rollback {task}"
    )


async def _learning(desk: Desk, channel_id: str) -> str:
    consent = store.consent(desk.db, channel_id)
    if consent is None:
        return "off: nobody has switched it on"
    switched = "on" if consent.granted else "off"
    name = await desk.workspace.name(consent.granted_by)
    return f"{switched} since {consent.created_at[:10]}, switched {switched} by {name}"


async def _report(desk: Desk, user_id: str) -> Message:
    """The newest night in numbers; what was written in the cases that got worse is for supervisors and admins."""
    with_texts = await supervision.supervises(desk, user_id)
    if not with_texts:
        await expect_agent(desk.workspace, user_id)
    night = store_supervision.newest_night(desk.db)
    if night is None:
        return await _said("No night has been run yet.")
    written, cases = home.night_cases(desk, night) if with_texts else ([], {})
    links = await home.case_links(desk, cases.values())
    teams = store_supervision.team_runs(desk.db, night[0].id)
    return night_report.message(*night, written, cases, links, with_texts=with_texts, teams=teams)


async def _said(sentence: str) -> Message:
    return sentence, blocks.text_sections(sentence)
