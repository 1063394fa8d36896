"""The sandbox refuses what Slack refuses, through the real slack_sdk over real HTTP."""

import json
import urllib.error
import urllib.request

import pytest
from sandbox_fixtures import Refused
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.webhook import WebhookClient

pytest_plugins = ["sandbox_fixtures"]

HELP, RANDOM, AGENT, CUSTOMER = "C0HELP", "C0RANDOM", "U0AGENT1", "U0CUSTOMER1"


@pytest.fixture
def client(sandbox):
    return WebClient("xoxb-sandbox", base_url=sandbox.environment["SLACK_API_URL"])


def refused(call, *args, **kwargs):
    """The error and the complaints with which Slack refuses this call."""
    with pytest.raises(SlackApiError) as caught:
        call(*args, **kwargs)
    response = caught.value.response
    return response["error"], response.get("response_metadata", {}).get("messages", [])


def plain(text):
    return {"type": "plain_text", "text": text}


def mrkdwn(text):
    return {"type": "mrkdwn", "text": text}


def section(text="hi", **more):
    return {"type": "section", "text": mrkdwn(text), **more}


def button(action_id="a", text="Go", **more):
    return {"type": "button", "action_id": action_id, "text": plain(text), **more}


def actions(*elements, **more):
    return {"type": "actions", "elements": list(elements), **more}


OPTION = {"text": plain("One"), "value": "one"}


def modal(*blocks, **more):
    return {"type": "modal", "title": plain("T"), "submit": plain("Send"), "blocks": list(blocks), **more}


def text_input(**more):
    element = {"type": "plain_text_input", "action_id": "text", **more}
    return {"type": "input", "block_id": "draft", "label": plain("Draft"), "element": element}


