"""A second Slack, written from Slack's pages and not from the sandbox: lenient where Slack is, strict on what is sent.

The sandbox and the bot grew up together, so what both misread would never show. This one shares no code with it. It
answers as sparely as Slack may ("lean") or with everything that Slack adds ("rich"), and checks each call by the
documented names of its arguments.
PYTEST_DONT_REWRITE: test modules import from here before pytest takes it as a plugin.
"""

import asyncio
import hashlib
import hmac
import itertools
import json
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web
from bot_fixtures import ThreadedServer
from sandbox_fixtures import PATIENCE

Json = dict[str, Any]
Manner = Literal["lean", "rich"]

TEAM, BOT_USER, BOT_ID, APP = "T024BE7LD", "U061F7AUR", "B061F7AUS", "A012ABCD0A0"
HELP, REVIEW, DIRECT = "C024BE91L", "G0SUPERVIS", "D024BE7RE"
AGENT, CUSTOMER, SUPERVISOR, STRANGER = "U2147483697", "W012A3CDE", "U0SUPERVIS", "U0STRANGER"
TOKEN, SECRET = "xoxb-17653672481-19874698323-pdFZKVeTuE8sk7oOcHrzqqgy", "8f742231b10e8888abcd99yyyzzz85a5"

SAID = "channel text blocks attachments thread_ts metadata mrkdwn parse link_names unfurl_links unfurl_media username "
PAGED = "channel cursor limit "
DOCUMENTED = {
    method: set(names.split())
    for method, names in {
        "auth.test": "team_id",  # Bolt sends it; not documented, and harmless
        "chat.postMessage": SAID + "reply_broadcast icon_emoji icon_url markdown_text",
        "chat.postEphemeral": SAID + "user icon_emoji icon_url markdown_text",
        "chat.update": "channel ts text blocks attachments metadata as_user file_ids link_names parse reply_broadcast "
        "markdown_text unfurl_links unfurl_media",
        "chat.delete": "channel ts as_user",
        "chat.getPermalink": "channel message_ts",
        "chat.startStream": "channel thread_ts markdown_text chunks recipient_user_id recipient_team_id "
        "task_display_mode username icon_emoji icon_url",
        "chat.appendStream": "channel ts markdown_text chunks",
        "chat.stopStream": "channel ts markdown_text chunks blocks metadata",
        "conversations.info": "channel include_locale include_num_members",
        "conversations.history": PAGED + "oldest latest inclusive include_all_metadata",
        "conversations.replies": PAGED + "ts oldest latest inclusive include_all_metadata",
        "conversations.members": PAGED,
        "users.info": "user include_locale",
        "users.getPresence": "user",
        "usergroups.users.list": "usergroup include_disabled team_id",
        "views.open": "trigger_id interactivity_pointer view",
        "views.update": "view view_id external_id hash",
        "views.publish": "user_id view hash",
        "assistant.threads.setStatus": "channel_id thread_ts status loading_messages username icon_emoji icon_url",
        "assistant.threads.setSuggestedPrompts": "channel_id thread_ts title prompts",
        "files.getUploadURLExternal": "filename length alt_txt snippet_type",
        "files.completeUploadExternal": "files channel_id channels initial_comment thread_ts blocks",
        "apps.connections.open": "",
    }.items()
}
"""Method → its arguments, as docs.slack.dev/reference/methods lists them."""
JSON_TEXTS = ("blocks", "view", "metadata", "prompts", "files", "chunks")


