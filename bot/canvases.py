"""Canvases that are shared in Slack: which file is one, and what it says.

Slack's reference of the file object (docs.slack.dev, file object) names canvases only as files that download as HTML.
That their `filetype` is "quip" or "canvas", and their media type Slack's own, is what workspaces show, and not certain.
"""

from dataclasses import dataclass

from bot.slack import Json
from bot.workspace import Workspace
from data.errors import DeskError

FILE_TYPES = frozenset({"quip", "canvas"})
MEDIA_TYPE = "application/vnd.slack-docs"


@dataclass(frozen=True)
class Canvas:
    """A canvas as it stands now: its title, its text as HTML, and where people read it."""

    title: str
    html: str
    url: str | None


def canvas_in(message: Json) -> tuple[str, str] | None:
    """(file, title) of the first canvas that a message shares."""
    for file in message.get("files") or []:
        if isinstance(file, dict) and isinstance(file.get("id"), str) and _is_canvas(file):
            return file["id"], str(file.get("title") or "")
    return None


async def read_canvas(workspace: Workspace, file_id: str) -> Canvas:
    """What a canvas says. Raises SlackRefused, SlackUnreachable, DeskError."""
    file = (await workspace.call("files.info", file=file_id)).get("file") or {}
    address = file.get("url_private_download") or file.get("url_private")
    if not _is_canvas(file) or file.get("is_external") or not isinstance(address, str):
        raise DeskError("That file is no canvas of this workspace, so I cannot read it.")
    html = await workspace.download(address)
    return Canvas(str(file.get("title") or ""), html, file.get("permalink"))


def _is_canvas(file: Json) -> bool:
    return file.get("filetype") in FILE_TYPES or file.get("mimetype") == MEDIA_TYPE
