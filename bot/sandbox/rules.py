"""What Slack's Block Kit allows: one table of limits, one of elements, one of blocks, and the three things checked.

Sources: Slack's reference for blocks, elements and composition objects (docs.slack.dev/reference/block-kit), and the
facts in the project's notes on Slack; a rule that is not certain says so.
"""

import json

from bot.sandbox.checks import (
    Check,
    anything,
    array,
    boolean,
    choice_complaints,
    complain,
    image_complaints,
    integer,
    length_complaints,
    one_of,
    only,
    parts_of_markdown,
    shape,
    string,
    typed,
)
from bot.sandbox.workspace import Json, SlackError

LIMIT = {
    "message_blocks": 50,  # reference/block-kit/blocks
    "view_blocks": 100,  # reference/views
    "text": 3000,  # section text; text object
    "field": 2000,  # section fields, 10 of them
    "fields": 10,
    "header": 150,
    "context_elements": 10,
    "actions_elements": 25,
    "context_actions_elements": 5,
    "button_text": 75,  # option and label of feedback buttons as well
    "value": 2000,  # button value
    "option_text": 75,
    "option_value": 150,
    "options": 100,
    "overflow_options": 5,
    "choice_options": 10,  # checkboxes, radio_buttons
    "url": 3000,
    "id": 255,  # block_id, action_id, callback_id, external_id
    "label": 2000,  # input label, hint
    "placeholder": 150,
    "input": 3000,  # plain_text_input max_length
    "alt_text": 2000,
    "view_title": 24,  # title, submit, close
    "private_metadata": 3000,
    "markdown": 12_000,  # over all markdown blocks of one message
    "message_characters": 13_200,  # measured by users, not documented: msg_blocks_too_long near here
    "text_argument": 40_000,  # chat.postMessage; beyond, Slack truncates or refuses
    "update_text_argument": 4000,  # chat.update; not certain for every workspace
    "stream": 12_000,  # chat.startStream, appendStream, per call
    "prompts": 4,  # assistant.threads.setSuggestedPrompts
    "loading_messages": 10,  # assistant.threads.setStatus
    "view_bytes": 250_000,
}


def text(most: int = LIMIT["text"], *kinds: str) -> Check:
    """A text object of these kinds (both when none is named)."""
    table = {
        "plain_text": shape({"text": string(most)}, {"emoji": boolean}),
        "mrkdwn": shape({"text": string(most)}, {"verbatim": boolean}),
    }
    return only(table, *(kinds or table))


def plain(most: int) -> Check:
    """A plain_text object."""
    return text(most, "plain_text")


OPTION = shape(
    {"text": text(LIMIT["option_text"]), "value": string(LIMIT["option_value"])},
    {"description": text(LIMIT["option_text"]), "url": string(LIMIT["url"])},
)
OPTION_GROUP = shape({"label": plain(LIMIT["option_text"]), "options": array(OPTION, LIMIT["options"])})
CONFIRM = shape(
    {"title": plain(100), "text": text(300), "confirm": plain(30), "deny": plain(30)},
    {"style": one_of("primary", "danger")},
)
DISPATCH = shape({}, {"trigger_actions_on": array(one_of("on_enter_pressed", "on_character_entered"), 2)})
ID = string(LIMIT["id"])
INTERACTIVE = {"action_id": ID, "confirm": CONFIRM, "focus_on_load": boolean}
PLACEHOLDER = {"placeholder": plain(LIMIT["placeholder"])}
WRITTEN = {
    "action_id": ID, "initial_value": string(LIMIT["input"], 0), "dispatch_action_config": DISPATCH,
    "focus_on_load": boolean, **PLACEHOLDER,
}  # fmt: skip
LENGTHS = {"min_length": integer(0, LIMIT["input"]), "max_length": integer(1, LIMIT["input"])}
IMAGE = {"alt_text": string(LIMIT["alt_text"])}
PICTURE = {
    "image_url": string(LIMIT["url"]), "slack_file": shape({}, {"id": string(64), "url": string(LIMIT["url"])}),
}  # fmt: skip
FEEDBACK = shape(
    {"text": plain(LIMIT["button_text"]), "value": string(LIMIT["value"])},
    {"accessibility_label": string(LIMIT["button_text"])},
)


