"""The control API under /sandbox: act as any person, see what they see, make things go wrong.

    GET  /sandbox/users                       people with their roles, and the environment for the bot
    GET  /sandbox/state?user=ID               what this person sees (state.py has its shape)
    GET  /sandbox/changes                     server-sent events: one line whenever something changed
    POST /sandbox/message   {channel, user, text, thread_ts?, ago_s?}        → {ok, channel, ts}
    POST /sandbox/change    {channel, user, message_ts, text}                their own message, edited
    POST /sandbox/delete    {channel, user, message_ts}                      their own message
    POST /sandbox/unfurl    {channel, user, message_ts}                      Slack shows where its link leads
    POST /sandbox/command   {channel, user, command, text}                   → {ok, ack_ms, response}
    POST /sandbox/shortcut  {channel, user, message_ts, callback_id}         → {ok, ack_ms, response}
    POST /sandbox/action    {user, action_id, value?, channel?, message_ts?, view_id?}
    POST /sandbox/submit    {user, view_id, values: {block: {action: value}}}  → also {errors: {block: sentence}}
    POST /sandbox/close     {user, view_id}
    POST /sandbox/home      {user, tab?: home|messages}
    POST /sandbox/context   {user, channel?, message_ts?}                    what they see beside the app
    POST /sandbox/presence  {user, presence: active|away}
    POST /sandbox/reaction  {channel, user, message_ts, name, remove?}
    POST /sandbox/pin       {channel, user, message_ts, remove?}
    POST /sandbox/canvas    {channel, user, title, html} | {user, file_id, title, html}   → {ok, file_id, channel, ts}
    POST /sandbox/fault     {method?, error?, retry_after?, times?, delay_s?} | {drop_ack: n, drop_ack_of?}
                            | {disconnect: true}
                            | {channel_rate: per second, burst?} | {retry_delays_s: [s, s, s]}
                            | {expire_streams: true} | {files_ready_after_s: s} | {without_scopes: [scope…]}
                            (method "response_url" is what is posted to those)
    POST /sandbox/transport {http: the app's address, or "" for Socket Mode}
    POST /sandbox/usergroup {usergroup, users: [id…]}: an admin changes who belongs to it
    POST /sandbox/share     {channel}: from now on it is shared with another company
    POST /sandbox/uninstall {}, /sandbox/rotation {seconds: a new token's life, or null}
    POST /sandbox/reset     {}

`channel` is an id or a name; `ago_s`: the message was written so many seconds ago. Wrong input is 400 with {"ok":
false, "error": one sentence}. An app that does not ack in 3 s or is not connected is {"ok": false, "error":
"operation_timeout" | "dispatch_failed"} with status 200, because that is what the person would meet.
"""

import asyncio
import dataclasses
import json
from collections.abc import Awaitable, Callable

from aiohttp import web

from bot.sandbox import (
    agent_view,
    canvases,
    changes,
    composer,
    directory,
    events,
    http_mode,
    interactions,
    people,
    pins,
    streams,
)
from bot.sandbox.faults import WrongFault
from bot.sandbox.interactions import channel_seen, person
from bot.sandbox.sandbox import Sandbox
from bot.sandbox.state import state_of
from bot.sandbox.values import WrongInput
from bot.sandbox.workspace import Json, SlackError

MOST_TEXT = 40_000
MOST_AGO = 400 * 24 * 3600
HTTP_HERE = ("http://127.0.0.1:", "http://localhost:")


