"""Which parts of a Markdown text are code, and what is done to all others. Pure."""

import re
from collections.abc import Callable

CODE = re.compile(
    r"(?m:^) {0,3}```[^`\n]*\n.*?(?:```|\Z)"
    r"|(?<![`\\])`(?!`)[^`\n]+`(?!`)",
    re.DOTALL,
)
"""A fence, also one that is not closed yet, or a code span; only what CommonMark reads as code as well."""


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """The text with its parts that are no code changed."""
    out, end = [], 0
    for found in CODE.finditer(text):
        out += [change(text[end : found.start()]), found[0]]
        end = found.end()
    return "".join([*out, change(text[end:])])


def without_code(text: str) -> str:
    """The parts of the text that are no code."""
    return CODE.sub("", text)
