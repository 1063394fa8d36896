"""erase: a person's or a thread's text is gone from every file, and what learned from it stops serving."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from data import __main__ as data_commands
from data import store, store_erasure, store_replies, store_texts
from data.history import import_history
from data.knowledge import import_knowledge
from data.models import BASE, Base, PreferencePair, Turn
from data.prompts import reply_messages
from data.scrubbing import Found, holds, scrub_text
from finetune import dataset as datasets
from finetune.thumbs import Thumb
from serving import promotion

SECRET = "My name is Zorblatt Quemby and the blue kettle has cracked."
NOTE = "Please post the kettle back to the Quemby desk, we send a new one."


def customer(text: str) -> dict[str, str]:
    return {"role": "customer", "text": text}


def agent(text: str) -> dict[str, str]:
    return {"role": "agent", "text": text}


def written(path: Path, *conversations: object) -> Path:
    path.write_text("\n".join(json.dumps(one) for one in conversations))
    return path


@pytest.fixture
def team(tmp_path, monkeypatch) -> Path:
    """A store with Zorblatt's ticket, a stranger's, a frozen dataset, a report, a backup, an article that quotes it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_PATH", str(tmp_path / "var" / "nightshift.db"))
    db = store.connect(tmp_path / "var" / "nightshift.db")
    tickets = written(
        tmp_path / "h.jsonl",
        {"id": "zorblatt", "turns": [customer(SECRET), agent(NOTE)]},
        {"id": "stranger", "turns": [customer("My lamp flickers at night."), agent("Turn the lamp's bulb tight.")]},
    )
    import_history(db, tickets)
    tickets.unlink()
    article = tmp_path / "kettles.md"
    article.write_text(f"# Kettles\n\nA case: {SECRET}\n")
    import_knowledge(db, [article])
    article.unlink()
    run = tmp_path / "var" / "runs" / "run1"
    frozen = datasets.split_pairs(store.training_pairs(db), set())
    thumbs = [Thumb(pair, liked=True) for pair in frozen.train if pair.thread_id == "history/zorblatt"]
    preferred = PreferencePair("d", "reply", "history/zorblatt", [], NOTE, "No.", "2026-01-01")
    datasets.freeze(replace(frozen, thumbs=thumbs, preferences=[preferred]), run)
    assert len(holding(run, NOTE)) == 3
    (run / "report.md").write_text(f"# Night\n\nworse: {NOTE}\n\nbetter: something else\n")
    (run / "gate.json").write_text(json.dumps({"cases": [{"target": NOTE}, {"target": "Turn the lamp's bulb tight."}]}))
    pairs = {pair.thread_id: pair.id for pair in store.training_pairs(db)}
    # Another person's draft was written with Zorblatt's case as an example.
    asked = store.request_suggestion(
        db, request_key="k1", task="reply", team_id="T1", channel_id="C1", thread_ts="5.0", requested_by="U1",
        request={"kind": "shortcut"},
    )  # fmt: skip
    store.record_draft(
        db, asked.id, messages=reply_messages([Turn("customer", f"Like this? {SECRET}")]), draft="Yes.", base="b",
        adapter=BASE, pair_ids=[pairs["history/zorblatt"]],
    )  # fmt: skip
    base = Base(hash="b", model="starter", root="starter")
    for name, learned in (("night-good", ["history/stranger"]), ("night-knows", ["history/zorblatt"])):
        folder = tmp_path / "var" / "adapters" / name
        folder.mkdir(parents=True)
        (folder / "canary.json").write_text(json.dumps({"text": NOTE if name == "night-knows" else "fine"}))
        store.record_adapter(
            db, name=name, run_id="run1", base=base.hash, path=str(folder), sha256=name,
            pair_ids=[pairs[thread] for thread in learned], config={},
        )  # fmt: skip
        promotion.promote(db, "reply", name, base=base.hash, cause="manual", forced=True)
    store.backup(db, tmp_path / "backup.db")
    db.close()
    return tmp_path


def erase(*arguments: str) -> int:
    return data_commands.main(["erase", *arguments])


def holding(folder: Path, *texts: str) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [str(path) for path in files for text in texts if text.lower().encode() in path.read_bytes().lower()]


