"""The app's manifest for Slack: as it stands for Socket Mode, or with the bot's address for HTTP."""

import copy
import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "manifest.json"
EVENTS = "/slack/events"
"""Where the bot listens in HTTP mode. OAuth's install page and redirect stand beside it."""


def manifest() -> dict[str, Any]:
    """The manifest for Socket Mode."""
    return json.loads(FILE.read_text())


def scopes() -> list[str]:
    """What the bot's token must be allowed to do."""
    return list(manifest()["oauth_config"]["scopes"]["bot"])


def over_http(made: dict[str, Any], url: str) -> dict[str, Any]:
    """The same app reached over HTTP at `url`, the public address of `python -m bot --http PORT`."""
    made, address = copy.deepcopy(made), url.rstrip("/") + EVENTS
    made["settings"]["socket_mode_enabled"] = False
    made["settings"]["event_subscriptions"]["request_url"] = address
    made["settings"]["interactivity"]["request_url"] = address
    made["oauth_config"]["redirect_urls"] = [url.rstrip("/") + "/slack/oauth_redirect"]
    for command in made["features"]["slash_commands"]:
        command["url"] = address
    return made
