"""The queue of gaps in the store: what comes into it, what is the same, who owns it, what an answer changes."""

from pathlib import Path

import numpy as np
import pytest
from sqlite_utils import Database

from data import embedding, gaps, store, store_gaps, store_gathering
from data.articles import Article, put_article
from data.embedding import DEFAULT_MODEL
from data.errors import UnknownGap
from data.gaps import Asked
from data.knowledge import import_knowledge
from data.models import Turn
from data.prompts import NOT_FOUND, reply_messages
from data.search import search
from data.store_vectors import begin_vectors


def refused(db: Database, question: str, *, key: str = "", channel: str = "C1", user: str = "U1") -> str:
    made = store.request_suggestion(
        db, request_key=key or question, task="answer", team_id="T1", channel_id=channel, thread_ts=None,
        requested_by=user, request={"text": question, "kind": "command"},
    )  # fmt: skip
    assert made is not None
    store.record_failure(db, made.id, NOT_FOUND)
    return made.id


def replied(db: Database, said: str, draft: str, *, task: str = "reply", chunk_ids: tuple[int, ...] = ()) -> str:
    made = store.request_suggestion(
        db, request_key=f"{said}{draft}{task}", task=task, team_id="T1", channel_id="C1", thread_ts=f"1.{len(said)}",
        requested_by="U1", request={},
    )  # fmt: skip
    assert made is not None
    messages = reply_messages([Turn("agent", "Hello"), Turn("customer", said), Turn("agent", "One moment")])
    store.record_draft(db, made.id, messages=messages, draft=draft, base="B", adapter="base", chunk_ids=chunk_ids)
    store.record_shown(db, made.id)
    return made.id


def wrong(
    db: Database, said: str, draft: str, *, sent: str | None = "right", reason: str = "wrong_fact", **more
) -> str:
    made = replied(db, said, draft, **more)
    kind = "dismissed" if sent is None else "edited"
    store.decide(db, made, kind=kind, text=sent, reason=reason, decided_by="U2")
    return made


def the_gap(db: Database) -> store_gaps.Gap:
    store_gathering.gather(db)
    (found,) = store_gaps.open_gaps(db, limit=9)
    return found


def close(db: Database, gap_id: str, kind: str, *, key: str, article: Article | None = None) -> bool:
    return store_gaps.record_event(db, gap_id, kind=kind, decided_by="US", request_key=key, article=article)


def test_refused_questions_and_wrong_or_outdated_facts_are_gaps(db):
    refused(db, "Do you sell unicycles?")
    wrong(db, "How long is the warranty?", "Ten years.")
    wrong(db, "When do you open on Sundays?", "At six.", sent=None, reason="outdated")
    assert store_gathering.gather(db) == 3
    newest, edited, asked = (gap.examples[0] for gap in store_gaps.open_gaps(db, limit=9))
    assert (asked.kind, asked.question, asked.draft, asked.asked_by) == (
        "not_found", "Do you sell unicycles?", None, "U1",
    )  # fmt: skip
    assert (edited.kind, edited.question, edited.draft, edited.sent, edited.asked_by) == (
        "wrong_fact", "How long is the warranty?", "Ten years.", "right", "U2",
    )  # fmt: skip
    assert (newest.kind, newest.draft, newest.sent) == ("outdated", "At six.", None)


def test_a_wrong_tone_a_wrong_fact_in_a_summary_and_a_question_that_failed_otherwise_are_no_gaps(db):
    wrong(db, "Where is it?", "Dunno.", reason="wrong_tone")
    wrong(db, "Where is it?", "Customer wants: a bike.", task="summary")
    other = refused(db, "Is the server up?")
    db.execute("update suggestions set error = 'Slack did not answer.' where id = ?", [other])
    assert store_gathering.gather(db) == 0


def test_a_wrong_or_outdated_fact_is_a_gap_and_no_training_pair(db):
    store.set_consent(db, "C1", granted_by="UA", granted=True, request_key="on")
    kept = wrong(db, "What is it?", "A bike", reason="wrong_tone")
    for reason in ("wrong_fact", "outdated"):
        wrong(db, f"What is {reason}?", "A car", reason=reason)
    db.execute("update decisions set posted_ts = '1.0'")
    assert [pair.id for pair in store.training_pairs(db)] == [kept]
    assert [pair.id for pair in store.preference_pairs(db)] == [kept]


