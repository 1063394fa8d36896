"""Wishes, comments, holds and supervisors' lists in the store."""

import pytest
from sqlite_utils import Database

from data import store, store_preferences, store_replies, store_supervision
from data.errors import UnknownSuggestion
from data.models import HistoryPair
from data.preferences import Preferences
from data.prompts import reply_messages, with_preferences


def drafted(db: Database, key: str, *, channel: str = "C1", user: str = "U1", task: str = "reply") -> str:
    made = store.request_suggestion(
        db, request_key=key, task=task, team_id="T1", channel_id=channel, thread_ts=f"1.{key}", requested_by=user,
        request={},
    )  # fmt: skip
    assert made is not None
    store.record_draft(db, made.id, messages=[], draft=f"draft {key}", base="B", adapter="night-1")
    store.record_shown(db, made.id)
    return made.id


def rate(db: Database, suggestion_id: str, user: str, value: int, key: str) -> None:
    store.rate(db, suggestion_id=suggestion_id, user_id=user, role="supervisor", value=value, request_key=key)


def test_the_newest_wishes_count_and_a_repeated_request_adds_none(db: Database):
    first, second = Preferences("German"), Preferences(tone="warm", quiet_from="18:00", quiet_until="08:00")
    assert store_preferences.set_preferences(db, "U1", first, request_key="V1")
    assert store_preferences.set_preferences(db, "U1", second, request_key="V2")
    assert not store_preferences.set_preferences(db, "U1", first, request_key="V1")
    assert store_preferences.preferences(db, "U1") == second
    assert store_preferences.preferences(db, "U2") == Preferences()


def test_who_wishes_for_nothing_gets_the_prompt_that_everybody_gets():
    messages = reply_messages([])
    assert with_preferences(messages) == messages
    wished = with_preferences(messages, language="German", tone="warm")
    assert wished[0]["content"] == messages[0]["content"] + " Write in German. Write warmly."
    assert wished[1:] == messages[1:]


def test_the_worst_rated_have_more_thumbs_down_than_up_by_each_persons_newest(db: Database):
    bad, mixed, better, private = (drafted(db, key) for key in ("bad", "mixed", "better", "private"))
    db.execute("update suggestions set channel_id = 'D1' where id = ?", [private])
    for user in ("U1", "U2"):
        rate(db, bad, user, -1, f"{bad}{user}")
        rate(db, private, user, -1, f"{private}{user}")
    rate(db, mixed, "U1", -1, "m1")
    rate(db, mixed, "U2", 1, "m2")
    rate(db, better, "U1", -1, "b1")
    rate(db, better, "U1", 1, "b2")
    (worst,) = store_supervision.worst_rated(db, limit=5)
    assert (worst.suggestion_id, worst.ups, worst.downs, worst.text) == (bad, 0, 2, "draft bad")


def test_a_comment_stands_as_long_as_its_thumb_is_down(db: Database):
    suggestion_id = drafted(db, "1")
    rate(db, suggestion_id, "U1", -1, "r1")
    for number, text in enumerate(("first", "second")):
        store_supervision.comment(db, suggestion_id=suggestion_id, user_id="U1", text=text, request_key=f"V{number}")
    assert not store_supervision.comment(db, suggestion_id=suggestion_id, user_id="U1", text="first", request_key="V0")
    assert store_supervision.comments(db, suggestion_id) == [("U1", "second")]
    rate(db, suggestion_id, "U1", 0, "r2")
    assert store_supervision.comments(db, suggestion_id) == []
    with pytest.raises(UnknownSuggestion):
        store_supervision.comment(db, suggestion_id="none", user_id="U1", text="x", request_key="V9")


def test_erasing_a_text_erases_what_was_said_of_it(db: Database):
    suggestion_id = drafted(db, "1")
    store.rate(
        db, suggestion_id=suggestion_id, user_id="U1", role="supervisor", value=-1, request_key="r",
        seen_sha256=store.text_sha256("draft 1"),
    )  # fmt: skip
    store_supervision.comment(db, suggestion_id=suggestion_id, user_id="U1", text="as Carla said", request_key="V")
    store.purge(db, before="9999")
    assert store_supervision.comments(db, suggestion_id) == []
    assert db.execute("select value, seen_sha256 from ratings").fetchall() == [(-1, None)]
    (listed,) = store_supervision.worst_rated(db, limit=5)
    assert listed.text is None