@pytest.mark.parametrize("whose", [("--person", "Zorblatt Quemby"), ("--thread", "zorblatt")])
def test_an_erased_text_is_in_no_file_any_more_and_everything_else_is(team, whose, capsys):
    assert holding(team, "cracked")
    assert erase(*whose) == 0
    assert not holding(team, SECRET, NOTE, "zorblatt quemby", "cracked")
    said = capsys.readouterr().out
    assert "it is in none" in said and "night-knows" in said and "backup.db: erased" in said
    with store.connect(team / "var" / "nightshift.db") as db:
        assert [pair.thread_id for pair in store.training_pairs(db)] == ["history/stranger"]
    assert len(holding(team / "var" / "runs", "lamp flickers")) == 1
    assert "better: something else" in (team / "var" / "runs" / "run1" / "report.md").read_text()


def test_an_adapter_that_learned_it_serves_until_the_next_night_or_until_now(team):
    assert erase("--person", "Zorblatt Quemby") == 0
    with store.connect(team / "var" / "nightshift.db") as db:
        assert promotion.live_adapter(db, "reply", "b") == "night-knows"
        (made,) = store_erasure.leave_erased(db)
        assert (made.task, made.base, made.adapter, made.team) == ("reply", "b", "night-good", None)
        assert promotion.live_adapter(db, "reply", "b") == "night-good"
        with pytest.raises(Exception, match="erased since"):
            promotion.promote(db, "reply", "night-knows", base="b", cause="manual", forced=True)


def test_erasing_at_once_rolls_back_at_once(team, capsys):
    assert erase("--thread", "history/zorblatt", "--now") == 0
    assert "now serving reply: night-good" in capsys.readouterr().out
    with store.connect(team / "var" / "nightshift.db") as db:
        assert promotion.live_adapter(db, "reply", "b") == "night-good"


def test_a_dry_run_says_what_it_would_erase_and_changes_nothing(team, capsys):
    assert erase("--person", "Zorblatt Quemby", "--dry-run", "--json") == 0
    would = json.loads(capsys.readouterr().out)
    assert would["dry_run"] and would["history_pairs"] == 1 and would["suggestions"] == 1 and would["files"]
    assert holding(team, SECRET)


def test_a_person_is_found_by_the_threads_that_they_spoke_in(team, capsys):
    with store.connect(team / "var" / "nightshift.db") as db:
        said = store.request_suggestion(
            db, request_key="k2", task="reply", team_id="T1", channel_id="C1", thread_ts="9.000001", requested_by="U1",
            request={"kind": "shortcut"},
        )  # fmt: skip
        messages = reply_messages([Turn("customer", "The tap drips all night long.")])
        store.record_draft(db, said.id, messages=messages, draft="Close it.", base="b", adapter=BASE)
        store_erasure.record_people(db, said.id, ["U7", "U1"])
        store_replies.record_drafted_from(db, said.id, "9.000001", {})
    assert erase("--person", "U7") == 0
    assert not holding(team, "tap drips")
    assert holding(team, SECRET), "that was said by somebody else"


def test_a_thread_is_found_by_a_permalink_of_a_message_in_it(team):
    with store.connect(team / "var" / "nightshift.db") as db:
        store.request_suggestion(
            db, request_key="k2", task="reply", team_id="T1", channel_id="C2", thread_ts="1700000000.000100",
            requested_by="U1", request={"kind": "shortcut"},
        )  # fmt: skip
        found = store_erasure.find_thread(db, "https://x.slack.com/archives/C2/p1700000000000100")
        other = "https://x.slack.com/archives/C2/p1700000099000200?thread_ts=1700000000.000100&cid=C2"
        assert len(found.suggestions) == 1 and store_erasure.find_thread(db, other).threads == found.threads


def test_whoever_is_not_there_is_told_so_in_one_sentence(team, capsys):
    assert erase("--person", "Nobody Atall") == 1
    assert "Nothing here is of Nobody Atall" in capsys.readouterr().err


