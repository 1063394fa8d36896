"""Save as knowledge: messages, answers and canvases become articles, and are brought up to date when saved again."""

import json

import pytest
from bot_fixtures import Bot, last_ephemeral
from sandbox_fixtures import SandboxClient

from data import store, store_knowledge
from data.articles import Article, put_article
from data.search import search

pytest_plugins = ("bot_fixtures", "sandbox_fixtures")

CUSTOMER, AGENT, SUPERVISOR, ADMIN = "U0CUSTOMER1", "U0AGENT1", "U0SUPER1", "U0ADMIN1"
HELP = "C0HELP"


@pytest.fixture(autouse=True)
def nothing_saved(bot: Bot) -> None:
    """The store of a module's tests is one."""
    for table in ("documents", "decisions", "suggestion_sources", "suggestions"):
        bot.db.execute(f"delete from {table}")


def form(sandbox: SandboxClient, user: str, channel: str, ts: str) -> dict:
    """The form that the shortcut on a message opens."""
    assert sandbox.shortcut(channel, user, ts, "save_as_knowledge")["ok"]
    return sandbox.wait_for(user, lambda state: state["views"] and state["views"][-1])


def filled(view: dict) -> dict[str, str]:
    """What a form shows before anybody has touched it."""
    fields = {b["block_id"]: b["element"] for b in view["blocks"] if b["type"] == "input"}
    chosen = {block: e.get("initial_option", {}).get("value") or e.get("initial_date") for block, e in fields.items()}
    return {block: e.get("initial_value", "") or chosen[block] or "" for block, e in fields.items()}


def save(sandbox: SandboxClient, user: str, view: dict, **values: str | None) -> dict:
    return sandbox.submit(user, view["id"], {block: {"value": value} for block, value in values.items()})


def sources(bot: Bot) -> list[store.Source]:
    found = (row[0] for row in bot.db.execute("select source from documents order by imported_at").fetchall())
    return [source for name in found if (source := store.source(bot.db, name))]


def test_a_message_becomes_an_article_that_the_next_search_finds(bot, sandbox, model):
    ts = sandbox.message(HELP, AGENT, "The *yellow* key opens\n• the yard\n• the cellar")["ts"]
    view = form(sandbox, AGENT, HELP, ts)
    assert filled(view)["text"].startswith("The **yellow** key opens") and filled(view)["audience"] == "internal"
    assert filled(view)["owner"] == "ana" and "not in the channel that it comes from" in json.dumps(view)
    assert save(sandbox, AGENT, view, title="Keys", audience="customer_safe", stale_after="2999-01-31")["ok"]
    last_ephemeral(sandbox, AGENT, "“Keys” is in the help centre")
    (found,) = search(bot.db, "yellow key", audience="customer_safe")
    (source,) = sources(bot)
    assert (found.title, source.owner, source.stale_after) == ("Keys", "ana", "2999-01-31")
    assert source.url is not None and f"/archives/{HELP}/p{ts.replace('.', '')}" in source.url
    assert sandbox.problems() == []


def test_the_same_message_saved_again_updates_its_article(bot, sandbox, model):
    ts = sandbox.message(HELP, AGENT, "The yellow key opens the yard.")["ts"]
    view = form(sandbox, AGENT, HELP, ts)
    save(sandbox, AGENT, view, title="Keys", text="The yellow key opens the yard and the cellar.", owner="Yard team")
    last_ephemeral(sandbox, AGENT, "is in the help centre")
    view = form(sandbox, SUPERVISOR, HELP, ts)
    assert (filled(view)["title"], filled(view)["owner"]) == ("Keys", "Yard team")
    # What was put right in the form is not lost to the message, which still says the old thing.
    assert filled(view)["text"] == "The yellow key opens the yard and the cellar."
    save(sandbox, SUPERVISOR, view, text="The yellow key opens nothing.")
    last_ephemeral(sandbox, SUPERVISOR, "“Keys” is up to date in the help centre")
    assert [passage.text for passage in search(bot.db, "yellow key")] == ["The yellow key opens nothing."]
    assert len(sources(bot)) == 1


