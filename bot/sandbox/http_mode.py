"""HTTP mode: signed requests to the app's address, as Slack sends them when there is no web socket.

Slack's names for why an event comes again are documented for HTTP (http_timeout, http_error, connection_failed).
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from aiohttp import ClientError, ClientSession, ClientTimeout

from bot.sandbox.people import SIGNING_SECRET
from bot.sandbox.workspace import Json


@dataclass(frozen=True)
class Answer:
    """What the app answered: an HTTP status, 0 for none in time, -1 when nobody listens; and its payload."""

    status: int
    payload: Json


def signed(payload: Json, *, now: float, secret: str = SIGNING_SECRET, **more: str) -> tuple[dict[str, str], bytes]:
    """Headers and body of a payload: events are JSON, commands a form, everything else a form with a JSON text."""
    if payload.get("type") in ("event_callback", "url_verification", "app_rate_limited"):
        kind, body = "application/json", json.dumps(payload).encode()
    else:
        form: Mapping[str, object] = payload if "command" in payload else {"payload": json.dumps(payload)}
        kind, body = "application/x-www-form-urlencoded", urlencode(form).encode()
    stamp = str(int(now))
    signature = hmac.new(secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": kind,
        "User-Agent": "Slackbot 1.0 (sandbox)",
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": f"v0={signature}",
    }
    return headers | more, body


async def post(url: str, payload: Json, *, now: float, seconds: float, attempt: int = 0, reason: str = "") -> Answer:
    """Send one payload and wait at most `seconds` for its answer."""
    retry = {"X-Slack-Retry-Num": str(attempt), "X-Slack-Retry-Reason": reason} if attempt else {}
    headers, body = signed(payload, now=now, **retry)
    try:
        async with (
            ClientSession(timeout=ClientTimeout(total=seconds)) as session,
            session.post(url, data=body, headers=headers, allow_redirects=False) as response,
        ):
            return Answer(response.status, _payload(await response.text()))
    except TimeoutError:
        return Answer(0, {})
    except (ClientError, OSError):
        return Answer(-1, {})


async def answers_challenge(url: str, now: float) -> bool:
    """What Slack asks when an address is entered: does the app send the challenge back?"""
    challenge = {"type": "url_verification", "token": "sandbox-verification-token", "challenge": "are-you-there"}
    answer = await post(url, challenge, now=now, seconds=3.0)
    return answer.status == 200 and answer.payload.get("challenge", answer.payload.get("text")) == "are-you-there"


def _payload(text: str) -> Json:
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        return {"text": text} if text else {}
    return found if isinstance(found, dict) else {"text": text}
