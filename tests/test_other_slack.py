"""The bot against a Slack that shares nothing with the sandbox, over HTTP, in its leanest and its richest shapes."""

import json
import os
import time
from collections.abc import Iterator
from typing import Any

import pytest
from bot_fixtures import BASE, Bot, ModelServer, open_store, wait_for_rest
from other_slack import AGENT, BOT_ID, BOT_USER, CUSTOMER, DIRECT, HELP, REVIEW, SUPERVISOR, TEAM, Json, OtherSlack

from data import store
from data.knowledge import import_knowledge

pytest_plugins = ("bot_fixtures",)


@pytest.fixture(scope="module", params=["lean", "rich"])
def slack_process(request: pytest.FixtureRequest) -> Iterator[OtherSlack]:
    slack = OtherSlack(request.param)
    yield slack
    slack.server.close()


@pytest.fixture(scope="module")
def bot(
    slack_process: OtherSlack, model_process: ModelServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bot]:
    folder = tmp_path_factory.mktemp("bot")
    environment = {
        **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "VIRTUAL_ENV")},
        **slack_process.environment,
        "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1", "DATABASE_PATH": str(folder / "nightshift.db"),
        "LLM_BASE_URL": model_process.url + "/v1", "BASE_MODEL": BASE.model,
    }  # fmt: skip
    bot = Bot(environment, open_store(folder), ("--http", "0"), log=folder / "log")
    (folder / "kb.md").write_text("# Password\n\nReset your password in the settings, under Security.\n")
    import_knowledge(bot.db, [folder / "kb.md"])
    slack_process.bot_address = bot.start().split()[-1]
    yield bot
    assert bot.stop() == 0
    bot.db.conn.close()


@pytest.fixture
def slack(slack_process: OtherSlack, bot: Bot, model: ModelServer) -> Iterator[OtherSlack]:
    slack_process.told.clear()
    slack_process.calls.clear()
    slack_process.undocumented.clear()
    slack_process.messages.clear()
    yield slack_process
    wait_for_rest(bot, [slack_process.server, model])
    assert slack_process.undocumented == []
    # A bug has a traceback; what nobody could read has one too, and is acked.
    said = bot.log.read_text() if bot.log else ""
    assert said.count("Traceback") == 2 * said.count("bot.slack.BadPayload: "), said[-3000:]


def asked(slack: OtherSlack) -> Json:
    """A customer's message with a shortcut pressed on it: the message."""
    said = slack.add(HELP, user=CUSTOMER, text="My invoice is wrong &amp; late")
    message = said if slack.manner == "rich" else {"ts": said["ts"], "text": said["text"]}
    status, _ = slack.interact(
        {"type": "message_action", "callback_id": "suggest_reply", "channel": {"id": HELP}, "message": message,
         "message_ts": said["ts"], "response_url": slack.address()}
    )  # fmt: skip
    assert status == 200
    return said


def told(bot: Bot, slack: OtherSlack, word: str) -> Json:
    """The newest thing that was said in private and has this in it."""
    return bot.until(lambda: next((m for m in slack.told[::-1] if word in json.dumps(m, ensure_ascii=False)), None))


def drafted(bot: Bot, slack: OtherSlack) -> Json:
    asked(slack)
    told(bot, slack, '"accept"')
    return bot.until(lambda: (row := bot.newest())["state"] == "shown" and row)


def click(slack: OtherSlack, action_id: str, value: str, **more: Any) -> tuple[int, str]:
    """A press of a button in an ephemeral message."""
    action = {"type": "button", "action_id": action_id, "block_id": "x", "value": value, "action_ts": "1.3"}
    container = {"type": "message", "message_ts": "1.2", "channel_id": HELP, "is_ephemeral": True}
    rich = {
        "channel": {"id": HELP, "name": "help"},
        "state": {"values": {}},
        "message": {"ts": "1.2", "type": "message"},
    }
    payload = {"type": "block_actions", "container": container, "actions": [action], "response_url": slack.address()}
    return slack.interact({**payload, **(rich if slack.manner == "rich" else {}), **more})


def posted(slack: OtherSlack, channel: str = HELP) -> list[str]:
    return [m["text"] for m in slack.messages.get(channel, []) if m.get("bot_id") == BOT_ID]