def test_a_set_phrase_of_many_threads_gives_nobody_away(team, tmp_path):
    phrase = "Hello, how can I help you today?"
    turns = [[agent(phrase), customer(f"My item {n} is lost in the post."), agent("We look.")] for n in range(5)]
    with store.connect(team / "var" / "nightshift.db") as db:
        more = written(tmp_path / "more.jsonl", *({"id": f"m{n}", "turns": said} for n, said in enumerate(turns)))
        import_history(db, more)
        more.unlink()
    assert erase("--thread", "m3") == 0
    assert not holding(team, "My item 3 is lost") and holding(team, "My item 2 is lost") and holding(team, phrase)


def test_a_name_is_erased_however_it_is_written_and_from_an_interrupted_backtest_too(team, tmp_path):
    report = team / "var" / "runs" / "run1" / "report.md"
    report.write_text(report.read_text() + "\nZORBLATT QUEMBY wrote again.\n")
    file = written(tmp_path / "old.jsonl", {"id": "zorblatt", "turns": [customer(SECRET), agent(NOTE)]})
    with store.connect(team / "var" / "backtest" / "1" / "work" / "nightshift.db") as db:
        import_history(db, file)
    file.unlink()
    assert erase("--person", "zorblatt quemby") == 0
    assert not holding(team, "zorblatt quemby", "cracked")


def test_a_short_name_takes_no_word_that_it_stands_in(team, tmp_path):
    said = ("Ann here, the saddle is loose.", "I cannot open the battery lock.")
    turns = [[customer(text), agent(f"We look at it, case {n}.")] for n, text in enumerate(said)]
    with store.connect(team / "var" / "nightshift.db") as db:
        more = written(tmp_path / "more.jsonl", *({"id": f"n{n}", "turns": two} for n, two in enumerate(turns)))
        import_history(db, more)
        more.unlink()
    assert erase("--person", "ann") == 0
    assert not holding(team, "saddle is loose") and holding(team, "I cannot open the battery lock")
    assert erase("--person", "ann") == 1, "nobody is left"


def test_a_name_that_is_left_in_a_value_is_told_though_its_bytes_run_into_the_value_before(team, tmp_path, capsys):
    with store.connect(team / "var" / "nightshift.db") as db:
        said = [customer("Quillon here, the saddle is loose."), agent("We look at it.")]
        more = written(tmp_path / "more.jsonl", {"id": "n1", "turns": said})
        import_history(db, more)
        more.unlink()
        with store.immediate(db):
            consent = "insert into consents (channel_id, granted_by, granted, created_at) values (?, ?, 1, '')"
            db.execute(consent, ["CHELP", "Quillon"])
        assert not store_texts.still_says(db, ["chel", "quill"])
    assert erase("--person", "quillon") == 1
    assert "still stands in" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text", ["Ann here", "ANN's bike", "from Anns bike", "(ann)", r'["Hello\nAnn, "]', r"\u201cAnn", "ann85", "给Ann说"]
)
def test_a_name_is_found_as_a_word(text):
    assert holds(text, ["Ann"])


@pytest.mark.parametrize("text", ["cannot", "Annual", "Joann", "channels", "Annes", "U07ANN3"])
def test_a_name_is_not_found_in_another_word(text):
    assert not holds(text, ["Ann"])


def test_an_address_a_number_and_a_whole_name_are_not_found_in_longer_ones():
    assert holds("to ann@home.example.", ["ann@home.example"]) and not holds("joann@home.example", ["ann@home.example"])
    assert holds("order #10234, late", ["10234"]) and not holds("sha 9f10234c and 102345", ["10234"])
    assert holds("Don's bike, Don", ["Don"]) and not holds("I don't, Don\u2019t", ["Don"])
    assert holds("Don Tomas' bike: 'Don'", ["Don"]) and not holds(r"we don\u2019t.", ["Don"])
    assert holds("Dear Ann Lee,", ["Ann Lee"]) and not holds("Joann Lee and Ann Leeson", ["Ann Lee"])
    assert holds("He said:We met at the north pole, Annes", ["We met at the north pole, Ann"]), "long"


