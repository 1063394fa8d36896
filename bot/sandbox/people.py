"""Who and what is in the sandbox's workspace when it starts: fixed, readable ids that scripts may rely on."""

from dataclasses import dataclass
from typing import Literal

SandboxRole = Literal["customer", "agent", "supervisor", "admin", "bot"]

TEAM_ID = "T0SANDBOX"
TEAM_NAME = "Nightshift Sandbox"
TEAM_DOMAIN = "nightshift-sandbox"
APP_ID = "A0NIGHTSHIFT"
BOT_ID = "B0NIGHTSHIFT"
BOT_USER = "U0NIGHTSHIFT"

BOT_TOKEN = "xoxb-sandbox"
APP_TOKEN = "xapp-sandbox"
SIGNING_SECRET = "sandbox-secret"
CLIENT_ID = "1234567890.0987654321"
CLIENT_SECRET = "sandbox-client-secret"
ORG_ID = "E0SANDBOX"
"""The organisation that the workspace belongs to when the app is installed in all of it."""


@dataclass(frozen=True)
class User:
    """One person (or the app's bot user) of the workspace."""

    id: str
    name: str
    real_name: str
    role: SandboxRole
    tz: str = "Europe/London"
    is_guest: bool = False
    """A guest of the workspace (is_restricted)."""


@dataclass(frozen=True)
class ChannelSeed:
    """One channel as it stands before anybody has said anything."""

    id: str
    name: str
    topic: str
    members: tuple[str, ...]
    is_private: bool = False
    is_ext_shared: bool = False


USERS: tuple[User, ...] = (
    User("U0CUSTOMER1", "carla", "Carla Mendes", "customer"),
    User("U0CUSTOMER2", "deniz", "Deniz Kaya", "customer"),
    User("U0CUSTOMER3", "emil", "Emil Novak", "customer"),
    User("U0CUSTOMER4", "fatou", "Fatou Diallo", "customer"),
    User("U0CUSTOMER5", "gil", "Gil Stone", "customer", is_guest=True),
    User("U0AGENT1", "ana", "Ana Ruiz", "agent"),
    User("U0AGENT2", "ben", "Ben Okafor", "agent"),
    User("U0AGENT3", "chloe", "Chloe Martin", "agent"),
    User("U0AGENT4", "dmitri", "Dmitri Petrov", "agent", "Pacific/Auckland"),
    User("U0SUPER1", "sofia", "Sofia Lindqvist", "supervisor"),
    User("U0SUPER2", "tom", "Tom Whitaker", "supervisor"),
    User("U0ADMIN1", "priya", "Priya Nair", "admin"),
    User(BOT_USER, "nightshift", "Nightshift", "bot"),
)


def ids_of(*roles: SandboxRole) -> tuple[str, ...]:
    """User ids of these roles, in seed order."""
    return tuple(user.id for user in USERS if user.role in roles)


CUSTOMERS, AGENTS, SUPERVISORS, ADMINS = ids_of("customer"), ids_of("agent"), ids_of("supervisor"), ids_of("admin")
STAFF = (*AGENTS, *SUPERVISORS, *ADMINS)

USERGROUPS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "S0AGENTS": ("support-agents", "Support agents", AGENTS),
    "S0SUPERVISORS": ("support-supervisors", "Support supervisors", SUPERVISORS),
}
"""Usergroup id → (handle, name, user ids)."""

CHANNELS: tuple[ChannelSeed, ...] = (
    ChannelSeed("C0HELP", "help", "Ask us anything", (*CUSTOMERS, *STAFF, BOT_USER)),
    ChannelSeed("C0BILLING", "billing-help", "Invoices, refunds, plans", (*CUSTOMERS, *STAFF, BOT_USER)),
    # The app is not a member here: shortcuts still fire, conversations.replies answers not_in_channel.
    ChannelSeed("C0RANDOM", "watercooler", "Anything but work", (*CUSTOMERS, *STAFF)),
    # Nor here; as the channel is private, Slack answers channel_not_found.
    ChannelSeed("C0VIP", "vip-desk", "Our biggest customers", STAFF, is_private=True),
    ChannelSeed("C0SUPERVISORS", "supervisors", "Drafts to review", (*SUPERVISORS, *ADMINS, BOT_USER), is_private=True),
    ChannelSeed("C0CONNECT", "acme-shared", "Shared with Acme", ("U0CUSTOMER4", *STAFF, BOT_USER), is_ext_shared=True),
)


def dm_id(user_id: str) -> str:
    """The id of the direct-message channel between this user and the bot: U0AGENT1 → D0AGENT1."""
    return "D" + user_id[1:]


def environment(port: int) -> dict[str, str]:
    """The environment that connects the bot to a sandbox on `port`."""
    return {
        "SLACK_API_URL": f"http://127.0.0.1:{port}/api/",
        "SLACK_BOT_TOKEN": BOT_TOKEN,
        "SLACK_APP_TOKEN": APP_TOKEN,
        "SLACK_SIGNING_SECRET": SIGNING_SECRET,
        "AGENTS": ",".join(AGENTS),
        "SUPERVISORS": ",".join(SUPERVISORS),
        "ADMINS": ",".join(ADMINS),
        "REVIEW_CHANNEL": "C0SUPERVISORS",
    }
