"""The store: what the desk writes, repeated, killed and erased; and what learning may read of it."""

import json
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlite_utils import Database

from data import store
from data.errors import DatabaseBusy, DatabaseUnusable, UnknownAdapter, UnknownSuggestion
from data.models import Base, Message, Suggestion, Task

PROMPT = [
    Message(role="system", content="Draft the reply."),
    Message(role="user", content="Conversation:\nCustomer: The rear brake squeals in the rain 🚲"),
]


def requested(db: Database, key: str = "Ev1", *, channel: str = "C1", thread: str | None = "1.0", task: Task = "reply"):
    return store.request_suggestion(
        db,
        request_key=key,
        task=task,
        team_id="T1",
        channel_id=channel,
        thread_ts=thread,
        requested_by="U1",
        request={"trigger_id": key},
    )


def drafted(db: Database, key: str = "Ev1", *, thread: str = "1.0", channel: str = "C1") -> Suggestion:
    asked = requested(db, key, thread=thread, channel=channel)
    assert asked is not None
    return store.record_draft(
        db, asked.id, messages=PROMPT, draft="Wipe the disc.", base="b1", adapter="base", pair_ids=["p1"], chunk_ids=[7]
    )


def edited(db: Database, key: str = "Ev1", *, text: str = "Please wipe the disc.", thread: str = "1.0") -> str:
    suggestion = drafted(db, key, thread=thread)
    store.decide(db, suggestion.id, kind="edited", text=text, reason=None, decided_by="U1")
    return suggestion.id


def sent(db: Database, key: str = "Ev1", *, text: str = "Please wipe the disc.", thread: str = "1.0") -> str:
    suggestion_id = edited(db, key, text=text, thread=thread)
    store.record_posted(db, suggestion_id, f"{thread}5")
    return suggestion_id


def consenting(db: Database, granted: bool = True, channel: str = "C1") -> None:
    store.set_consent(db, channel, granted_by="UA", granted=granted, request_key=f"{channel}{granted}{time.time_ns()}")


def training_thread(db: Database) -> str:
    """The timestamp of a thread that is not held out."""
    return next(ts for ts in map(str, range(1000)) if not store.see_thread(db, f"T1/C1/{ts}", source="slack"))


def test_a_repeated_request_makes_no_second_suggestion(db):
    assert requested(db, "Ev1") is not None
    assert requested(db, "Ev1") is None
    assert len(store.unfinished_suggestions(db)) == 1


def test_a_suggestion_goes_from_requested_over_drafted_to_shown(db):
    suggestion = requested(db)
    assert suggestion.state == "requested" and suggestion.request == {"trigger_id": "Ev1"}
    store.record_draft(db, suggestion.id, messages=PROMPT, draft="Wipe.", base="b1", adapter="base", chunk_ids=[3, 4])
    stored = store.suggestion(db, suggestion.id)
    assert (stored.state, stored.messages, stored.draft) == ("drafted", PROMPT, "Wipe.")
    sources = db.execute("select pair_id, chunk_id from suggestion_sources order by chunk_id").fetchall()
    assert sources == [(None, 3), (None, 4)]
    store.record_shown(db, suggestion.id)
    assert store.suggestion(db, suggestion.id).shown_at is not None
    assert store.unfinished_suggestions(db) == []


def test_a_second_draft_does_not_replace_the_one_that_somebody_may_have_seen(db):
    first = drafted(db)
    again = store.record_draft(db, first.id, messages=PROMPT, draft="Other.", base="b1", adapter="n1", chunk_ids=[9])
    assert again.draft == "Wipe the disc." and again.adapter == "base"
    assert db.execute("select count(*) from suggestion_sources").fetchone()[0] == 2


def test_a_failure_after_the_draft_was_shown_changes_nothing(db):
    suggestion = drafted(db)
    store.record_shown(db, suggestion.id)
    store.record_failure(db, suggestion.id, "Slack did not answer.")
    assert store.suggestion(db, suggestion.id).state == "shown"


def test_a_failed_suggestion_keeps_its_reason_and_leaves_the_queue(db):
    suggestion = requested(db)
    store.record_failure(db, suggestion.id, "vLLM did not answer.")
    assert store.suggestion(db, suggestion.id).error == "vLLM did not answer."
    assert store.unfinished_suggestions(db) == []


