"""Answers in direct messages and threads: streamed, whole or honestly broken off, and followed up."""

import json

import pytest
from bot_fixtures import Bot, last_ephemeral
from sandbox_fixtures import SandboxClient
from slack_sdk import WebClient

from bot.answering import QUOTED
from bot.grounding import short
from bot.streams import UNFINISHED
from data import store_answers
from data.knowledge import import_knowledge

pytest_plugins = ("bot_fixtures", "sandbox_fixtures")

CUSTOMER, AGENT = "U0CUSTOMER1", "U0AGENT1"
HELP, DIRECT = "C0HELP", "D0AGENT1"
ARTICLE = "# Reset a password\n\nOpen Settings, choose Security, press Reset password. The link lives for 30 minutes.\n"
BATTERY = "# Charge the battery\n\nUse the charger that came with the bicycle. A full charge takes four hours.\n"
LONG = " ".join(f"Step {n}: open Settings and choose Security [1]." for n in range(1, 31))
FIRST = short(LONG)
"""What is shown of it before anybody asks for more."""
BEGUN = 52
"""So many of its words begin a stream, and leave enough of FIRST for one call more before the last."""
QUESTION = "how do I reset my password?"


@pytest.fixture(scope="module", autouse=True)
def help_centre(bot_process: Bot, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("help")
    (folder / "reset.md").write_text(ARTICLE)
    (folder / "battery.md").write_text(BATTERY)
    import_knowledge(bot_process.db, [folder], audience="customer_safe", progress=False)


def posted(sandbox: SandboxClient, channel: str = HELP, user: str = AGENT) -> list[dict]:
    return [r for m in sandbox.channel(user, channel)["messages"] for r in (m, *m["replies"]) if r.get("bot_id")]


def finished(bot: Bot, thread_ts: str, *, nth: int = 1) -> dict:
    """The row of the nth question in a thread, once it is shown or failed."""
    asked = "select * from suggestions where thread_ts = ? order by created_at"

    def seen() -> dict | None:
        rows = list(bot.db.query(asked, [thread_ts]))
        return next((row for row in rows[nth - 1 : nth] if row["state"] in ("shown", "failed")), None)

    return bot.until(seen)


def streaming(bot: Bot, sandbox: SandboxClient, channel: str = HELP) -> dict:
    """The message that grows at this moment."""
    return bot.until(lambda: next((m for m in posted(sandbox, channel) if m["streaming"]), None))


def ask(sandbox: SandboxClient, text: str = QUESTION, thread_ts: str | None = None) -> str:
    return sandbox.message(HELP, CUSTOMER, f"<@U0NIGHTSHIFT> {text}", thread_ts)["ts"]


def ask_directly(
    sandbox: SandboxClient, text: str = "how do I reset my password?", thread_ts: str | None = None
) -> str:
    return sandbox.message(DIRECT, AGENT, text, thread_ts)["ts"]


def shown_markdown(message: dict) -> str:
    (block,) = [block for block in message["blocks"] if block["type"] == "markdown"]
    return block["text"]


def hold(model, answer: str = LONG, *, after: int = 60) -> None:
    model.answer, model.holds_after = (lambda messages: answer), after
    model.flowing.clear()


@pytest.mark.parametrize("channel", [HELP, DIRECT])
def test_a_long_answer_grows_while_it_is_written_and_ends_whole(bot, sandbox, model, channel):
    hold(model)
    ts = ask(sandbox) if channel == HELP else ask_directly(sandbox)
    growing = streaming(bot, sandbox, channel)
    assert growing["thread_ts"] == ts and LONG.startswith(growing["text"]) and len(growing["text"]) > 200
    model.flowing.set()
    row = finished(bot, ts)
    (answer,) = posted(sandbox, channel)
    assert (row["state"], row["draft"], answer["streaming"]) == ("shown", LONG, False)
    assert answer["ts"] == growing["ts"] and shown_markdown(answer) == FIRST
    assert "Answered by AI" in json.dumps(answer["blocks"]) and "[1] Reset a password" in json.dumps(answer["blocks"])
    assert answer["metadata"]["event_payload"] == {"suggestion_id": row["id"], "part": 0}
    assert sandbox.problems() == []


def test_a_short_answer_is_posted_by_one_call(bot, sandbox, model):
    model.answer = lambda messages: "Open Settings, then Security [1]."
    ts = ask(sandbox)
    finished(bot, ts)
    (answer,) = posted(sandbox)
    assert shown_markdown(answer) == "Open Settings, then Security [1]." and answer["streaming"] is False
    assert bot.db.execute("select count(*) from streams where suggestion_id = ?", [bot.newest()["id"]]).fetchone() == (
        0,
    )


def test_a_stream_that_slack_ended_is_replaced_by_the_whole_answer(bot, sandbox, model):
    hold(model)
    ts = ask(sandbox)
    growing = streaming(bot, sandbox)
    assert sandbox.fault(expire_streams=True)["expired"] == 1
    model.flowing.set()
    row = finished(bot, ts)
    (answer,) = posted(sandbox)
    assert row["state"] == "shown" and answer["ts"] == growing["ts"]
    assert shown_markdown(answer) == FIRST and "Answered by AI" in json.dumps(answer["blocks"])


def test_an_answer_that_repeats_itself_is_cut_also_where_more_of_it_was_shown(bot, sandbox, model):
    begins = LONG[: LONG.index(" Step 4")]
    # So long that more than one instance was given to Slack, although the last 255 characters may wait for a full call.
    again = (
        "Then press Reset password, and choose Security [1] in Settings again. The link lives for 30 minutes [1]. "
        "Choose Settings, choose Security [1] and press Reset password again."
    )
    held = len(begins.split()) + int(2.8 * len(again.split()))
    hold(model, " ".join([begins, *[again] * 30]), after=held)
    ts = ask(sandbox)
    growing = streaming(bot, sandbox)
    bot.until(lambda: len(streaming(bot, sandbox)["text"]) > len(f"{begins} {again}"))
    model.flowing.set()
    row = finished(bot, ts)
    (answer,) = posted(sandbox)
    assert answer["ts"] == growing["ts"] and answer["streaming"] is False
    assert row["draft"] == shown_markdown(answer) == f"{begins} {again}"
    assert "began to repeat itself" in json.dumps(answer["blocks"])


def test_where_slack_begins_no_stream_the_answer_is_posted(bot, sandbox, model):
    model.answer = lambda messages: LONG
    sandbox.fault(method="chat.startStream", error="unknown_method", times=9)
    ts = ask(sandbox)
    assert finished(bot, ts)["state"] == "shown"
    (answer,) = posted(sandbox)
    assert shown_markdown(answer) == FIRST


def test_a_model_that_breaks_down_leaves_no_half_answer_that_looks_whole(bot, sandbox, model):
    hold(model)
    model.cuts_after = 100
    ts = ask(sandbox)
    streaming(bot, sandbox)
    model.flowing.set()
    row = finished(bot, ts)
    (answer,) = posted(sandbox)
    assert row["state"] == "failed" and len(model.asked) == 2
    half, disowned = answer["blocks"]
    assert LONG.startswith(half["text"]) and disowned["text"] == UNFINISHED and answer["streaming"] is False


def test_a_half_answer_whose_stream_slack_ended_says_so_too(bot, sandbox, model):
    hold(model)
    model.cuts_after = 100
    ts = ask(sandbox)
    streaming(bot, sandbox)
    sandbox.fault(expire_streams=True)
    model.flowing.set()
    finished(bot, ts)
    (answer,) = posted(sandbox)
    assert [block["text"] for block in answer["blocks"]] == [UNFINISHED]


def test_a_second_try_of_the_model_goes_on_where_the_first_was_cut(bot, sandbox, model):
    tries: list[int] = []

    def answer(messages: list[dict]) -> str:
        tries.append(1)
        model.cuts_after = 100 if len(tries) == 1 else None
        return LONG

    model.answer = answer
    ts = ask(sandbox)
    assert finished(bot, ts)["state"] == "shown" and len(model.asked) == 2
    (message,) = posted(sandbox)
    assert shown_markdown(message) == FIRST


def test_a_long_answer_is_short_at_first_and_whole_with_its_passages_on_demand(bot, sandbox, model):
    whole = " ".join([LONG] * 2)
    model.answer = lambda messages: whole
    ts = ask(sandbox)
    row = finished(bot, ts)
    (answer,) = posted(sandbox)
    assert (row["state"], row["draft"], shown_markdown(answer)) == ("shown", whole, FIRST)
    assert sandbox.action(AGENT, "more", value=row["id"], channel=HELP, message_ts=answer["ts"])["ok"]
    view = sandbox.wait_for(AGENT, lambda state: state["views"])[-1]
    texts = "".join(block["text"]["text"] for block in view["blocks"] if block["type"] == "section")
    assert texts.count("Step 30: open Settings") == 2 and "press Reset password. The link lives" in texts
    assert sandbox.problems() == []


def test_what_readers_open_is_remembered_once_and_without_who_it_was(bot, sandbox, model):
    bot.db.execute("update documents set url = 'https://help.example/a b|c' where source like '%reset.md'")
    model.answer = lambda messages: "Open Settings, choose Security, press Reset password [1]."
    ts = ask(sandbox)
    row = finished(bot, ts)
    openings = "select chunk_id from source_openings where suggestion_id = ? order by 1"
    (message,) = [m for m in posted(sandbox) if m.get("thread_ts") == ts]
    for user in (AGENT, CUSTOMER):
        assert sandbox.action(user, "more", value=row["id"], channel=HELP, message_ts=message["ts"])["ok"]
        view = sandbox.wait_for(user, lambda state: state["views"])[-1]
    assert bot.db.execute(openings, [row["id"]]).fetchall() == [(0,)]
    (button,) = [e for b in view["blocks"] if b["type"] == "actions" for e in b["elements"]]
    assert button["url"] == "https://help.example/a%20b%7Cc"
    assert sandbox.action(CUSTOMER, "read_article", view_id=view["id"])["ok"]
    chunk_id = bot.until(lambda: bot.db.execute(openings, [row["id"]]).fetchall()[1:])[0][0]
    assert "Reset password" in bot.db.execute("select text from chunks where id = ?", [chunk_id]).fetchone()[0]
    assert sandbox.problems() == []


def test_a_rate_limit_in_mid_stream_is_waited_out(bot, sandbox, model):
    hold(model, after=BEGUN)
    sandbox.fault(method="chat.appendStream", error="ratelimited", retry_after=1)
    ts = ask(sandbox)
    streaming(bot, sandbox)
    model.holds_after = 200
    bot.until(sandbox.problems)
    model.flowing.set()
    assert finished(bot, ts)["state"] == "shown"
    (answer,) = posted(sandbox)
    assert shown_markdown(answer) == FIRST and [p["error"] for p in sandbox.problems()] == ["ratelimited"]


@pytest.mark.parametrize("breaks", [False, True])
def test_a_half_answer_that_somebody_deleted_is_posted_anew_or_left_away(bot, sandbox, model, breaks):
    hold(model)
    model.cuts_after = 100 if breaks else None
    ts = ask(sandbox)
    growing = streaming(bot, sandbox)
    WebClient("xoxb-sandbox", base_url=sandbox.environment["SLACK_API_URL"]).chat_delete(channel=HELP, ts=growing["ts"])
    model.flowing.set()
    assert finished(bot, ts)["state"] == ("failed" if breaks else "shown")
    assert [shown_markdown(answer) for answer in posted(sandbox)] == ([] if breaks else [FIRST])
    assert store_answers.open_stream(bot.db, bot.newest()["id"]) is None


def test_a_stream_shows_no_unchecked_sentence_no_false_citation_and_pings_nobody(bot, sandbox, model):
    line = "Step {}: open Settings [9]. Ask <@U0AGENT2> or <!here> [1] at [our page](https://evil.example) now."
    hold(model, " ".join(line.format(n) for n in range(1, 30)), after=300)
    ts = ask(sandbox)
    growing = streaming(bot, sandbox)["text"]
    model.flowing.set()
    row = finished(bot, ts)
    (answer,) = posted(sandbox)
    for text in (growing, shown_markdown(answer), answer["text"], row["draft"]):
        assert "Step 1: open Settings [1]." in text
        assert not any(bad in text for bad in ("<", "&lt;", "[9]", "http", "our page", "Ask"))
    assert "29 sentences were left out, because no source says so." in json.dumps(answer["blocks"])


def test_an_answer_that_no_passage_bears_out_is_replaced_by_a_quote(bot, sandbox, model):
    model.answer = lambda messages: "Write to us and we will send you a new one within 45 days [1]."
    ts = ask(sandbox)
    row = finished(bot, ts)
    (answer,) = posted(sandbox)
    assert row["draft"] == shown_markdown(answer)
    assert (
        row["draft"] == "Open Settings, choose Security, press Reset password [1]. The link lives for 30 minutes [1]."
    )
    assert QUOTED in json.dumps(answer["blocks"])


def test_what_nothing_answers_is_refused_with_the_nearest_articles_and_no_model_is_asked(bot, sandbox, model):
    ts = ask(sandbox, "which bicycle insurance covers theft abroad in winter?")
    row = finished(bot, ts)
    assert (row["state"], row["error"], model.asked) == ("failed", "I could not find this in the help centre.", [])
    told = last_ephemeral(sandbox, CUSTOMER, "could not find this")
    assert "The nearest that I have: Charge the battery" in json.dumps(told["blocks"])


def test_a_status_shows_while_the_answer_is_looked_up_and_goes_with_it(bot, sandbox, model):
    model.flowing.clear()
    ts = ask_directly(sandbox)
    bot.until(lambda: sandbox.channel(AGENT, DIRECT)["status"].get(ts) == "is looking it up…")
    model.flowing.set()
    finished(bot, ts)
    bot.until(lambda: sandbox.channel(AGENT, DIRECT)["status"] == {})


def test_a_status_goes_when_only_the_person_is_told_that_nothing_is_found(bot, sandbox, model):
    sandbox.fault(method="chat.postEphemeral", delay_s=0.5)
    ts = ask(sandbox, "zebra crossing?")
    assert finished(bot, ts)["state"] == "failed"
    assert sandbox.wait_for(CUSTOMER, lambda state: state["ephemerals"])
    assert sandbox.channel(CUSTOMER, HELP)["status"] == {} and posted(sandbox) == []


def test_a_status_goes_when_nothing_is_found_and_the_thread_says_so(bot, sandbox, model):
    ts = ask_directly(sandbox, "zebra crossing?")
    assert finished(bot, ts)["state"] == "failed"
    (told,) = bot.until(lambda: posted(sandbox, DIRECT))
    assert told["thread_ts"] == ts and "could not find this" in told["text"]
    bot.until(lambda: sandbox.channel(AGENT, DIRECT)["status"] == {})


@pytest.mark.parametrize("channel", [HELP, DIRECT])
def test_a_follow_up_is_read_with_what_was_said_before(bot, sandbox, model, channel):
    asks = ask if channel == HELP else ask_directly
    model.answer = lambda messages: "Open Settings, then Security [1]."
    ts = asks(sandbox)
    finished(bot, ts)
    asks(sandbox, "and how long does the link live?", ts)
    second = finished(bot, ts, nth=2)
    content = model.asked[-1]["messages"][-1]["content"]
    assert content.endswith(
        "Earlier in this thread:\nCustomer: how do I reset my password?\nAgent: Open Settings, then Security [1].\n\n"
        "Question: and how long does the link live?"
    )
    assert second["thread_ts"] == ts and len(posted(sandbox, channel)) == 2
    assert model.refusals == []


def test_a_follow_up_without_a_telling_word_is_about_what_was_asked_before(bot, sandbox, model):
    ts = ask(sandbox)
    finished(bot, ts)
    ask(sandbox, "why?", ts)
    assert finished(bot, ts, nth=2)["state"] == "shown"
    assert "Reset a password" in model.asked[-1]["messages"][-1]["content"]


def test_another_thread_and_a_private_answer_are_no_part_of_a_follow_up(bot, sandbox, model):
    sandbox.command(HELP, AGENT, "/ask", "how long does a battery charge?")
    other = ask(sandbox, "how do I charge the battery?")
    finished(bot, other)
    ts = ask(sandbox)
    finished(bot, ts)
    assert "Earlier in this thread" not in model.asked[-1]["messages"][-1]["content"]


def test_a_long_thread_leaves_room_for_the_passages(bot, sandbox, model):
    model.answer = lambda messages: " ".join(f"Step {n}: press Reset password." for n in range(100))
    ts = ask(sandbox)
    finished(bot, ts)
    ask(sandbox, "and the security settings?", ts)
    finished(bot, ts, nth=2)
    content = model.asked[-1]["messages"][-1]["content"]
    assert "[1] Reset a password" in content and "how do I reset" not in content
    assert model.refusals == []