def test_a_draft_is_shown_and_sent(bot, slack):
    row = drafted(bot, slack)
    assert click(slack, "accept", row["id"])[0] == 200
    bot.until(lambda: posted(slack) == [row["draft"]])
    told(bot, slack, "Sent.")
    bot.until(lambda: posted(slack, REVIEW))


def test_a_draft_is_edited_in_a_form(bot, slack):
    row = drafted(bot, slack)
    assert click(slack, "edit", row["id"])[0] == 200
    view = bot.until(lambda: slack.views.get("edit_draft"))
    values = {"draft": {"text": {"type": "plain_text_input", "value": "Paid <today> & gone."}}}
    if slack.manner == "rich":
        values["reason"] = {"reason": {"type": "static_select", "selected_option": None}}
    view = {n: view[n] for n in ("id", "type", "callback_id", "private_metadata", "blocks")} | {
        "state": {"values": values}
    }
    assert slack.interact({"type": "view_submission", "view": view})[0] == 200
    bot.until(lambda: "Paid &lt;today&gt; &amp; gone." in posted(slack))


def test_the_form_that_was_closed_is_acked(bot, slack):
    view = {"id": "V1", "type": "modal", "callback_id": "edit_draft", "private_metadata": "", "blocks": []}
    assert slack.interact({"type": "view_closed", "view": view, "is_cleared": True})[0] == 200


def test_a_dismissed_draft_asks_for_a_reason(bot, slack):
    row = drafted(bot, slack)
    assert click(slack, "dismiss", row["id"])[0] == 200
    told(bot, slack, "reason_wrong_fact")
    assert click(slack, "reason_wrong_fact", row["id"])[0] == 200
    told(bot, slack, "Wrong fact")


def test_a_mention_is_answered_in_its_thread(bot, slack, model):
    model.answer = lambda messages: "Reset it in the settings [1]. " * 20
    said = slack.add(HELP, user=AGENT, text=f"<@{BOT_USER}> how do I reset my password?")
    event = {"type": "app_mention", "channel": HELP, "user": AGENT, "ts": said["ts"], "text": said["text"]}
    assert slack.event(event)[0] == 200
    bot.until(lambda: any("settings [1]" in text for text in posted(slack)))
    bot.until(lambda: bot.newest()["state"] == "shown")


def test_a_direct_message_is_answered_and_a_follow_up_too(bot, slack, model):
    for _ in range(2):
        said = slack.add(DIRECT, user=AGENT, text="How do I reset my password?")
        event = {"type": "message", "channel_type": "im", "channel": DIRECT, "user": AGENT, **said}
        assert slack.event(event)[0] == 200
    bot.until(lambda: len(posted(slack, DIRECT)) == 2)


@pytest.mark.parametrize(
    ("command", "text", "says"),
    [
        ("/ask", "How do I reset my password?", "is not what the sources say"),
        ("/ask", None, "Type a question"),
        ("/ask", "", "Type a question"),
        ("/summarize", None, "We will look"),
        ("/summarize", "2d", "We will look"),
        ("/nightshift", None, "Suggest a reply"),
        ("/nightshift", "status", "Model server"),
    ],
)
def test_commands_come_as_forms_with_and_without_a_text(bot, slack, command, text, says):
    slack.add(HELP, user=CUSTOMER, text="My invoice is wrong")
    assert slack.command(command, text)[0] == 200
    told(bot, slack, says)


def test_a_thumb_on_a_sent_reply_is_a_rating_and_goes_with_it(bot, slack):
    row = drafted(bot, slack)
    click(slack, "accept", row["id"])
    decision = bot.until(lambda: (d := store.decision(bot.db, row["id"])) and d.posted_ts and d)
    thumb = {"user": SUPERVISOR, "reaction": "+1::skin-tone-3",
             "item": {"type": "message", "channel": HELP, "ts": decision.posted_ts}}  # fmt: skip
    for kind, value in (("reaction_added", 1), ("reaction_removed", 0)):
        assert slack.event({"type": kind, **thumb})[0] == 200
        bot.until(lambda value=value: [r.value for r in store.ratings(bot.db, row["id"])] == [value])


def test_the_home_tab_is_published(bot, slack):
    for user in (AGENT, SUPERVISOR, CUSTOMER):
        slack.views.clear()
        assert slack.event({"type": "app_home_opened", "user": user, "channel": DIRECT, "tab": "home"})[0] == 200
        bot.until(lambda: slack.views.get("home"))