def test_the_first_decision_stands(db):
    suggestion = drafted(db)
    first, made = store.decide(db, suggestion.id, kind="edited", text="A", reason=None, decided_by="U1")
    second, made_again = store.decide(db, suggestion.id, kind="dismissed", text=None, reason="tone", decided_by="U2")
    assert made and not made_again and second == first
    assert store.suggestion(db, suggestion.id).state == "shown", "who decides has seen the draft"


def test_a_reply_is_unposted_until_slack_has_it_and_then_found_by_its_timestamp(db):
    suggestion_id = edited(db)
    assert [d.suggestion_id for d in store.unposted_decisions(db)] == [suggestion_id]
    store.record_posted(db, suggestion_id, "5.5")
    store.record_posted(db, suggestion_id, "6.6")
    assert store.unposted_decisions(db) == []
    assert store.suggestion_at(db, "C1", "5.5").id == suggestion_id
    assert store.suggestion_at(db, "C1", "6.6") is None


def test_a_pair_needs_the_newest_consent_of_its_channel(db):
    sent(db)
    assert store.training_pairs(db) == []
    consenting(db)
    assert len(store.training_pairs(db)) == 1
    consenting(db, granted=False)
    assert store.training_pairs(db) == [] and store.preference_pairs(db) == []
    assert store.consent(db, "C1").granted is False and store.consent(db, "C2") is None


def test_an_edited_reply_becomes_a_preference_pair(db):
    consenting(db)
    suggestion_id = sent(db, text="Gern! 🚲\nWipe the disc.")
    (pair,) = store.training_pairs(db)
    assert (pair.id, pair.thread_id, pair.source, pair.weight) == (suggestion_id, "T1/C1/1.0", "suggestion", 1.0)
    assert pair.messages == PROMPT and pair.target == "Gern! 🚲\nWipe the disc."
    (preference,) = store.preference_pairs(db)
    assert (preference.chosen, preference.rejected) == (pair.target, "Wipe the disc.")


def test_an_accepted_reply_weighs_half_and_prefers_nothing(db):
    consenting(db)
    suggestion = drafted(db)
    store.decide(db, suggestion.id, kind="accepted", text=suggestion.draft, reason=None, decided_by="U1")
    store.record_posted(db, suggestion.id, "5.5")
    assert [pair.weight for pair in store.training_pairs(db)] == [0.5]
    assert store.preference_pairs(db) == []


@pytest.mark.parametrize(("kind", "reason"), [("dismissed", None), ("edited", "wrong_fact")])
def test_a_dismissed_draft_and_a_corrected_fact_are_no_pairs(db, kind, reason):
    consenting(db)
    suggestion = drafted(db)
    store.decide(db, suggestion.id, kind=kind, text="The service costs 49 euros.", reason=reason, decided_by="U1")
    store.record_posted(db, suggestion.id, "5.5")
    assert store.training_pairs(db) == [] and store.preference_pairs(db) == []


def test_the_newest_thumb_of_a_supervisor_decides_whether_a_pair_is_learned(db):
    consenting(db)
    suggestion_id = sent(db)
    rating = {"suggestion_id": suggestion_id, "user_id": "US", "role": "supervisor"}
    assert store.rate(db, **rating, value=-1, request_key="Ev2")
    assert not store.rate(db, **rating, value=1, request_key="Ev2"), "Slack repeated itself"
    store.rate(db, suggestion_id=suggestion_id, user_id="U1", role="agent", value=1, request_key="Ev3")
    assert store.training_pairs(db) == []
    store.rate(db, **rating, value=0, request_key="Ev4")
    assert len(store.training_pairs(db)) == 1
    assert {r.user_id: r.value for r in store.ratings(db, suggestion_id)} == {"US": 0, "U1": 1}


