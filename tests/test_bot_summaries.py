"""/summarize with a span, sections that link to their messages, decisions and thumbs on a summary, and asking again."""

import json

import pytest
from bot_fixtures import Bot, last_ephemeral
from sandbox_fixtures import SandboxClient

from data import store

pytest_plugins = ("bot_fixtures", "sandbox_fixtures")

CUSTOMER, AGENT, OTHER_AGENT, AGENT_IN_AUCKLAND, SUPERVISOR = (
    "U0CUSTOMER1", "U0AGENT1", "U0AGENT2", "U0AGENT4", "U0SUPER1",
)  # fmt: skip
HELP = "C0HELP"
HOUR, DAY = 3600, 24 * 3600
SECTIONS = (
    "Customer wants: a refund for order 4812 & <!channel> *now*.\nDone: the warehouse was asked for a new lamp.\n"
    "Open: whether the moon is cheese.\nNext step: none"
)


def said(sandbox: SandboxClient, text: str, *, ago_s: float = 0, user: str = CUSTOMER, thread_ts: str = "") -> str:
    """Somebody wrote this so many seconds ago; its ts."""
    thread = {"thread_ts": thread_ts} if thread_ts else {}
    body = {"channel": HELP, "user": user, "text": text, "ago_s": ago_s, **thread}
    return sandbox.call("/sandbox/message", body)["ts"]


def summary_of(bot: Bot, sandbox: SandboxClient, span: str = "", user: str = AGENT) -> dict:
    """The row of what `/summarize span` made, once it is shown."""
    before = bot.newest()["id"] if bot.count("suggestions") else None
    assert sandbox.command(HELP, user, "/summarize", span)["ok"]
    row = bot.until(lambda: (r := bot.newest())["id"] != before and r["state"] in ("shown", "failed") and r)
    assert row["state"] == "shown", row["error"]
    return row


def summary_of_thread(bot: Bot, sandbox: SandboxClient, ts: str, user: str = AGENT) -> dict:
    """The row of what the shortcut made, once it is shown."""
    before = bot.newest()["id"] if bot.count("suggestions") else None
    assert sandbox.shortcut(HELP, user, ts, "summarize_thread")["ok"]
    row = bot.until(lambda: (r := bot.newest())["id"] != before and r["state"] in ("shown", "failed") and r)
    assert row["state"] == "shown", row["error"]
    return row


def transcript(model) -> list[str]:
    return model.asked[-1]["messages"][-1]["content"].split("Conversation:\n")[1].split("\n")


def shown(sandbox: SandboxClient, user: str, suggestion_id: str) -> list[str]:
    """The mrkdwn of the sections that this person sees of a suggestion."""
    message = last_ephemeral(sandbox, user, suggestion_id)
    return [block["text"]["text"] for block in message["blocks"] if block["type"] == "section"]


def edited(bot: Bot, sandbox: SandboxClient, row: dict, text: str, user: str = AGENT) -> None:
    assert sandbox.action(user, "edit", value=row["id"])["ok"]
    view = sandbox.wait_for(user, lambda state: state["views"] and state["views"][-1])
    assert sandbox.submit(user, view["id"], {"draft": {"text": text}})["ok"]
    bot.until(lambda: store.decision(bot.db, row["id"]))


# Spans


def test_a_span_of_hours_reads_those_hours_with_their_threads(bot, sandbox, model):
    said(sandbox, "Too old", ago_s=13 * HOUR)
    ts = said(sandbox, "Where is my parcel?", ago_s=11 * HOUR)
    said(sandbox, "Another matter", ago_s=HOUR)
    said(sandbox, "It is on its way", ago_s=10 * HOUR, user=AGENT, thread_ts=ts)
    said(sandbox, "Thanks", ago_s=HOUR / 2, thread_ts=ts)
    row = summary_of(bot, sandbox, "12h")
    assert transcript(model) == [
        "Customer: Where is my parcel?",
        "Agent: It is on its way",
        "Customer: Thanks",
        "Customer: Another matter",
    ]
    assert "Read: 4 messages of the last 12 h." in json.dumps(last_ephemeral(sandbox, AGENT, row["id"]))


def test_a_thread_that_began_before_the_span_is_read_with_what_was_said_in_it(bot, sandbox, model):
    old = said(sandbox, "My lamp is broken", ago_s=3 * DAY)
    said(sandbox, "Sorry to hear", ago_s=3 * DAY - 60, user=AGENT, thread_ts=old)
    said(sandbox, "And now?", ago_s=60, thread_ts=old)
    said(sandbox, "Nobody answers this", ago_s=2 * DAY)
    summary_of(bot, sandbox, "1d")
    assert transcript(model) == ["Customer: My lamp is broken", "Customer: And now?"]


