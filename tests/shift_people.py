"""What people do in a shift: agents, supervisors and customers, one deed after the other until the shift is over."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

from bot_fixtures import Json
from shift_office import Asked, Clicked, Office

from bot.sandbox import people
from bot.sandbox.values import WrongInput
from data import store, store_desk, store_replies

CHANNELS = ("C0HELP", "C0BILLING", "C0CONNECT")
REVIEW, ADMIN, BOT = "C0SUPERVISORS", people.ADMINS[0], people.BOT_USER
OPENINGS = (
    "My front brake squeals badly since Monday.",
    "The battery *does not charge* any more & I need the bike <today>!",
    "Where is my order? ```tracking 1234```",
    "Kann ich mein Abo pausieren? Ich bin 3 Wochen im Urlaub :sunny:",
    "• the light flickers\n• the bell is gone",
    "I lost my key, what does a new one cost? https://example.com/keys?a=1&b=2",
)
QUESTIONS = (
    "How do I book the workshop?",
    "What does a new battery cost?",
    "How long is the warranty on the motor?",
    "Can I pause my plan?",
    "zzyzx quux?",
)
REASONS = ("wrong_fact", "wrong_tone", "missing_step", "outdated", "not_needed")
Deed = Callable[[Office, str, random.Random], Awaitable[None]]


async def reply(office: Office, agent: str, rng: random.Random) -> None:
    """A customer writes, the agent asks for a draft, looks at it and decides."""
    channel, customer = rng.choice(CHANNELS), rng.choice(office.customers)
    opening = f"{rng.choice(OPENINGS)} {rng.random()}"
    ts = (await office.do("message", channel=channel, user=customer, text=opening))["ts"]
    row = await office.ask(agent, "shortcut", channel=channel, message_ts=ts, callback_id="suggest_reply")
    if row is None or row["state"] == "failed":
        return
    if rng.random() < 0.15 and await office.click(agent, "why", row["id"]):
        await _close(office, agent, "why_draft")
    if rng.random() < 0.15:
        wish = rng.choice(("another", "shorter", "warmer", "formal"))
        again = await _again(office, agent, "rewrite", value=f"{wish}:{row['id']}")
        row = again if again and again["state"] == "shown" else row
    if rng.random() < 0.15:
        await office.do("message", channel=channel, user=customer, text="One more thing: hurry.", thread_ts=ts)
    await rng.choices((_send, _edit, _dismiss, _leave), (5, 3, 3, 1))[0](office, agent, row, rng)


async def _send(office: Office, agent: str, row: Json, rng: random.Random) -> None:
    clicks = rng.choice((1, 1, 1, 3))
    await asyncio.gather(*(office.click(agent, "accept", row["id"]) for _ in range(clicks)))
    await _until_sent(office, agent, row["id"], rng)


async def _edit(office: Office, agent: str, row: Json, rng: random.Random) -> None:
    for _ in range(4):
        if not await office.click(agent, "edit", row["id"]):
            # Longer than a form holds.
            return await _send(office, agent, row, rng)
        form = await office.form(agent, "edit_draft")
        if form is not None:
            break
    else:
        office.notes["no form came"] += 1
        return None
    text = f"{row['draft'][:2500]}\n\n*Typed* by {agent} & <checked> {rng.random()}"
    values = {"draft": {"text": text}, **rng.choice(({}, {"reason": {"reason": "wrong_tone"}}))}
    said = await office.press("submit", user=agent, view_id=form["id"], values=values)
    office.clicked.append(Clicked(agent, "submit", row["id"], said["ok"], text))
    if row["task"] == "reply":
        await _until_sent(office, agent, row["id"], rng)
    return None


async def _dismiss(office: Office, agent: str, row: Json, rng: random.Random) -> None:
    await office.click(agent, "dismiss", row["id"])
    if not await office.until(lambda: office.shown(agent, "reason_outdated", row["id"])):
        office.notes["no reasons shown"] += 1
        return
    if rng.random() < 0.7:
        await office.click(agent, f"reason_{rng.choice(REASONS)}", row["id"])
        return
    await office.click(agent, "reason_other", row["id"])
    form = await office.form(agent, "dismiss_reason")
    if form is not None:
        await office.press("submit", user=agent, view_id=form["id"], values={"reason": {"text": "It <is> & was odd."}})


async def _leave(office: Office, agent: str, row: Json, rng: random.Random) -> None:
    """Nothing: the draft stays undecided."""


async def _until_sent(office: Office, agent: str, sid: str, rng: random.Random) -> None:
    """Wait until a decided reply is posted; press on where Slack refused it or the thread has moved on."""

    def posted_or_told() -> bool:
        decision = store.decision(office.db, sid)
        return bool(decision and decision.posted_ts) or store_desk.request_known(office.db, f"unsent/{sid}")

    if not await office.until(posted_or_told, seconds=60):
        office.notes["never posted"] += 1
        return
    for _ in range(6):
        decision = store.decision(office.db, sid)
        if decision is not None and decision.posted_ts:
            if rng.random() < 0.2 and await office.until(lambda: office.shown(agent, '"take_back"', sid), seconds=10):
                await office.click(agent, "take_back", sid)
            return
        if not await office.until(lambda: _way_on(office, agent, sid), seconds=20):
            office.notes["no way on was shown"] += 1
            return
        if _way_on(office, agent, sid) == "send_anyway" and rng.random() < 0.5:
            await _again(office, agent, "refresh", value=sid)
            return
        await office.click(agent, _way_on(office, agent, sid), sid)
        await office.until(lambda: (d := store.decision(office.db, sid)) and d.posted_ts, seconds=5)


def _way_on(office: Office, agent: str, sid: str) -> str:
    return next((way for way in ("send_anyway", "accept") if office.shown(agent, f'"{way}"', sid)), "")


async def _again(office: Office, agent: str, action_id: str, *, value: str) -> Json | None:
    try:
        return await office.ask(agent, "action", action_id=action_id, value=value)
    except WrongInput:
        office.notes[f"no {action_id} in view"] += 1
        return None


async def ask(office: Office, agent: str, rng: random.Random) -> None:
    """A question in private, decided on."""
    row = await office.ask(agent, "command", channel=rng.choice(CHANNELS), command="/ask", text=rng.choice(QUESTIONS))
    if row is not None and row["state"] == "shown":
        await rng.choice((_dismiss, _edit, _leave))(office, agent, row, rng)


async def summarise(office: Office, agent: str, rng: random.Random) -> None:
    """A channel's last messages, or a thread by its shortcut."""
    channel = rng.choice(CHANNELS)
    messages = [m["ts"] for m in office.sandbox.workspace.channels[channel].messages.values()]
    if rng.random() < 0.5 or not messages:
        said = rng.choice(("last 15", "today", "1h"))
        row = await office.ask(agent, "command", channel=channel, command="/summarize", text=said)
    else:
        ts = rng.choice(messages)
        row = await office.ask(agent, "shortcut", channel=channel, message_ts=ts, callback_id="summarize_thread")
    if row is not None and row["state"] == "shown":
        await office.click(agent, rng.choice(("rate_up", "accept")), row["id"])


