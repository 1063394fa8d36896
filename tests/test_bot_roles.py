"""A role is looked up again for each rating: who has left the user group rates no more."""

from bot_fixtures import Bot, bot_environment, open_store
from sandbox_fixtures import SandboxClient
from test_bot_ratings import AGENT, HELP, SUPERVISOR, newest, sent_reply

pytest_plugins = ("bot_fixtures", "sandbox_fixtures")


def test_who_left_the_supervisors_group_only_takes_back_what_was_said_in_it(sandbox, model, tmp_path):
    groups = {"SUPERVISORS": "", "SUPERVISOR_USERGROUP": "S0SUPERVISORS"}
    bot = Bot(bot_environment(sandbox, model, tmp_path, **groups), open_store(tmp_path))
    bot.start()
    suggestion_id, ts = sent_reply(bot, sandbox)
    sandbox.reaction(HELP, SUPERVISOR, ts, "+1")
    bot.until(lambda: newest(bot, suggestion_id) == {SUPERVISOR: ("supervisor", 1)})
    sandbox.call("/sandbox/usergroup", {"usergroup": "S0SUPERVISORS", "users": [AGENT]})
    bot.until(lambda: rates_as(bot, sandbox, suggestion_id, ts, AGENT) == "supervisor")
    sandbox.reaction(HELP, SUPERVISOR, ts, "+1", remove=True)
    sandbox.reaction(HELP, SUPERVISOR, ts, "-1")
    # Thumbs are settled in their order: this one comes after those.
    sandbox.reaction(HELP, "U0AGENT2", ts, "+1")
    bot.until(lambda: newest(bot, suggestion_id).get("U0AGENT2") == ("agent", 1))
    assert newest(bot, suggestion_id)[SUPERVISOR] == ("supervisor", 0)
    assert bot.stop() == 0
    bot.db.conn.close()


def rates_as(bot: Bot, sandbox: SandboxClient, suggestion_id: str, ts: str, user: str) -> str:
    """As whom a thumb of this person's counts now; it is taken back."""
    sandbox.reaction(HELP, user, ts, "+1")
    role = bot.until(lambda: (found := newest(bot, suggestion_id).get(user)) and found[1] == 1 and found[0])
    sandbox.reaction(HELP, user, ts, "+1", remove=True)
    bot.until(lambda: newest(bot, suggestion_id)[user][1] == 0)
    return role