def test_today_is_the_day_of_the_person_who_asks(bot, sandbox, model):
    def asked(user: str, span: str) -> list[str]:
        summary_of(bot, sandbox, span, user)
        return transcript(model)

    # Written at every full hour of two days; London's midnight is never Auckland's.
    for hours in range(50, -1, -1):
        said(sandbox, f"Message {hours}", ago_s=hours * HOUR)
    london, auckland = asked(AGENT, "today"), asked(AGENT_IN_AUCKLAND, "today")
    assert len(london) != len(auckland) and max(len(london), len(auckland)) <= 25
    assert london[-1] == auckland[-1] == "Customer: Message 0"
    yesterday = asked(AGENT, "yesterday")
    assert 23 <= len(yesterday) <= 25 and not set(yesterday) & set(london)


def test_the_last_messages_are_counted_without_their_replies(bot, sandbox, model):
    said(sandbox, "One")
    ts = said(sandbox, "Two")
    said(sandbox, "Three")
    said(sandbox, "A reply to two", user=AGENT, thread_ts=ts)
    summary_of(bot, sandbox, "last 2")
    assert transcript(model) == ["Customer: Two", "Agent: A reply to two", "Customer: Three"]


def test_a_long_span_is_read_page_by_page(bot, sandbox, model):
    for n in range(205):
        said(sandbox, f"m{n}", ago_s=300 - n)
    sandbox.fault(method="conversations.history", error="ratelimited", retry_after=1)
    row = summary_of(bot, sandbox, "1h")
    assert "Read: 205 messages" in json.dumps(last_ephemeral(sandbox, AGENT, row["id"]))
    first = next(body for body in model.asked if "Customer: m0\n" in body["messages"][-1]["content"])
    assert first["messages"][-1]["content"].startswith("Conversation:\nCustomer: m0\nCustomer: m1\n")


@pytest.mark.parametrize("typed", ["everything", "2 fortnights", "last 0", "99d"])
def test_anything_else_is_answered_with_how_to_ask(bot, sandbox, model, typed):
    before = bot.count("suggestions")
    assert sandbox.command(HELP, AGENT, "/summarize", typed)["ok"]
    last_ephemeral(sandbox, AGENT, "or add today, yesterday, 12h, 2d (up to 31d), last 100 (up to 1000) or a link")
    assert bot.count("suggestions") == before and model.asked == []


def test_an_empty_span_is_told(bot, sandbox, model):
    said(sandbox, "Too old", ago_s=3 * DAY)
    assert sandbox.command(HELP, AGENT, "/summarize", "2d")["ok"]
    last_ephemeral(sandbox, AGENT, "nothing to draft from")
    assert model.asked == []


# Sections


def lamp_thread(sandbox: SandboxClient) -> tuple[str, str]:
    """(ts of the customer's first message, ts of the agent's reply)."""
    first = said(sandbox, "Hello, order 4812 came with a broken lamp, I want a refund.")
    reply = said(sandbox, "I have asked the warehouse for a new lamp.", user=AGENT, thread_ts=first)
    return first, reply


def link_to(ts: str, thread_ts: str) -> str:
    address = f"https://nightshift-sandbox.slack.com/archives/{HELP}/p{ts.replace('.', '')}"
    return address if ts == thread_ts else f"{address}?thread_ts={thread_ts}&amp;cid={HELP}"


def test_a_summary_has_bold_headings_and_each_line_links_to_its_message(bot, sandbox, model):
    first, reply = lamp_thread(sandbox)
    model.answer = lambda messages: SECTIONS
    row = summary_of_thread(bot, sandbox, first)
    assert row["draft"] == SECTIONS
    assert shown(sandbox, AGENT, row["id"]) == [
        "*Customer wants*\n• a refund for order 4812 &amp; &lt;!channel&gt; _now_.  "
        f"<{link_to(first, first)}|→\u00a0message>",
        f"*Done*\n• the warehouse was asked for a new lamp.  <{link_to(reply, first)}|→\u00a0message>",
        "*Open*\n• whether the moon is cheese.",
        "*Next step*\n• none",
    ]
    assert sandbox.problems() == []


def test_a_summary_in_another_form_is_shown_as_it_is(bot, sandbox, model):
    first, _ = lamp_thread(sandbox)
    row = summary_of_thread(bot, sandbox, first)
    assert shown(sandbox, AGENT, row["id"]) == ["We will look into it today."]


def test_a_line_whose_message_is_gone_is_shown_without_a_link(bot, sandbox, model):
    first, _ = lamp_thread(sandbox)
    model.answer = lambda messages: SECTIONS
    sandbox.fault(method="chat.getPermalink", error="message_not_found", times=2)
    row = summary_of_thread(bot, sandbox, first)
    assert "→" not in "".join(shown(sandbox, AGENT, row["id"]))


# Decisions and thumbs


