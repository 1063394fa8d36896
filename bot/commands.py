"""/nightshift: what is served, and this channel's consent to learning; and what commands say about themselves."""

import asyncio
from collections.abc import Coroutine

from bot.desk import Desk
from bot.slack import Json
from data import store, store_proactive
from data.models import TASKS
from serving import promotion

HELP = (
    "• Suggest a reply, Summarise thread: in the menu of any message\n"
    "• /summarize, or with a span or a link to a thread: /summarize 12h, /summarize today, /summarize last 100\n"
    "• /ask and a question: answered from the help centre, for your eyes only\n"
    "• /nightshift status: what is served, and whether I learn in this channel\n"
    "• /nightshift consent on, /nightshift consent off: an admin lets me learn in this channel, or not\n"
    "• /nightshift proactive on, /nightshift proactive off: an admin lets me draft here without being asked, or not"
)
USAGE = {
    "/ask": "Type a question after /ask, for example: /ask How do I reset a password?",
    "/summarize": "Type /summarize for this channel's last 50 messages, or add today, yesterday, 12h, 2d (up to 31d), "
    "last 100 (up to 1000) or a link to a thread.",
}
NO_ADMIN_FOR_DRAFTS = "Only admins may change whether I draft without being asked. They are listed in ADMINS."
NOT_AN_ADMIN = "Only admins may change whether I learn in a channel. They are listed in ADMINS."


def answer(desk: Desk, body: Json) -> Coroutine[None, None, str]:
    """Store what the command changes, at once, and return the sentence as work still to do."""
    words = (body.get("text") or "").split()
    if words[:1] == ["consent"]:
        return _said(_consent(desk, body, words[1:]))
    if words[:1] == ["proactive"]:
        return _said(_proactive(desk, body, words[1:]))
    if words == ["status"]:
        return _status(desk, body["channel_id"])
    return _said(HELP)


def _consent(desk: Desk, body: Json, words: list[str]) -> str:
    channel_id, user_id = body["channel_id"], body["user_id"]
    if words not in (["on"], ["off"]):
        return "Type /nightshift consent on, or /nightshift consent off."
    if not desk.workspace.is_admin(user_id):
        return NOT_AN_ADMIN
    granted = words == ["on"]
    store.set_consent(desk.db, channel_id, granted_by=user_id, granted=granted, request_key=body["trigger_id"])
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
        desk.db, body["channel_id"], switched_by=body["user_id"], is_on=is_on, request_key=body["trigger_id"]
    )
    if is_on:
        most = desk.workspace.settings.proactive_per_hour
        return f"From now on one agent gets a private draft when a customer writes here, at most {most} an hour."
    return "From now on I draft in this channel only when I am asked."


async def _status(desk: Desk, channel_id: str) -> str:
    base = store.base_of_model(desk.db, desk.base_model)
    # Not an error here: whether the server answers is what was asked.
    (reached,) = await asyncio.gather(desk.engine.root(), return_exceptions=True)
    lines = [f"• Model server: {reached if isinstance(reached, Exception) else 'answers'}"]
    if base is not None:
        served = ", ".join(f"{task} {promotion.live_adapter(desk.db, task, base.hash)}" for task in TASKS)
        lines.append(f"• Served: {served}")
    consent = store.consent(desk.db, channel_id)
    on = consent is not None and consent.granted
    lines.append("• Learning in this channel: " + (f"on since {consent.created_at[:10]}" if on else "off"))
    switch = store_proactive.newest_switch(desk.db, channel_id)
    unasked = f"on since {switch.created_at[:10]}" if switch is not None and switch.is_on else "off"
    lines.append(f"• Drafts without being asked: {unasked}")
    return "\n".join(lines)


async def _said(sentence: str) -> str:
    return sentence