async def message(sandbox: Sandbox, body: Json) -> Json:
    """A person writes a message."""
    user = person(sandbox, body.get("user"))
    channel = channel_seen(sandbox, user, body.get("channel"))
    text, thread_ts, ago_s = body.get("text"), body.get("thread_ts"), body.get("ago_s", 0)
    if isinstance(ago_s, bool) or not isinstance(ago_s, int | float) or not 0 <= ago_s <= MOST_AGO:
        raise WrongInput(f"ago_s must be 0 to {MOST_AGO} seconds")
    if not isinstance(text, str) or not text.strip() or len(text) > MOST_TEXT:
        raise WrongInput(f"text must be 1 to {MOST_TEXT} characters")
    thread: Json = {}
    if thread_ts:
        parent = channel.messages.get(str(thread_ts))
        if parent is None:
            raise WrongInput(f"no message {thread_ts!r} in {channel.id} to reply to")
        thread = {"thread_ts": parent.get("thread_ts", parent["ts"])}
    escaped = events.escape(text, keep_entities=False)
    posted = sandbox.workspace.post(
        channel,
        {
            "user": user.id,
            "client_msg_id": str(sandbox.workspace.revision),
            "text": escaped,
            "team": people.TEAM_ID,
            "blocks": composer.rich_text(text),
            **thread,
        },
        ago_s=ago_s,
    )
    sandbox.announce(channel, events.message_event(channel, posted) | agent_view.folded(sandbox, user, channel))
    if f"<@{people.BOT_USER}>" in text and not channel.is_im:
        sandbox.announce(channel, events.mention_event(channel, posted))
    return {"ok": True, "channel": channel.id, "ts": posted["ts"], "thread_ts": posted.get("thread_ts")}


async def reaction(sandbox: Sandbox, body: Json) -> Json:
    """A person reacts to a message, or takes it back."""
    user = person(sandbox, body.get("user"))
    channel = channel_seen(sandbox, user, body.get("channel"))
    target = channel.messages.get(str(body.get("message_ts")))
    if target is None:
        raise WrongInput(f"no message {body.get('message_ts')!r} in {channel.id}")
    if not isinstance(body.get("name"), str):
        raise WrongInput("name must be an emoji name, like +1")
    try:
        directory.react(sandbox, channel, target, user.id, body["name"], remove=bool(body.get("remove")))
    except SlackError as error:
        raise WrongInput(f"{user.id} cannot do that: {error.error}") from error
    return {"ok": True}


async def fault(sandbox: Sandbox, body: Json) -> Json:
    """Switch a fault on."""
    try:
        sandbox.faults.add(body)
    except (TypeError, ValueError) as error:
        raise WrongInput(f"a number is expected: {error}") from error
    if body.get("expire_streams"):
        return {"ok": True, "expired": streams.expire_all(sandbox)}
    if body.get("disconnect"):
        return {"ok": True, "disconnected": await sandbox.socket.disconnect()}
    return {"ok": True}


async def transport(sandbox: Sandbox, body: Json) -> Json:
    """From now on reach the app over HTTP at this address, once it answers the challenge; "" is Socket Mode again."""
    url = body.get("http")
    if not isinstance(url, str) or (url and not url.startswith(HTTP_HERE)):
        raise WrongInput("http must be an address on 127.0.0.1 or localhost, or an empty text")
    if url and not await http_mode.answers_challenge(url, sandbox.workspace.clock()):
        raise WrongInput(f"the app at {url} did not answer the challenge (url_verification)")
    sandbox.socket.http_url = url
    sandbox.workspace.changed()
    return {"ok": True}


async def share(sandbox: Sandbox, body: Json) -> Json:
    """A channel becomes a Slack Connect channel."""
    try:
        channel = sandbox.workspace.channel(str(body.get("channel")))
    except SlackError as error:
        raise WrongInput(f"no channel {body.get('channel')!r}") from error
    channel.is_ext_shared = True
    sandbox.workspace.changed()
    return {"ok": True}


async def usergroup(sandbox: Sandbox, body: Json) -> Json:
    """An admin changes who belongs to a user group."""
    name, users = body.get("usergroup"), body.get("users")
    if name not in sandbox.workspace.usergroups:
        raise WrongInput(f"no user group {name!r}; there are {', '.join(sandbox.workspace.usergroups)}")
    if not isinstance(users, list):
        raise WrongInput("users must be a list of user ids")
    sandbox.workspace.usergroups[name] = tuple(person(sandbox, user).id for user in users)
    sandbox.workspace.changed()
    return {"ok": True}


