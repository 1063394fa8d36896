"""Everything that the bot sent, against Slack's limits, by a second opinion: slack_sdk's own models.

The sandbox refuses what breaks the rules that it knows (rules.py), and a refusal is an objection. Here stand the limits
that slack_sdk enforces by itself, and what Slack takes without a word although it is wrong.
"""

import json
from collections.abc import Iterator

from bot_fixtures import Json
from shift_office import Call, Office
from slack_sdk.errors import SlackObjectFormationError
from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View

RESPONSE_URL_USES = 5
SAYING = ("chat.postMessage", "chat.postEphemeral", "chat.update", "response_url", "ack")


def limits(office: Office) -> Iterator[str]:
    """What slack_sdk would not have sent, and what a reader of notifications or an app beside ours would trip over."""
    uses: dict[str, int] = {}
    for call in office.calls:
        yield from (f"{call.method}: {complaint}" for complaint in _complaints(call))
        if call.method == "response_url" and call.ok:
            uses[call.where] = uses.get(call.where, 0) + 1
    yield from (f"a response_url was used {n} times" for n in uses.values() if n > RESPONSE_URL_USES)


def _complaints(call: Call) -> Iterator[str]:
    arguments = call.arguments
    if call.method in SAYING and not (arguments.get("text") or "").strip():
        yield "no top-level text, which notifications and screen readers say"
    for block in arguments.get("blocks") or []:
        parsed = Block.parse(block)
        if parsed is None:
            yield f"slack_sdk does not know the block {block.get('type')}"
            continue
        yield from _formed(parsed)
    if "view" in arguments:
        yield from _formed(View(**arguments["view"]))
    payload = (arguments.get("metadata") or {}).get("event_payload", {})
    for key, value in payload.items():
        # Every app in the workspace can read it (slack.md, 24).
        if not isinstance(value, str | int) or len(str(value)) > 40 or " " in str(value):
            yield f"metadata {key} is no id"


def _formed(parsed: Block | View) -> Iterator[str]:
    try:
        parsed.to_dict()
    except SlackObjectFormationError as error:
        yield str(error)


def sizes(office: Office) -> Json:
    """The largest of each thing that was sent: how near the bot comes to the limits."""
    found: dict[str, int] = {}

    def note(name: str, size: int) -> None:
        found[name] = max(found.get(name, 0), size)

    for call in office.calls:
        blocks = call.arguments.get("blocks") or []
        note("blocks of a message (50)", len(blocks))
        note("characters of a message (13,200)", len(json.dumps(blocks, ensure_ascii=False)) if blocks else 0)
        note("top-level text (40,000)", len(call.arguments.get("text") or ""))
        view = call.arguments.get("view")
        if view:
            note(f"blocks of a {view['type']} (100)", len(view["blocks"]))
            note("private_metadata (3,000)", len(view.get("private_metadata", "")))
        for kind, size in _texts([*blocks, *(view or {}).get("blocks", [])]):
            note(kind, size)
    return dict(sorted(found.items()))


def _texts(value: object) -> Iterator[tuple[str, int]]:
    limits = {
        "section": "section (3,000)",
        "header": "header (150)",
        "button": "button (75)",
        "markdown": "markdown (12,000)",
    }
    if isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        text = value.get("text")
        text = text.get("text") if isinstance(text, dict) else text
        if value.get("type") in limits and isinstance(text, str):
            yield limits[value["type"]], len(text)
        if value.get("type") == "button":
            yield "button value (2,000)", len(value.get("value", ""))
        for item in value.values():
            yield from _texts(item)
