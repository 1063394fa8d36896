"""Small checks that rules.py is written in: each looks at one JSON value and reports as Slack words it."""

import re
from collections.abc import Callable
from typing import Any

from markdown_it import MarkdownIt

Check = Callable[[object, str, list[str]], None]
"""(value, JSON pointer, complaints so far): appends complaints like "must be an array [json-pointer:/blocks]"."""


_markdown = MarkdownIt("commonmark").enable("table")
CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


def complain(complaints: list[str], sentence: str, pointer: str) -> None:
    """Add one complaint in Slack's form."""
    complaints.append(f"{sentence} [json-pointer:{pointer}]")


def string(most: int, least: int = 1) -> Check:
    """A string of `least` to `most` characters, counted in UTF-16 units: the stricter reading of Slack's limits."""

    def check(value: object, pointer: str, complaints: list[str]) -> None:
        if not isinstance(value, str):
            return complain(complaints, "must be a string", pointer)
        length = len(value.encode("utf-16-le", "surrogatepass")) // 2
        if length > most:
            complain(complaints, f"must be less than {most + 1} characters", pointer)
        if length < least:
            complain(complaints, f"must be more than {least - 1} characters", pointer)

    return check


def integer(least: int, most: int) -> Check:
    """A whole number from `least` to `most`."""

    def check(value: object, pointer: str, complaints: list[str]) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            complain(complaints, f"must be an integer from {least} to {most}", pointer)

    return check


def boolean(value: object, pointer: str, complaints: list[str]) -> None:
    """true or false."""
    if not isinstance(value, bool):
        complain(complaints, "must be a boolean", pointer)


def anything(value: object, pointer: str, complaints: list[str]) -> None:
    """A value that Slack checks elsewhere or not at all."""


def one_of(*allowed: str) -> Check:
    """One of these words."""

    def check(value: object, pointer: str, complaints: list[str]) -> None:
        if value not in allowed:
            complain(complaints, f"must be a valid enum value: {', '.join(allowed)}", pointer)

    return check


def array(of: Check, most: int, least: int = 1) -> Check:
    """A list of `least` to `most` values, each of which passes `of`."""

    def check(value: object, pointer: str, complaints: list[str]) -> None:
        if not isinstance(value, list):
            return complain(complaints, "must be an array", pointer)
        if len(value) > most:
            complain(complaints, f"no more than {most} items allowed", pointer)
        if len(value) < least:
            complain(complaints, f"must provide at least {least} items", pointer)
        for index, item in enumerate(value):
            of(item, f"{pointer}/{index}", complaints)

    return check


def shape(required: dict[str, Check] | None = None, optional: dict[str, Check] | None = None) -> Check:
    """An object with these fields and no others; `type` is always allowed, since `typed` has looked at it."""
    required, optional = required or {}, optional or {}
    fields = {"type": anything, **required, **optional}

    def check(value: object, pointer: str, complaints: list[str]) -> None:
        if not isinstance(value, dict):
            return complain(complaints, "must be an object", pointer)
        for name in required:
            if name not in value:
                complain(complaints, f"missing required field: {name}", pointer)
        for name, item in value.items():
            if name not in fields:
                complain(complaints, f"invalid additional property: {name}", pointer)
            else:
                fields[name](item, f"{pointer}/{name}", complaints)

    return check


def typed(table: dict[str, Check]) -> Check:
    """An object whose `type` names the check it must pass."""

    def check(value: object, pointer: str, complaints: list[str]) -> None:
        if not isinstance(value, dict):
            return complain(complaints, "must be an object", pointer)
        kind = value.get("type")
        if kind is None:
            return complain(complaints, "missing required field: type", pointer)
        if not isinstance(kind, str) or kind not in table:
            return complain(complaints, f"unsupported type: {kind}", f"{pointer}/type")
        table[kind](value, pointer, complaints)

    return check


def only(table: dict[str, Check], *kinds: str) -> Check:
    """`typed`, but with these types of the table alone."""
    return typed({kind: table[kind] for kind in kinds})


def choice_complaints(element: dict[str, Any], pointer: str) -> list[str]:
    """What is chosen from the start must be among the options, and a time must be one of a clock.

    Slack's words for either refusal are not certain.
    """
    complaints: list[str] = []
    groups = [group["options"] for group in element.get("option_groups", [])]
    options = [option for some in (element.get("options", []), *groups) for option in some]
    chosen = [element["initial_option"]] if "initial_option" in element else element.get("initial_options", [])
    if options and any(option not in options for option in chosen):
        complain(complaints, "initial option must match one of the options", pointer)
    if not CLOCK.fullmatch(element.get("initial_time", "00:00")):
        complain(complaints, "must be a valid time in the form HH:mm", f"{pointer}/initial_time")
    return complaints


def length_complaints(element: dict[str, Any], pointer: str) -> list[str]:
    """What stands in a field from the start must be what may be typed in it. Slack's words for it are not certain."""
    complaints: list[str] = []
    least, most = element.get("min_length", 0), element.get("max_length", 3000)
    if least > most:
        complain(complaints, "`min_length` must not exceed `max_length`", pointer)
    if isinstance(element.get("initial_value"), str) and len(element["initial_value"]) > most:
        complain(complaints, f"must be less than {most + 1} characters", f"{pointer}/initial_value")
    return complaints


def parts_of_markdown(text: str) -> int:
    """As how many blocks a markdown block counts: Slack makes one of each heading, rule, table and what is between.

    Users report it; Slack's pages do not say what else it takes apart.
    """
    return max(1, sum(token.level == 0 and token.nesting >= 0 for token in _markdown.parse(text)))


def image_complaints(image: dict[str, Any], pointer: str) -> list[str]:
    """A picture is at one address, or one file of Slack's; a file is named in one way."""
    complaints: list[str] = []
    if ("image_url" in image) == ("slack_file" in image):
        complain(complaints, "must define exactly one of `image_url` or `slack_file`", pointer)
    file = image.get("slack_file", {"id": ""})
    if ("id" in file) == ("url" in file):
        complain(complaints, "must define exactly one of `id` or `url`", f"{pointer}/slack_file")
    return complaints