def test_an_accepted_summary_keeps_its_sections_and_links(bot, sandbox, model):
    first, _ = lamp_thread(sandbox)
    model.answer = lambda messages: SECTIONS
    row = summary_of_thread(bot, sandbox, first)
    before = shown(sandbox, AGENT, row["id"])
    button = last_ephemeral(sandbox, AGENT, row["id"])
    assert sandbox.action(AGENT, "accept", value=row["id"], message_ts=button["ts"])["ok"]
    last_ephemeral(sandbox, AGENT, "Saved, thank you.")
    assert shown(sandbox, AGENT, row["id"]) == before
    decision = store.decision(bot.db, row["id"])
    assert decision is not None and (decision.kind, decision.text, decision.posted_ts) == ("accepted", SECTIONS, None)


def test_an_edited_line_loses_its_link_and_the_others_keep_theirs(bot, sandbox, model):
    first, reply = lamp_thread(sandbox)
    model.answer = lambda messages: SECTIONS
    row = summary_of_thread(bot, sandbox, first)
    text = "Customer wants: money.\nDone: the warehouse was asked for a new lamp."
    edited(bot, sandbox, row, text)
    last_ephemeral(sandbox, AGENT, "Saved, thank you.")
    assert shown(sandbox, AGENT, row["id"]) == [
        "*Customer wants*\n• money.",
        f"*Done*\n• the warehouse was asked for a new lamp.  <{link_to(reply, first)}|→\u00a0message>",
    ]
    decision = store.decision(bot.db, row["id"])
    assert decision is not None and (decision.kind, decision.text) == ("edited", text)


def test_a_dismissed_summary_goes_away_and_one_click_says_why(bot, sandbox, model):
    first, _ = lamp_thread(sandbox)
    model.answer = lambda messages: SECTIONS
    row = summary_of_thread(bot, sandbox, first)
    button = last_ephemeral(sandbox, AGENT, row["id"])
    assert sandbox.action(AGENT, "dismiss", value=row["id"], message_ts=button["ts"])["ok"]
    asked = last_ephemeral(sandbox, AGENT, "Dismissed. What was wrong with it?")
    seen = json.dumps(sandbox.state(AGENT)["ephemerals"])
    assert "Customer wants" not in seen and "rate_up" not in seen
    assert sandbox.action(AGENT, "reason_not_needed", value=row["id"], message_ts=asked["ts"])["ok"]
    last_ephemeral(sandbox, AGENT, "Dismissed: not needed. Thank you.")
    assert row["id"] not in json.dumps(sandbox.state(AGENT)["ephemerals"])


@pytest.mark.parametrize(("user", "role"), [(AGENT, "agent"), (SUPERVISOR, "supervisor")])
def test_who_has_a_role_rates_a_summary_as_that_role_and_the_newest_thumb_counts(bot, sandbox, model, user, role):
    first, _ = lamp_thread(sandbox)
    row = summary_of_thread(bot, sandbox, first, user)
    for action in ("rate_up", "rate_up", "rate_down"):
        assert sandbox.action(user, action, value=row["id"])["ok"]
    sandbox.wait_for(user, lambda state: "👎 is stored" in json.dumps(state["views"], ensure_ascii=False))
    (rating,) = store.ratings(bot.db, row["id"])
    assert (rating.user_id, rating.role, rating.value) == (user, role, -1)


def test_a_kept_summary_can_still_be_rated(bot, sandbox, model):
    first, _ = lamp_thread(sandbox)
    row = summary_of_thread(bot, sandbox, first)
    button = last_ephemeral(sandbox, AGENT, row["id"])
    sandbox.action(AGENT, "accept", value=row["id"], message_ts=button["ts"])
    saved = last_ephemeral(sandbox, AGENT, "Saved, thank you.")
    actions = [e["action_id"] for block in saved["blocks"] if block["type"] == "actions" for e in block["elements"]]
    assert actions == ["rate_up", "rate_down"]
    assert sandbox.action(AGENT, "rate_up", value=row["id"], message_ts=saved["ts"])["ok"]
    bot.until(lambda: [r.value for r in store.ratings(bot.db, row["id"])] == [1])


def test_a_customer_who_asks_sees_no_buttons(bot, sandbox, model):
    first, _ = lamp_thread(sandbox)
    summary_of_thread(bot, sandbox, first, CUSTOMER)
    seen = last_ephemeral(sandbox, CUSTOMER, "We will look into it today.")
    assert all(block["type"] != "actions" for block in seen["blocks"])


# Asking again


