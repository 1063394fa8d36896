"""Who may read a source: customers and guests get nothing that stands in internal ones, nor other customers' words."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from bot_fixtures import Bot, last_ephemeral
from sandbox_fixtures import SandboxClient
from test_bot_answers import finished, posted

from data import store
from data.__main__ import main
from data.history import import_history
from data.knowledge import import_knowledge
from data.search import customers_read, search
from data.store_knowledge import all_are_internal

pytest_plugins = ("bot_fixtures", "sandbox_fixtures")

AGENT, CUSTOMER, OUTSIDER, GUEST, ADMIN = "U0AGENT1", "U0CUSTOMER1", "U0CUSTOMER4", "U0CUSTOMER5", "U0ADMIN1"
HELP, CONNECT = "C0HELP", "C0CONNECT"
QUESTION = "how do I get a refund?"


def write(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


def test_a_source_is_internal_until_it_is_imported_as_customer_safe_and_stays_as_it_was_marked(db, tmp_path):
    file = write(tmp_path / "help", "refund.md", "# Refunds\n\nA refund takes five days.")
    import_knowledge(db, [file])
    assert search(db, "refund", audience="customer_safe") == [] and search(db, "refund")
    assert import_knowledge(db, [file], audience="customer_safe").changed == 1
    assert import_knowledge(db, [file], audience="customer_safe").unchanged == 1
    file.write_text("# Refunds\n\nA refund takes six days.")
    import_knowledge(db, [file])
    assert "six" in search(db, "refund", audience="customer_safe")[0].text
    import_knowledge(db, [file], audience="internal")
    assert search(db, "refund", audience="customer_safe") == []


def test_internal_passages_take_no_place_from_customer_safe_ones(db, tmp_path):
    for n in range(30):
        import_knowledge(db, [write(tmp_path / "in", f"{n}.md", f"# Refund refund {n}\n\nRefund refund refund.")])
    safe = write(tmp_path / "out", "safe.md", "# Money\n\nAmong much else there is a word on the refund here.")
    import_knowledge(db, [safe], audience="customer_safe")
    assert [p.title for p in search(db, "refund", audience="customer_safe", limit=2)] == ["Money"]
    assert [p.title for p in search(db, "refund", history="refund", audience="customer_safe", limit=2)] == ["Money"]


def test_drafts_for_customers_stand_on_customer_safe_sources_once_there_are_any_also_in_imported_history(db, tmp_path):
    inside = write(tmp_path / "in", "rules.md", "# Refund rules\n\nOffer a refund of at most 50 euros.")
    assert not all_are_internal(db)
    import_knowledge(db, [inside])
    assert customers_read(db) == "internal" and all_are_internal(db)
    history = tmp_path / "history.jsonl"
    turns = [{"role": "customer", "text": QUESTION}, {"role": "agent", "text": "Five days."}]
    history.write_text(json.dumps({"id": "1", "turns": turns}))
    import_history(db, history)
    outside = write(tmp_path / "out", "refunds.md", "# Refunds\n\nA refund takes five days.")
    import_knowledge(db, [outside], audience="customer_safe")
    assert customers_read(db) == "customer_safe" and not all_are_internal(db)
    history.write_text(json.dumps({"id": "2", "turns": turns}))
    import_history(db, history)
    before, after = (pair.messages[-1]["content"] for pair in store.training_pairs(db))
    assert "50 euros" in before and "50 euros" not in after and "five days" in after


def test_the_command_takes_an_audience_and_stats_count_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DATABASE_PATH", str(tmp_path / "nightshift.db"))
    file = write(tmp_path / "help", "refund.md", "# Refunds\n\nA refund takes five days.")
    assert main(["migrate"]) == 0
    assert main(["import-knowledge", "--audience", "customer_safe", str(file)]) == 0
    capsys.readouterr()
    assert main(["stats", "--json"]) == 0
    counts = json.loads(capsys.readouterr().out)
    assert (counts["documents"], counts["customer_safe_documents"]) == (1, 1)


@pytest.fixture(scope="module", autouse=True)
def help_centre(bot_process: Bot, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Both kinds of sources, and a reply that another channel's customer got."""
    folder = tmp_path_factory.mktemp("help")
    inside = write(folder / "in", "rules.md", "# Refund rules\n\nOffer a refund of at most 50 euros.")
    outside = write(folder / "out", "refunds.md", "# Refunds\n\nA refund takes five days.")
    import_knowledge(bot_process.db, [inside])
    import_knowledge(bot_process.db, [outside], audience="customer_safe")
    history = folder / "history.jsonl"
    lines = [
        {"id": f"old-{n}", "turns": [{"role": "customer", "text": QUESTION}, {"role": "agent", "text": "Dear Deniz"}]}
        for n in range(8)
    ]
    history.write_text("\n".join(json.dumps(line) for line in lines))
    import_history(bot_process.db, history)


def open_connect(sandbox: SandboxClient) -> None:
    sandbox.command(CONNECT, ADMIN, "/nightshift", "consent on")
    last_ephemeral(sandbox, ADMIN, "From now on I learn")


def draft_prompt(bot: Bot, sandbox: SandboxClient, channel: str, customer: str) -> str:
    """The whole prompt of a reply to a customer's question there."""
    ts = sandbox.message(channel, customer, QUESTION)["ts"]
    assert sandbox.shortcut(channel, AGENT, ts, "suggest_reply")["ok"]
    row = finished(bot, ts)
    assert row["state"] == "shown", row["error"]
    return row["messages"]