def test_on_an_answered_question_it_is_the_threads_answer_with_the_question_as_its_title(bot, sandbox, model):
    ts = sandbox.message(HELP, CUSTOMER, "Which key opens the yard?")["ts"]
    sandbox.message(HELP, AGENT, "Let me look.", ts)
    answer = sandbox.message(HELP, AGENT, "The yellow one.", ts)["ts"]
    sandbox.message(HELP, CUSTOMER, "Thank you!", ts)
    for user, at in ((AGENT, ts), (SUPERVISOR, answer)):
        view = form(sandbox, user, HELP, at)
        assert (filled(view)["title"], filled(view)["text"]) == ("Which key opens the yard?", "The yellow one.")


def test_a_reply_that_was_drafted_for_an_agent_is_saved_as_it_was_written(bot, sandbox, model):
    model.answer = lambda messages: "Take the **yellow** key & go."
    ts = sandbox.message(HELP, CUSTOMER, "Which key opens the yard?")["ts"]
    sandbox.shortcut(HELP, AGENT, ts, "suggest_reply")
    row = bot.until(lambda: (r := bot.newest())["thread_ts"] == ts and r["state"] == "shown" and r)
    last_ephemeral(sandbox, AGENT, row["id"])
    sandbox.action(AGENT, "accept", value=row["id"])
    posted = bot.until(lambda: (d := store.decision(bot.db, row["id"])) and d.posted_ts)
    view = form(sandbox, SUPERVISOR, HELP, posted)
    assert filled(view)["text"] == "Take the **yellow** key & go."


def test_an_answer_that_was_kept_is_saved_by_the_button_below_it(bot, sandbox, model):
    put_article(bot.db, "test:keys", Article("Keys", "The yellow key opens the yard."))
    model.answer = lambda messages: "The yellow key opens the yard. [1]"
    sandbox.command(HELP, AGENT, "/ask", "Which key opens the yard?")
    row = bot.until(lambda: (r := bot.newest())["state"] == "shown" and r)
    last_ephemeral(sandbox, AGENT, row["id"])
    sandbox.action(AGENT, "accept", value=row["id"])
    kept = last_ephemeral(sandbox, AGENT, "save_answer")
    sandbox.action(AGENT, "save_answer", value=row["id"], channel=HELP, message_ts=kept["ts"])
    view = sandbox.wait_for(AGENT, lambda state: state["views"] and state["views"][-1])
    assert filled(view)["title"] == "Which key opens the yard?"
    assert filled(view)["text"].startswith("The yellow key opens the yard")
    assert save(sandbox, AGENT, view, text="The yellow one.")["ok"]
    bot.until(lambda: len(sources(bot)) == 2)
    assert sandbox.problems() == []


def test_a_text_longer_than_one_field_is_spread_over_several_and_comes_together_again(bot, sandbox, model):
    paragraphs = [f"Key {n} opens the door {n}. " + "It is yellow. " * 60 for n in range(8)]
    ts = sandbox.message(HELP, AGENT, "\n\n".join(paragraphs))["ts"]
    view = form(sandbox, AGENT, HELP, ts)
    assert {"text", "text_2", "text_3"} <= set(filled(view))
    assert save(sandbox, AGENT, view, title="Keys")["ok"]
    bot.until(lambda: len(sources(bot)) == 1)
    stored = store_knowledge.document_text(bot.db, sources(bot)[0].source)
    assert stored is not None and stored.split() == " ".join(paragraphs).split()


CANVAS = (
    "<html><body><h1>Keys</h1><h2>Yard</h2><p>The yellow key opens the yard.</p>"
    "<table><tr><th>Key</th><th>Door</th></tr><tr><td>red</td><td>cellar</td></tr></table></body></html>"
)


def test_a_canvas_is_read_from_slack_and_saved_again_after_it_has_changed(bot, sandbox, model):
    shared = sandbox.canvas(SUPERVISOR, "Keys", CANVAS, channel=HELP)
    view = form(sandbox, AGENT, HELP, shared["ts"])
    assert filled(view)["title"] == "Keys" and "text" not in filled(view)
    assert save(sandbox, AGENT, view, audience="customer_safe")["ok"]
    last_ephemeral(sandbox, AGENT, "“Keys” is in the help centre")
    titles = {passage.title: passage.text for passage in search(bot.db, "yellow key red cellar")}
    assert "The yellow key opens the yard." in titles["Keys / Yard"] and "| red | cellar |" in titles["Keys / Yard"]
    (source,) = sources(bot)
    assert source.url is not None and shared["file_id"] in source.url
    sandbox.canvas(SUPERVISOR, "Keys", CANVAS.replace("yellow", "green"), file_id=shared["file_id"])
    view = form(sandbox, AGENT, HELP, shared["ts"])
    assert filled(view)["audience"] == "customer_safe"
    assert save(sandbox, AGENT, view)["ok"]
    last_ephemeral(sandbox, AGENT, "“Keys” is up to date")
    assert "green key" in search(bot.db, "key opens yard")[0].text and len(sources(bot)) == 1
    assert sandbox.problems() == []