def choice(most: int, *, several: bool) -> Check:
    """Checkboxes or radio buttons."""
    initial = {"initial_options": array(OPTION, most)} if several else {"initial_option": OPTION}
    return shape({"options": array(OPTION, most)}, {**INTERACTIVE, **initial})


def selects() -> dict[str, Check]:
    """The single and multiple select menus by type."""
    table = {}
    sources = {"users": "user", "conversations": "conversation", "channels": "channel"}
    for prefix in ("", "multi_"):
        several = {"max_selected_items": integer(1, 100)} if prefix else {}
        static = {
            "options": array(OPTION, LIMIT["options"]), "option_groups": array(OPTION_GROUP, 100), **INTERACTIVE,
            **PLACEHOLDER, **several,
            **({"initial_options": array(OPTION, LIMIT["options"])} if prefix else {"initial_option": OPTION}),
        }  # fmt: skip
        table[f"{prefix}static_select"] = shape({}, static)
        table[f"{prefix}external_select"] = shape({}, {"min_query_length": integer(0, 100), **static})
        for source, one in sources.items():
            initial = {f"initial_{source}": array(string(255), 100)} if prefix else {f"initial_{one}": string(255)}
            conversation = {"filter": anything, "default_to_current_conversation": boolean} if one != "user" else {}
            fields = {**INTERACTIVE, **PLACEHOLDER, **several, **initial, **conversation}
            table[f"{prefix}{source}_select"] = shape({}, {**fields, "response_url_enabled": boolean})
    return table


ELEMENTS: dict[str, Check] = {
    "button": shape(
        {"text": plain(LIMIT["button_text"])},
        {
            "action_id": ID, "value": string(LIMIT["value"], 0), "url": string(LIMIT["url"]), "confirm": CONFIRM,
            "style": one_of("primary", "danger"), "accessibility_label": string(75),
        },
    ),
    "overflow": shape({"options": array(OPTION, LIMIT["overflow_options"])}, {"action_id": ID, "confirm": CONFIRM}),
    "checkboxes": choice(LIMIT["choice_options"], several=True),
    "radio_buttons": choice(LIMIT["choice_options"], several=False),
    "datepicker": shape({}, {**INTERACTIVE, **PLACEHOLDER, "initial_date": string(10)}),
    "timepicker": shape({}, {**INTERACTIVE, **PLACEHOLDER, "initial_time": string(5), "timezone": string(64)}),
    "datetimepicker": shape({}, {**INTERACTIVE, "initial_date_time": integer(10**9, 10**10)}),
    "plain_text_input": shape({}, {**WRITTEN, **LENGTHS, "multiline": boolean}),
    "email_text_input": shape({}, WRITTEN),
    "url_text_input": shape({}, WRITTEN),
    "number_input": shape(
        {"is_decimal_allowed": boolean}, {**WRITTEN, "min_value": string(40), "max_value": string(40)}
    ),
    "rich_text_input": shape({}, {**WRITTEN, "initial_value": anything}),
    "image": shape(IMAGE, PICTURE),
    "feedback_buttons": shape({"positive_button": FEEDBACK, "negative_button": FEEDBACK}, {"action_id": ID}),
    "icon_button": shape(
        {"icon": one_of("trash"), "text": plain(LIMIT["button_text"])},
        {
            "action_id": ID, "value": string(LIMIT["value"]), "confirm": CONFIRM, "visible_to_user_ids": anything,
            "accessibility_label": string(75),
        },
    ),
    **selects(),
}  # fmt: skip

