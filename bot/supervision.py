"""What supervisors do on the Home tab: roll back, hold promotions, pause learning. Roles are checked at every press."""

import logging
from datetime import UTC, datetime, timedelta

from bot.desk import Desk
from bot.slack import Click
from data import store, store_supervision
from data.errors import DeskError, NotAllowed
from data.models import TASKS, Base, Task, pointer_name
from serving import promotion

log = logging.getLogger(__name__)

UNDO_MINUTES = 10
"""How long a roll back can be undone from the Home tab."""


async def supervises(desk: Desk, user_id: str) -> bool:
    """May this person see everybody's texts and decide on the night?"""
    return desk.workspace.is_admin(user_id) or await desk.workspace.role(user_id) == "supervisor"


async def roll_back(desk: Desk, click: Click) -> str:
    """Take back the promotion that the button names, if it still serves, and say what serves now."""
    await _expect_supervisor(desk, click)
    named, _, whose = click.value.partition(" ")
    task = next((task for task in TASKS if task == named), None)
    team = whose.partition(" ")[2] or None
    base = store.base_of_model(desk.db, desk.base_model)
    if task is None or base is None:
        raise DeskError("This button is out of date: open my Home tab again.")
    with store.immediate(desk.db):
        serving = promotion.live_adapter(desk.db, task, base.hash, team)
        about = pointer_name(task, team)
        if whose != (f"{serving} {team}" if team else serving):
            return f"Nothing was rolled back: {serving} serves the task {about} by now."
        target = promotion.roll_back(desk.db, task, base.hash, team)
    log.info("%s rolled %s back from %s to %s", click.user_id, about, serving, target)
    return f"Rolled back: the task {about} is served by {target} now."


async def undo_roll_back(desk: Desk, click: Click) -> str:
    """Let serve again what the button names, if it was just rolled back from, and say what serves now."""
    await _expect_supervisor(desk, click)
    task = next((task for task in TASKS if click.value.startswith(f"{task} ")), None)
    base = store.base_of_model(desk.db, desk.base_model)
    if task is None or base is None:
        raise DeskError("This button is out of date: open my Home tab again.")
    with store.immediate(desk.db):
        serving = promotion.live_adapter(desk.db, task, base.hash)
        if click.value == f"{task} {serving}":
            return f"The roll back is undone already: {serving} serves the task {task}."
        found = promotion.rolled_back_from(desk.db, task, base.hash, since=undo_since())
        if click.value != f"{task} {found}":
            return f"Nothing was undone: that is possible for {UNDO_MINUTES} minutes, and {serving} serves by now."
        promotion.undo_roll_back(desk.db, task, base.hash, since=undo_since())
    log.info("%s undid the roll back of %s from %s to %s", click.user_id, task, found, serving)
    return f"The roll back is undone: the task {task} is served by {found} again."


def undoable(desk: Desk, base: Base | None) -> dict[Task, str]:
    """What was rolled back from, of each task that was so lately that it can be undone."""
    if base is None:
        return {}
    found = {t: promotion.rolled_back_from(desk.db, t, base.hash, since=undo_since()) for t in TASKS}
    return {task: name for task, name in found.items() if name is not None}


def undo_since() -> str:
    """A roll back after this time can be undone."""
    return store.iso(datetime.now(UTC) - timedelta(minutes=UNDO_MINUTES))


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
