"""Which rated texts the preference stage may learn from: by whom, about which text, from which threads, masked."""

from dataclasses import replace

import pytest
from night_fixtures import asked, import_tickets, pair, small_dataset
from test_dataset import decide

from data import store, store_names, store_replies
from data.errors import BadFile
from data.prompts import NOT_FOUND
from data.store_thumbs import rated_texts
from finetune import __main__ as command_line
from finetune import dataset as datasets
from finetune.dataset import build, freeze, load
from finetune.report import report_lines
from finetune.split_check import LeakedPrompts, LeakedThreads, check_split
from finetune.thumbs import Thumb, enough, of_ratings, sentence, usable

SENT = "We send a new one today."


@pytest.fixture
def channel(db):
    store.set_consent(db, "C1", granted_by="U9", granted=True)
    return db


def drafted(db, task):
    one = store.request_suggestion(
        db, request_key="k", task=task, team_id="T1", channel_id="C1", thread_ts="1.0", requested_by="U1", request={}
    )
    store.record_draft(db, one.id, messages=asked(1), draft=SENT, base="b", adapter="base")
    return one


def rate(db, suggestion_id, value, *, user="S1", role="supervisor", text=SENT):
    store.rate(
        db, suggestion_id=suggestion_id, user_id=user, role=role, value=value, seen_sha256=store.text_sha256(text)
    )


def sent(db, number=0, **more):
    return decide(db, number, **({"kind": "edited", "text": SENT, "draft": f"a draft, number {number}"} | more))


def nets(db):
    return [(one.id, one.text, one.net) for one in rated_texts(db)]


def test_a_supervisors_thumb_counts_twice_and_each_persons_newest_alone(channel):
    one = sent(channel)
    rate(channel, one, 1)
    rate(channel, one, -1, user="U2", role="agent")
    assert nets(channel) == [(one, SENT, 1)]
    rate(channel, one, -1)
    assert nets(channel) == [(one, SENT, -3)]


def test_a_thumb_that_was_taken_back_counts_no_more(channel):
    one = sent(channel)
    rate(channel, one, 1)
    rate(channel, one, -1, user="U2", role="agent")
    rate(channel, one, 0)
    assert nets(channel) == [(one, SENT, -1)]
    rate(channel, one, 0, user="U2", role="agent")
    assert nets(channel) == []


def test_a_thumb_is_about_the_text_that_was_seen(channel):
    one = sent(channel, draft="Buy another one.")
    rate(channel, one, -1, text="Buy another one.")
    rate(channel, one, 1, user="U2", role="agent")
    rate(channel, one, 1, user="U3", role="agent", text="a third text")
    assert sorted(nets(channel)) == sorted([(one, "Buy another one.", -2), (one, SENT, 1)])


def test_a_supervisors_thumb_down_on_who_knows_which_text_forbids_imitation(channel):
    one = sent(channel)
    rate(channel, one, 1, user="U2", role="agent")
    assert len(of_ratings(rated_texts(channel))[0]) == 1
    rate(channel, one, -1, text="a third text")
    assert of_ratings(rated_texts(channel)) == ([], 1)


def test_a_draft_that_was_sent_as_it_was_is_one_text_with_what_was_sent(channel):
    one = drafted(channel, "answer")
    rate(channel, one.id, 1, user="U2", role="agent")
    assert nets(channel) == [(one.id, SENT, 1)], "an answer is rated without a decision"
    store.decide(channel, one.id, kind="accepted", text=SENT, reason=None, decided_by="U1")
    rate(channel, one.id, 1)
    assert nets(channel) == [(one.id, SENT, 3)]


@pytest.mark.parametrize("kind", ["edited", "dismissed"])
@pytest.mark.parametrize("reason", ["wrong_fact", "outdated"])
def test_a_wrong_fact_is_a_gap_and_no_matter_of_liking(channel, kind, reason):
    one = sent(channel, kind=kind, reason=reason, draft="It costs 18 euros.")
    rate(channel, one, -1, text="It costs 18 euros.")
    assert nets(channel) == []


def test_a_draft_that_was_dismissed_for_another_reason_is_rated(channel):
    one = sent(channel, kind="dismissed", text=None, reason="wrong_tone", draft="Buy another one.")
    rate(channel, one, -1, text="Buy another one.")
    assert nets(channel) == [(one, "Buy another one.", -2)]