async def uninstall(sandbox: Sandbox, body: Json) -> Json:
    """An admin removes the app that was installed by OAuth."""
    sandbox.oauth.uninstall()
    return {"ok": True}


async def rotation(sandbox: Sandbox, body: Json) -> Json:
    """Let the tokens that are handed out from now on expire after so many seconds."""
    seconds = body.get("seconds")
    if seconds is not None and not isinstance(seconds, int):
        raise WrongInput("seconds must be a whole number, or null")
    sandbox.oauth.expires_in = seconds
    return {"ok": True}


async def home(sandbox: Sandbox, body: Json) -> Json:
    """A person opens the app's Home."""
    return interactions.open_home(sandbox, body)


async def context(sandbox: Sandbox, body: Json) -> Json:
    """A person looks at a channel or thread beside the app."""
    return agent_view.look_at(sandbox, body)


async def presence(sandbox: Sandbox, body: Json) -> Json:
    """A person comes or goes."""
    user = person(sandbox, body.get("user"))
    if body.get("presence") not in ("active", "away"):
        raise WrongInput("presence must be active or away")
    (sandbox.workspace.away.add if body["presence"] == "away" else sandbox.workspace.away.discard)(user.id)
    sandbox.workspace.changed()
    return {"ok": True}


async def reset(sandbox: Sandbox, body: Json) -> Json:
    """Back to the seed; the app stays connected."""
    await sandbox.reset()
    return {"ok": True}


Deed = Callable[[Sandbox, Json], Awaitable[Json]]

DEEDS: dict[str, Deed] = {
    "message": message,
    "change": changes.change,
    "delete": changes.delete,
    "unfurl": changes.unfurl,
    "command": interactions.command,
    "shortcut": interactions.shortcut,
    "action": interactions.action,
    "submit": interactions.submit,
    "close": interactions.close,
    "home": home,
    "context": context,
    "presence": presence,
    "reaction": reaction,
    "pin": pins.pin,
    "canvas": canvases.canvas,
    "fault": fault,
    "transport": transport,
    "share": share,
    "usergroup": usergroup,
    "uninstall": uninstall,
    "rotation": rotation,
    "reset": reset,
}


def refused(sentence: str) -> web.Response:
    """Wrong input: 400 and one sentence."""
    return web.json_response({"ok": False, "error": sentence}, status=400)


def control_api(sandbox: Sandbox) -> list[web.RouteDef]:
    """The routes under /sandbox."""

    async def act(request: web.Request) -> web.Response:
        deed = DEEDS.get(request.match_info["deed"])
        if deed is None:
            return refused(f"no /sandbox/{request.match_info['deed']}; there are {', '.join(DEEDS)}")
        try:
            body = json.loads(await request.text() or "{}")
        except json.JSONDecodeError:
            return refused("the body must be JSON")
        if not isinstance(body, dict):
            return refused("the body must be a JSON object")
        try:
            return web.json_response(await deed(sandbox, body))
        except (WrongInput, WrongFault) as error:
            return refused(str(error))

    async def users(request: web.Request) -> web.Response:
        found = [dataclasses.asdict(user) for user in sandbox.workspace.users.values()]
        return web.json_response({"ok": True, "users": found, "environment": people.environment(sandbox.port)})

    async def state(request: web.Request) -> web.Response:
        try:
            user = person(sandbox, request.query.get("user", ""))
        except WrongInput as error:
            return refused(str(error))
        return web.json_response(state_of(sandbox, user))

    async def told_changes(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
        await response.prepare(request)
        told = -1
        try:
            while not request.transport.is_closing() if request.transport else False:
                if told != sandbox.workspace.revision:
                    told = sandbox.workspace.revision
                    await response.write(f"data: {told}\n\n".encode())
                await asyncio.sleep(0.25)
        except ConnectionError:
            pass
        return response

    return [
        web.get("/sandbox/users", users),
        web.get("/sandbox/state", state),
        web.get("/sandbox/changes", told_changes),
        web.post("/sandbox/{deed}", act),
    ]