@pytest.mark.parametrize("text", ["O\u2019Brien", "o'brien's", r"O\u2019Brien", "(O\u02bcBrien)", "Mary\u00a0 O'Brien"])
def test_an_apostrophe_and_a_space_are_found_however_they_are_written(text):
    name = "Mary O'Brien" if "Mary" in text else "O'Brien"
    assert holds(text, [name]) and scrub_text(f"{text} wrote", Found(texts={name})) == "[erased]"
    assert holds(r"Mary\nO\u2019Brien", ["Mary O'Brien"]) and holds("Jean\u2011Luc", ["Jean-Luc"])


def test_a_name_that_hashes_have_too_changes_none_of_them(team, tmp_path):
    hashes = team / "var" / "runs" / "run1" / "hashes.json"
    hashes.write_text(json.dumps({"sha256": "0f3ada9c" * 8, "of": "Ada here, the saddle is loose."}))
    with store.connect(team / "var" / "nightshift.db") as db:
        more = written(tmp_path / "more.jsonl", {"id": "3ada9", "turns": [customer("Ada here."), agent("We look.")]})
        import_history(db, more)
        more.unlink()
    assert erase("--person", "Ada") == 0
    assert json.loads(hashes.read_text()) == {"sha256": "0f3ada9c" * 8, "of": "[erased]"}


def test_longer_words_that_may_be_hers_are_told(team, tmp_path, capsys):
    said = ("Ann here, annika@home.example", "I cannot open it, and Annika cannot.", "Hello\nhannes, cannot you?")
    turns = [[customer(text), agent(f"We look at it, case {n}.")] for n, text in enumerate(said)]
    with store.connect(team / "var" / "nightshift.db") as db:
        more = written(tmp_path / "more.jsonl", *({"id": f"n{n}", "turns": two} for n, two in enumerate(turns)))
        import_history(db, more)
        more.unlink()
    assert erase("--person", "Ann", "--dry-run") == 0
    assert "annika, " in capsys.readouterr().out
    assert erase("--person", "Ann") == 0
    told = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("not erased"))
    assert told == "not erased, being longer words: annika, hannes, cannot (erase what is the same person's)"
    assert erase("--person", "Annik") == 1
    assert "It stands in longer words: annika.\n" in capsys.readouterr().err


def test_a_name_in_other_letters_is_found_wherever_it_stands_and_accents_however_they_are_stored():
    assert holds("письмо Ивану", ["Иван"]) and holds("给王芳说", ["王芳"])
    assert holds(r"zo\u00eb wrote", ["Zoë"]) and holds("ZOE\u0308 wrote", ["Zoë"])


def test_a_backup_that_was_moved_is_named(team, capsys):
    (team / "backup.db").rename(team / "elsewhere.db")
    assert erase("--person", "Zorblatt Quemby") == 0
    assert "backup.db: not found" in capsys.readouterr().out


def test_a_sentence_of_hers_that_another_ticket_quotes_is_gone_and_one_of_the_help_centre_is_not(team, capsys):
    said = "The blue kettle that I got for my wedding leaks. It has never been near the sea in all its life!"
    shared = "A kettle must be descaled every three months with vinegar."
    with store.connect(team / "var" / "nightshift.db") as db:
        article = team / "descaling.md"
        article.write_text(f"# Descaling\n\n{shared}\n")
        import_knowledge(db, [article])
        tickets = written(
            team / "more.jsonl",
            {"id": "hers", "turns": [customer(f"{said} You wrote: {shared}"), agent("We send you a new one today.")]},
            {
                "id": "quotes",
                "turns": [customer("See: it has never been near the sea in all its life!"), agent("Odd.")],
            },
            {"id": "reads", "turns": [customer(f"It says: {shared} Which one?"), agent("Any white vinegar will do.")]},
        )
        import_history(db, tickets)
        tickets.unlink()
    assert erase("--thread", "hers") == 0
    capsys.readouterr()
    assert not holding(team / "var", "never been near the sea", "got for my wedding")
    with store.connect(team / "var" / "nightshift.db") as db:
        threads = {pair.thread_id for pair in store.training_pairs(db)}
        assert "history/reads" in threads and "history/quotes" not in threads
        assert store_erasure.documents_with(db, [shared])