WRITTEN_INPUTS = ("plain_text_input", "email_text_input", "url_text_input", "number_input", "rich_text_input")
PICKED = (
    "checkboxes", "radio_buttons", "datepicker", "timepicker", "datetimepicker", *selects(),
)  # fmt: skip
STYLE = shape({}, {key: boolean for key in ("bold", "italic", "strike", "code", "underline", "highlight")})
RICH_LEAF = typed(
    {
        "text": shape({"text": string(LIMIT["message_characters"])}, {"style": STYLE}),
        "link": shape({"url": string(LIMIT["url"])}, {"text": string(3000, 0), "unsafe": boolean, "style": STYLE}),
        "emoji": shape({"name": string(255)}, {"unicode": string(64), "style": STYLE, "skin_tone": integer(1, 6)}),
        "user": shape({"user_id": string(64)}, {"style": STYLE}),
        "channel": shape({"channel_id": string(64)}, {"style": STYLE}),
        "usergroup": shape({"usergroup_id": string(64)}, {"style": STYLE}),
        "broadcast": shape({"range": one_of("here", "channel", "everyone")}, {"style": STYLE}),
        "color": shape({"value": string(16)}, {"style": STYLE}),
        "date": shape(
            {"timestamp": integer(0, 10**11), "format": string(255)}, {"url": anything, "fallback": anything}
        ),
    }
)
BORDER = {"border": integer(0, 1)}
RICH_PARTS: dict[str, Check] = {
    "rich_text_section": shape({"elements": array(RICH_LEAF, 1000, 0)}),
    "rich_text_preformatted": shape({"elements": array(RICH_LEAF, 1000, 0)}, {**BORDER, "language": string(64)}),
    "rich_text_quote": shape({"elements": array(RICH_LEAF, 1000, 0)}, BORDER),
}
RICH_PARTS["rich_text_list"] = shape(
    {"style": one_of("bullet", "ordered"), "elements": array(only(RICH_PARTS, "rich_text_section"), 1000)},
    {**BORDER, "indent": integer(0, 8), "offset": integer(0, 10_000)},
)
RICH_TEXT = shape({"elements": array(typed(RICH_PARTS), 1000, 0)}, {"block_id": ID})

BLOCKS: dict[str, Check] = {
    "section": shape(
        {},
        {
            "text": text(),
            "fields": array(text(LIMIT["field"]), LIMIT["fields"]),
            "accessory": only(ELEMENTS, "button", "overflow", "image", *PICKED),
            "expand": boolean,
            "block_id": ID,
        },
    ),
    "header": shape({"text": plain(LIMIT["header"])}, {"block_id": ID}),
    "divider": shape({}, {"block_id": ID}),
    "context": shape(
        {"elements": array(typed({k: c for k, c in [
            ("image", ELEMENTS["image"]), ("plain_text", text()), ("mrkdwn", text())]}), LIMIT["context_elements"])},
        {"block_id": ID},
    ),
    "actions": shape(
        {"elements": array(only(ELEMENTS, "button", "overflow", *PICKED), LIMIT["actions_elements"])}, {"block_id": ID}
    ),
    "context_actions": shape(
        {"elements": array(only(ELEMENTS, "feedback_buttons", "icon_button"), LIMIT["context_actions_elements"])},
        {"block_id": ID},
    ),
    "input": shape(
        {"label": plain(LIMIT["label"]), "element": only(ELEMENTS, *WRITTEN_INPUTS, *PICKED)},
        {"hint": plain(LIMIT["label"]), "optional": boolean, "dispatch_action": boolean, "block_id": ID},
    ),
    "image": shape(
        IMAGE,
        {**PICTURE, "title": plain(LIMIT["label"]), "block_id": ID},
    ),
    "markdown": shape({"text": string(LIMIT["markdown"])}, {"block_id": ID}),
    "rich_text": RICH_TEXT,
    "table": shape(
        {"rows": array(array(typed({
            "raw_text": shape({"text": string(LIMIT["text"], 0)}), "rich_text": RICH_TEXT}), 20), 100)},
        {"column_settings": anything, "block_id": ID},
    ),
}  # fmt: skip

MESSAGE = array(typed(BLOCKS), LIMIT["message_blocks"], 0)
# markdown, context_actions and table belong to messages alone.
VIEW_BLOCKS = only(BLOCKS, *(kind for kind in BLOCKS if kind not in ("markdown", "context_actions", "table")))
VIEW_COMMON = {
    "private_metadata": string(LIMIT["private_metadata"], 0), "callback_id": string(LIMIT["id"], 0),
    "external_id": string(LIMIT["id"], 0),
}  # fmt: skip
TITLE = plain(LIMIT["view_title"])
VIEWS = {
    "modal": shape(
        {"title": TITLE, "blocks": array(VIEW_BLOCKS, LIMIT["view_blocks"])},
        {
            **VIEW_COMMON, "submit": TITLE, "close": TITLE, "clear_on_close": boolean, "notify_on_close": boolean,
            "submit_disabled": boolean,
        },
    ),
    "home": shape({"blocks": array(VIEW_BLOCKS, LIMIT["view_blocks"], 0)}, VIEW_COMMON),
}  # fmt: skip


