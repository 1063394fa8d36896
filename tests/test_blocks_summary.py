"""A summary's blocks: within Slack's limits, bold headings, links, no word lost and nobody pinged."""

import json
import re

import pytest

from bot import blocks
from bot.blocks_summary import summary_messages
from bot.sandbox import rules
from bot.slack import plain
from data.models import Suggestion

LINK = "https://t.slack.com/archives/C1/p1700000001000100?thread_ts=1700000000.000100&cid=C1"
SHORT = "Customer wants: a refund\nDone: asked\nOpen: the amount\nNext step: call"
TEXTS = [
    SHORT,
    "Customer wants: <!channel> <@U1> & <b>\nDone: see <https://evil.example|https://bank.example>\nOpen: *x* _y_",
    "Customer wants: " + "&" * 2999 + "\nDone: x",
    "Customer wants: " + "x" * 40_000 + "\nDone: " + "🙂" * 3000,
    "Customer wants:\n" + "- a line\n" * 900 + "Done: all",
    "".join(f"Customer wants: case {n}\nDone: nothing\n" for n in range(200)),
    "Before\nOpen:\nDone:\n",
]
SUGGESTION = Suggestion(
    id="5" * 32,
    request_key="k",
    task="summary",
    team_id="T1",
    channel_id="C1",
    thread_ts=None,
    thread_id="T1/C1/x",
    requested_by="U1",
    request={"kind": "command"},
    state="drafted",
    messages=[],
    draft=SHORT,
    base="b",
    adapter="base",
    error=None,
    created_at="2026-11-24T00:00:00.000000+00:00",
    shown_at=None,
)


class LinksEverywhere(dict):
    """Every line has the longest link that a message of a thread has."""

    def get(self, key: str, default: object = None) -> str:
        return LINK


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("links", [{}, LinksEverywhere()], ids=["bare", "linked"])
def test_every_message_is_one_that_slack_takes(text, links):
    body = summary_messages(text, links, links)
    remarks = ["Read: 4 messages.", "Also open: " + "x" * 5000]
    for top, made in blocks.draft_messages(SUGGESTION, body=body, remarks=remarks):
        rules.check_blocks(json.loads(json.dumps(made)))
        assert 0 < blocks.size(top) <= blocks.MESSAGE_LIMIT


@pytest.mark.parametrize("text", TEXTS)
def test_no_word_is_lost_and_nobody_is_pinged(text):
    sections = [b["text"] for _, made in summary_messages(text, {}, {}) for b in made]
    shown = "".join(plain(section["text"]) for section in sections)
    bare = re.compile(r"[\s•*:-]|https|//")
    assert bare.sub("", shown) == bare.sub("", text)
    for section in sections:
        assert section["verbatim"] is True
        assert not any(mark in section["text"] for mark in ("<@", "<!", "<#"))


def test_a_line_says_whose_it_is_and_links_to_its_message_and_the_others_do_not():
    ((_, made),) = summary_messages(SHORT, {"asked": LINK}, {"asked": "Ana_B & _Co"})
    assert [block["text"]["text"] for block in made] == [
        "*Customer wants*\n• a refund",
        "*Done*\n• asked  (kept from Ana_B &amp; _Co's edit)  <https://t.slack.com/archives/C1/p17000000010001"
        "00?thread_ts=1700000000.000100&amp;cid=C1|→\u00a0message>",
        "*Open*\n• the amount",
        "*Next step*\n• call",
    ]


def test_a_heading_without_lines_says_so():
    ((_, made),) = summary_messages("Customer wants: help\nOpen:", {}, {})
    assert made[-1]["text"]["text"] == "*Open*\n-"


def test_a_text_in_another_form_has_no_blocks_of_its_own():
    assert summary_messages("We will look into it today.", {}, {}) == []


def test_a_summary_has_thumbs_beside_its_decision_and_a_reply_has_none():
    def actions(task: str) -> list[str]:
        suggestion = Suggestion(**(vars(SUGGESTION) | {"task": task}))
        *_, (_, made) = blocks.draft_messages(suggestion)
        return [e["action_id"] for block in made if block["type"] == "actions" for e in block["elements"]]

    *_, (_, made) = blocks.draft_messages(SUGGESTION)
    labels = [e["text"]["text"] for block in made if block["type"] == "actions" for e in block["elements"]]
    assert labels == ["Keep it", "Edit", "Dismiss", "👍 Good", "👎 Bad"] and blocks.KEEPING in json.dumps(
        made, ensure_ascii=False
    )
    assert actions("summary") == ["accept", "edit", "dismiss", "rate_up", "rate_down"]
    assert actions("reply") == ["accept", "edit", "dismiss", "why", "rewrite"]
