"""import-history: closed tickets become the pairs that serving's prompts would have led to."""

import gzip
import json
import logging
from itertools import pairwise
from pathlib import Path

import pytest

from data import store
from data.errors import BadFile
from data.history import import_history
from data.knowledge import import_knowledge
from data.models import Passage, Turn
from data.prompts import reply_messages, summary_messages


def customer(text: str) -> dict[str, object]:
    return {"role": "customer", "text": text}


def agent(text: str, **more: object) -> dict[str, object]:
    return {"role": "agent", "text": text, **more}


def written(path: Path, *conversations: object) -> Path:
    lines = [one if isinstance(one, str) else json.dumps(one) for one in conversations]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_each_agent_turn_after_a_customers_becomes_a_pair_under_the_prompt_that_serving_would_send(db, tmp_path):
    (tmp_path / "brakes.md").write_text("# Brakes\n\nWipe a squealing disc with alcohol.")
    import_knowledge(db, [tmp_path / "brakes.md"])
    turns = [agent("Welcome!"), customer("Hi"), customer("my brake squeals"), agent("Wipe the disc.")]
    file = written(tmp_path / "h.jsonl", {"id": 7, "turns": turns, "extra": 1})
    assert import_history(db, file)["reply"] == 1
    (pair,) = store.training_pairs(db)
    passage = Passage(chunk_id=1, document_id="", title="Brakes", text="Wipe a squealing disc with alcohol.", score=0)
    asked = [Turn("agent", "Welcome!"), Turn("customer", "Hi"), Turn("customer", "my brake squeals")]
    assert pair.messages == reply_messages(asked, [passage])
    assert (pair.target, pair.source, pair.weight, pair.thread_id) == ("Wipe the disc.", "history", 1.0, "history/7")


def test_what_an_agent_wrote_in_a_row_is_one_target(db, tmp_path):
    import_history(
        db, written(tmp_path / "h.jsonl", {"id": "a", "turns": [customer("Hi"), agent("Hello."), agent("Yes?")]})
    )
    assert [pair.target for pair in store.training_pairs(db)] == ["Hello.\nYes?"]


def test_a_turn_that_is_not_scored_is_context_only(db, tmp_path):
    turns = [customer("Hi"), agent("Template.", score=False), agent("By hand."), customer("Thanks"), agent("Bye")]
    import_history(db, written(tmp_path / "h.jsonl", {"id": "a", "turns": turns}))
    pairs = {pair.target: pair for pair in store.training_pairs(db)}
    assert set(pairs) == {"By hand.", "Bye"}
    assert "Agent: Template." in pairs["By hand."].messages[-1]["content"]


def test_a_summary_becomes_a_pair_of_its_own_task(db, tmp_path):
    turns = [customer("Hi"), agent("Hello.", score=False)]
    import_history(db, written(tmp_path / "h.jsonl", {"id": "a", "turns": turns, "summary": "Said hello."}))
    (pair,) = store.training_pairs(db)
    assert (pair.task, pair.target) == ("summary", "Said hello.")
    assert pair.messages == summary_messages([Turn("customer", "Hi"), Turn("agent", "Hello.")])


def test_importing_again_changes_nothing_and_the_file_may_be_gzipped(db, tmp_path):
    file = written(tmp_path / "h.jsonl", {"id": "a", "turns": [customer("Hi"), agent("Hello.")], "team": "bikes"})
    zipped = tmp_path / "h.jsonl.gz"
    zipped.write_bytes(gzip.compress(file.read_bytes()))
    assert import_history(db, file)["new"] == 1
    before = list(db.query("select * from history_pairs")), store.training_pairs(db)
    again = import_history(db, zipped)
    assert (again["known"], again["new"], again["reply"]) == (1, 0, 0)
    assert (list(db.query("select * from history_pairs")), store.training_pairs(db)) == before
    assert db.execute("select team_id from threads").fetchone()[0] == "bikes"


def test_pairs_stand_in_the_order_of_closing_and_else_of_the_file(db, tmp_path):
    turns = [customer("Hi"), agent("Hello.")]
    conversations = [
        {"id": "late", "turns": turns, "closed_at": "2026-03-01T10:00:00+02:00"},
        {"id": "early", "turns": turns, "closed_at": "2026-02-01T10:00:00Z"},
        {"id": "z-first", "turns": turns},
        {"id": "a-second", "turns": turns},
    ]
    import_history(db, written(tmp_path / "h.jsonl", *conversations))
    pairs = store.training_pairs(db)
    assert [p.thread_id for p in pairs] == ["history/early", "history/late", "history/z-first", "history/a-second"]
    assert pairs[1].created_at == "2026-03-01T08:00:00.000000+00:00"