def test_what_is_asked_again_in_other_words_is_one_gap_and_the_most_asked_comes_first(db):
    refused(db, "Can I ride a unicycle in the rain?")
    for key, question in enumerate(
        ("Do you sell unicycles?", "do you SELL any unicycles", "Hello, do you sell a unicycle? Thanks")
    ):
        refused(db, question, key=str(key))
    assert store_gathering.gather(db) == 4
    sold, rain = store_gaps.open_gaps(db, limit=9)
    assert (sold.count, rain.count) == (3, 1)
    assert [example.question for example in sold.examples] == [
        "Hello, do you sell a unicycle? Thanks", "do you SELL any unicycles", "Do you sell unicycles?",
    ]  # fmt: skip
    # Gathered later, it still finds its like.
    refused(db, "Rain: can I ride the unicycle?")
    store_gathering.gather(db)
    assert [gap.count for gap in store_gaps.open_gaps(db, limit=9)] == [3, 2]


def test_the_same_wrong_draft_is_one_gap_whatever_was_asked(db):
    wrong(db, "My frame broke, what now?", "The warranty on frames is ten years.")
    wrong(db, "How long am I covered for cracks?", "Warranty on the frame: ten years.")
    assert the_gap(db).count == 2


def understand(db: Database, model: str = DEFAULT_MODEL) -> int:
    """Give what is to be gathered its vectors, as the bot does."""
    begin_vectors(db, model)
    missing = store_gathering.without_vector(db, limit=99)
    made = embedding.embed([question for _, question in missing])
    vectors = {one: vector for (one, _), vector in zip(missing, made, strict=True)}
    store_gathering.put_question_vectors(db, model, vectors)
    return len(vectors)


def test_what_means_the_same_in_quite_other_words_is_one_gap_when_there_are_vectors(db):
    refused(db, "How do I get my money back?")
    refused(db, "Can I ride a unicycle in the rain?")
    store_gathering.gather(db)
    refused(db, "How can I have my money refunded?")
    assert understand(db) == 3 and understand(db) == 0
    store_gathering.gather(db)
    assert [gap.count for gap in store_gaps.open_gaps(db, limit=9)] == [2, 1]
    refused(db, "Could I be reimbursed?")
    store_gathering.gather(db)
    # Nobody gave it a vector.
    assert [gap.count for gap in store_gaps.open_gaps(db, limit=9)] == [2, 1, 1]


def test_a_question_goes_where_all_are_near_and_not_where_one_of_many_is():
    def asked(word: str, *vector: float) -> Asked:
        return Asked(word, None, np.array(vector, np.float32))

    # .72 in the mean, though .96 to one of the three.
    wide, new = [asked("one", 1, 0), asked("two", 1, 0), asked("three", 0.8, 0.6)], asked("new", 0.6, 0.8)
    assert gaps.same_as([new], wide, ["a", "a", "a"]) == [None]
    later = [new, asked("newer", 0.6, 0.8), Asked("without a vector")]
    assert gaps.same_as(later, [*wide, asked("four", 0.28, 0.96)], ["a", "a", "a", "b"]) == [3, 3, None]


def test_a_vector_is_erased_with_its_text_and_another_model_makes_its_own(db):
    kept = [refused(db, "How do I get my money back?"), wrong(db, "How long is the warranty?", "Ten years.")]
    assert understand(db) == 2
    assert understand(db, str(embedding.folder_of(DEFAULT_MODEL))) == 2
    store.purge(db, before="9999")
    assert db["question_vectors"].count == 0
    store_gathering.put_question_vectors(db, "m", dict.fromkeys(kept, np.zeros(3, np.float32)))
    assert db["question_vectors"].count == 0


def test_gathering_twice_or_at_once_counts_everything_once(tmp_path):
    with store.connect(tmp_path / "one.db") as db, store.connect(tmp_path / "one.db") as other:
        refused(db, "Do you sell unicycles?")
        assert (store_gathering.gather(db), store_gathering.gather(other), store_gathering.gather(db)) == (1, 0, 0)
        assert the_gap(other).count == 1


def test_words_of_no_script_in_particular_and_none_at_all_are_compared():
    first, second, third = Asked("返品できますか"), Asked("返品できますか"), Asked("")
    assert gaps.same_as([first, second, third, Asked("")], [], []) == [None, 0, None, None]


def test_what_was_asked_in_direct_messages_counts_but_its_words_are_not_shown(db):
    refused(db, "Do you sell unicycles?", key="private", channel="D1")
    store_gathering.gather(db)
    assert store_gaps.open_gaps(db, limit=9) == []
    refused(db, "Do you sell a unicycle?", key="public")
    gap = the_gap(db)
    assert (gap.count, [one.question for one in gap.examples]) == (2, ["Do you sell a unicycle?"])


