"""The manifest makes the whole app in one paste: every scope, event, command and shortcut of the code is in it."""

import json
import re

import pytest
from bot_fixtures import ROOT

from bot.__main__ import main

MANIFEST = json.loads((ROOT / "bot" / "manifest.json").read_text())
SOURCE = "\n".join(path.read_text() for path in sorted((ROOT / "bot").glob("*.py")))
SCOPES = set(MANIFEST["oauth_config"]["scopes"]["bot"])
EVENTS = set(MANIFEST["settings"]["event_subscriptions"]["bot_events"])

READ = {"channels:read", "groups:read", "mpim:read"}
HISTORY = {"channels:history", "groups:history", "im:history", "mpim:history"}
METHODS: dict[str, set[str]] = {
    "auth.test": set(),
    "apps.connections.open": set(),
    "chat.postMessage": {"chat:write"},
    "chat.postEphemeral": {"chat:write"},
    "chat.update": {"chat:write"},
    "chat.delete": {"chat:write"},
    "chat.getPermalink": set(),
    "chat.startStream": {"chat:write"},
    "chat.appendStream": {"chat:write"},
    "chat.stopStream": {"chat:write"},
    "chat.stream": {"chat:write"},
    "conversations.info": READ,
    "conversations.list": READ,
    "conversations.members": READ,
    "conversations.history": HISTORY,
    "conversations.replies": HISTORY,
    "conversations.open": {"im:write"},
    "users.info": {"users:read"},
    "users.getPresence": {"users:read"},
    "users.list": {"users:read"},
    "users.conversations": READ,
    "usergroups.list": {"usergroups:read"},
    "usergroups.users.list": {"usergroups:read"},
    "reactions.add": {"reactions:write"},
    "reactions.get": {"reactions:read"},
    "reactions.remove": {"reactions:write"},
    "assistant.threads.setStatus": {"assistant:write"},
    "assistant.threads.setSuggestedPrompts": {"assistant:write"},
    "assistant.threads.setTitle": {"assistant:write"},
    "files.info": {"files:read"},
    "files.upload.v2": {"files:write"},
    "views.open": set(),
    "views.push": set(),
    "views.update": set(),
    "views.publish": set(),
}
"""Web API method → the scopes that it needs for every kind of conversation that the bot is in."""
SUBSCRIBED: dict[str, set[str]] = {
    "app_mention": {"app_mentions:read"},
    "message.channels": {"channels:history"},
    "message.groups": {"groups:history"},
    "message.im": {"im:history"},
    "message.mpim": {"mpim:history"},
    "pin_added": {"pins:read"},
    "pin_removed": {"pins:read"},
    "reaction_added": {"reactions:read"},
    "reaction_removed": {"reactions:read"},
    "app_home_opened": set(),
    "app_context_changed": {"assistant:write"},
    "app_uninstalled": set(),
    "tokens_revoked": set(),
    "member_joined_channel": {"channels:read", "groups:read"},
    "channel_shared": {"channels:read", "groups:read"},
    "user_change": {"users:read"},
    "subteam_members_changed": {"usergroups:read"},
}
"""Event → the scopes that its subscription needs."""


def called() -> set[str]:
    """The methods that the code names, as `"chat.postMessage"` or as the client's `chat_postMessage`."""
    families = "auth|apps|chat|conversations|users|usergroups|pins|reactions|assistant|files|views"
    named = re.findall(rf'"((?:{families})\.[a-zA-Z.]+)"', SOURCE)
    return {*named, *(name.replace("_", ".") for name in re.findall(rf"client\.((?:{families})_\w+)\(", SOURCE))}


def test_the_scan_finds_what_is_called():
    assert {"chat.postMessage", "views.open", "auth.test", "apps.connections.open"} <= called()


@pytest.mark.parametrize("method", sorted(called()))
def test_every_method_has_its_scopes_in_the_manifest(method):
    assert METHODS[method] <= SCOPES, f"{method} needs {sorted(METHODS[method] - SCOPES)}"


@pytest.mark.parametrize("event", sorted(EVENTS))
def test_every_subscription_has_its_scopes_in_the_manifest(event):
    assert SUBSCRIBED[event] <= SCOPES


@pytest.mark.parametrize("event", sorted(SUBSCRIBED))
def test_every_event_that_the_code_reads_is_subscribed(event):
    name = event.split(".")[0]
    read = re.search(rf'"{name}"(?!:)', SOURCE) if "." not in event else re.search(r'"message"', SOURCE)
    assert event in EVENTS or not read, f"bot/ reads {event}, and the manifest does not subscribe to it"


def test_every_scope_is_used():
    needed = {scope for method in called() for scope in METHODS[method]}
    needed |= {scope for event in EVENTS for scope in SUBSCRIBED[event]}
    # The agent view needs its scope without any call.
    assert needed | {"commands", "assistant:write"} == SCOPES


def test_every_command_and_shortcut_is_in_the_manifest_and_has_a_listener():
    listened = set(re.findall(r'app\.command\("(/\w+)"\)', SOURCE))
    assert listened == {command["command"] for command in MANIFEST["features"]["slash_commands"]}
    listened = set(re.findall(r'app\.shortcut\("(\w+)"\)', SOURCE))
    assert listened == {shortcut["callback_id"] for shortcut in MANIFEST["features"]["shortcuts"]}


def test_texts_are_as_long_as_slack_allows():
    features, about = MANIFEST["features"], MANIFEST["display_information"]
    assert len(about["name"]) <= 35 and len(about["description"]) <= 140
    assert all(len(s["name"]) <= 24 and len(s["description"]) <= 150 for s in features["shortcuts"])
    assert len(features["shortcuts"]) <= 10 and len(features["slash_commands"]) <= 50
    assert all(len(c["description"]) <= 2000 and len(c["usage_hint"]) <= 1000 for c in features["slash_commands"])
    assert len(features["agent_view"]["suggested_prompts"]) <= 4


def test_the_app_is_whole_after_one_paste():
    wanted = MANIFEST["settings"]
    assert wanted["socket_mode_enabled"] and wanted["interactivity"]["is_enabled"] and wanted["org_deploy_enabled"]
    assert MANIFEST["features"]["bot_user"]["display_name"] and "agent_view" in MANIFEST["features"]
    assert "assistant_view" not in MANIFEST["features"]


def test_the_manifest_for_http_has_the_address_everywhere(capsys):
    assert main(["manifest", "--http", "https://bot.example/"]) == 0
    made = json.loads(capsys.readouterr().out)
    address = "https://bot.example/slack/events"
    assert not made["settings"]["socket_mode_enabled"]
    assert made["settings"]["event_subscriptions"]["request_url"] == address
    assert made["settings"]["interactivity"]["request_url"] == address
    assert {command["url"] for command in made["features"]["slash_commands"]} == {address}
    assert made["oauth_config"]["redirect_urls"] == ["https://bot.example/slack/oauth_redirect"]


def test_the_manifest_for_socket_mode_is_the_file(capsys):
    assert main(["manifest"]) == 0
    assert json.loads(capsys.readouterr().out) == MANIFEST
    assert main(["manifest", "--http", "bot.example"]) == 1
