"""Where the links of a text lead. Pure."""

import re

LINK = re.compile(r"(?:https?://|www\.)([^\s/|>)\]\"'?#:]+)", re.IGNORECASE)


def hosts(text: str) -> set[str]:
    """The hosts that a text links to, in lower case and without "www."."""
    return {host.lower().removeprefix("www.").rstrip(".") for host in LINK.findall(text)}
