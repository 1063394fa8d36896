"""Where the links of a text lead. Pure.

Not by linkify-it-py (MIT): it takes "Thanks.Me" and "Yes.So", sentences without a space, for hosts.
"""

import re

WRITTEN_OUT = re.compile(r"(?:https?://|hxxps?://|www\.)(?:[^\s/@]*@)?([\w-]+(?:\.[\w-]+)*)", re.IGNORECASE)
NAME = r"(?<![\w@./-])((?:[a-z0-9][a-z0-9-]*\.)+"
BARE = re.compile(
    rf"{NAME}(?:com|net|org|info|biz|io|app|dev|shop|store|online|site|xyz|top|click|link))(?![\w-]|\.\w)"
    rf"|{NAME}[a-z]{{2,}})/\w",
    re.IGNORECASE,
)
"""Without https or www, of which Slack makes a link, too: of an ending that no sentence has, or with a path behind."""


def hosts(text: str) -> set[str]:
    """The hosts that a text links to, in lower case and without "www."; a mail address is no link."""
    bare = (known or other for known, other in BARE.findall(text))
    return {host.lower().removeprefix("www.") for host in (*WRITTEN_OUT.findall(text), *bare)}
