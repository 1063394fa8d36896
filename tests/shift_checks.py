"""What must hold after a shift, whatever was killed, refused or delivered twice: each check lists what does not."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime

from bot_fixtures import Json
from shift_limits import limits
from shift_office import Call, Office

from bot.messages import ANSWER_EVENT, REPLY_EVENT
from bot.slack import plain
from data import store, store_replies

TOKEN = re.compile(r"<@[UW]|<!(?:channel|here|everyone|subteam)")
PING = re.compile(TOKEN.pattern + r"|@(?:here|channel|everyone)\b")
SAYING = ("chat.postMessage", "chat.postEphemeral", "response_url")
AROUND_DEATH = 8.0
"""Seconds before a kill in which what the bot was sent may have been lost with it, and after its return."""
SLOW_MS = 500
"""What a person still takes for at once."""
BUSY_MS = 200
"""An ack takes some 15 ms on two idle cores."""
MAY_GROW = 0.10
"""By what share memory may grow in the second half of the time since the restart: caches of 50 people, no more."""


def unended(office: Office) -> Iterator[str]:
    """A request that was acked has a row, and every row has ended."""
    for asked in office.asked:
        if "/" in asked.key:
            channel, thread_ts = asked.key.split("/")
            rows = office.rows("channel_id = ? and thread_ts = ?", channel, thread_ts)
        else:
            rows = office.rows("request_key = ?", asked.key)
        # Where another draft is wanted, a sentence may say why there is none: the reply was sent in the meantime.
        if asked.acked and not rows and asked.what not in ("refresh", "rewrite"):
            yield f"{asked.what} {asked.key} was acked and has no row"
    for row in office.db.query("select * from suggestions where state not in ('shown', 'failed')"):
        yield f"suggestion {row['id']} ({row['task']}) stayed {row['state']}"
    for decision in store.unposted_decisions(office.db):
        yield f"the reply of {decision.suggestion_id} was decided on and is not posted"


def outcomes(office: Office) -> Iterator[str]:
    """The person saw each request's end once: a draft with its buttons, an answer, or one sentence that says why."""
    by_text = defaultdict(list)
    for call in office.calls:
        if call.ok and call.method in SAYING:
            for found in set(re.findall(r"[0-9a-f]{32}", json.dumps(call.arguments))):
                by_text[found].append(call)
    told = Counter(plain(call.arguments.get("text", "")) for call in office.calls if call.ok and call.method in SAYING)
    failed = Counter()
    for row in office.db.query("select * from suggestions"):
        request = json.loads(row["request"])
        if row["state"] == "failed":
            if request["kind"] != "proactive":
                failed[row["error"]] += 1
            continue
        if request["kind"] in ("mention", "direct"):
            seen = len(_posted(office, row, ANSWER_EVENT))
        else:
            seen = sum(_offers(call, row["id"]) for call in by_text[row["id"]] if not _shows_again(call))
        # An ephemeral message cannot be looked for: what was being shown at a kill is shown once more, not lost.
        if seen != 1 and not (seen == 2 and _at_a_death(office, row["shown_at"])):
            yield f"{row['task']} {row['id']} by {request['kind']} was seen {seen} times"
    for sentence, count in failed.items():
        if not count <= told[sentence] <= count + len(office.deaths):
            yield f"{count} requests failed and people were told {told[sentence]} times: {sentence}"


def _offers(call: Call, sid: str) -> bool:
    """Does this message offer the draft for a decision the first time, and not give a text back that was not sent?"""
    text = json.dumps(call.arguments)
    return '"dismiss"' in text and f'"value": "{sid}"' in text


def _shows_again(call: Call) -> bool:
    return "Shown again from the Home tab" in json.dumps(call.arguments)


def _at_a_death(office: Office, at: str) -> bool:
    when = datetime.fromisoformat(at).timestamp()
    return any(died - AROUND_DEATH < when < back + AROUND_DEATH for died, back in office.deaths)


def _posted(office: Office, row: Json, event_type: str) -> dict[int, Json]:
    """The messages in Slack that belong to a suggestion, by part."""
    found: dict[int, Json] = {}
    for message in office.sandbox.workspace.channels[row["channel_id"]].messages.values():
        metadata = message.get("metadata") or {}
        payload = metadata.get("event_payload", {})
        if metadata.get("event_type") == event_type and payload.get("suggestion_id") == row["id"]:
            if payload["part"] in found:
                found[-1 - len(found)] = message
            found[payload["part"]] = message
    return {0: next(iter(found.values()))} if found and min(found) >= 0 and event_type == ANSWER_EVENT else found


def posts(office: Office) -> Iterator[str]:
    """Each reply stands once, whole, as it was decided on; one that was withdrawn stands nowhere."""
    for decision in office.db.query("select d.*, s.task from decisions d join suggestions s on s.id = d.suggestion_id"):
        if decision["task"] != "reply":
            continue
        row = office.row("id", decision["suggestion_id"])
        assert row is not None
        stands = _posted(office, row, REPLY_EVENT)
        withdrawn = store_replies.withdrawal(office.db, row["id"]) is not None
        if decision["kind"] == "dismissed" or withdrawn:
            if stands:
                yield f"{row['id']} is {'withdrawn' if withdrawn else 'dismissed'} and stands in Slack"
            continue
        if sorted(stands) != list(range(len(stands))) or not stands:
            yield f"{row['id']} stands in Slack as parts {sorted(stands)}"
            continue
        said = " ".join(plain(stands[part]["text"]) for part in sorted(stands))
        if said.split() != decision["text"].split():
            yield f"{row['id']} lost text: {len(said.split())} words of {len(decision['text'].split())}"


