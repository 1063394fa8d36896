"""The bot finds by meaning: its vectors are made while it runs, and its model is read before Slack is listened to."""

import json

from bot_fixtures import Bot, bot_environment, open_store

from data import store_vectors
from data.embedding import DEFAULT_MODEL
from data.knowledge import import_knowledge

pytest_plugins = ("bot_fixtures", "sandbox_fixtures")

AGENT, DIRECT = "U0AGENT1", "D0AGENT1"


def test_a_question_that_shares_no_word_with_the_article_is_told_that_this_one_is_nearest(sandbox, model, tmp_path):
    (tmp_path / "refunds.md").write_text(
        "# Refunds\n\nRefunds are paid within six days to the card that was charged.\n"
    )
    db = open_store(tmp_path)
    import_knowledge(db, [tmp_path / "refunds.md"])
    assert store_vectors.count_unembedded(db) == 1
    bot = Bot(bot_environment(sandbox, model, tmp_path, EMBEDDING_MODEL=DEFAULT_MODEL), db)
    bot.start()
    bot.until(lambda: store_vectors.count_unembedded(db) == 0, seconds=120)
    sandbox.message(DIRECT, AGENT, "how do I get my money back?")
    # Strictly refused, since no passage speaks of it in words; but found, by its meaning.
    sandbox.wait_for(AGENT, lambda state: "Refunds" in json.dumps(state))
    assert bot.stop() == 0
    db.conn.close()
