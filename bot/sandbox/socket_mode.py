"""Socket Mode: web sockets to the app, envelopes, acks within three seconds, retries of events.

With an address the same goes over HTTP instead (http_mode.py).
"""

import asyncio
import itertools
import json
import secrets
import uuid
from collections import deque
from dataclasses import dataclass

from aiohttp import WSCloseCode, WSMsgType, web

from bot.sandbox import events, http_mode, people
from bot.sandbox.faults import Faults
from bot.sandbox.workspace import Json, Workspace

ACK_SECONDS = 3.0
"""Slack waits this long for an ack (facts: slack.md 2)."""

ACKS_KEPT = 20_000

MOST_CONNECTIONS = 10
"""Open sockets per app (slack.md 16)."""


@dataclass(frozen=True)
class Ack:
    """How the app answered one envelope. `error` when it did not: operation_timeout or dispatch_failed."""

    error: str | None
    ack_ms: int | None
    payload: Json


@dataclass
class Delivery:
    """One envelope that is on its way."""

    kind: str
    what: str
    connection: web.WebSocketResponse
    sent_at: float
    answer: asyncio.Future[Ack]
    expired: bool = False


def name_of(payload: Json) -> str:
    """What an envelope carries, in one word or two: an event's type, a command, an interaction and its id."""
    if "event" in payload:
        return str(payload["event"]["type"])
    if "command" in payload:
        return str(payload["command"])
    actions = [str(action["action_id"]) for action in payload.get("actions", [])]
    named = payload.get("callback_id") or payload.get("view", {}).get("callback_id", "")
    return " ".join([str(payload["type"]), *(actions or [named])]).strip()