BAD_BLOCKS = {
    "an unknown block type": ([{"type": "sectoin"}], "unsupported type: sectoin [json-pointer:/blocks/0/type]"),
    "a block without a type": ([{}], "missing required field: type [json-pointer:/blocks/0]"),
    "51 blocks": ([{"type": "divider"}] * 51, "no more than 50 items allowed [json-pointer:/blocks]"),
    "3,001 characters": ([section("x" * 3001)], "must be less than 3001 characters [json-pointer:/blocks/0/text/text]"),
    "an empty text": ([section("")], "must be more than 0 characters [json-pointer:/blocks/0/text/text]"),
    "a bare section": ([{"type": "section"}], "must define either `text` or `fields` [json-pointer:/blocks/0]"),
    "an unknown field": ([section(colour="red")], "invalid additional property: colour [json-pointer:/blocks/0]"),
    "mrkdwn in a header": (
        [{"type": "header", "text": mrkdwn("x")}],
        "unsupported type: mrkdwn [json-pointer:/blocks/0/text/type]",
    ),
    "a header of 151": (
        [{"type": "header", "text": plain("x" * 151)}],
        "must be less than 151 characters [json-pointer:/blocks/0/text/text]",
    ),
    "11 context elements": (
        [{"type": "context", "elements": [mrkdwn("x")] * 11}],
        "no more than 10 items allowed [json-pointer:/blocks/0/elements]",
    ),
    "26 buttons": (
        [actions(*(button(str(n)) for n in range(26)))],
        "no more than 25 items allowed [json-pointer:/blocks/0/elements]",
    ),
    "11 fields": (
        [{"type": "section", "fields": [mrkdwn("x")] * 11}],
        "no more than 10 items allowed [json-pointer:/blocks/0/fields]",
    ),
    "a button text of 76": (
        [actions(button(text="x" * 76))],
        "must be less than 76 characters [json-pointer:/blocks/0/elements/0/text/text]",
    ),
    "a button value of 2,001": (
        [actions(button(value="x" * 2001))],
        "must be less than 2001 characters [json-pointer:/blocks/0/elements/0/value]",
    ),
    "an action_id of 256": (
        [actions(button("x" * 256))],
        "must be less than 256 characters [json-pointer:/blocks/0/elements/0/action_id]",
    ),
    "a button of an unknown style": (
        [actions(button(style="blue"))],
        "must be a valid enum value: primary, danger [json-pointer:/blocks/0/elements/0/style]",
    ),
    "an input element among actions": (
        [actions({"type": "plain_text_input", "action_id": "a"})],
        "unsupported type: plain_text_input [json-pointer:/blocks/0/elements/0/type]",
    ),
    "a block_id twice": (
        [section(block_id="b"), section(block_id="b")],
        "`block_id` b already exists [json-pointer:/blocks/1/block_id]",
    ),
    "an action_id twice in a block": (
        [actions(button("a"), button("a"), block_id="b")],
        "`action_id` a already exists for `block_id` b [json-pointer:/blocks/0]",
    ),
    "six feedback buttons": (
        [{"type": "context_actions", "elements": [
            {"type": "icon_button", "icon": "trash", "text": plain("x"), "action_id": str(n)} for n in range(6)]}],
        "no more than 5 items allowed [json-pointer:/blocks/0/elements]",
    ),
    "markdown of 12,001": (
        [{"type": "markdown", "text": "x" * 12_001}],
        "must be less than 12001 characters [json-pointer:/blocks/0/text]",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_BLOCKS)
def test_a_message_is_refused_for(client, name):
    blocks, complaint = BAD_BLOCKS[name]
    error, messages = refused(client.chat_postMessage, channel=HELP, text="x", blocks=blocks)
    assert error == "invalid_blocks"
    assert messages == [f"[ERROR] {complaint}"]


def test_the_same_action_id_may_stand_in_two_blocks(client):
    assert client.chat_postMessage(channel=HELP, text="x", blocks=[actions(button()), actions(button())])["ok"]


def test_a_message_needs_a_text_of_a_length_slack_takes(client):
    # api_call, since the SDK's own method warns before anything is sent.
    assert refused(client.api_call, "chat.postMessage", json={"channel": HELP, "text": " "})[0] == "no_text"
    assert refused(client.chat_postMessage, channel=HELP, text="x" * 40_001)[0] == "msg_too_long"
    long = [section("x" * 2900, block_id=str(n)) for n in range(5)]
    assert refused(client.chat_postMessage, channel=HELP, text="x", blocks=long)[0] == "msg_blocks_too_long"
    assert refused(client.chat_postMessage, channel=HELP, text="x", blocks="[{")[0] == "invalid_blocks_format"


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


BAD_VIEWS = {
    "a title of 25": (modal(section(), title=plain("x" * 25)), "must be less than 25 characters"),
    "101 blocks": (modal(*[{"type": "divider"}] * 101), "no more than 100 items allowed"),
    "private_metadata of 3,001": (modal(section(), private_metadata="x" * 3001), "must be less than 3001 characters"),
    "a callback_id of 256": (modal(section(), callback_id="x" * 256), "must be less than 256 characters"),
    "an initial value of 3,001": (modal(text_input(initial_value="x" * 3001)), "must be less than 3001 characters"),
    "a markdown block": (modal({"type": "markdown", "text": "x"}), "unsupported type: markdown"),
    "an input without submit": (
        {"type": "modal", "title": plain("T"), "blocks": [text_input()]},
        "missing required field: submit",
    ),
}


@pytest.mark.parametrize("name", BAD_VIEWS)
def test_a_modal_is_refused_for(client, name):
    view, complaint = BAD_VIEWS[name]
    error, messages = refused(client.views_open, trigger_id="1.2.3", view=view)
    assert error == "invalid_arguments"
    assert any(complaint in message for message in messages)


def test_a_trigger_id_that_was_never_given_is_invalid(client):
    assert refused(client.views_open, trigger_id="1.2.3", view=modal(section()))[0] == "invalid_trigger_id"


def picked(element):
    return {"type": "input", "block_id": "p", "label": plain("Pick"), "element": {"action_id": "a", **element}}


@pytest.mark.parametrize(
    ("element", "complaint"),
    [
        ({"type": "timepicker", "initial_time": "25:00"}, "must be a valid time in the form HH:mm"),
        (
            {"type": "static_select", "options": [OPTION], "initial_option": {**OPTION, "value": "other"}},
            "initial option must match one of the options",
        ),
        (
            {"type": "checkboxes", "options": [OPTION], "initial_options": [{**OPTION, "value": "other"}]},
            "initial option must match one of the options",
        ),
    ],
)
def test_what_is_chosen_from_the_start_must_be_there_to_choose(client, element, complaint):
    error, messages = refused(client.views_publish, user_id=AGENT, view={"type": "home", "blocks": [picked(element)]})
    assert error == "invalid_arguments" and any(complaint in message for message in messages)


def test_a_home_tab_takes_100_blocks_and_none_that_belong_to_messages(client):
    def publish(*blocks):
        return client.views_publish(user_id=AGENT, view={"type": "home", "blocks": list(blocks)})

    assert publish(*[section()] * 100)["ok"]
    assert refused(publish, *[section()] * 101)[0] == "invalid_arguments"
    thumb = {"text": plain("Good"), "value": "up"}
    feedback = {"type": "feedback_buttons", "positive_button": thumb, "negative_button": thumb}
    _, messages = refused(publish, {"type": "context_actions", "elements": [feedback]})
    assert "[ERROR] unsupported type: context_actions [json-pointer:/view/blocks/0/type]" in messages


def test_home_tabs_are_published_per_person(client, sandbox):
    client.views_publish(user_id=AGENT, view={"type": "home", "blocks": [section("your drafts")]})
    assert sandbox.state(AGENT)["home"]["blocks"][0]["text"]["text"] == "your drafts"
    assert sandbox.state("U0AGENT2")["home"] is None


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
        urllib.request.urlopen(request, timeout=10)
    with caught.value as error:
        assert error.code == 403
