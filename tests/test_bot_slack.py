"""Slack's payloads become our types, and Slack's mrkdwn becomes text and back."""

import pytest

from bot import proactive, slack
from bot.messages import REPLY_EVENT, turns_of
from data.models import Turn

SHORTCUT = {
    "type": "message_action",
    "callback_id": "suggest_reply",
    "trigger_id": "t1",
    "team": {"id": "T1"},
    "channel": {"id": "C1"},
    "user": {"id": "U1"},
    "message": {"ts": "1.1"},
    "message_ts": "1.1",
    "response_url": "https://hooks.slack.com/app/1",
}
COMMAND = {"command": "/ask", "text": "why?", "trigger_id": "t2", "team_id": "T1", "channel_id": "C1", "user_id": "U1"}


def event(**of: object) -> dict:
    return {"team_id": "T1", "event_id": "Ev1", "event": {"channel": "C1", "user": "U1", "ts": "1.2", **of}}


def asked(body: dict) -> slack.Request | None:
    return slack.request_of(body, bot_user_id="UBOT")


def test_a_shortcut_on_a_reply_asks_for_its_thread():
    request = asked(SHORTCUT | {"message": {"ts": "1.5", "thread_ts": "1.1"}})
    assert request is not None
    assert (request.key, request.task, request.thread_ts, request.details["shown_in"]) == ("t1", "reply", "1.1", "1.1")


def test_a_draft_on_a_message_without_replies_is_not_shown_in_a_thread():
    # Slack hides an ephemeral message in a thread that nobody has opened.
    request = asked(SHORTCUT)
    assert request is not None and request.thread_ts == "1.1" and request.details["shown_in"] == ""


@pytest.mark.parametrize(
    "link",
    [
        "https://t.slack.com/archives/C2/p1700000001000200",
        "<https://t.slack.com/archives/C2/p1700000009000200?thread_ts=1700000001.000200&amp;cid=C2>",
        "https://t.slack.com/archives/C2/p1700000009000200?thread_ts=1700000001.000200&cid=C2",
    ],
)
def test_summarize_takes_a_link_to_a_thread(link):
    request = asked(COMMAND | {"command": "/summarize", "text": link})
    assert request is not None
    assert (request.task, request.channel_id, request.thread_ts) == ("summary", "C2", "1700000001.000200")
    assert request.details["asked_in"] == "C1"


def test_commands_without_what_they_need_ask_for_nothing():
    assert asked(COMMAND | {"text": " "}) is None
    assert asked(COMMAND | {"command": "/summarize", "text": "everything"}) is None
    assert asked(COMMAND | {"command": "/nightshift", "text": "status"}) is None


def test_a_mention_asks_without_the_bots_own_name():
    request = asked(event(type="app_mention", text="<@UBOT> how do I &lt;reset&gt;?", thread_ts="1.1"))
    assert request is not None
    assert (request.key, request.details["text"], request.thread_ts) == ("Ev1", "how do I <reset>?", "1.1")


def test_bots_edits_and_channel_messages_ask_for_nothing():
    assert asked(event(type="message", text="hi", channel_type="channel")) is None
    assert asked(event(type="message", text="hi", channel_type="im", bot_id="B1")) is None
    assert asked(event(type="message", subtype="message_changed", channel_type="im")) is None
    assert asked(event(type="app_mention", text="<@UBOT> hi", bot_id="B2")) is None
    assert asked(event(type="message", text="hi", channel_type="im")) is not None


@pytest.mark.parametrize("subtype", ["file_share", "me_message", "thread_broadcast"])
def test_a_direct_message_with_a_file_or_in_another_manner_is_a_question_too(subtype):
    request = asked(event(type="message", subtype=subtype, text="why this error?", channel_type="im", files=[{}]))
    assert request is not None and request.details["text"] == "why this error?"


@pytest.mark.parametrize("text", ["<@UBOT> hi", None])
def test_a_message_to_the_bot_is_no_customers_question_and_one_with_blocks_alone_is(text):
    said = {
        "type": "rich_text",
        "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": "hi"}]}],
    }
    payload = event(type="message", text=text, channel_type="channel", blocks=[said])
    question = proactive.question_of(payload, bot_user_id="UBOT", allowed_bots=frozenset())
    assert (question is None) == bool(text)


@pytest.mark.parametrize(
    ("name", "value"), [("+1", 1), ("thumbsup::skin-tone-5", 1), ("-1::skin-tone-2", -1), ("thumbsdown", -1)]
)
def test_thumbs_have_names_and_skins(name, value):
    item = {"type": "message", "channel": "C1", "ts": "1.1"}
    thumb = slack.thumb_of(event(type="reaction_removed", reaction=name, item=item, event_ts="2.2"))
    assert thumb == slack.Thumb("Ev1", "C1", "1.1", "U1", value, True, name, "2.2")
    assert slack.thumb_of(event(type="reaction_added", reaction="eyes", item=item)) is None


def test_turns_know_who_speaks():
    reply = {"event_type": REPLY_EVENT, "event_payload": {"suggestion_id": "s"}}
    messages = [
        {"user": "U9", "ts": "1", "text": "My invoice &amp; <@U1> <https://x.io|x.io>"},
        {"user": "U1", "ts": "2", "text": "Let me look"},
        {"user": "UBOT", "bot_id": "B1", "ts": "3", "text": "It is paid", "metadata": reply},
        {"user": "UBOT", "bot_id": "B1", "ts": "4", "text": "Answered by AI"},
        {"bot_id": "B7", "subtype": "bot_message", "ts": "5", "text": "Ticket 12: help"},
        {"bot_id": "B8", "subtype": "bot_message", "ts": "6", "text": "Build failed"},
        {"user": "U9", "subtype": "channel_join", "ts": "7", "text": "has joined"},
        {"user": "U9", "ts": "8", "text": " "},
    ]
    turns = turns_of(
        messages, agents=frozenset({"U1"}), our_bot_id="B1", allowed_bots=frozenset({"B7"}), names={"U1": "Ana"}
    )
    assert turns == [
        Turn("customer", "My invoice & @Ana x.io".replace("x.io", "https://x.io"), "1"),
        Turn("agent", "Let me look", "2"),
        Turn("agent", "It is paid", "3"),
        Turn("customer", "Ticket 12: help", "5"),
    ]


@pytest.mark.parametrize(
    "text",
    ["a & b < c > d", "&lt;@U1&gt;", "see https://x.io/?a=1&b=2.", "(https://x.io)", "`code` *bold* _it_", "日本 🙂"],
)
def test_text_survives_the_way_to_slack_and_back(text):
    assert slack.plain(slack.mrkdwn(text)) == text
    assert slack.plain(slack.escape(text)) == text


def test_what_cannot_be_stored_or_sent_is_replaced():
    assert slack.plain("a\x00b\ud800c") == "a\ufffdb\ufffdc"
