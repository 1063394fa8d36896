"""The bot's environment: tokens, who is who, and where the Web API is."""

from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

Ids = Annotated[frozenset[str], NoDecode]


class BotSettings(BaseSettings):
    """Read once, in `python -m bot`, and passed down."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", env_ignore_empty=True, frozen=True)

    slack_bot_token: str = ""
    """The bot's token, `xoxb-…`."""
    slack_app_token: str = ""
    """The app-level token for Socket Mode, `xapp-…`, with the scope connections:write."""
    slack_signing_secret: str = ""
    """Checks the signature of every request in HTTP mode."""
    slack_client_id: str = ""
    """With the secret: workspaces install the app by OAuth, in HTTP mode. Without: one workspace, by its bot token."""
    slack_client_secret: str = ""
    """The app's client secret."""
    slack_api_url: str = "https://slack.com/api/"
    """Where Slack's Web API is. `python -m bot sandbox` prints another one."""

    agents: Ids = frozenset()
    """User ids of the humans who answer customers, separated by commas."""
    agent_usergroup: str = ""
    """A user group (S…) whose members are agents too."""
    supervisors: Ids = frozenset()
    """User ids of the humans who rate suggestions, separated by commas."""
    supervisor_usergroup: str = ""
    """A user group (S…) whose members are supervisors too."""
    admins: Ids = frozenset()
    """User ids of those who may switch a channel's consent, separated by commas."""
    allowed_bots: Ids = frozenset()
    """Bot ids (B…) whose messages count as the customer's: a help desk that mirrors tickets into a channel."""

    review_channel: str = ""
    """The supervisors' channel for review messages. Empty: none are sent."""

    proactive_per_hour: int = Field(10, ge=0)
    """Drafts that a channel's agents get unasked in one hour, where an admin switched that on."""

    @property
    def by_oauth(self) -> bool:
        """Do workspaces install the app themselves?"""
        return bool(self.slack_client_id and self.slack_client_secret)

    @field_validator("agents", "supervisors", "admins", "allowed_bots", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return frozenset(part.strip() for part in value.split(",") if part.strip())

    @field_validator("slack_api_url")
    @classmethod
    def _end_with_slash(cls, value: str) -> str:
        # slack_sdk joins the method's name onto this, and replaces the last part when the slash is missing.
        return value if value.endswith("/") else value + "/"