def test_the_views_can_be_read_with_plain_sqlite_and_have_the_promised_columns(db, tmp_path):
    consenting(db)
    sent(db)
    with sqlite3.connect(tmp_path / "nightshift.db") as plain:
        training = plain.execute("select * from training_pairs")
        assert [c[0] for c in training.description] == [
            "id", "task", "thread_id", "messages", "target", "source", "weight", "created_at",
        ]  # fmt: skip
        assert json.loads(training.fetchone()[3]) == PROMPT
        preferences = plain.execute("select * from preference_pairs")
        assert [c[0] for c in preferences.description] == [
            "id", "task", "thread_id", "messages", "chosen", "rejected", "created_at",
        ]  # fmt: skip
    plain.close()


def test_a_thread_is_held_out_for_good_one_in_three_until_a_verdict_is_possible_then_one_in_seven(db):
    with store.immediate(db):
        sides = [store.see_thread(db, f"t{n}", source="slack") for n in range(1200)]
    assert [store.see_thread(db, f"t{n}", source="slack") for n in range(1200)] == sides
    assert store.held_out_threads(db) == {f"t{n}" for n, held_out in enumerate(sides) if held_out}
    assert 100 <= sum(sides[:400]) <= 160
    assert 70 <= sum(sides[500:]) <= 150


def test_an_example_is_like_the_question_and_comes_from_another_thread_that_is_not_held_out(db):
    consenting(db)
    thread = training_thread(db)
    held_out = next(ts for ts in map(str, range(1000)) if store.see_thread(db, f"T1/C1/{ts}", source="slack"))
    sent(db, "Ev1", thread=thread)
    sent(db, "Ev2", thread=held_out)
    (example,) = store.accepted_examples(db, "reply", text='squealing "brakes" (AND NOT*')
    assert (example.target, example.thread) == ("Please wipe the disc.", PROMPT[1]["content"])
    assert store.accepted_examples(db, "reply", text="brake", exclude_thread=f"T1/C1/{thread}") == []
    assert store.accepted_examples(db, "summary", text="brake") == []
    assert store.accepted_examples(db, "reply", text=":-) …") == []


def test_unknown_ids_are_named(db):
    with pytest.raises(UnknownSuggestion, match="no suggestion nope"):
        store.decide(db, "nope", kind="accepted", text="x", reason=None, decided_by="U1")
    with pytest.raises(UnknownAdapter, match="no adapter nope"):
        store.adapter(db, "nope")


def test_text_that_sqlite_cannot_keep_is_mended_not_refused(db):
    suggestion = drafted(db)
    decision, _ = store.decide(
        db, suggestion.id, kind="edited", text="half \ud83d of\x00", reason=None, decided_by="U1"
    )
    assert decision.text == "half \ufffd of\ufffd"


def test_a_database_that_another_process_keeps_busy_is_told_in_one_sentence(db, tmp_path):
    other = store.connect(tmp_path / "nightshift.db")
    other.execute("pragma busy_timeout = 50")
    with store.immediate(db):
        requested(db)
        with pytest.raises(DatabaseBusy, match="try again in a moment"):
            requested(other, "Ev2")
    assert requested(other, "Ev2") is not None
    other.conn.close()


def test_an_inner_transaction_joins_the_outer_and_falls_with_it(db):
    with pytest.raises(RuntimeError, match="crash"), store.immediate(db):
        drafted(db)
        raise RuntimeError("crash")
    assert store.unfinished_suggestions(db) == [] and not db.conn.in_transaction


def test_a_nights_ledger_remembers_what_served_when(db):
    base = Base(hash="h1", model="starter", root="/models/starter")
    store.record_base(db, base)
    store.record_base(db, base)
    assert store.base_of_model(db, "starter") == base and store.base_of_model(db, "other") is None
    run_id = store.start_run(db, base="h1", pairs=250)
    store.update_run(db, run_id, status="gate", loss=1.5)
    assert [run.id for run in store.unfinished_runs(db)] == [run_id]
    adapter = {"name": "night-1", "run_id": run_id, "base": "h1", "path": "var/a", "sha256": "s", "config": {"r": 16}}
    for _ in range(2):
        store.record_adapter(db, **adapter, pair_ids=["p1", "p2"])
    assert store.adapter_pairs(db, "night-1") == {"p1", "p2"} and len(store.adapters(db)) == 1
    report_id = store.record_gate_report(db, run_id=run_id, task="reply", passed=True, report={"p": 0.001})
    store.append_promotion(db, task="reply", base="h1", adapter="night-1", cause="gate", gate_report_id=report_id)
    store.append_promotion(db, task="reply", base="h1", adapter="base", cause="rollback")
    store.update_run(db, run_id, status="done")
    assert store.run(db, run_id).facts == {"pairs": 250, "loss": 1.5} and store.unfinished_runs(db) == []
    assert [p.adapter for p in store.promotions(db, "reply", "h1")] == ["night-1", "base"]
    assert store.promotions(db, "reply", "h2") == [] and store.gate_report(db, report_id).passed is True