async def direct(office: Office, agent: str, rng: random.Random) -> None:
    """A question in the direct message with the app, and sometimes one that follows up."""
    dm = people.dm_id(agent)
    ts = await _say(office, agent, dm, rng.choice(QUESTIONS))
    if rng.random() < 0.4:
        await _say(office, agent, dm, "And on Sundays?", ts)


async def mention(office: Office, agent: str, rng: random.Random) -> None:
    """A question to the app in a channel, by a customer or an agent."""
    who = rng.choice((agent, rng.choice(office.customers)))
    await _say(office, who, rng.choice(CHANNELS), f"<@{BOT}> {rng.choice(QUESTIONS)}")


async def _say(office: Office, user: str, channel: str, text: str, thread_ts: str = "") -> str:
    thread = {"thread_ts": thread_ts} if thread_ts else {}
    said = await office.do("message", channel=channel, user=user, text=text, **thread)
    office.asked.append(Asked(user, f"{channel}/{thread_ts or said['ts']}", "said", True))
    thread_ts = thread_ts or said["ts"]
    await office.until(lambda: not _open_in(office, channel, thread_ts), seconds=90)
    return str(thread_ts)


def _open_in(office: Office, channel: str, thread_ts: str) -> bool:
    rows = office.rows("channel_id = ? and thread_ts = ?", channel, thread_ts)
    return not rows or any(row["state"] in ("requested", "drafted") for row in rows)