@dataclass
class OtherSlack:
    """One workspace of this Slack, and everything that the bot called in it."""

    manner: Manner
    calls: list[tuple[str, Json]] = field(default_factory=list)
    undocumented: list[str] = field(default_factory=list)
    told: list[Json] = field(default_factory=list)
    """What came to a response_url."""
    messages: dict[str, list[Json]] = field(default_factory=dict)
    views: dict[str, Json] = field(default_factory=dict)
    bot_address: str = ""
    unknown: set[str] = field(default_factory=set)
    """Methods that this Slack does not have."""
    silent: bool = False
    """Does it take calls and never answer?"""

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self.server = ThreadedServer(
            web.route("*", "/api/{method}", self._api), web.post("/respond/{token}", self._respond)
        )
        self.url = self.server.url

    @property
    def environment(self) -> dict[str, str]:
        """What the bot must know of this workspace."""
        return {
            "SLACK_BOT_TOKEN": TOKEN,
            "SLACK_SIGNING_SECRET": SECRET,
            "SLACK_API_URL": self.url + "/api/",
            "AGENTS": AGENT,
            "SUPERVISORS": SUPERVISOR,
            "ADMINS": SUPERVISOR,
            "REVIEW_CHANNEL": REVIEW,
        }

    # The Web API

    async def _api(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        while self.silent:
            await asyncio.sleep(0.05)
        arguments: Json = dict(request.query)
        if request.content_type == "application/json":
            arguments |= json.loads(await request.text() or "{}")
        else:
            arguments |= dict(await request.post())
        arguments |= {n: json.loads(arguments[n]) for n in JSON_TEXTS if isinstance(arguments.get(n), str)}
        token = arguments.pop("token", "") or request.headers.get("Authorization", "").removeprefix("Bearer ")
        with self._lock:
            self.calls.append((method, arguments))
            strange = set(arguments) - DOCUMENTED.get(method, set(arguments) if method in DOCUMENTED else set())
            self.undocumented += [f"{method}: {name}" for name in sorted(strange)]
            if token != TOKEN:
                return web.json_response({"ok": False, "error": "invalid_auth"})
            if method not in DOCUMENTED or method in self.unknown:
                return web.json_response({"ok": False, "error": "unknown_method"})
            found = getattr(self, "_" + method.replace(".", "_"), lambda _: {})(arguments)
        if isinstance(found, str):
            return web.json_response({"ok": False, "error": found})
        more = {} if self.manner == "lean" else {"response_metadata": {"scopes": [], "warnings": []}, "warning": ""}
        return web.json_response({"ok": True, **more, **found})

    def _auth_test(self, _: Json) -> Json:
        found = {"url": "https://x.slack.com/", "team": "X", "user": "nightshift", "team_id": TEAM, "user_id": BOT_USER}
        return found | {"bot_id": BOT_ID} | self._more({"enterprise_id": None, "is_enterprise_install": False})

    def _more(self, fields: Json) -> Json:
        return fields if self.manner == "rich" else {}

    def _chat_postMessage(self, arguments: Json) -> Json | str:
        if not arguments.get("channel"):
            return "channel_not_found"
        channel = DIRECT if arguments["channel"][0] in "UW" else arguments["channel"]
        message = self.add(channel, **self._ours(arguments))
        return {"channel": channel, "ts": message["ts"], "message": message}

    def _ours(self, arguments: Json) -> Json:
        kept = {n: arguments[n] for n in ("text", "blocks", "thread_ts", "metadata") if arguments.get(n)}
        author = {"user": BOT_USER, "bot_id": BOT_ID, "app_id": APP}
        more = {"team": TEAM, "bot_profile": {"id": BOT_ID, "icons": {"image_36": "x"}}, "unfurl_links": False}
        return {"type": "message", **author, **kept, **self._more(more)}

    def _chat_postEphemeral(self, arguments: Json) -> Json:
        self.told.append(arguments)
        return {"message_ts": self._ts()}

    def _chat_update(self, arguments: Json) -> Json | str:
        message = self._message(arguments["channel"], arguments["ts"])
        if message is None:
            return "message_not_found"
        message |= {n: arguments[n] for n in ("text", "blocks", "metadata") if arguments.get(n)}
        return {"channel": arguments["channel"], "ts": arguments["ts"], "text": message.get("text", "")}

    def _chat_delete(self, arguments: Json) -> Json | str:
        message = self._message(arguments["channel"], arguments["ts"])
        if message is None:
            return "message_not_found"
        self.messages[arguments["channel"]].remove(message)
        return {"channel": arguments["channel"], "ts": arguments["ts"]}

    def _chat_getPermalink(self, arguments: Json) -> Json:
        ts = arguments["message_ts"].replace(".", "")
        return {
            "channel": arguments["channel"],
            "permalink": f"https://x.slack.com/archives/{arguments['channel']}/p{ts}",
        }

    def _chat_startStream(self, arguments: Json) -> Json | str:
        if not arguments["channel"].startswith("D") and not arguments.get("recipient_user_id"):
            return "missing_recipient_user_id"
        shown = {"text": arguments.get("markdown_text", ""), "thread_ts": arguments["thread_ts"]}
        return {"channel": arguments["channel"], "ts": self.add(arguments["channel"], **self._ours(shown))["ts"]}

    def _chat_appendStream(self, arguments: Json) -> Json | str:
        message = self._message(arguments["channel"], arguments["ts"])
        if message is None:
            return "message_not_found"
        message["text"] += arguments.get("markdown_text", "")
        return {"channel": arguments["channel"], "ts": arguments["ts"]}

    def _chat_stopStream(self, arguments: Json) -> Json | str:
        found = self._chat_appendStream(arguments)
        if not isinstance(found, str):
            kept = {n: arguments[n] for n in ("blocks", "metadata") if arguments.get(n)}
            (self._message(arguments["channel"], arguments["ts"]) or {}).update(kept)
        return found

    def _conversations_info(self, arguments: Json) -> Json:
        flags = {"is_ext_shared": False, "is_pending_ext_shared": False, "pending_shared": [], "is_org_shared": False}
        return {"channel": {"id": arguments["channel"], "name": "help", "is_channel": True} | self._more(flags)}

    def _conversations_history(self, arguments: Json) -> Json:
        top = [m for m in self.messages.get(arguments["channel"], []) if m.get("thread_ts", m["ts"]) == m["ts"]]
        return {"messages": top[::-1][: int(arguments.get("limit", 100))]} | self._more(
            {"has_more": False, "pin_count": 0}
        )

    def _conversations_replies(self, arguments: Json) -> Json | str:
        thread = [
            m for m in self.messages.get(arguments["channel"], []) if arguments["ts"] in (m["ts"], m.get("thread_ts"))
        ]
        return {"messages": thread} | self._more({"has_more": False}) if thread else "thread_not_found"

    def _conversations_members(self, arguments: Json) -> Json:
        return {"members": [AGENT, CUSTOMER, SUPERVISOR, BOT_USER], "response_metadata": {"next_cursor": ""}}

    def _users_info(self, arguments: Json) -> Json | str:
        if arguments["user"] == STRANGER:
            return "user_not_found"
        names = {"real_name": "Ada Lovelace", "profile": {"display_name": "", "real_name": "Ada Lovelace"}}
        more = {"tz": "Europe/Berlin", "tz_offset": 3600, "is_restricted": False, "is_ultra_restricted": False}
        return {"user": {"id": arguments["user"], "name": "ada", **self._more(names | more)}}

    def _users_getPresence(self, arguments: Json) -> Json:
        return {"presence": "active"}

    def _views_open(self, arguments: Json) -> Json:
        view = arguments["view"] | {"id": f"V{next(self._numbers)}", "hash": "1.a"}
        self.views[view["callback_id"]] = view
        return {"view": view}

    def _views_publish(self, arguments: Json) -> Json:
        self.views["home"] = arguments["view"]
        return {"view": arguments["view"] | {"id": "VHOME", "hash": "1.b"}}

    def _files_getUploadURLExternal(self, arguments: Json) -> Json:
        return {"upload_url": self.address(), "file_id": f"F{next(self._numbers)}"}

    def _files_completeUploadExternal(self, arguments: Json) -> Json:
        return {"files": [{"id": file["id"], **self._more({"title": "x"})} for file in arguments["files"]]}

    async def _respond(self, request: web.Request) -> web.Response:
        with self._lock:
            if request.content_type == "application/json":
                self.told.append(await request.json())
        return web.Response(text="ok")

    # What is there

    def _ts(self) -> str:
        return f"{int(time.time())}.{next(self._numbers):06d}"

    def add(self, channel: str, **message: Any) -> Json:
        """A message in a channel, as it stands in a history."""
        said = {"type": "message", "ts": self._ts(), **message}
        self.messages.setdefault(channel, []).append(said)
        return said

    def _message(self, channel: str, ts: str) -> Json | None:
        return next((m for m in self.messages.get(channel, []) if m["ts"] == ts), None)

    def named(self, method: str) -> list[Json]:
        """The arguments of all calls of one method."""
        return [arguments for called, arguments in list(self.calls) if called == method]

    # What it sends

    def address(self) -> str:
        """A new response_url."""
        return f"{self.url}/respond/{next(self._numbers)}"

    def event(self, event: Json, **more: Any) -> tuple[int, str]:
        """Deliver an event."""
        payload = {
            "type": "event_callback",
            "team_id": TEAM,
            "event_id": f"Ev{next(self._numbers):09d}",
            "event": event,
        }
        rich = {
            "token": "z", "api_app_id": APP, "event_time": 1, "event_context": "4-x", "context_team_id": TEAM,
            "context_enterprise_id": "E0ORG", "is_ext_shared_channel": False, "enterprise_id": "E0ORG",
            "authorizations": [{"enterprise_id": "E0ORG", "team_id": TEAM, "user_id": BOT_USER, "is_bot": True,
                                "is_enterprise_install": False}],
        }  # fmt: skip
        return self.send({**payload, **self._more(rich), **more})

    def interact(self, payload: Json, **headers: str) -> tuple[int, str]:
        """Deliver a click, a shortcut or a form: a form field with JSON in it."""
        common = {"team": {"id": TEAM, "domain": "x"}, "user": {"id": AGENT}, "api_app_id": APP,
                  "trigger_id": f"{next(self._numbers)}.2.x"}  # fmt: skip
        rich = {"enterprise": {"id": "E0ORG", "name": "Org"}, "is_enterprise_install": False, "token": "z",
                "action_ts": "1.2"}  # fmt: skip
        body = urllib.parse.urlencode({"payload": json.dumps({**common, **self._more(rich), **payload})})
        return self.post(body, "application/x-www-form-urlencoded", **headers)

    def command(self, command: str, text: str | None, **more: str) -> tuple[int, str]:
        """Deliver a slash command."""
        lean = {"command": command, "team_id": TEAM, "channel_id": HELP, "user_id": AGENT,
                "trigger_id": f"{next(self._numbers)}.3.x", "response_url": self.address()}  # fmt: skip
        rich = {"token": "z", "team_domain": "x", "enterprise_id": "E0ORG", "enterprise_name": "Org",
                "channel_name": "h",
                "user_name": "ada", "api_app_id": APP, "is_enterprise_install": "false"}  # fmt: skip
        said = {} if text is None else {"text": text}
        fields = {**lean, **said, **self._more(rich), **more}
        return self.post(urllib.parse.urlencode(fields), "application/x-www-form-urlencoded")

    def send(self, payload: Json, **headers: str) -> tuple[int, str]:
        """Deliver JSON."""
        return self.post(json.dumps(payload), "application/json; charset=utf-8", **headers)

    def post(self, body: str, content_type: str, **headers: str) -> tuple[int, str]:
        """A signed request: (status, answer)."""
        stamp = str(int(time.time()))
        signed = hmac.new(SECRET.encode(), f"v0:{stamp}:{body}".encode(), hashlib.sha256).hexdigest()
        request = urllib.request.Request(
            self.bot_address, body.encode(),
            {"Content-Type": content_type, "X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={signed}",
             "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)", **headers},
        )  # fmt: skip
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