def test_a_persons_list_has_their_own_drafts_with_the_decision_on_each(db: Database):
    first, _, third = drafted(db, "1"), drafted(db, "2", user="U2"), drafted(db, "3")
    store.decide(db, first, kind="edited", text="sent", reason=None, decided_by="U1")
    newest, oldest = store_supervision.own_drafts(db, "U1", limit=5)
    assert (newest.suggestion_id, newest.kind, newest.text) == (third, None, "draft 3")
    assert (oldest.suggestion_id, oldest.kind, oldest.text) == (first, "edited", "sent")


def test_what_was_withdrawn_is_listed_as_such_and_counts_in_no_acceptance(db: Database):
    kept, taken = drafted(db, "1"), drafted(db, "2")
    for suggestion_id in (kept, taken):
        store.decide(db, suggestion_id, kind="accepted", text="sent", reason=None, decided_by="U1")
    store_replies.withdraw(db, taken, cause="taken_back", withdrawn_by="U1")
    assert [one.withdrawn for one in store_supervision.own_drafts(db, "U1", limit=5)] == ["taken_back", None]
    assert [(one.kind, one.count) for one in store_supervision.decided(db, since="2000")] == [("accepted", 1)]


def test_channels_are_listed_while_their_newest_consent_is_on(db: Database):
    for number, (channel, granted) in enumerate((("C1", True), ("C2", True), ("C1", False), ("C2", True))):
        store.set_consent(db, channel, granted_by=f"U{number}", granted=granted, request_key=str(number))
    (listed,) = store_supervision.learning_channels(db)
    assert (listed.channel_id, listed.granted_by) == ("C2", "U3")


def test_held_out_cases_are_found_in_slack_and_in_history(db: Database):
    said = drafted(db, "1")
    store.decide(db, said, kind="accepted", text="said", reason=None, decided_by="U1")
    pair = HistoryPair(0, "reply", reply_messages([]), "imported")
    store.record_history(db, "history/1", team_id="", created_at=store.now(), pairs=[pair])
    (imported,) = (row[0] for row in db.execute("select id from history_pairs").fetchall())
    cases = store_supervision.cases(db, [said, imported, "gone"])
    assert (cases[said].text, cases[said].channel_id, cases[said].thread_ts) == ("said", "C1", "1.1")
    assert (cases[imported].text, cases[imported].channel_id) == ("imported", "")
    assert "gone" not in cases


def test_what_was_written_before_and_after_is_kept_with_its_report_and_erased_with_its_pair(db: Database):
    run_id, pair = store.start_run(db, base="B"), drafted(db, "1")
    report_id = store.record_gate_report(db, run_id=run_id, task="reply", passed=True, report={})
    store_supervision.record_written(db, report_id, [(pair, "old", "new"), ("same", "x", "x")])
    (found,) = store_supervision.written(db, run_id, limit=3)
    assert (found.task, found.pair_id, found.before, found.after) == ("reply", pair, "old", "new")
    db.execute("update suggestions set created_at = '2026-01-01' where id = ?", [pair])
    store.purge(db, before="2026-01-02")
    assert store_supervision.written(db, run_id, limit=3) == []
    assert "new" not in str(db.execute("select * from written_cases").fetchall())


def test_what_got_worse_is_erased_with_its_texts_and_keeps_its_numbers(db: Database):
    with store.immediate(db):
        pair = HistoryPair(0, "reply", reply_messages([]), "old")
        store.record_history(db, "history/1", team_id="", created_at="2026", pairs=[pair])
    ((pair_id,),) = db.execute("select id from history_pairs").fetchall()
    told = {"thread_id": "t", "nats_per_token": -0.5, "text": "old", "before": "was", "after": "would"}
    worse = [{"pair_id": pair_id} | told, {"pair_id": "kept"} | told]
    store.record_gate_report(db, run_id="r", task="reply", passed=False, report={"worse": worse, "cases": 2})
    db.execute("update history_pairs set imported_at = '2020'")
    store.purge(db, before="2021")
    (report,) = store.gate_reports(db, "r")
    erased, kept = report.report["worse"]
    assert erased == {"pair_id": pair_id, "thread_id": "t", "nats_per_token": -0.5}
    assert kept == {"pair_id": "kept"} | told and report.report["cases"] == 2
    store.purge(db, before="9999")
    assert "would" not in str(store.gate_reports(db, "r")[0].report)