def test_what_was_erased_is_in_no_gap_any_more(db):
    refused(db, "Do you sell unicycles?")
    wrong(db, "How long is the warranty?", "Ten years.")
    store_gathering.gather(db)
    store.purge(db, before="9999")
    assert store_gaps.open_gaps(db, limit=9) == []
    assert "unicycle" not in str([db.execute(f"select * from {t}").fetchall() for t in ("gaps", "gap_examples")])


def test_who_looks_after_the_document_owns_its_gap_until_somebody_takes_it(db, tmp_path: Path):
    (tmp_path / "warranty.md").write_text("# Warranty\n\nFrames have a warranty of five years.\n")
    import_knowledge(db, [tmp_path], owner="Workshop team")
    (chunk,) = search(db, "warranty")
    wrong(db, "How long is the warranty?", "Ten years.", chunk_ids=(chunk.chunk_id,))
    gap = the_gap(db)
    assert (gap.owner, gap.assigned_to) == ("Workshop team", None)
    store_gaps.record_event(db, gap.id, kind="assigned", decided_by="US", owner="U7", request_key="k")
    assert (the_gap(db).owner, the_gap(db).assigned_to) == ("U7", "U7")
    assert [one.id for one in store_gaps.open_gaps(db, limit=9, owner="U7")] == [gap.id]
    assert store_gaps.open_gaps(db, limit=9, owner="U8") == []


def test_what_was_not_needed_stays_so_when_it_is_asked_again_and_can_be_opened_again(db):
    refused(db, "Do you sell unicycles?")
    gap = the_gap(db)
    assert close(db, gap.id, "dismissed", key="k1") and not close(db, gap.id, "dismissed", key="k1")
    refused(db, "Do you sell a unicycle?")
    store_gathering.gather(db)
    assert store_gaps.open_gaps(db, limit=9) == []
    (closed,) = store_gaps.closed_gaps(db, since="2000", limit=3)
    assert (closed.state, closed.count) == ("dismissed", 2)
    assert store_gaps.closed_gaps(db, since="9999", limit=3) == []
    close(db, gap.id, "reopened", key="k2")
    assert the_gap(db).id == gap.id


def test_what_is_asked_again_although_it_was_answered_is_a_new_gap(db):
    refused(db, "Do you sell unicycles?")
    gap = the_gap(db)
    close(db, gap.id, "answered", key="k1", article=Article("Unicycles", "We sell none."))
    refused(db, "Do you sell a unicycle?")
    assert the_gap(db).id != gap.id
    assert store_gaps.newest_article(db, gap.id) == Article("Unicycles", "We sell none.")


def test_who_asked_is_to_be_told_once_their_gap_is_answered_and_not_again(db):
    first, second = refused(db, "Do you sell unicycles?", user="U1"), refused(db, "Unicycles: do you sell?", user="U2")
    gap = the_gap(db)
    assert store_gaps.untold(db) == []
    close(db, gap.id, "answered", key="k1", article=Article("Unicycles", "We sell none."))
    assert [(gap_id, one.suggestion_id) for gap_id, one in store_gaps.untold(db)] == [(gap.id, first), (gap.id, second)]
    store_gaps.record_told(db, [first])
    assert [one.asked_by for _, one in store_gaps.untold(db)] == ["U2"]


def test_an_article_is_found_by_the_next_search_by_those_who_may_read_it_and_replaced_when_put_again(db):
    source = store_gaps.article_source("g1")
    put_article(db, source, Article("Unicycles", "We sell **none**, but we mend them."))
    (found,) = search(db, "Do you sell unicycles?")
    assert found.title == "Unicycles" and search(db, "unicycles", audience="customer_safe") == []
    put_article(db, source, Article("Unicycles", "We sell two kinds.", "customer_safe", "Shop"))
    (found,) = search(db, "unicycles", audience="customer_safe")
    assert (found.text, db["documents"].count) == ("We sell two kinds.", 1)
    kept = store.source(db, source)
    assert kept is not None and (kept.owner, kept.audience) == ("Shop", "customer_safe")


def test_importing_a_folder_leaves_what_was_written_in_slack_alone(db, tmp_path: Path):
    put_article(db, store_gaps.article_source("g1"), Article("Unicycles", "We sell none."))
    (tmp_path / "a.md").write_text("# A\n\nText.\n")
    import_knowledge(db, [tmp_path])
    assert import_knowledge(db, [tmp_path]).removed == 0 and len(search(db, "unicycles")) == 1


def test_a_gap_that_is_none_is_said_to_be_none(db):
    with pytest.raises(UnknownGap, match="There is no gap nope"):
        store_gaps.gap(db, "nope")