def block_complaints(blocks: list[Json], pointer: str) -> list[str]:
    """Rules that look at more than one field: section needs a body, ids are unique, markdown has one budget."""
    complaints: list[str] = []
    block_ids: set[str] = set()
    for index, block in enumerate(blocks):
        here = f"{pointer}/{index}"
        if block["type"] == "section" and not (block.get("text") or block.get("fields")):
            complain(complaints, "must define either `text` or `fields`", here)
        for image in (part for part in (block, *parts_of(block)) if part["type"] == "image"):
            complaints += image_complaints(image, here)
        for element in elements_of(block):
            complaints += [*choice_complaints(element, here), *length_complaints(element, here)]
            if element["type"].endswith("static_select") and ("options" in element) == ("option_groups" in element):
                complain(complaints, "must define exactly one of `options` or `option_groups`", here)
        block_id = block.get("block_id")
        if block_id in block_ids:
            complain(complaints, f"`block_id` {block_id} already exists", f"{here}/block_id")
        if block_id:
            block_ids.add(block_id)
        # Slack's rule is one block: the same action_id may stand in two blocks (a list of rows with equal buttons).
        action_ids = [e["action_id"] for e in elements_of(block) if e.get("action_id")]
        for action_id in {a for a in action_ids if action_ids.count(a) > 1}:
            complain(complaints, f"`action_id` {action_id} already exists for `block_id` {block_id}", here)
    if sum(element.get("focus_on_load", False) for block in blocks for element in elements_of(block)) > 1:
        complain(complaints, "only one element may have `focus_on_load`", pointer)
    if sum(len(block["text"]) for block in blocks if block["type"] == "markdown") > LIMIT["markdown"]:
        complain(complaints, f"markdown must be less than {LIMIT['markdown'] + 1} characters in all", pointer)
    return complaints


def elements_of(block: Json) -> list[Json]:
    """The interactive elements of one block, wherever they stand."""
    inside = block.get("elements", []) if block["type"] in ("actions", "context_actions") else []
    return [*inside, *(block[key] for key in ("accessory", "element") if key in block)]


def parts_of(block: Json) -> list[Json]:
    """The elements of one block that are no rich text."""
    inside = block["elements"] if block["type"] == "context" else []
    return [*inside, *([block["accessory"]] if "accessory" in block else [])]


def characters(value: object) -> int:
    """How many characters of text stand in these blocks, however deep."""
    if isinstance(value, list):
        return sum(characters(item) for item in value)
    if not isinstance(value, dict):
        return 0
    return sum(len(v) if k == "text" and isinstance(v, str) else characters(v) for k, v in value.items())


def check_blocks(blocks: object) -> list[Json]:
    """The blocks of a message when they are valid, else invalid_blocks with what is wrong."""
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise SlackError("invalid_blocks_format")
    complaints: list[str] = []
    MESSAGE(blocks, "/blocks", complaints)
    complaints = complaints or block_complaints(blocks, "/blocks")
    if complaints:
        raise SlackError("invalid_blocks", complaints)
    if sum(parts_of_markdown(b["text"]) if b["type"] == "markdown" else 1 for b in blocks) > LIMIT["message_blocks"]:
        raise SlackError("msg_blocks_too_long")
    if characters(blocks) > LIMIT["message_characters"]:
        raise SlackError("msg_blocks_too_long")
    return blocks


def check_view(view: object, kind: str) -> Json:
    """A modal or Home tab when it is valid, else invalid_arguments with what is wrong, as views.* answers."""
    complaints: list[str] = []
    only(VIEWS, kind)(view, "/view", complaints)
    if not complaints and isinstance(view, dict):
        complaints = block_complaints(view["blocks"], "/view/blocks")
        if kind == "modal" and "submit" not in view and any(block["type"] == "input" for block in view["blocks"]):
            complain(complaints, "missing required field: submit", "/view")
    if complaints or not isinstance(view, dict):
        raise SlackError("invalid_arguments", complaints)
    if len(json.dumps(view)) > LIMIT["view_bytes"]:
        raise SlackError("view_too_large")
    return view


def check_metadata(metadata: object) -> Json:
    """Message metadata when it has Slack's shape."""
    if not isinstance(metadata, dict):
        raise SlackError("invalid_metadata_format")
    event_type, payload = metadata.get("event_type"), metadata.get("event_payload")
    if not isinstance(event_type, str) or not event_type or not isinstance(payload, dict):
        raise SlackError("invalid_metadata_schema")
    return {"event_type": event_type, "event_payload": payload}
