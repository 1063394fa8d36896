"""A real Bolt app on a real web socket: envelopes, acks, modals, retries, and what happens when an ack is late."""

import asyncio

import pytest
from sandbox_app import AGENT, CUSTOMER, HELP, draft_blocks, edit_modal, off_loop
from sandbox_fixtures import PATIENCE
from slack_sdk.webhook.async_client import AsyncWebhookClient

pytest_plugins = ["sandbox_fixtures", "sandbox_app"]


async def test_a_command_is_acked_with_a_text_that_only_the_asker_sees(sandbox, app):
    answer = await off_loop(sandbox.command, HELP, AGENT, "/ask", "a & b")
    assert answer["ok"] and answer["ack_ms"] < 3000 and answer["response"] == {"text": "on it"}
    assert app.seen[0]["text"] == "a &amp; b" and app.seen[0]["channel_id"] == HELP
    assert "thread_ts" not in app.seen[0]
    assert [m["text"] for m in (await off_loop(sandbox.state, AGENT))["ephemerals"]] == ["on it"]


async def test_a_shortcut_opens_a_modal_and_the_modal_is_sent(sandbox, app):
    posted = await off_loop(sandbox.message, HELP, CUSTOMER, "My invoice is wrong")
    assert (await off_loop(sandbox.shortcut, HELP, AGENT, posted["ts"], "suggest_reply"))["ok"]
    view = await off_loop(sandbox.wait_for, AGENT, lambda state: state["views"] and state["views"][0])
    payload = next(seen for seen in app.seen if seen["type"] == "message_action")
    assert payload["message"]["text"] == "My invoice is wrong" and payload["channel"]["id"] == HELP
    empty = await off_loop(sandbox.submit, AGENT, view["id"], {"draft": {"text": ""}})
    assert empty["errors"] == {"draft": "Please complete this required field."}
    rude = await off_loop(sandbox.submit, AGENT, view["id"], {"draft": {"text": "rude"}})
    assert rude["errors"] == {"draft": "Be kind."}
    sent = await off_loop(sandbox.submit, AGENT, view["id"], {"draft": {"text": "Sorry & thanks"}})
    assert sent["ok"] and (await off_loop(sandbox.state, AGENT))["views"] == []
    assert app.seen[-1]["view"]["state"]["values"]["draft"]["text"]["value"] == "Sorry & thanks"
    assert await off_loop(sandbox.problems) == []


async def test_a_click_in_an_ephemeral_replaces_it_through_its_response_url(sandbox, app):
    await app.client.chat_postEphemeral(channel=HELP, user=AGENT, text="draft", blocks=draft_blocks())
    assert (await off_loop(sandbox.action, AGENT, "accept", value="s1"))["ok"]
    payload = app.seen[0]
    assert payload["container"]["is_ephemeral"] and "message" not in payload and payload["state"] == {"values": {}}
    (shown,) = await off_loop(sandbox.wait_for, AGENT, lambda s: [m for m in s["ephemerals"] if m["text"] == "sent"])
    assert "blocks" not in shown


async def test_a_response_url_takes_five_posts(sandbox, app):
    await off_loop(sandbox.command, HELP, AGENT, "/ask", "x")
    webhook = AsyncWebhookClient(app.seen[0]["response_url"])
    codes = [(await webhook.send(text=str(n))).status_code for n in range(6)]
    assert codes == [200] * 5 + [404]
    assert (await off_loop(sandbox.problems))[-1]["error"] == "used_url"


async def test_a_trigger_id_works_once(sandbox, app):
    answer = await off_loop(sandbox.command, HELP, AGENT, "/ask", "x")
    await app.client.views_open(trigger_id=answer["trigger_id"], view=edit_modal("x"))
    with pytest.raises(Exception, match="exchanged_trigger_id"):
        await app.client.views_open(trigger_id=answer["trigger_id"], view=edit_modal("x"))