def decisions(office: Office) -> Iterator[str]:
    """The decisions are what people pressed, and a form's text is what they typed."""
    pressed: dict[str, set[str]] = defaultdict(set)
    typed: dict[str, set[str]] = defaultdict(set)
    kinds = {"accept": "accepted", "dismiss": "dismissed", "submit": "edited"}
    for click in office.clicked:
        if click.what in kinds:
            pressed[click.suggestion_id].add(kinds[click.what])
            typed[click.suggestion_id] |= {click.text} if click.text else set()
    made = {d["suggestion_id"]: d for d in office.db.query("select * from decisions")}
    for sid, kinds_pressed in pressed.items():
        if sid not in made:
            yield f"{sid}: {kinds_pressed} was pressed and no decision stands"
        elif made[sid]["kind"] not in kinds_pressed:
            yield f"{sid}: {kinds_pressed} was pressed and {made[sid]['kind']} stands"
        elif made[sid]["kind"] == "edited" and made[sid]["text"] not in typed[sid]:
            yield f"{sid}: another text stands than was typed"
    for sid in made.keys() - pressed.keys():
        yield f"{sid}: {made[sid]['kind']} stands and nobody pressed it"


def objections(office: Office) -> Iterator[str]:
    """What Slack would have objected to, without the faults that the shift made itself."""
    unacked = 0
    for problem in office.sandbox.workspace.problems:
        near = any(died - AROUND_DEATH < problem["at"] < back + AROUND_DEATH for died, back in office.deaths)
        if problem["kind"] in ("fault", "rate_limited") or problem.get("expected"):
            continue
        if problem["kind"] in ("no_connection", "no_ack", "bad_frame") and near:
            continue
        if problem["kind"] == "no_ack":
            unacked += 1
            continue
        if problem.get("error") == "message_not_in_streaming_state":
            # Streams were made to expire.
            continue
        if (problem.get("method"), problem.get("error")) == ("chat.getPermalink", "message_not_found"):
            # A reply that its agent took back while the link to it was asked for.
            continue
        if problem.get("error") == "expired_trigger_id" and acks(office)["p50"] > BUSY_MS:
            # The machine is too busy for any form to come in 3 s; the person was told to press again.
            continue
        yield " ".join(str(problem.get(key, "")) for key in ("kind", "method", "what", "error", "messages"))
    if unacked > office.dropped_acks:
        yield f"{unacked} acks did not come, and only {office.dropped_acks} were dropped on purpose"


def pings(office: Office) -> Iterator[str]:
    """Nothing that the bot sent pings anybody. Where it names a channel it does so with `<#C…>`, which does not."""
    for call in office.calls:
        # Top-level text is parsed by nothing but Slack's own tokens, since `parse` is "none" unless an app sets it.
        for text in _texts({key: value for key, value in call.arguments.items() if key != "text"}):
            if PING.search(text):
                yield f"{call.method} would ping: {PING.search(text)[0]}"  # type: ignore[index]
        if TOKEN.search(str(call.arguments.get("text", ""))):
            yield f"{call.method} would ping by its text"


def _texts(value: object) -> Iterator[str]:
    """Every text in which Slack looks for names by itself: Markdown, and mrkdwn that is not verbatim.

    In verbatim mrkdwn it reads its own tokens alone, and plain text shows what it is given.
    """
    if isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        if value.get("type") in ("plain_text", "plain_text_input", "home"):
            return
        for key, item in value.items():
            if key in ("text", "markdown_text") and isinstance(item, str):
                yield "".join(TOKEN.findall(item)) if value.get("verbatim") else item
            else:
                yield from _texts(item)


def memory(office: Office) -> Iterator[str]:
    """The bot's memory is flat: in the second half since its restart it grows by a tenth at most."""
    sizes = [size for _, size in office.heaps]
    half = sizes[len(sizes) // 2 :]
    if len(half) < 10:
        return
    first, last = sorted(half[:5])[2], sorted(half[-5:])[2]
    if last > first * (1 + MAY_GROW):
        yield f"memory grew from {first / 2**20:.0f} to {last / 2**20:.0f} MiB in the second half since the restart"


def acks(office: Office) -> Json:
    """How long acks took, in milliseconds, those that took longest, and how many were slow."""
    found = sorted((ms, what) for what, ms in office.sandbox.socket.acks)
    took = [ms for ms, _ in found]
    slowest = [f"{what} {ms}" for ms, what in found[-5:]]
    return {
        "count": len(took),
        "p50": took[len(took) // 2],
        "p95": took[len(took) * 95 // 100],
        "max": took[-1],
        "slow": sum(ms > SLOW_MS for ms in took),
        "slowest": slowest,
    }


CHECKS = (unended, outcomes, posts, decisions, objections, limits, pings, memory)


def complaints(office: Office) -> Sequence[str]:
    """All that does not hold."""
    return [f"{check.__name__}: {complaint}" for check in CHECKS for complaint in check(office)]