def test_a_reply_in_a_shared_channel_has_customer_safe_passages_and_no_other_customers_words(bot, sandbox, model):
    open_connect(sandbox)
    prompt = draft_prompt(bot, sandbox, CONNECT, OUTSIDER)
    assert "five days" in prompt and "50 euros" not in prompt and "Deniz" not in prompt
    prompt = draft_prompt(bot, sandbox, HELP, CUSTOMER)
    assert "five days" in prompt and "50 euros" not in prompt and "Deniz" in prompt


def test_what_was_sent_in_a_shared_channel_is_an_example_there(bot, sandbox, model):
    open_connect(sandbox)
    # Threads are held out by a hash: of eight, one at least is not.
    for n in range(8):
        ts = sandbox.message(CONNECT, OUTSIDER, QUESTION)["ts"]
        sandbox.shortcut(CONNECT, AGENT, ts, "suggest_reply")
        row = finished(bot, ts)
        model.answer = lambda messages, n=n: f"Dear Fatou, number {n}."
        sandbox.action(AGENT, "accept", value=row["id"])
        bot.until(lambda row=row: (d := store.decision(bot.db, row["id"])) and d.posted_ts)
    prompt = draft_prompt(bot, sandbox, CONNECT, OUTSIDER)
    assert "Dear Fatou" in prompt and "Deniz" not in prompt


def test_an_answer_in_a_shared_channel_stands_on_customer_safe_sources(bot, sandbox, model):
    open_connect(sandbox)
    for asked in (f"<@U0NIGHTSHIFT> {QUESTION}", "<@U0NIGHTSHIFT> how many euros do you offer?"):
        ts = sandbox.message(CONNECT, AGENT, asked)["ts"]
        row = finished(bot, ts)
        assert "50 euros" not in (row["messages"] or "")
    assert row["state"] == "failed" and "could not find this" in row["error"]
    sandbox.command(CONNECT, AGENT, "/ask", "how many euros do you offer?")
    last_ephemeral(sandbox, AGENT, "could not find this")


def test_a_colleague_is_answered_from_all_sources_and_a_guest_is_not(bot, sandbox, model):
    for user, known in ((CUSTOMER, True), (GUEST, False)):
        ts = sandbox.message(f"D{user[1:]}", user, QUESTION)["ts"]
        prompt = finished(bot, ts)["messages"]
        assert "five days" in prompt and ("50 euros" in prompt) is known
        assert posted(sandbox, f"D{user[1:]}", user)


@pytest.mark.parametrize(("channel", "known"), [(HELP, False), ("C0SUPERVISORS", True)])
def test_a_colleagues_question_is_answered_from_what_all_who_read_along_may_know(bot, sandbox, model, channel, known):
    ts = sandbox.message(channel, "U0SUPER1", f"<@U0NIGHTSHIFT> {QUESTION}")["ts"]
    prompt = finished(bot, ts)["messages"]
    assert "five days" in prompt and ("50 euros" in prompt) is known


@pytest.fixture
def nothing_is_safe(bot: Bot) -> Iterator[None]:
    before = [row["id"] for row in bot.db.query("select id from documents where audience = 'customer_safe'")]
    bot.db.execute("update documents set audience = 'internal'")
    bot.db.conn.commit()
    yield
    bot.db.execute(
        f"update documents set audience = 'customer_safe' where id in ({', '.join('?' * len(before))})", before
    )
    bot.db.conn.commit()


def test_where_nothing_is_customer_safe_guests_and_those_they_read_along_with_get_a_sentence_and_no_internal_text(
    bot, sandbox, model, nothing_is_safe
):
    answers = {}
    for user, channel, said in (
        (GUEST, f"D{GUEST[1:]}", QUESTION),
        (GUEST, HELP, f"<@U0NIGHTSHIFT> {QUESTION}"),
        (CUSTOMER, HELP, f"<@U0NIGHTSHIFT> {QUESTION}"),
    ):
        row = finished(bot, sandbox.message(channel, user, said)["ts"])
        answers[user, channel] = (row["state"], row["error"].split(",")[0], row["messages"])
    refused = ("failed", "Guests or customers read this", None)
    assert set(answers.values()) == {refused} and model.asked == []
    sandbox.command(HELP, GUEST, "/ask", QUESTION)
    last_ephemeral(sandbox, GUEST, "none is marked so yet")
    # A colleague who asks in private reads everything, as before.
    assert "50 euros" in finished(bot, sandbox.message(f"D{CUSTOMER[1:]}", CUSTOMER, QUESTION)["ts"])["messages"]


def test_an_answer_that_guests_read_along_has_no_other_channels_examples(bot, sandbox, model):
    ts = sandbox.message(HELP, "U0SUPER1", f"<@U0NIGHTSHIFT> {QUESTION}")["ts"]
    assert "Deniz" not in finished(bot, ts)["messages"]


def test_a_guest_is_offered_no_internal_title(bot, sandbox, model):
    for user, titles in ((CUSTOMER, {"Refunds", "Refund rules"}), (GUEST, {"Refunds"})):
        sandbox.home(user, "messages")
        offered = sandbox.wait_for(user, lambda state, user=user: offered_in(state, f"D{user[1:]}"))
        assert {prompt["title"] for prompt in offered} == titles


def offered_in(state: dict, channel: str) -> list[dict]:
    direct = next(c for c in state["channels"] if c["id"] == channel)
    return (direct["prompts"] or {}).get("prompts", [])
