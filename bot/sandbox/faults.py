"""Faults on demand: refusals, delays, lost acks and rate limits that a test or a person switches on."""

from dataclasses import dataclass, field

from bot.sandbox.workspace import Json

RETRY_DELAYS = (0.0, 60.0, 300.0)
"""Seconds before each of the three retries of an unacked event (facts: slack.md 14)."""


class WrongFault(Exception):
    """A fault that the sandbox does not know; the message says which ones it does."""


TIERS = {"users.getPresence": 50}
"""Calls a minute of methods that an app is tempted to call often. Slack's tier 3 is 50 or more (slack.md, 20)."""


@dataclass
class MethodFault:
    """What the next calls of one Web API method get."""

    method: str
    error: str | None
    delay_s: float
    retry_after: int
    times: int


@dataclass
class Faults:
    """All faults that are switched on now."""

    methods: list[MethodFault] = field(default_factory=list)
    drop_acks: int = 0
    drop_ack_of: str = ""
    """Which event's, command's or interaction's acks are dropped; empty: the next ones, whatever they are of."""
    channel_rate: float | None = None
    """Messages per second and channel that chat.postMessage takes; None: no limit."""
    channel_burst: int = 1
    retry_delays: tuple[float, ...] = RETRY_DELAYS
    files_ready_after_s: float = 0.0
    """Seconds after which blocks may show a file that was uploaded."""
    without_scopes: frozenset[str] = frozenset()
    """Scopes that the app lacks, as when it was installed before its manifest asked for them."""
    posted: dict[str, list[float]] = field(default_factory=dict)
    called: dict[str, list[float]] = field(default_factory=dict)

    def drops_ack(self, what: str) -> bool:
        """Whether this ack, of an event or interaction by its name, is one to drop; counts it when it is."""
        if self.drop_acks <= 0 or self.drop_ack_of not in ("", what):
            return False
        self.drop_acks -= 1
        return True

    def add(self, fault: Json) -> None:
        """Switch on what `fault` names."""
        known = {"method", "error", "retry_after", "times", "delay_s", "drop_ack", "drop_ack_of",
                 "channel_rate", "burst", "retry_delays_s", "disconnect", "expire_streams", "files_ready_after_s",
                 "without_scopes"}  # fmt: skip
        unknown = set(fault) - known
        if unknown or not fault:
            raise WrongFault(f"a fault takes {', '.join(sorted(known))}; got {', '.join(sorted(unknown)) or 'nothing'}")
        if "drop_ack" in fault:
            self.drop_acks += int(fault["drop_ack"])
            self.drop_ack_of = str(fault.get("drop_ack_of", ""))
        if "channel_rate" in fault:
            self.channel_rate = float(fault["channel_rate"]) if fault["channel_rate"] else None
            self.channel_burst = int(fault.get("burst", 1))
        if "files_ready_after_s" in fault:
            self.files_ready_after_s = float(fault["files_ready_after_s"])
        if "without_scopes" in fault:
            self.without_scopes = frozenset(map(str, fault["without_scopes"]))
        if "retry_delays_s" in fault:
            self.retry_delays = tuple(float(delay) for delay in fault["retry_delays_s"])
        if {"method", "error", "delay_s"} & set(fault):
            self.methods.append(
                MethodFault(
                    method=fault.get("method", "*"),
                    error=fault.get("error"),
                    delay_s=float(fault.get("delay_s", 0)),
                    retry_after=int(fault.get("retry_after", 1)),
                    times=int(fault.get("times", 1)),
                )
            )

    def take(self, method: str) -> MethodFault | None:
        """The fault that this call meets, counted down."""
        for fault in self.methods:
            if fault.method in (method, "*"):
                fault.times -= 1
                if fault.times <= 0:
                    self.methods.remove(fault)
                return fault
        return None

    def over_tier(self, method: str, now: float) -> bool:
        """Whether one more call of this method in this minute is too much; counts it when it is not."""
        if method not in TIERS:
            return False
        recent = self.called[method] = [at for at in self.called.get(method, []) if now - at < 60]
        if len(recent) >= TIERS[method]:
            return True
        recent.append(now)
        return False

    def over_rate(self, channel: str, now: float) -> bool:
        """Whether one more message in this channel is too much; counts it when it is not."""
        if self.channel_rate is None:
            return False
        window = self.channel_burst / self.channel_rate
        recent = [at for at in self.posted.get(channel, []) if now - at < window]
        self.posted[channel] = recent
        if len(recent) >= self.channel_burst:
            return True
        recent.append(now)
        return False