def test_purge_blanks_old_texts_everywhere_and_keeps_the_counts(db, tmp_path):
    consenting(db)
    suggestion_id = sent(db, text="my secret is swordfish", thread=training_thread(db))
    requested(db, "Ev9", thread="9.9")
    edited(db, "Ev2")
    assert len(store.training_pairs(db)) == len(store.unposted_decisions(db)) == 1
    tomorrow = store.iso(datetime.now(UTC) + timedelta(days=1))
    assert store.purge(db, "2020-01-01T00:00:00.000000+00:00") == 0
    assert store.purge(db, tomorrow) == 3
    assert store.purge(db, tomorrow) == 0
    assert store.training_pairs(db) == [] and store.accepted_examples(db, "reply", text="brake squeals") == []
    assert store.suggestion(db, suggestion_id).messages is None
    assert store.decision(db, suggestion_id).kind == "edited"
    assert store.unfinished_suggestions(db) == [] and store.unposted_decisions(db) == []
    for file in tmp_path.iterdir():
        assert b"swordfish" not in file.read_bytes(), f"the text lingers in {file.name}"


def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / "notes.db").write_text("dear diary " * 100)
    with pytest.raises(DatabaseUnusable, match=r"notes\.db"):
        store.connect(tmp_path / "notes.db")


WRITER = """
import sys
from data import store
db = store.connect(sys.argv[1])
store.set_consent(db, "C1", granted_by="UA", granted=True, request_key="consent")
n = int(sys.argv[2])
while True:
    key = f"Ev{n}"
    store.request_suggestion(db, request_key=key, task="reply", team_id="T1", channel_id="C1", thread_ts=key,
                             requested_by="U1", request={})
    print("requested", key, flush=True)
    suggestion = store.suggestion_of_request(db, key)
    store.record_draft(db, suggestion.id, messages=[{"role": "user", "content": "Question: why?"}], draft="d",
                       base="b", adapter="base", chunk_ids=[1, 2])
    print("drafted", key, flush=True)
    store.decide(db, suggestion.id, kind="edited", text="sent " + key, reason=None, decided_by="U1")
    store.record_posted(db, suggestion.id, key)
    print("posted", key, flush=True)
    n += 1
"""


def test_a_process_killed_at_any_moment_loses_nothing_it_confirmed_and_doubles_nothing(tmp_path):
    path = tmp_path / "nightshift.db"
    said: set[tuple[str, ...]] = set()
    for lines in (2, 9, 25):
        # Two writers at once, who resume where others were killed: every key comes again.
        command = [sys.executable, "-c", WRITER, str(path), "0"]
        writers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        said |= {tuple(writers[0].stdout.readline().split()) for _ in range(lines)}
        for writer in writers:
            writer.kill()
        for writer in writers:
            said |= {tuple(line.split()) for line in writer.communicate()[0].splitlines() if line[-1:].isdigit()}
            assert writer.returncode == -9, "it ended by itself"
    with store.connect(path) as db:
        assert store.ailments(db) == []
        states = {row["request_key"]: row for row in db.query("select * from suggestions")}
        posted = {p.target for p in store.training_pairs(db)}
        assert len(said) > 10
        for step, key in said:
            assert key in states
            assert step == "requested" or states[key]["draft"] == "d"
            assert step != "posted" or f"sent {key}" in posted
        drafts = db.execute("select count(*) from suggestions where draft is not null").fetchone()[0]
        assert db.execute("select count(*) from suggestion_sources").fetchone()[0] == 2 * drafts
        assert len(posted) == db.execute("select count(*) from decisions where posted_ts is not null").fetchone()[0]
        assert db.execute("select count(*) from consents").fetchone()[0] == 1
