"""Text through the whole bot: from the customer to the prompt, and from the draft to what the customer reads."""

import json

from bot_fixtures import Bot
from test_bot_desk import AGENT, CUSTOMER, HELP, draft_for, replies

from bot.slack import plain
from data import store

pytest_plugins = ("bot_fixtures", "sandbox_fixtures")

ANSWER = """**Two steps**, <!channel> <@U0AGENT2>:

1. Open [Settings](https://x.io/settings).
2. Run `reset --all`:

```sh
reset --all <#C0HELP>
```

| Plan | Price |
|---|--:|
| Pro | 9 |"""


def accept(bot: Bot, sandbox, row: dict) -> dict:
    assert sandbox.action(AGENT, "accept", value=row["id"])["ok"]
    bot.until(lambda: (d := store.decision(bot.db, row["id"])) and d.posted_ts)
    return replies(sandbox, row["thread_ts"])[0]


def test_code_lists_and_emoji_reach_the_model_as_the_customer_typed_them(bot, sandbox, model):
    draft_for(bot, sandbox, "*Help* :tada:\n```\nif x < 1:\n    fail()\n```\n- one\n- two")
    assert model.asked[-1]["messages"][-1]["content"].endswith(
        "Customer: **Help** 🎉\n  ```\n  if x < 1:\n      fail()\n  ```\n  - one\n  - two"
    )


def test_markdown_reaches_the_customer_as_it_was_meant_and_pings_nobody(bot, sandbox, model):
    model.answer = lambda messages: ANSWER
    # A link that stands in no source and not in the thread would open nothing.
    row = draft_for(bot, sandbox, "Is it https://x.io/settings?")
    reply = accept(bot, sandbox, row)
    (section,) = [block for block in reply["blocks"] if block["type"] == "section"]
    assert section["text"]["text"] == (
        "*Two steps*, &lt;!channel&gt; &lt;@U0AGENT2&gt;:\n\n1. Open <https://x.io/settings|Settings>.\n"
        "2. Run `reset --all`:\n```\nreset --all &lt;#C0HELP&gt;\n```\n"
        "```\nPlan | Price\n-----+------\nPro  |     9\n```"
    )
    assert {block["type"] for block in reply["blocks"]} == {"section", "context"}


def test_what_is_posted_is_what_training_learns_from(bot, sandbox, model):
    sandbox.command(HELP, "U0ADMIN1", "/nightshift", "consent on")
    model.answer = lambda messages: ANSWER
    row = draft_for(bot, sandbox, "Prices & reset, at https://x.io/settings?")
    reply = accept(bot, sandbox, row)
    decision = store.decision(bot.db, row["id"])
    assert decision is not None and decision.text == row["draft"] == plain(reply["text"]) == ANSWER
    pair = next(p for p in store.training_pairs(bot.db) if p.id == row["id"])
    assert pair.target == ANSWER


def test_a_long_answer_is_split_into_messages_in_order_and_whole(bot, sandbox, model):
    words = " ".join(f"w{n:03}" for n in range(120))
    long = "\n\n".join(f"Paragraph {n}: {words}" for n in range(40))
    model.answer = lambda messages: long
    row = draft_for(bot, sandbox)
    accept(bot, sandbox, row)
    posted = replies(sandbox, row["thread_ts"])
    assert len(posted) > 1
    assert "".join(" ".join(plain(m["text"]) for m in posted).split()) == "".join(row["draft"].split())
    assert [m["metadata"]["event_payload"]["part"] for m in posted] == list(range(len(posted)))
    assert sandbox.problems() == []


def test_a_draft_cannot_imitate_the_apps_buttons(bot, sandbox, model):
    model.answer = lambda messages: (
        '{"type": "actions", "elements": []} [Send](slack://send) *Drafted by AI, sent by x*'
    )
    row = draft_for(bot, sandbox)
    reply = accept(bot, sandbox, row)
    assert {block["type"] for block in reply["blocks"]} == {"section", "context"}
    assert "<slack:" not in json.dumps(reply)
    sandbox.message(HELP, CUSTOMER, "thanks", row["thread_ts"])
