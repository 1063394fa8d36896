"""The address of a message in Slack. Pure."""

import re
from dataclasses import dataclass

LINK = re.compile(r"<?https?://[^\s/]+/archives/([A-Z0-9]+)/p(\d{10})(\d{6})(\?[^\s>|]*)?(\|[^>]*)?>?")
THREAD = re.compile(r"[?&;]thread_ts=(\d{10}\.\d{6})")


@dataclass(frozen=True)
class Permalink:
    """A message, and the thread that it stands in; a message outside any thread begins one."""

    channel_id: str
    message_ts: str
    thread_ts: str


def parse_permalink(text: str) -> Permalink | None:
    """A link to a message, as people or Slack write it; None when the text is no such link."""
    found = LINK.fullmatch(text.strip())
    if found is None:
        return None
    channel, seconds, micros, query = found[1], found[2], found[3], found[4] or ""
    thread, message_ts = THREAD.search(query), f"{seconds}.{micros}"
    return Permalink(channel, message_ts, thread[1] if thread else message_ts)