def test_asking_again_goes_on_from_the_agents_edit_with_the_new_messages_alone(bot, sandbox, model):
    first, _ = lamp_thread(sandbox)
    row = summary_of_thread(bot, sandbox, first)
    edited(bot, sandbox, row, "Customer wants: a refund, as Ana wrote it.\nDone: nothing.")
    said(sandbox, "It has arrived, thanks!", thread_ts=first)
    model.answer = lambda messages: "Customer wants: a refund, as Ana wrote it.\nDone: it arrived."
    again = summary_of_thread(bot, sandbox, first, OTHER_AGENT)
    asked = model.asked[-1]["messages"]
    assert json.loads(again["messages"]) == asked
    assert asked[0]["content"].startswith("Bring this summary of a support thread up to date")
    assert asked[-1]["content"] == (
        "Summary so far:\nCustomer wants: a refund, as Ana wrote it.\nDone: nothing.\n\n"
        "Conversation:\nCustomer: It has arrived, thanks!"
    )
    last_ephemeral(sandbox, OTHER_AGENT, "This goes on from the summary that ana kept, with 1 new message.")
    (source,) = bot.db.query("select pair_id from suggestion_sources where suggestion_id = ?", [again["id"]])
    assert source["pair_id"] == row["id"]


def test_when_nothing_new_was_said_the_kept_text_is_shown_and_the_model_not_asked(bot, sandbox, model):
    first, _ = lamp_thread(sandbox)
    row = summary_of_thread(bot, sandbox, first)
    edited(bot, sandbox, row, "Customer wants: a refund.\nDone: nothing.")
    asked = len(model.asked)
    again = summary_of_thread(bot, sandbox, first, OTHER_AGENT)
    assert len(model.asked) == asked
    assert again["draft"] == "Customer wants: a refund.\nDone: nothing."
    assert again["messages"] is None
    last_ephemeral(sandbox, OTHER_AGENT, "Nothing new was said since: this is the summary that ana kept.")
    # It was learned from once; kept again, it is no second pair.
    sandbox.command(HELP, "U0ADMIN1", "/nightshift", "consent on")
    sandbox.action(OTHER_AGENT, "accept", value=again["id"])
    bot.until(lambda: store.decision(bot.db, again["id"]))
    assert again["id"] not in [pair.id for pair in store.training_pairs(bot.db)]


def test_a_kept_text_that_is_edited_again_is_the_one_that_is_kept(bot, sandbox, model):
    first, _ = lamp_thread(sandbox)
    edited(bot, sandbox, summary_of_thread(bot, sandbox, first), "Customer wants: one.\nDone: one.")
    edited(bot, sandbox, summary_of_thread(bot, sandbox, first), "Customer wants: two.\nDone: two.")
    assert summary_of_thread(bot, sandbox, first)["draft"] == "Customer wants: two.\nDone: two."


def test_a_dismissed_or_undecided_summary_is_not_gone_on_from(bot, sandbox, model):
    first, _ = lamp_thread(sandbox)
    row = summary_of_thread(bot, sandbox, first)
    summary_of_thread(bot, sandbox, first)
    assert "Summary so far" not in model.asked[-1]["messages"][-1]["content"]
    sandbox.action(AGENT, "dismiss", value=row["id"])
    bot.until(lambda: store.decision(bot.db, row["id"]))
    summary_of_thread(bot, sandbox, first)
    assert "Summary so far" not in model.asked[-1]["messages"][-1]["content"]


def test_a_customer_does_not_get_to_read_what_an_agent_wrote(bot, sandbox, model):
    first, _ = lamp_thread(sandbox)
    row = summary_of_thread(bot, sandbox, first)
    edited(bot, sandbox, row, "Customer wants: to annoy us.")
    again = summary_of_thread(bot, sandbox, first, CUSTOMER)
    assert again["draft"] == "We will look into it today."
    assert "annoy" not in json.dumps(model.asked[-1])


def test_a_channels_summary_is_gone_on_from_by_the_same_span(bot, sandbox, model):
    said(sandbox, "First", ago_s=100)
    row = summary_of(bot, sandbox, "2d")
    edited(bot, sandbox, row, "Customer wants: kept.\nDone: kept.")
    said(sandbox, "Second")
    again = summary_of(bot, sandbox, "last 2 days")
    assert transcript(model) == ["Customer: Second"]
    assert "Done: kept." in model.asked[-1]["messages"][-1]["content"]
    # What one learns from stands in the other's prompt: both are held out, or neither.
    assert again["thread_id"] == row["thread_id"]
    summary_of(bot, sandbox, "12h")
    assert transcript(model) == ["Customer: First", "Customer: Second"]


def test_a_summary_of_messages_before_the_span_is_not_gone_on_from(bot, sandbox, model):
    said(sandbox, "One")
    row = summary_of(bot, sandbox, "last 1")
    edited(bot, sandbox, row, "Customer wants: kept.\nDone: kept.")
    said(sandbox, "Two")
    said(sandbox, "Three")
    summary_of(bot, sandbox, "last 1")
    assert transcript(model) == ["Customer: Three"]
    assert "Done: kept." not in model.asked[-1]["messages"][-1]["content"]