def test_a_refused_question_is_a_gap_too(channel):
    one = store.request_suggestion(
        channel, request_key="k", task="answer", team_id="T1", channel_id="C1", thread_ts="1.0", requested_by="U1",
        request={},
    )  # fmt: skip
    store.record_draft(channel, one.id, messages=asked(1), draft=f"{NOT_FOUND} Ask us.", base="b", adapter="base")
    rate(channel, one.id, -1, text=f"{NOT_FOUND} Ask us.")
    assert nets(channel) == []


def test_without_consent_after_retention_and_where_a_reply_was_taken_back_nothing_is_rated(channel):
    one, two = sent(channel, 1), sent(channel, 2)
    for each in (one, two):
        rate(channel, each, 1)
    store_replies.withdraw(channel, one, cause="taken_back", withdrawn_by="U1")
    assert nets(channel) == [(two, SENT, 2)]
    store.set_consent(channel, "C1", granted_by="U9", granted=False)
    assert nets(channel) == []
    store.set_consent(channel, "C1", granted_by="U9", granted=True)
    assert nets(channel) == [(two, SENT, 2)]
    store.purge(channel, "9999-01-01T00:00:00.000000+00:00")
    assert nets(channel) == []


def test_a_reply_that_is_not_sent_yet_is_not_rated(channel):
    one = drafted(channel, "reply")
    store.decide(channel, one.id, kind="accepted", text=SENT, reason=None, decided_by="U1")
    rate(channel, one.id, 1)
    assert nets(channel) == []
    store.record_posted(channel, one.id, "1.5")
    assert nets(channel) == [(one.id, SENT, 2)]


def test_where_raters_disagree_their_sum_decides_and_no_supervisor_is_outvoted_to_liking(channel):
    votes = {
        "liked": [("supervisor", 1), ("agent", -1)],
        "disliked": [("supervisor", -1), ("agent", 1)],
        "even": [("agent", 1), ("agent", -1)],
        "forbidden": [("supervisor", -1), *[("agent", 1)] * 5],
    }
    ids = {name: sent(channel, number) for number, name in enumerate(votes)}
    for name, thumbs in votes.items():
        for number, (role, value) in enumerate(thumbs):
            rate(channel, ids[name], value, user=f"U{number}", role=role)
    thumbs, neither = of_ratings(rated_texts(channel))
    assert {thumb.pair.id: thumb.liked for thumb in thumbs} == {ids["liked"]: True, ids["disliked"]: False}
    assert neither == 2


def test_a_text_weighs_whole_with_a_supervisors_thumb_or_two_agents(channel):
    for number, (role, people) in enumerate([("agent", 1), ("agent", 2), ("supervisor", 1), ("supervisor", 3)]):
        one = sent(channel, number)
        for person in range(people):
            rate(channel, one, 1, user=f"U{person}", role=role)
    assert [thumb.pair.weight for thumb in of_ratings(rated_texts(channel))[0]] == [0.5, 1.0, 1.0, 1.0]


def rated(number, *, text=SENT, liked=True, thread=None):
    return Thumb(replace(pair(number, thread=thread, target=text), source="suggestion"), liked)


def test_neither_one_rater_nor_one_thread_outweighs_the_others(channel):
    for number in range(60):
        rate(channel, sent(channel, number), -1, user="LOUD" if number < 50 else f"S{number}")
    one = sent(channel, 60)
    rate(channel, one, 1, user="LOUD")
    thumbs, _ = of_ratings(rated_texts(channel))
    raters = {one.id: one.rater for one in rated_texts(channel)}
    of_loud = sum(t.pair.weight for t in thumbs if not t.liked and raters[t.pair.id] == "LOUD")
    whole = sum(t.pair.weight for t in thumbs if not t.liked)
    # Of eleven raters one may have twice an equal share.
    assert of_loud / whole == pytest.approx(2 / 11)
    (liked,) = (t for t in thumbs if t.liked)
    assert liked.pair.weight == 1.0


