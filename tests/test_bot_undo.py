"""A roll back from the Home tab is undone there, for some minutes."""

from bot_fixtures import BASE
from test_bot_home import SUPERVISOR, home, press, publish_adapter, shown, written

from data import store
from serving import promotion

pytest_plugins = ("bot_fixtures", "sandbox_fixtures")


def test_a_supervisor_undoes_a_roll_back_once_and_can_roll_back_again(bot, sandbox, model, tmp_path):
    for name in ("undo-one", "undo-two"):
        publish_adapter(bot, tmp_path, name)
    assert "Undo" not in written(home(sandbox, SUPERVISOR, "undo-two"))
    press(sandbox, SUPERVISOR, "roll_back", "reply undo-two")
    shown(sandbox, SUPERVISOR, "Just rolled back from undo-two.")
    home(sandbox, "U0SUPER2", "Just rolled back from undo-two.")
    press(sandbox, SUPERVISOR, "undo_roll_back", "reply undo-two")
    shown(sandbox, SUPERVISOR, "The roll back is undone: the task reply is served by undo-two again.")
    press(sandbox, "U0SUPER2", "undo_roll_back", "reply undo-two")
    shown(sandbox, "U0SUPER2", "The roll back is undone already: undo-two serves the task reply.")
    assert [p.cause for p in store.promotions(bot.db, "reply", BASE.hash)][-2:] == ["rollback", "manual"]
    press(sandbox, SUPERVISOR, "roll_back", "reply undo-two")
    shown(sandbox, SUPERVISOR, "Rolled back: the task reply is served by undo-one now.")
    assert promotion.rolled_back_from(bot.db, "reply", BASE.hash, since=store.now()) is None, "too long ago by then"
    assert sandbox.problems() == []
