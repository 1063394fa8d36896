"""The sandbox's Web API and control API do and refuse what Slack does, through the real slack_sdk over real HTTP."""

import json
import urllib.error
import urllib.request

import pytest
from sandbox_fixtures import PATIENCE, Refused
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.webhook import WebhookClient
from test_sandbox_rules import AGENT, CUSTOMER, HELP, RANDOM, client, refused, section

pytest_plugins = ["sandbox_fixtures"]
__all__ = ["client"]


def test_tokens_are_checked(sandbox):
    url = sandbox.environment["SLACK_API_URL"]
    assert refused(WebClient("", base_url=url).auth_test)[0] == "not_authed"
    assert refused(WebClient("xoxb-wrong", base_url=url).auth_test)[0] == "invalid_auth"
    wrong_kind = WebClient("xoxb-sandbox", base_url=url)
    assert refused(wrong_kind.apps_connections_open, app_token="xoxb-sandbox")[0] == "not_allowed_token_type"
    assert refused(WebClient("xoxb-sandbox", base_url=url).api_call, "chat.postMesage")[0] == "unknown_method"


def test_where_the_app_is_no_member_it_neither_reads_nor_writes(sandbox, client):
    ts = sandbox.message(RANDOM, AGENT, "hello")["ts"]
    assert refused(client.conversations_replies, channel=RANDOM, ts=ts)[0] == "not_in_channel"
    assert refused(client.chat_postMessage, channel=RANDOM, text="x")[0] == "not_in_channel"
    assert refused(client.chat_postMessage, channel="C404", text="x")[0] == "channel_not_found"
    sandbox.command(RANDOM, AGENT, "/invite", "@Nightshift")
    assert client.conversations_replies(channel=RANDOM, ts=ts)["messages"][0]["text"] == "hello"


def test_an_ephemeral_message_cannot_be_updated(client, sandbox):
    ts = client.chat_postEphemeral(channel=HELP, user=AGENT, text="psst")["message_ts"]
    assert refused(client.chat_update, channel=HELP, ts=ts, text="y")[0] == "message_not_found"
    assert refused(client.chat_postEphemeral, channel="C0SUPERVISORS", user=AGENT, text="x")[0] == "user_not_in_channel"
    assert [m["text"] for m in sandbox.state(AGENT)["ephemerals"]] == ["psst"]
    assert sandbox.state("U0AGENT2")["ephemerals"] == []


def test_only_its_own_messages_can_be_updated_or_deleted(client, sandbox):
    theirs = sandbox.message(HELP, CUSTOMER, "mine")["ts"]
    assert refused(client.chat_update, channel=HELP, ts=theirs, text="y")[0] == "cant_update_message"
    assert refused(client.chat_delete, channel=HELP, ts=theirs)[0] == "cant_delete_message"


def test_an_update_without_blocks_keeps_them(client):
    ts = client.chat_postMessage(channel=HELP, text="x", blocks=[section("kept")])["ts"]
    assert client.chat_update(channel=HELP, ts=ts, text="y")["message"]["blocks"][0]["text"]["text"] == "kept"
    assert client.chat_update(channel=HELP, ts=ts, text="y", blocks=[])["message"]["blocks"] == []


def test_metadata_needs_its_shape_and_is_read_only_when_asked_for(client):
    error, _ = refused(client.chat_postMessage, channel=HELP, text="x", metadata={"event_type": "e"})
    assert error == "invalid_metadata_schema"
    metadata = {"event_type": "nightshift_reply", "event_payload": {"suggestion_id": "1"}}
    ts = client.chat_postMessage(channel=HELP, text="x", metadata=metadata)["ts"]
    assert "metadata" not in client.conversations_replies(channel=HELP, ts=ts)["messages"][0]
    whole = client.conversations_replies(channel=HELP, ts=ts, include_all_metadata=True)
    assert whole["messages"][0]["metadata"] == metadata


def test_replies_come_parent_first_and_in_pages(client, sandbox):
    ts = sandbox.message(HELP, CUSTOMER, "one")["ts"]
    for text in ("two", "three"):
        sandbox.message(HELP, AGENT, text, ts)
    first = client.conversations_replies(channel=HELP, ts=ts, limit=2)
    rest = client.conversations_replies(channel=HELP, ts=ts, limit=2, cursor=first["response_metadata"]["next_cursor"])
    assert [m["text"] for m in first["messages"] + rest["messages"]] == ["one", "two", "three"]
    assert [m["text"] for m in client.conversations_history(channel=HELP)["messages"]] == ["one"]
    assert refused(client.conversations_replies, channel=HELP, ts="1.1")[0] == "thread_not_found"