@pytest.mark.parametrize(
    ("method", "error", "says"),
    [
        ("files.info", "file_not_found", "I cannot open that canvas. Share it in a channel that I am in"),
        ("files.info", "missing_scope", "Please tell an admin to install the app again"),
        ("files.info", "service_unavailable", "Slack refused files.info (service_unavailable)"),
    ],
)
def test_a_canvas_that_slack_does_not_hand_over_is_said_in_the_form_and_nothing_is_saved(
    bot, sandbox, model, method, error, says
):
    shared = sandbox.canvas(SUPERVISOR, "Keys", CANVAS, channel=HELP)
    view = form(sandbox, AGENT, HELP, shared["ts"])
    sandbox.fault(method=method, error=error, times=1)
    assert says in json.dumps(save(sandbox, AGENT, view)["errors"])
    assert sources(bot) == []
    assert save(sandbox, AGENT, view)["ok"]


def test_a_canvas_that_is_slow_to_come_holds_up_no_ack(bot, sandbox, model):
    shared = sandbox.canvas(SUPERVISOR, "Keys", CANVAS, channel=HELP)
    view = form(sandbox, AGENT, HELP, shared["ts"])
    sandbox.fault(method="files.info", delay_s=2.5, times=1)
    answer = save(sandbox, AGENT, view)
    assert "did not hand over the canvas in time" in json.dumps(answer["errors"])


def test_a_canvas_of_a_channel_that_the_bot_is_not_in_says_how_to_go_on(bot, sandbox, model):
    shared = sandbox.canvas(SUPERVISOR, "Keys", CANVAS, channel="C0RANDOM")
    view = form(sandbox, AGENT, "C0RANDOM", shared["ts"])
    assert "Share it in a channel that I am in" in json.dumps(save(sandbox, AGENT, view)["errors"])


def test_a_message_where_the_bot_is_no_member_can_be_saved_too(bot, sandbox, model):
    ts = sandbox.message("C0RANDOM", AGENT, "The yellow key opens the yard.")["ts"]
    view = form(sandbox, AGENT, "C0RANDOM", ts)
    assert filled(view)["text"] == "The yellow key opens the yard."
    assert save(sandbox, AGENT, view, title="Keys")["ok"]
    sandbox.wait_for(AGENT, lambda state: "“Keys” is in the help centre" in json.dumps(state, ensure_ascii=False))


def test_where_people_of_another_company_are_nothing_is_saved_before_an_admin_opens_the_channel(bot, sandbox, model):
    ts = sandbox.message("C0CONNECT", AGENT, "The yellow key opens the yard.")["ts"]
    sandbox.shortcut("C0CONNECT", AGENT, ts, "save_as_knowledge")
    last_ephemeral(sandbox, AGENT, "People of another company are in this channel")
    sandbox.command("C0CONNECT", ADMIN, "/nightshift", "consent on")
    assert filled(form(sandbox, AGENT, "C0CONNECT", ts))["text"] == "The yellow key opens the yard."


def test_a_customer_saves_nothing_and_is_told_so(bot, sandbox, model):
    ts = sandbox.message(HELP, CUSTOMER, "The yellow key opens the yard.")["ts"]
    sandbox.shortcut(HELP, CUSTOMER, ts, "save_as_knowledge")
    last_ephemeral(sandbox, CUSTOMER, "Only agents, supervisors and admins write for the help centre.")
    assert sandbox.state(CUSTOMER)["views"] == []


def test_an_admin_may_save_and_a_form_without_a_title_stays_open(bot, sandbox, model):
    ts = sandbox.message(HELP, CUSTOMER, "The yellow key opens the yard.")["ts"]
    view = form(sandbox, ADMIN, HELP, ts)
    assert save(sandbox, ADMIN, view, title=" ")["errors"] == {"title": "Give it a title that says what it answers."}
    assert sources(bot) == []
