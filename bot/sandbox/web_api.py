"""The Web API over HTTP: reads the arguments as Slack does, checks the token, calls the method, words the answer."""

import asyncio
import json
from collections.abc import Callable

from aiohttp import web

from bot.sandbox import agent_view, canvases, chat, conversations, directory, files, people, streams, views
from bot.sandbox.sandbox import Sandbox
from bot.sandbox.workspace import Json, SlackError

Method = Callable[[Sandbox, Json], Json]

UNAVAILABLE = "http_503"
"""A fault that is no answer of Slack's method, but of what stands before it."""

METHODS: dict[str, Method] = {
    "auth.test": directory.auth_test,
    "chat.postMessage": chat.post_message,
    "chat.postEphemeral": chat.post_ephemeral,
    "chat.update": chat.update,
    "chat.delete": chat.delete,
    "chat.getPermalink": chat.get_permalink,
    "chat.startStream": streams.start_stream,
    "chat.appendStream": streams.append_stream,
    "chat.stopStream": streams.stop_stream,
    "conversations.info": conversations.info,
    "conversations.history": conversations.history,
    "conversations.replies": conversations.replies,
    "conversations.open": conversations.open_im,
    "conversations.list": conversations.list_channels,
    "conversations.members": conversations.members,
    "users.info": directory.users_info,
    "users.getPresence": directory.users_get_presence,
    "users.list": directory.users_list,
    "usergroups.list": directory.usergroups_list,
    "usergroups.users.list": directory.usergroups_users_list,
    "files.info": canvases.info,
    "files.getUploadURLExternal": files.get_upload_url,
    "files.completeUploadExternal": files.complete_upload,
    "reactions.add": directory.reactions_add,
    "reactions.remove": directory.reactions_remove,
    "reactions.get": directory.reactions_get,
    "assistant.threads.setStatus": agent_view.set_status,
    "assistant.threads.setSuggestedPrompts": agent_view.set_suggested_prompts,
    "assistant.threads.setTitle": agent_view.set_title,
    "views.open": views.open_modal,
    "views.push": views.push,
    "views.update": views.update,
    "views.publish": views.publish,
}
"""Methods for the bot token; apps.connections.open alone takes the app token, oauth.v2.access the client's secret."""

JSON_ARGUMENTS = {"blocks", "attachments", "view", "metadata", "prompts", "chunks", "channels", "files"}
"""Arguments that are JSON texts in a form body."""

TIER_RETRY_AFTER = 10
"""Seconds that Slack asks an app to wait that called a method too often; how many is not documented."""
EXPECTED = {"not_in_channel", "already_reacted", "no_reaction", "hash_conflict"}
"""Refusals that a correct app meets too; they are recorded with `expected`, for who counts problems."""


async def arguments(request: web.Request) -> Json:
    """Query, form or JSON body as one dict. Slack takes the token and JSON values in a form as text."""
    args: Json = dict(request.query)
    if request.content_type == "application/json":
        try:
            body = json.loads(await request.text() or "{}")
        except json.JSONDecodeError as error:
            raise SlackError("invalid_json") from error
        if not isinstance(body, dict):
            raise SlackError("json_not_object")
        return args | body
    args |= dict(await request.post())
    for name in JSON_ARGUMENTS & set(args):
        try:
            args[name] = json.loads(args[name])
        except json.JSONDecodeError as error:
            raise SlackError("invalid_blocks_format" if name == "blocks" else "invalid_arguments") from error
    return args


def check_token(sandbox: Sandbox, method: str, token: str, args: Json) -> None:
    """not_authed without a token, invalid_auth with a wrong one, not_allowed_token_type with the other kind."""
    wanted = people.APP_TOKEN if method == "apps.connections.open" else people.BOT_TOKEN
    if not token:
        raise SlackError("not_authed")
    if wanted == people.BOT_TOKEN and sandbox.oauth.check(method, token, args):
        return
    if token not in (people.APP_TOKEN, people.BOT_TOKEN):
        raise SlackError("invalid_auth")
    if token != wanted:
        raise SlackError("not_allowed_token_type")