def test_a_message_may_be_older_than_now_and_history_has_it_in_its_place(client, sandbox):
    sandbox.message(HELP, CUSTOMER, "now")
    for text, ago_s in (("old", 7200), ("older", 9000)):
        sandbox.call("/sandbox/message", {"channel": HELP, "user": CUSTOMER, "text": text, "ago_s": ago_s})
    found = client.conversations_history(channel=HELP)["messages"]
    assert [m["text"] for m in found] == ["now", "old", "older"]
    since = f"{float(found[0]['ts']) - 8000:.6f}"
    assert [m["text"] for m in client.conversations_history(channel=HELP, oldest=since)["messages"]] == ["now", "old"]
    with pytest.raises(Refused, match="ago_s must be 0 to"):
        sandbox.call("/sandbox/message", {"channel": HELP, "user": CUSTOMER, "text": "x", "ago_s": -1})


def test_people_have_their_own_time_zones(client):
    zones = {user: client.users_info(user=user)["user"] for user in ("U0AGENT1", "U0AGENT4")}
    assert zones["U0AGENT1"]["tz"] == "Europe/London"
    assert zones["U0AGENT4"]["tz"] == "Pacific/Auckland"
    assert zones["U0AGENT4"]["tz_offset"] in (12 * 3600, 13 * 3600)


def test_streams_name_their_reader_in_channels_and_take_12000_characters(client, sandbox):
    ts = sandbox.message(HELP, CUSTOMER, "q")["ts"]
    assert refused(client.chat_startStream, channel=HELP, thread_ts=ts)[0] == "missing_recipient_user_id"
    reader = {"recipient_user_id": AGENT, "recipient_team_id": "T0SANDBOX"}
    stream = client.chat_startStream(channel=HELP, thread_ts=ts, markdown_text="a", **reader)["ts"]
    client.chat_appendStream(channel=HELP, ts=stream, markdown_text="b")
    assert refused(client.chat_appendStream, channel=HELP, ts=stream, markdown_text="x" * 12_001)[0] == "msg_too_long"
    assert client.chat_stopStream(channel=HELP, ts=stream, markdown_text="c")["message"]["text"] == "abc"
    error, _ = refused(client.chat_appendStream, channel=HELP, ts=stream, markdown_text="d")
    assert error == "message_not_in_streaming_state"


def test_a_stream_that_expired_can_only_be_updated(client, sandbox):
    ts = sandbox.message("D0AGENT1", AGENT, "q")["ts"]
    stream = client.chat_startStream(channel="D0AGENT1", thread_ts=ts, markdown_text="half")["ts"]
    assert refused(client.chat_update, channel="D0AGENT1", ts=stream, text="x")[0] == "streaming_state_conflict"
    assert sandbox.fault(expire_streams=True)["expired"] == 1
    for call in (client.chat_appendStream, client.chat_stopStream):
        error, _ = refused(call, channel="D0AGENT1", ts=stream, markdown_text="more")
        assert error == "message_not_in_streaming_state"
    assert client.chat_update(channel="D0AGENT1", ts=stream, text="whole")["message"]["text"] == "whole"


def test_suggested_prompts_are_four_at_most_and_vanish_silently_with_a_thread(client, sandbox):
    prompts = [{"title": f"t{n}", "message": f"m{n}"} for n in range(5)]
    suggest = client.assistant_threads_setSuggestedPrompts
    assert refused(suggest, channel_id="D0AGENT1", prompts=prompts)[0] == "invalid_arguments"
    assert refused(suggest, channel_id="D0AGENT1", prompts=[{"title": "t"}])[0] == "invalid_arguments"
    ts = sandbox.message("D0AGENT1", AGENT, "q")["ts"]
    assert suggest(channel_id="D0AGENT1", thread_ts=ts, prompts=prompts[:4])["ok"]
    assert sandbox.channel(AGENT, "D0AGENT1")["prompts"] is None
    assert suggest(channel_id="D0AGENT1", title="Hello", prompts=prompts[:4])["ok"]
    assert len(sandbox.channel(AGENT, "D0AGENT1")["prompts"]["prompts"]) == 4


