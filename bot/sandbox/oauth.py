"""Installing the app by OAuth: the page that asks, oauth.v2.access, tokens that expire, and being removed again.

There is one workspace here, so it is installed in that one, or in an organisation that has only that one.
"""

import html
import secrets
from dataclasses import dataclass, field
from urllib.parse import urlencode, urljoin

from aiohttp import BasicAuth, web

from bot.sandbox import events, people
from bot.sandbox.socket_mode import SocketMode
from bot.sandbox.workspace import Json, SlackError, Workspace

CODE_SECONDS = 600
"""A code is good for ten minutes, once."""
TEAM_IS_ASKED = ("usergroups.list", "usergroups.users.list", "users.list", "conversations.list")
"""Methods that an organisation's token must tell a team. The error's name is not certain."""


@dataclass
class Token:
    """A bot token that was handed out. `expires_at` None: it does not."""

    is_org_wide: bool
    scope: str
    expires_at: float | None
    revoked: bool = False


@dataclass
class OAuth:
    """Codes and tokens that were handed out."""

    workspace: Workspace
    socket: SocketMode
    codes: dict[str, Json] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    refreshing: dict[str, str] = field(default_factory=dict)
    """refresh token → the token that it renews"""
    expires_in: int | None = None
    """Seconds that a token lives when the app's tokens rotate; None: they do not."""

    def reset(self) -> None:
        """Nothing was installed."""
        for held in (self.codes, self.tokens, self.refreshing):
            held.clear()
        self.expires_in = None
        self.socket.is_org_wide = False

    def check(self, method: str, token: str, args: Json) -> bool:
        """Is this one of these tokens? Raises what Slack says to one that is not good, or not for this."""
        found = self.tokens.get(token)
        if found is None:
            return False
        if found.revoked:
            raise SlackError("token_revoked")
        if found.expires_at is not None and found.expires_at < self.workspace.clock():
            raise SlackError("token_expired")
        if found.is_org_wide and method in TEAM_IS_ASKED and args.get("team_id") != people.TEAM_ID:
            raise SlackError("missing_argument", ["team_id is required with an organisation's token"])
        return True

    def scopes(self) -> frozenset[str]:
        """What the newest token that is not revoked may do; nothing when there is none."""
        granted = [token.scope for token in self.tokens.values() if not token.revoked]
        return frozenset(granted[-1].split(",")) if granted else frozenset()

    def access(self, args: Json, authorization: str) -> Json:
        """oauth.v2.access: a code or a refresh token becomes a token."""
        client = {"client_id": args.get("client_id"), "client_secret": args.get("client_secret")}
        if authorization.startswith("Basic "):
            basic = BasicAuth.decode(authorization)
            client = {"client_id": basic.login, "client_secret": basic.password}
        if client["client_id"] != people.CLIENT_ID:
            raise SlackError("invalid_client_id")
        if client["client_secret"] != people.CLIENT_SECRET:
            raise SlackError("bad_client_secret")
        if args.get("grant_type") == "refresh_token":
            old = self.tokens.get(self.refreshing.pop(str(args.get("refresh_token")), ""))
            if old is None:
                raise SlackError("invalid_refresh_token")
            return self.hand_out(is_org_wide=old.is_org_wide, scope=old.scope, user=people.ADMINS[0])
        code = self.codes.pop(str(args.get("code")), None)
        if code is None or self.workspace.clock() - code["issued"] > CODE_SECONDS:
            raise SlackError("invalid_code")
        if (args.get("redirect_uri") or None) != (code["redirect_uri"] or None):
            raise SlackError("bad_redirect_uri")
        self.socket.is_org_wide = code["is_org_wide"]
        return self.hand_out(is_org_wide=code["is_org_wide"], scope=code["scope"], user=people.ADMINS[0])

    def hand_out(self, *, is_org_wide: bool, scope: str, user: str) -> Json:
        """A fresh token, as oauth.v2.access answers it."""
        token = f"xoxb-sandbox-{secrets.token_hex(8)}"
        expires_at = self.workspace.clock() + self.expires_in if self.expires_in is not None else None
        self.tokens[token] = Token(is_org_wide, scope, expires_at)
        answer: Json = {
            "app_id": people.APP_ID, "authed_user": {"id": user}, "scope": scope, "token_type": "bot",
            "access_token": token, "bot_user_id": people.BOT_USER, "is_enterprise_install": is_org_wide,
            "team": None if is_org_wide else {"id": people.TEAM_ID, "name": people.TEAM_NAME},
            "enterprise": {"id": people.ORG_ID, "name": "Sandbox Org"} if is_org_wide else None,
        }  # fmt: skip
        if self.expires_in is not None:
            refresh = f"xoxe-1-{secrets.token_hex(8)}"
            self.refreshing[refresh] = token
            answer |= {"refresh_token": refresh, "expires_in": self.expires_in}
        return answer

    def uninstall(self) -> None:
        """An admin removes the app: its tokens are dead, and it is told."""
        for token in self.tokens.values():
            token.revoked = True
        for event in ({"type": "tokens_revoked", "tokens": {"oauth": [], "bot": [people.BOT_USER]}},
                      {"type": "app_uninstalled"}):  # fmt: skip
            self.socket.emit(events.event_callback(event, self.workspace.clock()))


def routes(oauth: OAuth) -> list[web.RouteDef]:
    """The page that asks, and its buttons."""

    async def authorize(request: web.Request) -> web.Response:
        query = request.query
        if query.get("client_id") != people.CLIENT_ID or not query.get("scope") or not query.get("state"):
            return web.Response(status=400, text="client_id must be the app's, and scope and state must be there")
        links = []
        for name, label in (("team", "Install in this workspace"), ("org", "Install in the whole organisation")):
            address = html.escape("/oauth/v2/allow?" + urlencode({**query, "org": name == "org"}))
            links.append(f'<p><a id="{name}" href="{address}">{label}</a>')
        scopes = html.escape(", ".join(query["scope"].split(",")))
        page = (
            f"<!doctype html><title>Install Nightshift</title><h1>Nightshift asks for</h1><p>{scopes}{''.join(links)}"
        )
        return web.Response(text=page, content_type="text/html")

    async def allow(request: web.Request) -> web.Response:
        query = request.query
        redirect_uri = query.get("redirect_uri") or urljoin(oauth.socket.http_url, "oauth_redirect")
        if not redirect_uri.startswith(("http://127.0.0.1:", "http://localhost:")):
            return web.Response(status=400, text="the app has no address here: start the sandbox with --http URL")
        code = secrets.token_hex(12)
        oauth.codes[code] = {
            "issued": oauth.workspace.clock(),
            "scope": query.get("scope", ""),
            "is_org_wide": query.get("org") == "True",
            "redirect_uri": query.get("redirect_uri"),
        }
        raise web.HTTPFound(f"{redirect_uri}?{urlencode({'code': code, 'state': query.get('state', '')})}")

    return [web.get("/oauth/v2/authorize", authorize), web.get("/oauth/v2/allow", allow)]
