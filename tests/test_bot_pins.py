"""A pinned message is offered as knowledge to who pinned it: by one button, and only where and to whom it may be."""

import json

import pytest
from bot_fixtures import Bot, last_ephemeral
from sandbox_fixtures import SandboxClient
from slack_sdk import WebClient
from test_bot_saving import AGENT, CANVAS, CUSTOMER, HELP, SUPERVISOR, filled, save, sources

from data import store
from data.search import search

pytest_plugins = ("bot_fixtures", "sandbox_fixtures")

ADMIN, GUEST, STRANGER, CONNECT = "U0ADMIN1", "U0CUSTOMER5", "U0CUSTOMER4", "C0CONNECT"
PINNED = "You pinned"


@pytest.fixture(autouse=True)
def learning(bot: Bot, sandbox: SandboxClient) -> None:
    """Nothing is saved, and an admin has switched learning on in one channel."""
    for table in ("documents", "consents"):
        bot.db.execute(f"delete from {table}")
    consent(sandbox, HELP, "on")


def consent(sandbox: SandboxClient, channel: str, switch: str) -> None:
    sandbox.command(channel, ADMIN, "/nightshift", f"consent {switch}")
    last_ephemeral(sandbox, ADMIN, "From now on I learn" if switch == "on" else "I no longer learn")


def pinned(sandbox: SandboxClient, user: str, text: str, *, channel: str = HELP, writer: str = AGENT) -> str:
    """A message that this person has pinned."""
    ts = sandbox.message(channel, writer, text)["ts"]
    sandbox.pin(channel, user, ts)
    return ts


def offers(sandbox: SandboxClient, user: str) -> list[dict]:
    return [m for m in sandbox.state(user)["ephemerals"] if m["text"].startswith(PINNED)]


def pressed(sandbox: SandboxClient, user: str, ts: str, *, channel: str = HELP) -> dict:
    """The form that the button below the offer opens."""
    shown = last_ephemeral(sandbox, user, f'"value": "{ts}"')
    assert sandbox.action(user, "save_pinned", value=ts, channel=channel, message_ts=shown["ts"])["ok"]
    return sandbox.wait_for(user, lambda state: state["views"] and state["views"][-1])


def test_who_pins_a_message_saves_it_by_one_button(bot, sandbox, model):
    ts = pinned(sandbox, SUPERVISOR, "The *yellow* key opens the yard.")
    view = pressed(sandbox, SUPERVISOR, ts)
    assert filled(view)["text"] == "The **yellow** key opens the yard." and filled(view)["owner"] == "sofia"
    assert save(sandbox, SUPERVISOR, view, title="Keys")["ok"]
    news = last_ephemeral(sandbox, SUPERVISOR, "“Keys” is in the help centre: the next question finds it.")
    # The news stands in the offer's place.
    assert offers(sandbox, SUPERVISOR) == [] and "save_pinned" not in json.dumps(news)
    assert [passage.title for passage in search(bot.db, "yellow key")] == ["Keys"]
    (source,) = sources(bot)
    assert source.url is not None and f"/archives/{HELP}/p{ts.replace('.', '')}" in source.url
    assert sandbox.problems() == []


def test_a_pin_on_what_is_saved_already_says_so_and_brings_its_article_up_to_date(bot, sandbox, model):
    ts = pinned(sandbox, AGENT, "The yellow key opens the yard.")
    save(sandbox, AGENT, pressed(sandbox, AGENT, ts), title="Keys & <doors>", text="The yellow key opens the cellar.")
    last_ephemeral(sandbox, AGENT, "the next question finds it")
    sandbox.pin(HELP, SUPERVISOR, ts, remove=True)
    sandbox.pin(HELP, SUPERVISOR, ts)
    shown = last_ephemeral(sandbox, SUPERVISOR, "Update the article")
    assert "It is in the help centre as “Keys &amp; &lt;doors&gt;”." in shown["text"]
    view = pressed(sandbox, SUPERVISOR, ts)
    assert filled(view)["text"] == "The yellow key opens the cellar."
    save(sandbox, SUPERVISOR, view, text="The yellow key opens nothing.")
    last_ephemeral(sandbox, SUPERVISOR, "is up to date in the help centre")
    assert [passage.text for passage in search(bot.db, "yellow key")] == ["The yellow key opens nothing."]
    assert len(sources(bot)) == 1


def test_a_pinned_answer_is_offered_in_its_thread_and_a_pinned_question_brings_its_answer(bot, sandbox, model):
    ts = sandbox.message(HELP, CUSTOMER, "Which key opens the yard?")["ts"]
    answer = sandbox.message(HELP, AGENT, "The yellow one.", ts)["ts"]
    for user, at, thread in ((AGENT, answer, ts), (SUPERVISOR, ts, None)):
        sandbox.pin(HELP, user, at)
        assert last_ephemeral(sandbox, user, f'"value": "{at}"').get("thread_ts") == thread
        view = pressed(sandbox, user, at)
        assert (filled(view)["title"], filled(view)["text"]) == ("Which key opens the yard?", "The yellow one.")