def test_the_messages_tab_is_offered_prompts(bot, slack):
    assert slack.event({"type": "app_home_opened", "user": AGENT, "channel": DIRECT, "tab": "messages"})[0] == 200
    bot.until(lambda: slack.named("assistant.threads.setSuggestedPrompts"))


NOTHING: dict[str, Json] = {
    "edited": {"subtype": "message_changed", "message": {"text": "x", "ts": "1.1", "edited": {}}, "hidden": True},
    "deleted": {"subtype": "message_deleted", "deleted_ts": "1.1", "previous_message": {"text": "x"}, "hidden": True},
    "of another bot": {"subtype": "bot_message", "bot_id": "B0OTHER", "text": "deploy done", "username": "ci"},
    "of our own": {"bot_id": BOT_ID, "user": BOT_USER, "text": "hello", "app_id": "A012ABCD0A0"},
    "of a join": {"subtype": "channel_join", "user": CUSTOMER, "text": "<@W012A3CDE> has joined"},
    "with null for a text": {"user": CUSTOMER, "text": None},
    "without a text": {"user": CUSTOMER, "files": [{"id": "F1", "mode": "tombstone"}], "upload": True},
    "of nobody": {"text": "x"},
    "of an unknown kind": {"subtype": "huddle_thread", "user": "USLACKBOT", "room": {"id": "R1"}},
    "with blocks of unknown kinds": {"user": CUSTOMER, "text": "", "blocks": [{"type": "call"}, None, 3]},
    "with an attachment alone": {"user": CUSTOMER, "text": "", "attachments": [{"fallback": "x", "text": "y"}]},
}


@pytest.mark.parametrize("channel_type", ["channel", "im", None])
@pytest.mark.parametrize("what", NOTHING)
def test_a_message_asks_for_nothing_and_is_acked(bot, slack, what, channel_type):
    before = bot.count("suggestions")
    event = {"type": "message", "channel": HELP, "ts": "1.2", "event_ts": "1.2", **NOTHING[what]}
    assert slack.event(event | ({"channel_type": channel_type} if channel_type else {}))[0] == 200
    questions = ("without a text", "with an attachment alone", "with null for a text", "with blocks of unknown kinds")
    if not (channel_type == "im" and what in questions):
        assert bot.count("suggestions") == before


OTHERS = """
    member_joined_channel channel_rename team_join file_shared link_shared app_uninstalled tokens_revoked
    message_metadata_posted assistant_thread_started assistant_thread_context_changed function_executed
"""
ODD: list[Json] = [
    {"type": "reaction_added", "user": AGENT, "reaction": "+1", "item": {"type": "file", "file": "F1"}},
    {"type": "reaction_added", "user": AGENT, "reaction": "+1", "item": {"type": "message", "channel": HELP}},
    {"type": "pin_added", "user": AGENT, "channel_id": HELP, "item": {"type": "file", "file": {"id": "F1"}}},
    {"type": "app_home_opened", "user": AGENT},
    {"type": "app_context_changed"},
    *({"type": kind, "channel": HELP, "user": AGENT, "event_ts": "1.2"} for kind in OTHERS.split()),
]


@pytest.mark.parametrize("event", ODD)
def test_any_other_event_is_acked(bot, slack, event):
    assert slack.event(event)[0] == 200


def test_slack_looks_whether_the_address_answers(bot, slack):
    status, body = slack.send({"type": "url_verification", "token": "z", "challenge": "3eZbrw1aB"})
    assert (status, "3eZbrw1aB" in body) == (200, True)
    assert slack.post("ssl_check=1&token=z", "application/x-www-form-urlencoded")[0] == 200


def test_the_first_event_is_not_lost_when_slack_says_nothing_of_the_token_by_then(bot, slack):
    bot.stop()
    slack.bot_address = bot.start().split()[-1]
    slack.unknown.add("auth.test")
    try:
        before = bot.count("suggestions")
        said = slack.add(DIRECT, user=AGENT, text="How do I reset my password?")
        assert slack.event({"type": "message", "channel_type": "im", "channel": DIRECT, **said})[0] == 200
        assert bot.count("suggestions") == before + 1
    finally:
        slack.unknown.clear()


