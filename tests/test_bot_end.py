"""The bot ends in good time after a SIGTERM, whatever does not answer it any more."""

import signal
import time

from bot_fixtures import Bot, bot_environment, open_store
from sandbox_fixtures import PATIENCE, start_sandbox

pytest_plugins = ("bot_fixtures",)

HELP, AGENT, CUSTOMER = "C0HELP", "U0AGENT1", "U0CUSTOMER1"
SOON = 10
"""Seconds. What stops containers sends a SIGKILL after so many."""


def test_it_ends_while_slack_hangs(model, tmp_path):
    process, sandbox = start_sandbox()
    bot = Bot(bot_environment(sandbox, model, tmp_path), open_store(tmp_path))
    bot.start()
    model.flowing.clear()
    for number in range(5):
        ts = sandbox.message(HELP, CUSTOMER, f"My invoice {number} is wrong")["ts"]
        sandbox.shortcut(HELP, AGENT, ts, "suggest_reply")
        sandbox.message("D0AGENT1", AGENT, "How do I reset my password?")
    bot.until(lambda: len(model.asked) >= 5)
    process.send_signal(signal.SIGSTOP)
    try:
        start = time.monotonic()
        status = bot.stop()
        took = time.monotonic() - start
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.communicate(timeout=PATIENCE)
        bot.db.conn.close()
    assert (status, took < SOON) == (0, True)