def test_a_status_stands_under_a_thread_until_the_app_speaks_or_takes_it_away(client, sandbox):
    ts = sandbox.message(HELP, CUSTOMER, "q")["ts"]
    status = client.assistant_threads_setStatus
    assert refused(status, channel_id=HELP, thread_ts="1.2", status="thinks")[0] == "invalid_thread_ts"
    many = ["one"] * 11
    assert refused(status, channel_id=HELP, thread_ts=ts, status="x", loading_messages=many)[0] == "invalid_arguments"
    for end in (
        lambda: status(channel_id=HELP, thread_ts=ts, status=""),
        lambda: client.chat_postMessage(channel=HELP, thread_ts=ts, text="here"),
    ):
        status(channel_id=HELP, thread_ts=ts, status="is looking it up…")
        assert sandbox.channel(CUSTOMER, HELP)["status"] == {ts: "is looking it up…"}
        end()
        assert sandbox.channel(CUSTOMER, HELP)["status"] == {}


def test_one_can_look_only_at_what_one_may_see(sandbox):
    with pytest.raises(Refused, match="U0AGENT1 cannot look at C0SUPERVISORS"):
        sandbox.context(AGENT, "C0SUPERVISORS")
    with pytest.raises(Refused, match=r"no message '1\.2' in C0HELP"):
        sandbox.context(AGENT, HELP, "1.2")


def test_a_response_url_that_was_never_given_answers_404(sandbox):
    response = WebhookClient(f"{sandbox.url}/actions/T0SANDBOX/nope").send(text="x")
    assert (response.status_code, json.loads(response.body)["error"]) == (404, "invalid_url")


def test_faults_and_the_channel_rate_are_switched_on_by_hand(client, sandbox):
    sandbox.fault(method="chat.postMessage", error="ratelimited", retry_after=7)
    with pytest.raises(SlackApiError) as caught:
        client.chat_postMessage(channel=HELP, text="x")
    assert caught.value.response.status_code == 429
    assert caught.value.response.headers["Retry-After"] == "7"
    assert client.chat_postMessage(channel=HELP, text="x")["ok"]
    sandbox.fault(channel_rate=1, burst=2)
    client.chat_postMessage(channel=HELP, text="1")
    client.chat_postMessage(channel=HELP, text="2")
    assert refused(client.chat_postMessage, channel=HELP, text="3")[0] == "ratelimited"
    assert client.chat_postMessage(channel="C0BILLING", text="another channel")["ok"]


def test_what_was_refused_is_listed_among_the_problems(client, sandbox):
    refused(client.chat_postMessage, channel=HELP, text="x", blocks=[{"type": "sectoin"}])
    (problem,) = sandbox.problems()
    assert (problem["kind"], problem["method"], problem["error"]) == ("refused", "chat.postMessage", "invalid_blocks")


def test_of_two_menus_the_one_that_has_the_value_is_used(client, sandbox):
    def menu(of):
        option = {"text": {"type": "plain_text", "text": "Shorter"}, "value": f"shorter:{of}"}
        return [{"type": "actions", "elements": [{"type": "overflow", "action_id": "rewrite", "options": [option]}]}]

    first = client.chat_postMessage(channel=HELP, text="a", blocks=menu("one"))["ts"]
    client.chat_postMessage(channel=HELP, text="b", blocks=menu("two"))
    assert sandbox.action(AGENT, "rewrite", value="shorter:one", message_ts=first)["error"] == "dispatch_failed"
    assert sandbox.action(AGENT, "rewrite", value="shorter:one")["error"] == "dispatch_failed"
    with pytest.raises(Refused, match="not with value 'shorter:three'"):
        sandbox.action(AGENT, "rewrite", value="shorter:three")


def test_wrong_input_to_the_control_api_gets_one_sentence(sandbox):
    with pytest.raises(Refused, match="U0CUSTOMER1 is not a member of C0SUPERVISORS"):
        sandbox.message("C0SUPERVISORS", CUSTOMER, "let me in")
    with pytest.raises(Refused, match="U0AGENT1 sees nothing with action_id 'accept' there"):
        sandbox.action(AGENT, "accept")
    with pytest.raises(Refused, match="U0AGENT1 has no modal 'V1' open on top"):
        sandbox.submit(AGENT, "V1", {})
    with pytest.raises(Refused, match="no /sandbox/dance"):
        sandbox.call("/sandbox/dance", {})


@pytest.mark.parametrize("header", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}])
def test_it_answers_to_loopback_names_only(sandbox, header):
    request = urllib.request.Request(f"{sandbox.url}/sandbox/users", headers=header)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=PATIENCE)
    with caught.value as error:
        assert error.code == 403