def answer(sandbox: Sandbox, method: str, args: Json) -> Json:
    """What the method answers; raises SlackError when it refuses."""
    if method == "api.test":
        return {"args": args}
    authorization = args.pop("_authorization", "")
    if method == "oauth.v2.access":
        return sandbox.oauth.access(args, authorization)
    if method != "apps.connections.open" and method not in METHODS:
        raise SlackError("unknown_method")
    check_token(sandbox, method, authorization.removeprefix("Bearer ").strip() or str(args.pop("token", "")), args)
    if method == "apps.connections.open":
        return {"url": sandbox.socket.new_url(sandbox.port)}
    check_pictures(sandbox, args)
    return METHODS[method](sandbox, args)


def check_pictures(sandbox: Sandbox, args: Json) -> None:
    """Pictures that blocks show must be there, whatever the method."""
    files.check_pictures(sandbox, args.get("blocks"), error="invalid_blocks", pointer="/blocks")
    view = args.get("view")
    if isinstance(view, dict):
        files.check_pictures(sandbox, view.get("blocks"), error="invalid_arguments", pointer="/view/blocks")


def rate_limited(retry_after: int) -> web.Response:
    """HTTP 429 with Retry-After, as Slack limits."""
    return web.json_response(
        {"ok": False, "error": "ratelimited"}, status=429, headers={"Retry-After": str(retry_after)}
    )


def refusal(error: SlackError) -> Json:
    """A refusal's JSON: complaints stand twice, once with [ERROR], as Slack has them."""
    body: Json = {"ok": False, "error": error.error}
    if error.messages:
        marked = [f"[ERROR] {message}" for message in error.messages]
        body |= {"errors": error.messages, "response_metadata": {"messages": marked}}
    return body


def web_api(sandbox: Sandbox) -> Callable[[web.Request], object]:
    """The handler of /api/METHOD."""

    async def call(request: web.Request) -> web.Response:
        method = request.match_info["method"]
        fault = sandbox.faults.take(method)
        if fault is not None:
            await asyncio.sleep(fault.delay_s)
            if fault.error is not None:
                sandbox.workspace.problem("fault", method=method, error=fault.error)
                if fault.error == "ratelimited":
                    return rate_limited(fault.retry_after)
                if fault.error == UNAVAILABLE:
                    return web.Response(status=503, text="<p>Slack is having trouble.</p>", content_type="text/html")
                return web.json_response({"ok": False, "error": fault.error})
        try:
            args = await arguments(request)
            channel = str(args.get("channel", ""))
            if method == "chat.postMessage" and sandbox.faults.over_rate(channel, sandbox.workspace.clock()):
                sandbox.workspace.problem("rate_limited", method=method, error="ratelimited", channel=channel)
                return rate_limited(1)
            if sandbox.faults.over_tier(method, sandbox.workspace.clock()):
                sandbox.workspace.problem("rate_limited", method=method, error="ratelimited")
                return rate_limited(TIER_RETRY_AFTER)
            args["_authorization"] = request.headers.get("Authorization", "")
            result = answer(sandbox, method, args)
        except SlackError as error:
            # Of a private channel that the app is not in, Slack says that it does not exist.
            hidden = error.error == "channel_not_found" and args.get("channel") in sandbox.workspace.channels
            sandbox.workspace.problem(
                "refused", method=method, error=error.error, messages=error.messages,
                expected=hidden or error.error in EXPECTED,
            )  # fmt: skip
            return web.json_response(refusal(error))
        headers = {"x-oauth-scopes": "commands,chat:write,app_mentions:read"} if method == "auth.test" else {}
        return web.json_response({"ok": True, **result}, headers=headers)

    return call
