"""The running sandbox: the workspace, the socket to the app, the faults, and the response_urls handed out."""

import secrets
from dataclasses import dataclass, field

from bot import manifest
from bot.sandbox import events
from bot.sandbox.faults import Faults
from bot.sandbox.oauth import OAuth
from bot.sandbox.socket_mode import SocketMode
from bot.sandbox.workspace import Channel, Json, Workspace


@dataclass
class ResponseUrl:
    """A response_url: where its posts go and how often it was used."""

    channel: str
    user: str
    issued: float
    message_ts: str | None = None
    thread_ts: str | None = None
    uses: int = 0


@dataclass
class Sandbox:
    """What the Web API, the control API and the page work on."""

    port: int = 0
    workspace: Workspace = field(default_factory=Workspace)
    faults: Faults = field(default_factory=Faults)
    response_urls: dict[str, ResponseUrl] = field(default_factory=dict)
    socket: SocketMode = field(init=False)
    oauth: OAuth = field(init=False)

    def __post_init__(self) -> None:
        self.socket = SocketMode(self.workspace, self.faults)
        self.oauth = OAuth(self.workspace, self.socket)

    def announce(self, channel: Channel, event: Json) -> None:
        """Tell the app of an event in a channel, if its bot user is a member there."""
        if events.BOT_USER in channel.members:
            self.socket.emit(events.event_callback(event, self.workspace.clock(), channel.is_ext_shared))

    def scopes(self) -> frozenset[str]:
        """What the app may do: what was granted when it was last installed by OAuth, or what its manifest asks for."""
        return (self.oauth.scopes() or frozenset(manifest.scopes())) - self.faults.without_scopes

    def new_response_url(self, kind: str, channel: str, user: str, **where: str | None) -> str:
        """A fresh response_url; `kind` is commands, actions or app, as in Slack's own addresses."""
        token = secrets.token_urlsafe(18)
        self.response_urls[token] = ResponseUrl(channel, user, self.workspace.clock(), **where)
        return f"http://127.0.0.1:{self.port}/{kind}/{events.TEAM_ID}/{token}"

    async def reset(self) -> None:
        """Back to the seed. The app stays connected; events still being retried are dropped."""
        for task in list(self.socket.retrying):
            task.cancel()
        self.response_urls.clear()
        self.oauth.reset()
        fresh = Faults()
        self.faults.__dict__.update(fresh.__dict__)
        self.workspace.reset()
