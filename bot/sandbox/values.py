"""What a person may enter or choose in an element, and how Slack writes it into state.values and actions. Pure."""

import re

from bot.sandbox.rules import elements_of
from bot.sandbox.workspace import Json

TYPED = ("plain_text_input", "email_text_input", "url_text_input", "number_input")
PICKERS = {"datepicker": "date", "timepicker": "time", "datetimepicker": "date_time"}
SOURCES = {"users_select": "user", "conversations_select": "conversation", "channels_select": "channel"}
STATELESS = ("button", "overflow", "image", "feedback_buttons", "icon_button")


class WrongInput(Exception):
    """A person cannot do that; the message says why in one sentence."""


def options_of(element: Json) -> list[Json]:
    """All options of a menu, group by group."""
    groups = [group["options"] for group in element.get("option_groups", [])]
    return [option for options in [element.get("options", []), *groups] for option in options]


def option_with(element: Json, value: object) -> Json:
    """The option that has this value (or this text)."""
    for option in options_of(element):
        if value in (option["value"], option["text"]["text"]):
            return option
    known = ", ".join(option["value"] for option in options_of(element))
    raise WrongInput(f"{element['action_id']} has no option {value!r}; it has {known}")


def chosen(element: Json, value: object) -> Json:
    """One entry of state.values for what was entered; `value` is a text, a list for several, None for nothing."""
    kind = element["type"]
    several = kind.startswith("multi_") or kind == "checkboxes"
    if several and not isinstance(value, list):
        value = [] if value is None else [value]
    if kind == "rich_text_input":
        return {"type": kind, "rich_text_value": value}
    if kind in TYPED:
        if value is not None and not isinstance(value, str):
            raise WrongInput(f"{element['action_id']} takes a text")
        return {"type": kind, "value": value or None}
    if kind in PICKERS:
        return {"type": kind, f"selected_{PICKERS[kind]}": value}
    source = SOURCES.get(kind.removeprefix("multi_"))
    if source:
        return {"type": kind, f"selected_{source}{'s' if several else ''}": value}
    if several:
        assert isinstance(value, list)
        return {"type": kind, "selected_options": [option_with(element, one) for one in value]}
    return {"type": kind, "selected_option": None if value is None else option_with(element, value)}


def initial(element: Json) -> Json:
    """The entry of state.values before anybody has touched the element."""
    kind = element["type"]
    for name in ("initial_option", "initial_options"):
        if name in element:
            return {"type": kind, name.replace("initial", "selected"): element[name]}
    given = next((value for name, value in element.items() if name.startswith("initial_")), None)
    return chosen(element, given)


def state_values(blocks: list[Json], entered: Json) -> Json:
    """state.values of a message or view: what was entered over what stood there, by block_id and action_id."""
    values: Json = {}
    for block in blocks:
        for element in elements_of(block):
            if element["type"] not in STATELESS:
                now = entered.get(block["block_id"], {}).get(element["action_id"]) or initial(element)
                values.setdefault(block["block_id"], {})[element["action_id"]] = now
    return values


def is_empty(value: Json) -> bool:
    """Whether nothing was entered."""
    return not any(content for key, content in value.items() if key != "type")


def complaint(element: Json, value: Json) -> str | None:
    """What Slack's client says before it sends anything: too short, too long, not a number or an address."""
    text = value.get("value")
    if not isinstance(text, str):
        return None
    most = element.get("max_length", 3000)
    if len(text) > most:
        return f"Must be {most} characters or less. Current count: {len(text)}"
    if len(text) < element.get("min_length", 0):
        return f"Must be at least {element['min_length']} characters. Current count: {len(text)}"
    if element["type"] == "number_input" and not re.fullmatch(r"-?\d+(\.\d+)?", text):
        return "Must be a number."
    if element["type"] == "email_text_input" and "@" not in text:
        return "Must be an email address."
    return None


def client_errors(blocks: list[Json], values: Json) -> dict[str, str]:
    """What keeps Slack's client from sending a modal: block_id → sentence under that input."""
    errors: dict[str, str] = {}
    for block in blocks:
        if block["type"] != "input":
            continue
        value = values[block["block_id"]][block["element"]["action_id"]]
        if is_empty(value):
            if not block.get("optional"):
                errors[block["block_id"]] = "Please complete this required field."
            continue
        sentence = complaint(block["element"], value)
        if sentence:
            errors[block["block_id"]] = sentence
    return errors


def action_of(block: Json, element: Json, value: object, ts: str) -> Json:
    """One entry of `actions` in block_actions."""
    action = {"type": element["type"], "block_id": block["block_id"], "action_id": element["action_id"]}
    kind = element["type"]
    if kind in ("button", "icon_button"):
        action |= {key: element[key] for key in ("text", "value", "style", "url") if key in element}
    elif kind == "feedback_buttons":
        pressed = next(element[f"{side}_button"] for side in ("positive", "negative")
                       if value in (element[f"{side}_button"]["value"], side))  # fmt: skip
        action |= {"text": pressed["text"], "value": pressed["value"]}
    elif kind == "overflow":
        action |= {"selected_option": option_with(element, value)}
    else:
        action |= chosen(element, value)
    return {**action, "action_ts": ts}


def accepts(element: Json, value: object) -> bool:
    """Whether this element can be used with `value`; None fits anything that has one thing to press."""
    if element["type"] in ("button", "icon_button"):
        return value is None or element.get("value") == value
    if element["type"] == "feedback_buttons":
        sides = ("positive", "negative")
        return value in (*sides, *(element[f"{side}_button"]["value"] for side in sides))
    if element["type"] == "overflow":
        # The same menu stands under several messages; its values tell them apart.
        return any(value in (option["value"], option["text"]["text"]) for option in element["options"])
    return True
