"""What a summary has read, where its lines come from, and which one an agent kept."""

import pytest

from data import store, store_summaries

BASE = {"base": "b", "adapter": "base"}


def summary(db, *, key: str, thread_ts: str | None = "1.1", span: str = "", until: str = "1.5", channel: str = "C1"):
    """A drafted summary that has read until a message."""
    made = store.request_suggestion(
        db,
        request_key=key,
        task="summary",
        team_id="T1",
        channel_id=channel,
        thread_ts=thread_ts,
        requested_by="U1",
        request={},
    )
    store.record_draft(db, made.id, messages=[{"role": "user", "content": "x"}], draft=f"draft {key}", **BASE)
    store_summaries.record_reading(db, made.id, span=span, read_until=until, sources={0: "1.1", 2: "1.4"})
    return made.id


def kept(db, *, thread_ts: str | None = "1.1", span: str = "", channel: str = "C1"):
    return store_summaries.kept_summary(db, team_id="T1", channel_id=channel, thread_ts=thread_ts, span=span)


def decide(db, suggestion_id: str, kind: str = "accepted", text: str | None = "text"):
    store.decide(db, suggestion_id, kind=kind, text=text, reason=None, decided_by="U2")


def test_a_summary_remembers_its_lines_messages_and_the_first_reading_counts(db):
    made = summary(db, key="k")
    store_summaries.record_reading(db, made, span="2d", read_until="9.9", sources={1: "9.9"}, thread_id="other")
    assert store_summaries.source_lines(db, made) == {0: "1.1", 2: "1.4"}
    assert store.suggestion(db, made).thread_id == "T1/C1/1.1"


@pytest.mark.parametrize(("kind", "found"), [("accepted", True), ("edited", True), ("dismissed", False)])
def test_a_summary_is_kept_when_it_was_accepted_or_edited(db, kind, found):
    made = summary(db, key="k")
    assert kept(db) is None
    decide(db, made, kind)
    one = kept(db)
    assert (one is not None) == found
    if one is not None:
        assert (one.suggestion_id, one.text, one.kept_by, one.read_until) == (made, "text", "U2", "1.5")


def test_the_newest_decision_counts(db):
    first, second = summary(db, key="k1"), summary(db, key="k2", until="1.7")
    decide(db, second, text="second")
    decide(db, first, text="first")
    assert kept(db).text == "first"


def test_threads_channels_and_spans_are_apart(db):
    decide(db, summary(db, key="k1", thread_ts=None, span="2d"), text="span")
    decide(db, summary(db, key="k2"), text="thread")
    assert kept(db, thread_ts=None, span="2d").text == "span"
    assert kept(db).text == "thread"
    for other in ({"thread_ts": "1.2"}, {"thread_ts": None, "span": "12h"}, {"channel": "C2"}):
        assert kept(db, **other) is None


def test_what_a_supervisor_rated_down_is_not_kept_and_an_agents_thumb_changes_nothing(db):
    made = summary(db, key="k")
    decide(db, made)
    store.rate(db, suggestion_id=made, user_id="U3", role="agent", value=-1)
    assert kept(db) is not None
    store.rate(db, suggestion_id=made, user_id="U9", role="supervisor", value=-1)
    assert kept(db) is None
    store.rate(db, suggestion_id=made, user_id="U9", role="supervisor", value=0)
    assert kept(db) is not None


def test_what_was_erased_is_not_kept(db):
    decide(db, summary(db, key="k"))
    store.purge(db, "2999-01-01")
    assert kept(db) is None


def test_a_kept_text_shown_again_is_a_draft_without_a_prompt(db):
    decide(db, summary(db, key="k1"), "edited", "as edited")
    again = store.request_suggestion(
        db,
        request_key="k2",
        task="summary",
        team_id="T1",
        channel_id="C1",
        thread_ts="1.1",
        requested_by="U1",
        request={},
    )
    drafted = store_summaries.record_kept(db, again.id, kept(db))
    assert (drafted.state, drafted.draft, drafted.messages, drafted.adapter) == ("drafted", "as edited", None, "base")
    store.record_draft(db, again.id, messages=[], draft="too late", **BASE)
    assert store.suggestion(db, again.id).draft == "as edited"
    (source,) = db.query("select pair_id from suggestion_sources where suggestion_id = ?", [again.id])
    assert source["pair_id"] == kept(db).suggestion_id


def test_a_summary_that_goes_on_from_another_belongs_to_its_thread(db):
    first = summary(db, key="k1", thread_ts=None, span="2d")
    second = store.request_suggestion(
        db,
        request_key="k2",
        task="summary",
        team_id="T1",
        channel_id="C1",
        thread_ts=None,
        requested_by="U1",
        request={},
    )
    thread_id = store.suggestion(db, first).thread_id
    assert second.thread_id != thread_id
    store_summaries.record_reading(db, second.id, span="2d", read_until="2.0", sources={}, thread_id=thread_id)
    assert store.suggestion(db, second.id).thread_id == thread_id
