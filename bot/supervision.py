"""What supervisors do on the Home tab: roll back, hold promotions, pause learning. Roles are checked at every press."""

import logging

from bot.desk import Desk
from bot.slack import Click
from data import store, store_supervision
from data.errors import DeskError, NotAllowed
from data.models import TASKS
from serving import promotion

log = logging.getLogger(__name__)


async def supervises(desk: Desk, user_id: str) -> bool:
    """May this person see everybody's texts and decide on the night?"""
    return desk.workspace.is_admin(user_id) or await desk.workspace.role(user_id) == "supervisor"


async def roll_back(desk: Desk, click: Click) -> str:
    """Take back the promotion that the button names, if it still serves, and say what serves now."""
    await _expect_supervisor(desk, click)
    task = next((task for task in TASKS if click.value.startswith(f"{task} ")), None)
    base = store.base_of_model(desk.db, desk.base_model)
    if task is None or base is None:
        raise DeskError("This button is out of date: open my Home tab again.")
    with store.immediate(desk.db):
        serving = promotion.live_adapter(desk.db, task, base.hash)
        if click.value != f"{task} {serving}":
            return f"Nothing was rolled back: {serving} serves the task {task} by now."
        target = promotion.roll_back(desk.db, task, base.hash)
    log.info("%s rolled %s back from %s to %s", click.user_id, task, serving, target)
    return f"Rolled back: the task {task} is served by {target} now."


async def hold(desk: Desk, click: Click, *, held: bool) -> str:
    """Let nights promote nothing from now on, or let them promote again."""
    await _expect_supervisor(desk, click)
    store_supervision.set_hold(desk.db, held=held, decided_by=click.user_id, request_key=click.trigger_id)
    return "Promotions are held: nights promote nothing." if held else "Nights may promote again."


async def pause_learning(desk: Desk, click: Click) -> str:
    """Switch a channel's consent off. Only an admin switches it on."""
    await _expect_supervisor(desk, click)
    store.set_consent(desk.db, click.value, granted_by=click.user_id, granted=False, request_key=click.trigger_id)
    return "I no longer learn from that channel; the next night trains without it."


async def _expect_supervisor(desk: Desk, click: Click) -> None:
    if not await supervises(desk, click.user_id):
        raise NotAllowed("Only supervisors and admins can do this. An admin can add you to SUPERVISORS.")
