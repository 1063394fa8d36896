"""files.getUploadURLExternal and completeUploadExternal, the upload between them, and pictures in blocks.

Slack takes a file in blocks some moments after it was completed, and from the app that uploaded it alone.
"""

import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from aiohttp import web

from bot.sandbox.checks import complain
from bot.sandbox.sandbox import Sandbox
from bot.sandbox.workspace import Json, SlackError

FILE_ID = re.compile(r"F[A-Z0-9]{8,}")
MOST_BYTES = 4 * 1024 * 1024
KINDS = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif"}
"""How a picture that blocks may show begins (docs.slack.dev, Slack file object)."""


@dataclass
class Upload:
    """A file on its way, or there: `ready` is when blocks may show it."""

    id: str
    token: str
    length: int
    content: bytes = b""
    ready: float | None = None


def get_upload_url(sandbox: Sandbox, args: Json) -> Json:
    """files.getUploadURLExternal."""
    if not args.get("filename"):
        raise SlackError("invalid_arguments", ["missing required field: filename"])
    length = str(args.get("length", ""))
    if not length.isdecimal() or not 0 < int(length) <= MOST_BYTES:
        raise SlackError("invalid_arguments", [f"length must be 1 to {MOST_BYTES} here"])
    upload = Upload("F0" + secrets.token_hex(5).upper(), secrets.token_urlsafe(18), int(length))
    sandbox.workspace.files[upload.id] = upload
    return {"upload_url": f"http://127.0.0.1:{sandbox.port}/upload/v1/{upload.token}", "file_id": upload.id}


def complete_upload(sandbox: Sandbox, args: Json) -> Json:
    """files.completeUploadExternal of files that are shared nowhere."""
    wanted = args.get("files")
    if not isinstance(wanted, list) or not wanted or not all(isinstance(file, dict) for file in wanted):
        raise SlackError("invalid_arguments", ["files must be a list of objects with an id"])
    if any(args.get(name) for name in ("channel_id", "channels", "thread_ts", "initial_comment", "blocks")):
        raise SlackError("invalid_arguments", ["the sandbox shares no files"])
    found = []
    for file in wanted:
        upload = sandbox.workspace.files.get(str(file.get("id")))
        # Slack's word for an address that nothing was sent to is not certain.
        if upload is None or not upload.content or upload.ready is not None:
            raise SlackError("file_not_found")
        found.append((upload, str(file.get("title") or "")))
    for upload, _ in found:
        upload.ready = sandbox.workspace.clock() + sandbox.faults.files_ready_after_s
    sandbox.workspace.changed()
    return {"files": [{"id": upload.id, "title": title} for upload, title in found]}


def check_pictures(sandbox: Sandbox, blocks: object, *, error: str, pointer: str) -> None:
    """Raise `error` when blocks show a file that is none of the app's, no picture, or not ready yet."""
    complaints: list[str] = []
    for file, here in _slack_files(blocks, pointer):
        if not FILE_ID.fullmatch(str(file["id"])):
            complain(complaints, f"input must match regex pattern: ^{FILE_ID.pattern}$", f"{here}/id")
        elif not _is_shown(sandbox, file["id"]):
            complain(complaints, "invalid slack file", here)
    if complaints:
        raise SlackError(error, complaints)


def _is_shown(sandbox: Sandbox, file_id: str) -> bool:
    upload = sandbox.workspace.files.get(file_id)
    return (
        upload is not None
        and upload.ready is not None
        and upload.ready <= sandbox.workspace.clock()
        and kind_of(upload.content) is not None
    )


def _slack_files(value: object, pointer: str) -> Iterator[tuple[Json, str]]:
    """Every file that these blocks name by its id, with where it stands."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _slack_files(item, f"{pointer}/{index}")
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "slack_file" and isinstance(item, dict) and set(item) == {"id"}:
                yield item, f"{pointer}/slack_file"
            else:
                yield from _slack_files(item, f"{pointer}/{key}")


def kind_of(content: bytes) -> str | None:
    """The media type of a picture, None for anything else."""
    return next((kind for begins, kind in KINDS.items() if content.startswith(begins)), None)


def routes(sandbox: Sandbox) -> list[web.RouteDef]:
    """Where the app sends a file's bytes, and where the page finds them."""

    async def upload(request: web.Request) -> web.Response:
        token = request.match_info["token"]
        found = next((file for file in sandbox.workspace.files.values() if file.token == token), None)
        content = await request.read()
        if found is None or found.content or len(content) != found.length:
            sandbox.workspace.problem("refused", method="upload", error="bad_upload")
            return web.Response(status=400, text="bad upload")
        found.content = content
        return web.Response(text=f"OK - {len(content)}")

    async def show(request: web.Request) -> web.Response:
        found = sandbox.workspace.files.get(request.match_info["id"])
        kind = kind_of(found.content) if found is not None and found.ready is not None else None
        if found is None or kind is None:
            raise web.HTTPNotFound()
        return web.Response(body=found.content, content_type=kind)

    return [web.post("/upload/v1/{token}", upload), web.get("/sandbox/file/{id}", show)]