def test_a_pinned_canvas_is_read_when_it_is_saved(bot, sandbox, model):
    ts = sandbox.canvas(SUPERVISOR, "Keys", CANVAS, channel=HELP)["ts"]
    sandbox.pin(HELP, AGENT, ts)
    assert last_ephemeral(sandbox, AGENT, PINNED)["text"].startswith("You pinned the canvas “Keys”.")
    view = pressed(sandbox, AGENT, ts)
    assert filled(view)["title"] == "Keys" and "text" not in filled(view)
    assert save(sandbox, AGENT, view)["ok"]
    last_ephemeral(sandbox, AGENT, "“Keys” is in the help centre")
    assert "yellow key" in search(bot.db, "key opens yard")[0].text


def test_an_event_that_slack_sends_again_brings_one_offer(bot, sandbox, model):
    ts = sandbox.message(HELP, AGENT, "The yellow key opens the yard.")["ts"]
    sandbox.fault(retry_delays_s=[0, 0, 0])
    sandbox.fault(drop_ack=2)
    sandbox.pin(HELP, AGENT, ts)
    last_ephemeral(sandbox, AGENT, PINNED)
    # Two were sent again by the time that this one's offer is there.
    sandbox.wait_for(AGENT, lambda state: sum(p["kind"] == "no_ack" for p in state["problems"]) >= 2)
    next_one = pinned(sandbox, AGENT, "The red key opens the cellar.")
    last_ephemeral(sandbox, AGENT, f'"value": "{next_one}"')
    assert len(offers(sandbox, AGENT)) == 2


def none_but(sandbox: SandboxClient, *quiet: str) -> None:
    """An offer that is due comes, and by then these people have none."""
    due = pinned(sandbox, "U0AGENT2", "The red key opens the cellar.")
    last_ephemeral(sandbox, "U0AGENT2", f'"value": "{due}"')
    assert [user for user in quiet if offers(sandbox, user)] == []


def test_nothing_is_offered_without_consent_nor_after_it_was_taken_back(bot, sandbox, model):
    pinned(sandbox, AGENT, "The yellow key opens the yard.", channel="C0BILLING")
    none_but(sandbox, AGENT)
    consent(sandbox, "C0BILLING", "on")
    pinned(sandbox, SUPERVISOR, "The yellow key opens the yard.", channel="C0BILLING")
    last_ephemeral(sandbox, SUPERVISOR, PINNED)
    consent(sandbox, "C0BILLING", "off")
    pinned(sandbox, AGENT, "The yellow key opens the yard.", channel="C0BILLING")
    none_but(sandbox, AGENT)


@pytest.mark.parametrize("user", [CUSTOMER, GUEST])
def test_customers_and_guests_pin_without_a_word(bot, sandbox, model, user):
    pinned(sandbox, user, "The yellow key opens the yard.")
    none_but(sandbox, user, AGENT)


def test_an_admin_is_offered_it_too_and_nobody_else_sees_that(bot, sandbox, model):
    ts = pinned(sandbox, ADMIN, "The yellow key opens the yard.")
    assert filled(pressed(sandbox, ADMIN, ts))["owner"] == "priya"
    none_but(sandbox, AGENT, SUPERVISOR, CUSTOMER)


def test_in_a_slack_connect_channel_it_is_offered_to_colleagues_and_only_with_consent(bot, sandbox, model):
    pinned(sandbox, AGENT, "The yellow key opens the yard.", channel=CONNECT)
    none_but(sandbox, AGENT)
    consent(sandbox, CONNECT, "on")
    pinned(sandbox, STRANGER, "The yellow key opens the yard.", channel=CONNECT)
    ts = pinned(sandbox, AGENT, "The red key opens the cellar.", channel=CONNECT)
    assert filled(pressed(sandbox, AGENT, ts, channel=CONNECT))["audience"] == "internal"
    assert offers(sandbox, STRANGER) == []


def test_a_message_without_text_and_one_that_is_gone_are_not_offered(bot, sandbox, model):
    client = WebClient("xoxb-sandbox", base_url=sandbox.environment["SLACK_API_URL"])
    line = client.api_call("chat.postMessage", json={"channel": HELP, "blocks": [{"type": "divider"}]})["ts"]
    sandbox.pin(HELP, AGENT, line)
    none_but(sandbox, AGENT)
    sandbox.fault(method="conversations.replies", error="thread_not_found", times=1)
    pinned(sandbox, AGENT, "The yellow key opens the yard.")
    none_but(sandbox, AGENT)
    assert store.remember_request(bot.db, "the bot still writes") and sources(bot) == []


def test_where_slack_shows_nothing_privately_no_direct_message_comes_in_its_place(bot, sandbox, model):
    sandbox.fault(method="chat.postEphemeral", error="restricted_action", times=1)
    pinned(sandbox, AGENT, "The yellow key opens the yard.")
    none_but(sandbox, AGENT)
    assert sandbox.channel(AGENT, "D0AGENT1")["messages"] == []


def test_a_message_that_is_gone_when_the_button_is_pressed_is_said_to_be(bot, sandbox, model):
    client = WebClient("xoxb-sandbox", base_url=sandbox.environment["SLACK_API_URL"])
    ts = client.chat_postMessage(channel=HELP, text="The yellow key opens the yard.")["ts"]
    sandbox.pin(HELP, AGENT, ts)
    shown = last_ephemeral(sandbox, AGENT, PINNED)
    client.chat_delete(channel=HELP, ts=ts)
    sandbox.action(AGENT, "save_pinned", value=ts, channel=HELP, message_ts=shown["ts"])
    last_ephemeral(sandbox, AGENT, "That thread is not there any more")
    assert sandbox.state(AGENT)["views"] == []