def test_a_bad_line_is_named_by_its_number_and_the_rest_is_imported(db, tmp_path, caplog):
    good = {"id": "a", "turns": [customer("Hi"), agent("Hello.")]}
    bad = [
        "{not json",
        "[1, 2]",
        {"turns": good["turns"]},
        {"id": "b", "turns": []},
        {"id": "c", "turns": [{"role": "robot", "text": "beep"}]},
        {"id": "d", "turns": [{"role": "agent"}]},
        {"id": "e", "turns": good["turns"], "closed_at": "yesterday"},
        {"id": "f", "turns": good["turns"], "summary": ["no text"]},
    ]
    with caplog.at_level(logging.WARNING):
        counts = import_history(db, written(tmp_path / "h.jsonl", *bad, "", good))
    assert (counts["skipped"], counts["conversations"], counts["reply"]) == (len(bad), 1, 1)
    for number in range(1, len(bad) + 1):
        assert f"line {number} skipped" in caplog.text
    assert 'turn 1 has no "role"' in caplog.text


def test_an_id_that_no_file_can_keep_and_an_empty_closing_time_lose_no_conversation(db, tmp_path):
    odd = {"id": "half \ud83d", "team": "\udc00", "turns": [customer("Hi"), agent("Hello.")], "closed_at": ""}
    plain = {"id": "b", "turns": [customer("Hi"), agent("Good morning.")]}
    file = written(tmp_path / "h.jsonl", odd, plain)
    assert import_history(db, file)["reply"] == 2
    assert [pair.target for pair in store.training_pairs(db)] == ["Hello.", "Good morning."]
    assert import_history(db, file)["known"] == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no conversation"),
        (b"dear diary", "holds no conversation"),
        (gzip.compress(b'{"id": 1}' * 9, mtime=0)[:-9], "damaged gzip"),
    ],
)
def test_a_file_without_conversations_is_refused_in_one_sentence(db, tmp_path, content, message):
    (tmp_path / "h.jsonl").write_bytes(content)
    with pytest.raises(BadFile, match=message):
        import_history(db, tmp_path / "h.jsonl")
    with pytest.raises(BadFile, match="cannot be read"):
        import_history(db, tmp_path / "absent.jsonl")


def test_purge_blanks_history_by_its_import_not_by_its_closing(db, tmp_path):
    long_ago = {"id": "a", "turns": [customer("Hi"), agent("Hello.")], "closed_at": "2019-01-01"}
    file = written(tmp_path / "h.jsonl", long_ago)
    import_history(db, file)
    assert store.purge(db, "2020-01-01T00:00:00.000000+00:00") == 0
    assert len(store.training_pairs(db)) == 1
    assert store.purge(db, "9999-01-01T00:00:00.000000+00:00") == 1
    import_history(db, file)
    assert store.training_pairs(db) == [], "what was erased does not come back"


def test_of_a_very_long_ticket_replies_are_kept_that_are_spread_evenly(db, tmp_path, caplog):
    turns = [turn for n in range(1000) for turn in (customer(f"Question {n}"), agent(f"Answer {n}."))]
    file = written(tmp_path / "h.jsonl", {"id": "long", "turns": turns, "summary": "Much."})
    counts = import_history(db, file)
    assert (counts["reply"], counts["left_out"], counts["summary"]) == (50, 950, 1)
    assert "ticket long has 1000 replies, of which 50 are kept, spread evenly" in caplog.text
    kept = sorted(int(p.target[7:-1]) for p in store.training_pairs(db) if p.task == "reply")
    assert (kept[0], kept[-1], len(set(kept))) == (0, 999, 50)
    assert {later - earlier for earlier, later in pairwise(kept)} <= {20, 21}
    assert import_history(db, file)["reply"] == 0


def test_a_ticket_with_as_many_replies_as_are_kept_loses_none(db, tmp_path):
    turns = [turn for n in range(50) for turn in (customer(f"Question {n}"), agent(f"Answer {n}."))]
    counts = import_history(db, written(tmp_path / "h.jsonl", {"id": "a", "turns": turns}))
    assert (counts["reply"], counts["left_out"]) == (50, 0)