def test_requests_without_a_name_of_slacks_are_each_worked_on(bot, slack):
    before = bot.count("suggestions")
    for number in range(2):
        said = slack.add(DIRECT, user=AGENT, text="How do I reset my password?")
        event = {"type": "message", "channel_type": "im", "channel": DIRECT, **said}
        assert slack.send({"type": "event_callback", "team_id": TEAM, "event": event})[0] == 200
        assert slack.send({"type": "event_callback", "team_id": TEAM, "event": event})[0] == 200
        assert bot.count("suggestions") == before + number + 1


def test_an_event_that_comes_again_is_worked_on_once(bot, slack):
    said = slack.add(DIRECT, user=AGENT, text="How do I reset my password?")
    event = {"type": "message", "channel_type": "im", "channel": DIRECT, **said}
    payload = {"type": "event_callback", "team_id": TEAM, "event_id": "EvAGAIN", "event": event}
    before = bot.count("suggestions")
    for number in range(3):
        again = {"X-Slack-Retry-Num": str(number), "X-Slack-Retry-Reason": "http_timeout"} if number else {}
        assert slack.send(payload, **again)[0] == 200
    assert bot.count("suggestions") == before + 1


def test_a_payload_of_an_organisation_without_its_team_is_worked_on(bot, slack):
    said = slack.add(HELP, user=CUSTOMER, text="My invoice is wrong")
    org = {"team": None, "enterprise": {"id": "E0ORG", "name": "Org"}, "is_enterprise_install": True}
    status, _ = slack.interact(
        {"type": "message_action", "callback_id": "suggest_reply", "channel": {"id": HELP}, "message": said,
         "message_ts": said["ts"], "response_url": slack.address(), **org}
    )  # fmt: skip
    assert status == 200
    told(bot, slack, '"accept"')
    assert click(slack, "accept", bot.newest()["id"], **org)[0] == 200
    bot.until(lambda: posted(slack))


LONG = " ".join(f"Step {n}: open Settings and choose Security." for n in range(1, 31))
WITHOUT = [
    "assistant.threads.setStatus", "chat.getPermalink", "chat.startStream", "chat.appendStream", "chat.stopStream",
    "conversations.members", "users.getPresence", "users.info", "conversations.info",
]  # fmt: skip
NEEDED = ("users.info", "conversations.info")
"""Without them it is not known who is a guest and which channel others read: then nothing is drafted."""


@pytest.mark.parametrize("method", WITHOUT)
def test_without_a_method_the_work_is_done_or_the_person_is_told(bot, slack, model, method):
    model.answer = lambda messages: LONG
    slack.unknown.add(method)
    if method in NEEDED:
        # What was learnt there before is believed for ten minutes.
        bot.stop()
        slack.bot_address = bot.start().split()[-1]
    try:
        asked(slack)
        told(bot, slack, method if method in NEEDED else '"accept"')
        if method not in NEEDED:
            assert click(slack, "accept", bot.newest()["id"])[0] == 200
            bot.until(lambda: posted(slack))
        said = slack.add(HELP, user=AGENT, text=f"<@{BOT_USER}> how do I reset my password?")
        event = {"type": "app_mention", "channel": HELP, "user": AGENT, "ts": said["ts"], "text": said["text"]}
        slack.told.clear()
        assert slack.event(event)[0] == 200
        bot.until(lambda: slack.told or [t for t in posted(slack) if LONG in t])
        assert slack.command("/summarize", "")[0] == 200
        bot.until(lambda: bot.newest()["task"] == "summary" and bot.newest()["state"] in ("shown", "failed"))
        assert slack.event({"type": "app_home_opened", "user": SUPERVISOR, "channel": DIRECT, "tab": "home"})[0] == 200
    finally:
        slack.unknown.clear()


def test_it_ends_in_good_time_also_when_slack_answers_nothing_any_more(bot, slack, model):
    model.flowing.clear()
    for _ in range(20):
        asked(slack)
        said = slack.add(HELP, user=AGENT, text=f"<@{BOT_USER}> how do I reset my password?")
        slack.event({"type": "app_mention", "channel": HELP, "user": AGENT, "ts": said["ts"], "text": said["text"]})
    bot.until(lambda: len(model.asked) >= 8)
    slack.silent = True
    try:
        start = time.monotonic()
        assert bot.stop() == 0
        assert time.monotonic() - start < 10
    finally:
        slack.silent = False
        model.flowing.set()
        slack.bot_address = bot.start().split()[-1]
    bot.until(lambda: bot.newest()["state"] == "shown")