async def home(office: Office, agent: str, rng: random.Random) -> None:
    """A look at the Home tab, and sometimes at the settings."""
    before = _published(office, agent)
    await office.do("home", user=agent, tab="home")
    if not await office.until(lambda: _published(office, agent) > before):
        office.notes["no Home tab"] += 1
        return
    if rng.random() < 0.3:
        await office.press("action", user=agent, action_id="open_settings", value="settings")
        form = await office.form(agent, "settings")
        if form is not None:
            values = {"tone": {"value": rng.choice(("warm", "formal", "brief"))}}
            await office.press("submit", user=agent, view_id=form["id"], values=values)


def _published(office: Office, user: str) -> int:
    return sum(
        call.method == "views.publish" and call.ok and call.arguments["user_id"] == user for call in office.calls
    )


async def uninvited(office: Office, agent: str, rng: random.Random) -> None:
    """A shortcut where the bot is no member."""
    ts = (await office.do("message", channel="C0RANDOM", user=agent, text="Lunch?"))["ts"]
    await office.ask(agent, "shortcut", channel="C0RANDOM", message_ts=ts, callback_id="suggest_reply")


DEEDS: tuple[tuple[Deed, int], ...] = (
    (reply, 10), (ask, 3), (summarise, 3), (direct, 3), (mention, 2), (home, 2), (uninvited, 1),
)  # fmt: skip


async def agents_shift(office: Office, agent: str, rng: random.Random, until: float) -> None:
    """One agent's deeds until the shift is over."""
    deeds, weights = zip(*DEEDS, strict=True)
    while time.monotonic() < until:
        deed = rng.choices(deeds, weights)[0]
        office.notes[f"deed {deed.__name__}"] += 1
        await deed(office, agent, rng)
        await asyncio.sleep(rng.uniform(0, 0.5))


async def supervisors_shift(office: Office, user: str, rng: random.Random, until: float) -> None:
    """A supervisor rates what comes into the review channel and what stands in threads, and looks at the Home tab."""
    while time.monotonic() < until:
        await asyncio.sleep(rng.uniform(0.2, 1.0))
        kind = rng.choice(("button", "button", "reaction", "home", "command"))
        if kind == "button":
            await press_thumb(office, user, rng.choice(("positive", "negative")), rng)
        elif kind == "reaction":
            await _react(office, user, rng)
        elif kind == "home":
            await office.do("home", user=user, tab="home")
        else:
            said = rng.choice(("status", "report", "help", "consent"))
            await office.press("command", channel="C0HELP", user=user, command="/nightshift", text=said)


async def press_thumb(office: Office, user: str, side: str, rng: random.Random) -> int | None:
    """Press a thumb in a review message, and say or skip what is wrong; how long its ack took, in milliseconds."""
    seen = list(office.sandbox.workspace.channels[REVIEW].messages.values())[-20:]
    found = [(m, e) for m in seen for b in m.get("blocks", []) if b["type"] == "context_actions" for e in b["elements"]]
    if not found:
        return None
    message, buttons = rng.choice(found)
    value = buttons[f"{side}_button"]["value"]
    said = await office.press("action", user=user, action_id="rate", value=value, message_ts=message["ts"])
    form = await office.form(user, "rating_comment", seconds=3) if side == "negative" else None
    if form is not None and rng.random() < 0.5:
        await office.press("submit", user=user, view_id=form["id"], values={"comment": {"text": "Too <long> & odd."}})
    elif form is not None:
        await office.do("close", user=user, view_id=form["id"])
    return said.get("ack_ms")


async def _react(office: Office, user: str, rng: random.Random) -> None:
    posted = list(
        office.db.query(
            "select s.channel_id, d.posted_ts from decisions d join suggestions s on s.id = d.suggestion_id"
            " where d.posted_ts is not null and s.id not in (select suggestion_id from withdrawals)"
        )
    )
    if not posted:
        return
    one, name = rng.choice(posted), rng.choice(("+1", "-1"))
    for remove in (False, True)[: rng.choice((1, 2))]:
        where: dict[str, Any] = {"channel": one["channel_id"], "user": user, "message_ts": one["posted_ts"]}
        try:
            await office.do("reaction", name=name, remove=remove, **where)
        except WrongInput:
            # They had reacted before, or the reply was taken back meanwhile.
            return


async def _close(office: Office, user: str, callback_id: str) -> None:
    form = await office.form(user, callback_id)
    if form is None:
        office.notes[f"no {callback_id} came"] += 1
        return
    await office.do("close", user=user, view_id=form["id"])


def taken_back(office: Office, sid: str) -> bool:
    """Was this reply withdrawn?"""
    return store_replies.withdrawal(office.db, sid) is not None