def test_what_is_liked_must_be_worth_learning_and_what_is_disliked_may_be_anything():
    thumbs = [rated(1, text="Ok."), rated(2, text="Ok.", liked=False), rated(3), rated(4, thread="stops")]
    held_out = [replace(pair(9), messages=asked(3))]
    kept, left_out = usable(thumbs, {"stops"}, held_out)
    assert [thumb.pair.id for thumb in kept] == ["pair-2"]
    assert left_out == {
        "too short": 1,
        "nearly the prompt of a held-out pair": 1,
        "in a thread that stops training early": 1,
    }


@pytest.mark.parametrize(
    ("liked", "disliked", "is_enough"),
    [(400, 100, True), (401, 99, False), (100, 400, True), (99, 401, False), (399, 100, False), (0, 0, False)],
)
def test_kto_needs_five_hundred_texts_and_a_fifth_of_each_kind(liked, disliked, is_enough):
    assert enough(liked, disliked) == is_enough
    assert ("too few" in sentence(liked, disliked)) != is_enough


def fill(db, count=120):
    """Rated drafts that no pair is made of, and replies to learn from besides."""
    import_tickets(db, 120, first=1000)
    for number in range(count):
        whom = "Quemby" if number % 3 else f"jane{number}@example.org"
        draft = f"Please ask {whom} about number {number}."
        one = sent(db, number, kind="dismissed", text=None, draft=draft)
        rate(db, one, 1 if number % 3 else -1, text=draft)


def test_rated_texts_are_frozen_masked_and_counted_without_those_of_held_out_threads(channel, tmp_path, capsys):
    store_names.record_names(channel, ["Quemby"])
    fill(channel)
    built = build(channel)
    freeze(built, tmp_path)
    held_out = store.held_out_threads(channel)
    every = {one.thread_id for one in rated_texts(channel)}
    assert every & held_out, "there is something to leave out"
    assert {thumb.pair.thread_id for thumb in built.thumbs} <= every - held_out
    assert len(built.thumbs) > 60
    frozen = (tmp_path / "dataset" / "thumbs.jsonl").read_text()
    assert "Quemby" not in frozen and "example.org" not in frozen
    assert frozen.count("[EMAIL_1]") == sum(not thumb.liked for thumb in built.thumbs) > 20
    assert load(tmp_path) == built
    found = datasets.summary(built)["thumbs"]
    assert found["liked"] > found["disliked"] > 0 and sum(found.values()) == len(built.thumbs)
    assert command_line.main(["dataset", str(tmp_path), "--check"]) == 0
    assert f"{len(built.thumbs)} rated texts" in capsys.readouterr().out


def test_a_rated_text_that_was_changed_after_freezing_is_refused(channel, tmp_path):
    fill(channel, 10)
    freeze(build(channel), tmp_path)
    file = tmp_path / "dataset" / "thumbs.jsonl"
    file.write_text(file.read_text().replace('"liked": false', '"liked": true', 1))
    with pytest.raises(BadFile, match="does not hold the pairs"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("leak", "error"),
    [
        (rated(1, thread="thread-1000"), LeakedThreads),
        (rated(1, thread="thread-0"), LeakedThreads),
        (rated(1000, thread="elsewhere"), LeakedPrompts),
    ],
    ids=["a held-out thread", "a validation thread", "a held-out prompt"],
)
def test_a_leak_among_rated_texts_is_refused(leak, error, tmp_path, capsys):
    dataset = replace(small_dataset(), thumbs=[rated(500), leak])
    with pytest.raises(error):
        check_split(dataset, frozen_at=store.now())
    freeze(dataset, tmp_path)
    assert command_line.main(["dataset", str(tmp_path), "--check"]) == 1
    assert "nothing was trained or promoted" in capsys.readouterr().err


def test_the_report_says_how_many_texts_were_rated_and_what_came_of_them(db):
    run = store.run(db, store.start_run(db, base="b" * 64))
    dataset = replace(small_dataset(), thumbs=[rated(1), rated(2, liked=False)])

    def told(**stages):
        return "\n".join(report_lines(run, dataset, [], [], [], None, manifest=stages))

    assert "2 rated texts, 1 of them disliked: too few for KTO, which needs 500 and 20% of each kind." in told()
    both = told(preferences={"pairs": 320, "accuracy": 0.83, "kept": True}, thumbs={"margin": 3.217, "kept": False})
    assert "DPO: 320 edits preferred in 83% of cases." in both
    assert "by 3.22 nats; left out, since it cost validation loss." in both
