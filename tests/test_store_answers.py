"""Streamed answers in the store: a message in Slack belongs to one of them."""

from sqlite_utils import Database

from data import store, store_answers
from data.models import Suggestion


def asked(db: Database, key: str, channel_id: str = "C1") -> Suggestion:
    suggestion = store.request_suggestion(
        db,
        request_key=key,
        task="answer",
        team_id="T1",
        channel_id=channel_id,
        thread_ts="1.0",
        requested_by="U1",
        request={"kind": "mention", "text": "How?"},
    )
    assert suggestion is not None
    store_answers.expect_stream(db, suggestion)
    return suggestion


def test_a_message_belongs_to_the_stream_that_claims_it_first(db):
    first, second, elsewhere = asked(db, "a"), asked(db, "b"), asked(db, "c", "C2")
    assert store_answers.record_stream(db, first.id, "2.0")
    assert not store_answers.record_stream(db, second.id, "2.0")
    assert store_answers.record_stream(db, elsewhere.id, "2.0")
    assert store_answers.record_stream(db, second.id, "3.0")
    assert not store_answers.record_stream(db, second.id, "4.0")
    assert store_answers.known_streams(db, "C1") == {"2.0", "3.0"}


def test_a_stream_is_abandoned_when_its_suggestion_is_over_and_it_is_not(db):
    waiting, failed, shown = asked(db, "a"), asked(db, "b"), asked(db, "c")
    store.record_failure(db, failed.id, "It broke.")
    store.record_draft(db, shown.id, messages=[], draft="So.", base="b", adapter="base")
    store.record_shown(db, shown.id)
    assert [stream.suggestion_id for stream in store_answers.abandoned_streams(db)] == [failed.id, shown.id]
    for suggestion in (waiting, failed, shown):
        store_answers.record_stream_end(db, suggestion.id)
    assert store_answers.abandoned_streams(db) == []