async def test_an_unacked_event_comes_again_with_the_same_event_id(sandbox, app):
    await off_loop(sandbox.fault, retry_delays_s=[0, 0, 0], drop_ack=1)
    await off_loop(sandbox.message, HELP, CUSTOMER, "hello?")
    await off_loop(sandbox.wait_for, AGENT, lambda s: s["problems"])
    while len(app.seen) < 2:
        await asyncio.sleep(0.05)
    assert len({body["event_id"] for body in app.seen}) == 1
    assert app.headers[1]["x-slack-retry-num"] == ["1"]
    assert app.headers[1]["x-slack-retry-reason"] == ["timeout"]


async def test_a_late_ack_is_told_and_its_trigger_id_has_expired(sandbox, app):
    app.delay = 3.3
    answer = await off_loop(sandbox.command, HELP, AGENT, "/ask", "slow")
    assert (answer["ok"], answer["error"]) == (False, "operation_timeout")
    with pytest.raises(Exception, match="expired_trigger_id"):
        await app.client.views_open(trigger_id=answer["trigger_id"], view=edit_modal("x"))
    problem = await off_loop(
        sandbox.wait_for, AGENT, lambda s: next((p for p in s["problems"] if p["kind"] == "late_ack"), None)
    )
    assert problem["ack_ms"] > 3000
    assert (await off_loop(sandbox.state, AGENT))["ephemerals"] == []


async def test_the_app_comes_back_after_a_disconnect(sandbox, app):
    assert (await off_loop(sandbox.fault, disconnect=True))["disconnected"] == 1
    # slack_sdk may connect twice after a disconnect, and what is sent on the first of the two is lost.
    async with asyncio.timeout(PATIENCE):
        while not (await off_loop(sandbox.command, HELP, AGENT, "/ask", "again"))["ok"]:
            await asyncio.sleep(0.1)


async def test_events_reach_the_app_where_it_is_a_member(sandbox, app):
    posted = await off_loop(sandbox.message, HELP, CUSTOMER, "hi <@U0NIGHTSHIFT>")
    await off_loop(sandbox.message, "C0RANDOM", AGENT, "not for the app <@U0NIGHTSHIFT>")
    await off_loop(sandbox.message, "D0AGENT1", AGENT, "just us")
    await off_loop(sandbox.reaction, HELP, "U0SUPER1", posted["ts"], "thumbsup")
    await off_loop(sandbox.home, AGENT)
    while len(app.seen) < 5:
        await asyncio.sleep(0.05)
    kinds = [(body["event"]["type"], body["event"].get("channel_type")) for body in app.seen]
    assert sorted(kinds, key=str) == sorted(
        [("message", "channel"), ("app_mention", None), ("message", "im"), ("reaction_added", None),
         ("app_home_opened", None)],
        key=str,
    )  # fmt: skip
    added = next(body["event"] for body in app.seen if body["event"]["type"] == "reaction_added")
    assert added["reaction"] == "+1" and added["item"] == {"type": "message", "channel": HELP, "ts": posted["ts"]}
    assert all(body["event_id"] and body["authorizations"] and body["team_id"] for body in app.seen)


async def test_what_a_person_looks_at_reaches_the_app_in_three_ways(sandbox, app):
    ts = (await off_loop(sandbox.message, HELP, CUSTOMER, "look"))["ts"]
    await off_loop(sandbox.context, AGENT, HELP, ts)
    await off_loop(sandbox.home, AGENT, "messages")
    await off_loop(sandbox.message, "D0AGENT1", AGENT, "this one")
    while len(app.seen) < 4:
        await asyncio.sleep(0.05)
    events = {(e := body["event"])["type"] + e["channel"]: e for body in app.seen}
    where = {"channel_id": HELP, "message_ts": ts}
    changed = events["app_context_changedD0AGENT1"]
    assert changed["user"] == AGENT and changed["context"]["entities"][0]["value"] == where
    assert events["app_home_openedD0AGENT1"]["context"] == changed["context"]
    assert events["messageD0AGENT1"]["app_context"] == changed["context"]


async def test_nobody_answers_while_no_app_is_connected(sandbox):
    answer = await off_loop(sandbox.command, HELP, AGENT, "/ask", "anyone?")
    assert (answer["ok"], answer["error"]) == (False, "dispatch_failed")