class SocketMode:
    """The open connections and what was sent on them."""

    def __init__(self, workspace: Workspace, faults: Faults) -> None:
        self.workspace = workspace
        self.faults = faults
        self.tickets: set[str] = set()
        self.connections: list[web.WebSocketResponse] = []
        self.deliveries: dict[str, Delivery] = {}
        self.retrying: set[asyncio.Task[None]] = set()
        self.turns = itertools.count()
        self.acks: deque[tuple[str, int]] = deque(maxlen=ACKS_KEPT)
        """What was acked in time, and after how many milliseconds, newest last."""
        self.http_url = ""
        """Where the app listens for HTTP. Empty: Socket Mode."""
        self.is_org_wide = False
        """Is the app installed in the whole organisation? Then every payload says so."""

    @property
    def connected(self) -> int:
        """Ways to reach the app."""
        return 1 if self.http_url else len(self.connections)

    def new_url(self, port: int) -> str:
        """The web socket address that apps.connections.open gives; its ticket opens one connection."""
        ticket = secrets.token_urlsafe(16)
        self.tickets.add(ticket)
        return f"ws://127.0.0.1:{port}/link/?ticket={ticket}&app_id={people.APP_ID}"

    async def connect(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one connection from hello to its end."""
        ticket = request.query.get("ticket", "")
        if ticket not in self.tickets:
            raise web.HTTPForbidden(text="this ticket is not known or was used; call apps.connections.open again")
        self.tickets.remove(ticket)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        if len(self.connections) >= MOST_CONNECTIONS:
            await socket.send_json({"type": "disconnect", "reason": "too_many_websockets", "debug_info": {}})
            await socket.close()
            return socket
        self.connections.append(socket)
        self.workspace.changed()
        await socket.send_json(
            {
                "type": "hello",
                "num_connections": len(self.connections),
                "debug_info": {"host": "sandbox", "build_number": 1, "approximate_connection_time": 18060},
                "connection_info": {"app_id": people.APP_ID},
            }
        )
        try:
            async for frame in socket:
                if frame.type is WSMsgType.TEXT:
                    self.receive(frame.data)
        finally:
            self.forget(socket)
        return socket

    def forget(self, socket: web.WebSocketResponse) -> None:
        """A connection has ended: whatever it still owed an ack for has failed."""
        if socket in self.connections:
            self.connections.remove(socket)
        for delivery in self.deliveries.values():
            if delivery.connection is socket and not delivery.answer.done():
                delivery.answer.set_result(Ack("dispatch_failed", None, {}))
        self.workspace.changed()

    def receive(self, data: str) -> None:
        """Take one ack from the app."""
        try:
            frame = json.loads(data)
        except json.JSONDecodeError:
            return self.workspace.problem("bad_frame", error="the app sent a frame that is not JSON")
        delivery = self.deliveries.get(frame.get("envelope_id", "")) if isinstance(frame, dict) else None
        if delivery is None:
            return self.workspace.problem("bad_frame", error="the app acked an envelope that is not open")
        if self.faults.drops_ack(delivery.what):
            return None
        ack_ms = round((self.workspace.clock() - delivery.sent_at) * 1000)
        if delivery.expired:
            del self.deliveries[frame["envelope_id"]]
            return self.workspace.problem("late_ack", envelope=delivery.kind, what=delivery.what, ack_ms=ack_ms)
        if not delivery.answer.done():
            self.acks.append((delivery.what, ack_ms))
            payload = frame.get("payload")
            delivery.answer.set_result(Ack(None, ack_ms, payload if isinstance(payload, dict) else {}))
        return None

    async def deliver(
        self, kind: str, payload: Json, *, accepts_response_payload: bool, attempt: int = 0, reason: str = ""
    ) -> Ack:
        """Send one envelope to any one connection and wait at most three seconds for its ack."""
        what = name_of(payload)
        if self.is_org_wide:
            payload = events.org_wide(payload)
        if self.http_url:
            return await self.deliver_over_http(kind, payload, attempt=attempt, reason=reason)
        if not self.connections:
            self.workspace.problem("no_connection", envelope=kind, what=what, error="no app is connected")
            return Ack("dispatch_failed", None, {})
        connection = self.connections[next(self.turns) % len(self.connections)]
        envelope_id = str(uuid.uuid4())
        envelope: Json = {
            "envelope_id": envelope_id,
            "type": kind,
            "payload": payload,
            "accepts_response_payload": accepts_response_payload,
        }
        if kind == "events_api":
            envelope |= {"retry_attempt": attempt, "retry_reason": reason}
        delivery = Delivery(kind, what, connection, self.workspace.clock(), asyncio.get_running_loop().create_future())
        self.deliveries[envelope_id] = delivery
        try:
            await connection.send_json(envelope)
        except ConnectionError:
            self.forget(connection)
        done, _ = await asyncio.wait([delivery.answer], timeout=ACK_SECONDS)
        if not done:
            # Kept, so that an ack that comes late is known as one.
            delivery.expired = True
            self.workspace.problem(
                "no_ack", envelope=kind, what=what, error=f"the app did not ack within {ACK_SECONDS:g} s"
            )
            return Ack("operation_timeout", None, {})
        del self.deliveries[envelope_id]
        return delivery.answer.result()

    async def deliver_over_http(self, kind: str, payload: Json, *, attempt: int, reason: str) -> Ack:
        """One signed request; anything but a 2xx within three seconds is no ack."""
        what, sent_at = name_of(payload), self.workspace.clock()
        answer = await http_mode.post(
            self.http_url, payload, now=sent_at, seconds=ACK_SECONDS, attempt=attempt, reason=reason
        )
        if answer.status // 100 == 2 and self.faults.drops_ack(what):
            return Ack("operation_timeout", None, {})
        if answer.status // 100 == 2:
            return Ack(None, round((self.workspace.clock() - sent_at) * 1000), answer.payload)
        said = {0: f"the app did not ack within {ACK_SECONDS:g} s", -1: f"nobody listens at {self.http_url}"}
        error = said.get(answer.status, f"the app answered HTTP {answer.status}")
        self.workspace.problem(
            "no_connection" if answer.status == -1 else "no_ack", envelope=kind, what=what, error=error
        )
        return Ack("dispatch_failed" if answer.status else "operation_timeout", None, {})

    def emit(self, payload: Json) -> None:
        """Deliver an event, and again up to three times while it is not acked."""
        task = asyncio.get_running_loop().create_task(self.deliver_event(payload))
        self.retrying.add(task)
        task.add_done_callback(self.retrying.discard)

    async def deliver_event(self, payload: Json) -> None:
        """One event with its retries. A web socket's retry_reason is "timeout"; for a lost one it is not certain."""
        reason = ""
        for attempt, delay in enumerate((0.0, *self.faults.retry_delays)):
            await asyncio.sleep(delay)
            ack = await self.deliver(
                "events_api", payload, accepts_response_payload=False, attempt=attempt, reason=reason
            )
            if ack.error is None:
                return
            timeout = "http_timeout" if self.http_url else "timeout"
            reason = timeout if ack.error == "operation_timeout" else "connection_failed"
        self.workspace.problem("event_lost", event_id=payload["event_id"], error="no ack after every retry")

    async def disconnect(self, reason: str = "refresh_requested") -> int:
        """Ask every connection to come back on a new one, as Slack does every few hours, then close it."""
        leaving = list(self.connections)
        for socket in leaving:
            await socket.send_json({"type": "disconnect", "reason": reason, "debug_info": {"host": "sandbox"}})
            await socket.close(code=WSCloseCode.GOING_AWAY)
            self.forget(socket)
        return len(leaving)

    async def close(self) -> None:
        """End retries and connections, when the server stops or is reset."""
        for task in list(self.retrying):
            task.cancel()
        for socket in list(self.connections):
            await socket.close(code=WSCloseCode.GOING_AWAY)
