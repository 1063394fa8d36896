"""The picture on the supervisors' Home tab: uploaded when its numbers have changed, and shown again until then.

Slack has a chart block since June 2026 (docs.slack.dev, data visualization block), but does not say whether a Home tab
takes it; an image block it does. The picture is a file of the app's that is shared nowhere (files:write).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta

import aiohttp
from slack_sdk.errors import SlackApiError, SlackRequestError

from bot import chart, installations
from bot.acceptance import Acceptance
from bot.desk import Desk
from bot.errors import SlackRefused
from data import store_pictures

log = logging.getLogger(__name__)

KEPT = timedelta(hours=1)
"""Numbers change with every click; the picture follows once in so long. The numbers in words are always new."""
PROCESSED_AFTER = (0.5, 1.0, 2.0, 4.0)
"""Seconds between tries: Slack takes a file some moments after its upload (python-slack-sdk issue 1521)."""

Show = Callable[[str, str], Awaitable[str]]
"""Publish the Home tab with this file on it, or without any when it is empty; returns the hash of what is shown now.

The second one is the hash of what it may take the place of, empty for whatever is there.
"""


async def publish(desk: Desk, rows: list[Acceptance], show: Show) -> None:
    """Publish a Home tab with the picture when Slack has it, else without; then draw, upload and publish again."""
    workspace, today = installations.here().key, datetime.now(UTC).date()
    kept = store_pictures.picture(desk.db, workspace)
    try:
        shown = await show(kept.file_id if kept is not None and rows else "", "")
    except SlackRefused as error:
        if kept is None or not rows:
            raise
        # Somebody deleted it.
        log.warning("picture of the Home tab refused: %s", error.error)
        store_pictures.forget_picture(desk.db, workspace)
        kept, shown = None, await show("", "")
    if rows and (kept is None or _is_old(kept, chart.fingerprint(rows, today=today))):
        desk.in_background(_renew(desk, rows, today, show, instead_of=shown))


def _is_old(kept: store_pictures.Picture, sha256: str) -> bool:
    return kept.sha256 != sha256 and datetime.now(UTC) - datetime.fromisoformat(kept.uploaded_at) > KEPT


async def _renew(desk: Desk, rows: list[Acceptance], today: date, show: Show, *, instead_of: str) -> None:
    try:
        png = await asyncio.to_thread(chart.draw, rows, today=today)
        answer = await desk.workspace.client.files_upload_v2(
            file=png, filename=f"acceptance-{today}.png", title="What agents did with drafts"
        )
    except (SlackApiError, SlackRequestError, aiohttp.ClientError, TimeoutError) as error:
        # missing_scope where the app was installed before it asked for files:write.
        reason = error.response["error"] if isinstance(error, SlackApiError) else type(error).__name__
        log.warning("no picture on the Home tab: %s", reason)
        return
    file_id = str(answer["files"][0]["id"])
    for seconds in PROCESSED_AFTER:
        await asyncio.sleep(seconds)
        try:
            await show(file_id, instead_of)
        except SlackRefused as error:
            # Published anew in the meantime, after another click: the next visit shows the picture.
            if error.error != "hash_conflict":
                log.info("picture of the Home tab not ready: %s", error.error)
                continue
        store_pictures.keep_picture(
            desk.db, installations.here().key, sha256=chart.fingerprint(rows, today=today), file_id=file_id
        )
        return
    log.warning("no picture on the Home tab: Slack does not show %s", file_id)
