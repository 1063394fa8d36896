"""What the store knows around a reply: how far its draft had read, why it was dismissed, that it was taken back."""

import pytest
from sqlite_utils import Database

from data import migrations, store, store_replies
from data.knowledge import import_knowledge
from data.models import Task

PROMPT = [
    {"role": "system", "content": "Draft the reply."},
    {"role": "user", "content": "Conversation:\nCustomer: My brake squeals"},
]


def drafted(db: Database, number: int = 1, channel: str = "C1", *, task: Task = "reply", **sources: list) -> str:
    made = store.request_suggestion(
        db,
        request_key=f"k{number}",
        task=task,
        team_id="T1",
        channel_id=channel,
        thread_ts=f"{number}.0",
        requested_by="U1",
        request={},
    )
    assert made is not None
    store.record_draft(db, made.id, messages=PROMPT, draft="Wipe the disc.", base="b", adapter="base", **sources)
    return made.id


def accepted(db: Database, number: int = 1, channel: str = "C1", text: str = "Wipe the disc.") -> str:
    suggestion_id = drafted(db, number, channel)
    store.decide(db, suggestion_id, kind="accepted", text=text, reason=None, decided_by="U1")
    return suggestion_id


def test_a_draft_remembers_up_to_where_it_has_read(db):
    suggestion_id = drafted(db)
    assert store_replies.drafted_from(db, suggestion_id) is None
    store_replies.record_drafted_from(db, suggestion_id, "1.0", {"1.0": "ab"})
    store_replies.record_drafted_from(db, suggestion_id, "2.0", {})
    assert store_replies.drafted_from(db, suggestion_id) == store_replies.DraftedFrom("1.0", {"1.0": "ab"})
    store.purge(db, "2999-01-01")
    assert store_replies.drafted_from(db, suggestion_id) == store_replies.DraftedFrom("1.0", {})


def test_the_first_reason_of_a_dismissal_stays(db):
    suggestion_id = drafted(db)
    assert not store_replies.record_reason(db, suggestion_id, "outdated"), "nothing was dismissed yet"
    store.decide(db, suggestion_id, kind="dismissed", text=None, reason=None, decided_by="U1")
    assert store_replies.record_reason(db, suggestion_id, "wrong_fact")
    assert not store_replies.record_reason(db, suggestion_id, "wrong_tone")
    assert store.decision(db, suggestion_id).reason == "wrong_fact"


def test_an_accepted_reply_takes_no_reason_afterwards(db):
    assert not store_replies.record_reason(db, accepted(db), "wrong_fact")


@pytest.mark.parametrize("kind", ["accepted", "edited"])
def test_a_reply_is_a_pair_only_once_it_was_posted(db, kind):
    store.set_consent(db, "C1", granted_by="UA", granted=True, request_key="consent")
    suggestion_id = drafted(db)
    store.decide(db, suggestion_id, kind=kind, text="Please wipe the disc.", reason=None, decided_by="U1")
    assert store.training_pairs(db) == [] and store.preference_pairs(db) == []
    assert store.accepted_examples(db, "reply", text="brake squeals") == []
    store.record_posted(db, suggestion_id, "5.5")
    assert [pair.id for pair in store.training_pairs(db)] == [suggestion_id]
    assert [pair.id for pair in store.preference_pairs(db)] == ([suggestion_id] if kind == "edited" else [])


@pytest.mark.parametrize("task", ["summary", "answer"])
def test_what_is_not_posted_for_its_reader_is_a_pair_once_it_was_decided_on(db, task):
    store.set_consent(db, "C1", granted_by="UA", granted=True, request_key="consent")
    suggestion_id = drafted(db, task=task)
    store.decide(db, suggestion_id, kind="accepted", text="Wipe the disc.", reason=None, decided_by="U1")
    assert [pair.id for pair in store.training_pairs(db)] == [suggestion_id]


def test_a_reply_taken_back_is_no_pair_any_more(db):
    store.set_consent(db, "C1", granted_by="UA", granted=True, request_key="consent")
    suggestion_id = accepted(db)
    store.record_posted(db, suggestion_id, "5.5")
    assert len(store.training_pairs(db)) == 1
    store_replies.withdraw(db, suggestion_id, cause="taken_back", withdrawn_by="U1")
    assert store.training_pairs(db) == []


@pytest.mark.parametrize("cause", ["taken_back", "refreshed"])
def test_a_withdrawn_decision_is_not_sent_after_a_restart_and_is_no_pair_even_when_it_was_on_its_way(db, cause):
    store.set_consent(db, "C1", granted_by="UA", granted=True, request_key="consent")
    suggestion_id = accepted(db)
    assert len(store.unposted_decisions(db)) == 1
    assert store_replies.withdraw(db, suggestion_id, cause=cause, withdrawn_by="U1")
    assert not store_replies.withdraw(db, suggestion_id, cause=cause, withdrawn_by="U2")
    assert store.unposted_decisions(db) == []
    withdrawal = store_replies.withdrawal(db, suggestion_id)
    assert withdrawal is not None and (withdrawal.cause, withdrawal.withdrawn_by) == (cause, "U1")
    store.record_posted(db, suggestion_id, "5.5")
    assert store.training_pairs(db) == []


def test_a_reply_taken_back_waits_until_slack_has_deleted_it(db):
    one, other = accepted(db, 1), accepted(db, 2)
    store_replies.withdraw(db, one, cause="taken_back", withdrawn_by="U1")
    store_replies.withdraw(db, other, cause="refreshed", withdrawn_by="U1")
    assert [w.suggestion_id for w in store_replies.undeleted_withdrawals(db)] == [one]
    store_replies.record_deleted(db, one)
    assert store_replies.undeleted_withdrawals(db) == []


def test_what_stood_in_a_prompt_is_found_again(db, tmp_path):
    (tmp_path / "brakes.md").write_text("# Brakes\n\nWipe the disc with alcohol.\n")
    import_knowledge(db, [tmp_path], progress=False)
    (chunk_id,) = db.execute("select id from chunks").fetchone()
    example = accepted(db, 1, "C2", text="Gern, wipe it.")
    suggestion_id = drafted(db, 2, pair_ids=[example, "gone"], chunk_ids=[chunk_id, 999])
    (passage,) = store_replies.shown_passages(db, suggestion_id)
    assert passage.title == "Brakes" and "alcohol" in passage.text
    assert store_replies.shown_examples(db, suggestion_id) == [store_replies.ShownExample("Gern, wipe it.", "C2")]


def test_a_database_from_before_keeps_its_pairs(tmp_path):
    path = tmp_path / "old.db"
    old = Database(path)
    before = migrations.names()[: migrations.names().index("m005_replies")]
    assert migrations.apply(old, stop_before="m005_replies") == before
    old.conn.execute(
        """
        insert into suggestions (
            id, request_key, task, team_id, channel_id, requested_by, state, messages, draft, created_at
        ) values ('s1', 'k1', 'reply', 'T1', 'C1', 'U1', 'shown', '[]', 'd', '2026-01-01T00:00:00.000000+00:00')
        """
    )
    old.conn.commit()
    old.close()
    with store.connect(path) as db:
        store.set_consent(db, "C1", granted_by="UA", granted=True, request_key="k2")
        store.decide(db, "s1", kind="edited", text="e", reason=None, decided_by="U1")
        store.record_posted(db, "s1", "5.5")
        assert [pair.target for pair in store.training_pairs(db)] == ["e"]
        assert [pair.chosen for pair in store.preference_pairs(db)] == ["e"]
