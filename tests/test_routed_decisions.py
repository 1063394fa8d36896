"""What each decision teaches: a pair, a preference, a gap, or nothing; and what it weighs."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from data import store, store_replies
from data.edits import edit_of
from data.models import Pair
from data.store_circumstances import Circumstances, Manner, circumstances, disagreements, manners, unlearned
from finetune import __main__ as command_line
from finetune import curation, dataset
from finetune.weighing import age_factor, weigh

DRAFT = "Wipe the brake disc with alcohol and try again."


@pytest.fixture
def channel(db):
    store.set_consent(db, "C1", granted_by="UA", granted=True)
    return db


def drafted(db, key, *, thread="1.0", draft=DRAFT, read="1.0", by="U1", channel="C1"):
    asked = store.request_suggestion(
        db,
        request_key=key,
        task="reply",
        team_id="T1",
        channel_id=channel,
        thread_ts=thread,
        requested_by=by,
        request={},
    )
    messages = [{"role": "system", "content": "s"}, {"role": "user", "content": f"Conversation:\nCustomer: {key}"}]
    store.record_draft(db, asked.id, messages=messages, draft=draft, base="b", adapter="base")
    store_replies.record_drafted_from(db, asked.id, read, {})
    store.record_shown(db, asked.id)
    return asked.id


def decided(db, key, kind, text=None, *, reason=None, by="U1", **more):
    suggestion_id = drafted(db, key, by=by, **more)
    store.decide(db, suggestion_id, kind=kind, text=text or DRAFT, reason=reason, decided_by=by)
    if kind != "dismissed":
        store.record_posted(db, suggestion_id, f"{key}5.5")
    return suggestion_id


@pytest.mark.parametrize("reason", ["wrong_fact", "outdated"])
@pytest.mark.parametrize("kind", ["edited", "dismissed"])
def test_a_wrong_or_outdated_fact_teaches_nothing(channel, kind, reason):
    decided(channel, "a", kind, "New pads cost 18 euros.", reason=reason)
    sent = decided(channel, "b", "edited", "Something else was sent.")
    assert [p.id for p in store.training_pairs(channel)] == [sent]
    assert [p.id for p in store.preference_pairs(channel)] == [sent]


def test_a_draft_dismissed_for_its_tone_is_worse_than_what_was_sent_in_its_place(channel):
    dismissed = decided(channel, "a", "dismissed", reason="wrong_tone")
    assert store.preference_pairs(channel) == []
    decided(channel, "b", "accepted", "Oh no, how annoying! Wipe the disc, please.", draft="x")
    (preference,) = [p for p in store.preference_pairs(channel) if p.id == dismissed]
    assert (preference.rejected, preference.chosen) == (DRAFT, "Oh no, how annoying! Wipe the disc, please.")
    assert preference.messages[-1]["content"].endswith("Customer: a"), "the prompt of the draft that was dismissed"


@pytest.mark.parametrize("other", [{"thread": "2.0"}, {"read": "9.0"}, {"reason": "wrong_fact"}])
def test_what_was_sent_elsewhere_later_or_with_another_reason_prefers_nothing(channel, other):
    dismissed = decided(channel, "a", "dismissed", reason=other.pop("reason", "wrong_tone"))
    decided(channel, "b", "accepted", "How annoying!", **other)
    assert [p for p in store.preference_pairs(channel) if p.id == dismissed] == []


def test_a_thumb_down_on_the_draft_says_nothing_against_the_edit(channel):
    suggestion_id = drafted(channel, "a")
    store.rate(
        channel,
        suggestion_id=suggestion_id,
        user_id="US",
        role="supervisor",
        value=-1,
        request_key="r1",
        seen_sha256=store.text_sha256(DRAFT),
    )
    store.decide(channel, suggestion_id, kind="edited", text="Much better.", reason=None, decided_by="U1")
    store.record_posted(channel, suggestion_id, "5.5")
    assert [p.target for p in store.training_pairs(channel)] == ["Much better."]
    store.rate(
        channel,
        suggestion_id=suggestion_id,
        user_id="US",
        role="supervisor",
        value=-1,
        request_key="r2",
        seen_sha256=store.text_sha256("Much better."),
    )
    assert store.training_pairs(channel) == []


def test_a_supervisors_thumb_outvotes_an_agents_and_not_the_other_way(channel):
    suggestion_id = decided(channel, "a", "accepted")

    def rate(user, role, value):
        store.rate(channel, suggestion_id=suggestion_id, user_id=user, role=role, value=value, request_key=None)

    rate("U2", "agent", -1)
    assert store.training_pairs(channel) == [], "a thumb down is never learned from"
    rate("S1", "supervisor", 1)
    assert len(store.training_pairs(channel)) == 1
    rate("S1", "supervisor", -1)
    for number in range(5):
        rate(f"U{number}", "agent", 1)
    assert store.training_pairs(channel) == []
    (found,) = disagreements(channel)
    assert (found.suggestion_id, found.up, found.down) == (suggestion_id, 5, 1)


def test_every_decision_that_is_no_pair_is_counted_with_its_reason(channel):
    decided(channel, "a", "dismissed", reason="not_needed")
    decided(channel, "b", "edited", "No: 18 euros.", reason="wrong_fact")
    decided(channel, "c", "accepted", channel="C2")
    bad = decided(channel, "d", "accepted")
    store.rate(channel, suggestion_id=bad, user_id="S1", role="supervisor", value=-1)
    decided(channel, "e", "accepted")
    assert unlearned(channel) == {
        "dismissed": 1,
        "wrong or outdated fact": 1,
        "channel without consent": 1,
        "thumbs down": 1,
    }
    store.purge(channel, "9999-01-01T00:00:00.000000+00:00")
    assert unlearned(channel)["text erased by retention"] == 3


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (DRAFT, "none"),
        (DRAFT + " \n", "none"),
        (DRAFT + "\n\nBest regards,\nAnna\nLarkspur Bikes", "touch"),
        (DRAFT + " https://help.example.com/brakes", "touch"),
        (DRAFT.replace("again", "it"), "touch"),
        (DRAFT.replace("Wipe", "Please first wipe"), "light"),
        ("Sorry, we have to look at that: bring the bike in at ten.", "rewrite"),
    ],
)
def test_a_touch_a_light_edit_and_a_rewrite_are_told_apart(text, kind):
    assert edit_of(DRAFT, text) == kind


def pair(number, *, weight=0.5, thread=None, days_old=0):
    created = store.iso(datetime(2026, 6, 1, tzinfo=UTC) - timedelta(days=days_old))
    return Pair(f"p{number}", "reply", thread or f"t{number}", [], f"target {number}", "suggestion", weight, created)


def found(number, *, kind="accepted", by=None, seconds=30.0, supervisors=0, agents=0, up=0, down=0):
    by = by or f"U{number}"
    return {f"p{number}": Circumstances(f"p{number}", kind, "draft", by, seconds, supervisors, agents, up, down)}


def weight_of(pair, circumstances=None, manners=()):
    return weigh([pair], circumstances or {}, manners).pairs[0].weight


def test_an_accept_within_two_seconds_weighs_less():
    assert weight_of(pair(1), found(1, seconds=1.5)) == 0.25
    assert weight_of(pair(1), found(1, seconds=2.5)) == 0.5
    assert weight_of(pair(1, weight=1.0), found(1, kind="edited", seconds=1.5)) == 1.0


def test_who_accepts_always_weighs_less_and_is_named():
    always, sometimes = Manner("U1", 40, 39), Manner("U1", 40, 30)
    assert weight_of(pair(1), found(1), [always]) == 0.25
    assert weight_of(pair(1), found(1), [sometimes]) == 0.5
    assert weight_of(pair(1), found(1), [Manner("U1", 5, 5)]) == 0.5, "five decisions show no habit"
    assert weigh([pair(1)], found(1), [always]).always_accept == ["U1"]


def test_a_supervisors_thumb_weighs_more_than_an_agents_and_a_dispute_less_than_none():
    by_supervisor = weight_of(pair(1), found(1, supervisors=1, up=1))
    by_agent = weight_of(pair(1), found(1, agents=1, up=1))
    disputed = weight_of(pair(1), found(1, supervisors=1, agents=-1, up=1, down=1))
    assert 1.0 > by_supervisor > by_agent > 0.5 > disputed


def test_a_pair_halves_in_sixty_days_and_never_vanishes():
    ages = [0, 60, 120, 3000]
    pairs = [pair(age, weight=1.0, days_old=age) for age in ages]
    assert [round(age_factor(p.created_at, pairs[0].created_at), 6) for p in pairs] == [1.0, 0.5, 0.25, 0.1]
    newest, older = weigh([pair(0, weight=1.0), pair(1, weight=1.0, days_old=60)], {}, []).pairs
    assert older.weight == pytest.approx(newest.weight / 2)


def test_no_thread_and_no_agent_outweighs_its_cap():
    pairs = [pair(n, weight=1.0, thread="long" if n < 100 else None) for n in range(300)]
    weighed = weigh(pairs, {}, [])
    total = sum(p.weight for p in weighed.pairs)
    assert sum(p.weight for p in weighed.pairs if p.thread_id == "long") == pytest.approx(0.02 * total)
    assert weighed.touched == {"a thread's cap": 100}

    agents = {}
    for n in range(300):
        agents |= found(n, kind="edited", by="busy" if n < 200 else f"U{n % 49}")
    weighed = weigh([pair(n, weight=1.0) for n in range(300)], agents, [])
    total = sum(p.weight for p in weighed.pairs)
    busy = sum(p.weight for n, p in enumerate(weighed.pairs) if n < 200)
    assert busy == pytest.approx(0.05 * total)
    assert weigh([pair(n, weight=1.0) for n in range(9)], found(0) | found(1), []).touched == {}


def test_the_dataset_command_tells_what_became_of_the_decisions(channel, tmp_path, monkeypatch, capsys):
    liked = decided(channel, "a", "accepted")
    for user, value in (("S1", 1), ("U2", -1)):
        role = "supervisor" if user == "S1" else "agent"
        store.rate(channel, suggestion_id=liked, user_id=user, role=role, value=value)
    decided(channel, "b", "dismissed", reason="wrong_tone")
    monkeypatch.setenv("DATABASE_PATH", str(tmp_path / "nightshift.db"))
    assert command_line.main(["dataset", str(tmp_path / "run"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["curation"]
    assert told["not_learned"] == {"dismissed": 1}
    assert (told["disagreements"], told["rated_by_several"]) == (1, 1)
    lines = list(curation.lines(told))
    assert "Decisions not learned from: 1 dismissed." in lines
    assert f"  1 up, 1 down: suggestion {liked} in C1/1.0" in lines
    assert dataset.load(tmp_path / "run").curation == told


def test_how_a_pair_came_about_is_read_from_the_store(channel):
    suggestion_id = decided(channel, "a", "accepted", by="U7")
    found = circumstances(channel)[suggestion_id]
    assert (found.decided_by, found.kind) == ("U7", "accepted")
    assert 0 <= found.seconds < 2
    assert manners(channel) == [Manner("U7", 1, 1)]
