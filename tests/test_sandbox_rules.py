"""The sandbox refuses the blocks and views that Slack refuses, through the real slack_sdk over real HTTP."""

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

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


TYPED = {"type": "plain_text_input"}


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ([TYPED | {"max_length": 5, "initial_value": "Hello!"}], "must be less than 6 characters"),
        ([TYPED | {"min_length": 6, "max_length": 5}], "`min_length` must not exceed `max_length`"),
        ([TYPED | {"focus_on_load": True}] * 2, "only one element may have `focus_on_load`"),
    ],
)
def test_a_field_is_refused_that_nobody_could_send(client, fields, complaint):
    blocks = [picked(field) | {"block_id": f"p{number}"} for number, field in enumerate(fields)]
    error, messages = refused(client.views_publish, user_id=AGENT, view={"type": "home", "blocks": blocks})
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
