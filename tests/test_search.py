"""Search finds by words and by meaning, for who may read it, with and without vectors."""

import logging
import threading
import time

import numpy as np
import pytest
from sandbox_fixtures import PATIENCE

from data import embedding, ranking, store, store_tunings, store_vectors, vectors, words
from data.embedding import DEFAULT_MODEL
from data.knowledge import chunk_markdown
from data.models import Turn
from data.ranking import Asked, Candidate, Weights
from data.search import said_before, search
from data.tuning import as_bytes, as_json

TEXTS = {
    "Refunds": "Refunds are paid within six days to the card that was charged.",
    "Delivery": "Parcels arrive within three days.",
    "Opening hours": "We are open Monday to Friday, 9 to 5.",
}


def put(db, title, text, audience="internal"):
    store.put_document(db, source=title, title=title, text=text, sha256="", chunks=chunk_markdown(text, title=title))
    store.set_upkeep(db, title, None, audience, None, url=None)


@pytest.fixture
def filled(db):
    for title, text in TEXTS.items():
        put(db, title, text)
    return db


@pytest.fixture
def embedded(filled):
    assert vectors.embed_passages(filled, DEFAULT_MODEL) == 3
    return filled


def titles(found):
    return [passage.title for passage in found]


def test_a_passage_is_found_by_its_meaning_where_it_shares_no_word_with_the_question(embedded):
    assert titles(search(embedded, "How do I get my money back?")) == ["Refunds"]
    assert titles(search(embedded, "When will my package come?")) == ["Delivery"]


def test_what_is_near_to_nothing_finds_nothing(embedded):
    assert search(embedded, "What is the capital of France?") == [] == search(embedded, "🚲") == search(embedded, "")


def test_before_there_are_vectors_search_is_by_words(filled):
    assert titles(search(filled, "refund")) == ["Refunds"]
    assert search(filled, "How do I get my money back?") == []


def test_without_the_model_search_is_by_words_and_says_so_once(embedded, caplog):
    embedded.execute("update meta set value = 'a-model-that-went-away' where key = 'embedding_model'")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert titles(search(embedded, "refund")) == ["Refunds"]
            assert search(embedded, "How do I get my money back?") == []
    assert [record.getMessage()[:30] for record in caplog.records] == ["search is by words alone: The "]


def test_customers_get_no_internal_passage_by_its_meaning(embedded):
    assert search(embedded, "How do I get my money back?", audience="customer_safe") == []
    store.set_upkeep(embedded, "Refunds", None, "customer_safe", None, url=None)
    assert titles(search(embedded, "How do I get my money back?", audience="customer_safe")) == ["Refunds"]


def test_only_what_changed_gets_a_new_vector_and_what_is_gone_is_found_no_more(embedded):
    assert vectors.embed_passages(embedded, DEFAULT_MODEL) == 0
    assert search(embedded, "How do I get my money back?")
    put(embedded, "Refunds", "Ask the shop where you bought it.")
    put(embedded, "Passwords", "To reset your password, open Settings.")
    assert search(embedded, "How do I get my money back?") == []
    assert vectors.embed_passages(embedded, DEFAULT_MODEL) == 2
    assert titles(search(embedded, "I forgot my login")) == ["Passwords"]
    store.remove_document(embedded, "Passwords")
    assert search(embedded, "I forgot my login") == []
    assert store_vectors.count_unembedded(embedded) == 0


def test_another_model_makes_all_vectors_anew(embedded):
    folder = str(embedding.folder_of(DEFAULT_MODEL))
    assert vectors.embed_passages(embedded, folder) == 3
    assert store_vectors.embedding_model(embedded) == folder
    assert titles(search(embedded, "How do I get my money back?")) == ["Refunds"]


def test_a_thread_makes_the_vectors_of_passages_that_have_none_and_ends_when_told(filled, tmp_path):
    stop = threading.Event()
    thread = vectors.embed_passages_in_the_background(tmp_path / "nightshift.db", DEFAULT_MODEL, stop)
    deadline = time.monotonic() + PATIENCE
    while store_vectors.count_unembedded(filled) and time.monotonic() < deadline:
        time.sleep(0.05)
    stop.set()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert titles(search(filled, "How do I get my money back?")) == ["Refunds"]


def test_the_rarer_word_the_title_and_words_side_by_side_count_more():
    numbers = words.numbers_of
    question = numbers("auto motion plus settings").tolist()
    asked = Asked(question, question, [], dict.fromkeys(question, 2.0))

    def scores(asked, found):
        return ranking.added(ranking.features(asked, found, np.zeros(len(found)), Weights()), Weights())

    def order(*passages):
        found = [Candidate(numbers(title), numbers(text)) for title, text in passages]
        return np.argsort(-scores(asked, found)).tolist()

    assert order(("", "settings of the motion, plus auto"), ("", "of the auto motion plus settings")) == [1, 0]
    assert order(("Sound", "motion settings here"), ("Motion settings", "sound here")) == [1, 0]
    assert order(("", "motion " + "word " * 90), ("", "motion word")) == [1, 0]
    rare = Asked(question, question, [], dict.fromkeys(question, 0.1) | {question[1]: 3.0})
    found = scores(rare, [Candidate(numbers(""), numbers(one)) for one in ("plus", "motion")])
    assert found[1] > found[0] > 0


def test_a_pair_does_not_go_from_the_title_into_the_text_or_into_the_next_passage():
    numbers = words.numbers_of
    question = numbers("quick guide").tolist()
    asked = Asked(question, question, [], dict.fromkeys(question, 1.0))
    apart = [Candidate(numbers("quick"), numbers("guide of old: quick")), Candidate(numbers(""), numbers("guide"))]
    beside = [Candidate(numbers("quick guide"), numbers(""))]
    pairs = ranking.FEATURES.index("pairs")
    assert ranking.features(asked, apart, np.zeros(2), Weights())[:, pairs].tolist() == [0, 0]
    assert ranking.features(asked, beside, np.zeros(1), Weights())[0, pairs] > 0


def test_words_are_cut_and_stemmed_as_the_index_has_them(db):
    text = "Running runs the RUN, İstanbul's straße; snake_case x_1 A1b2 naïve ½ 返品できますか ١٢٣ o'clock"
    put(db, "Words", text)
    db.execute("create virtual table temp.places using fts5vocab (main, chunks_fts, 'instance')")
    indexed = [term for (term,) in db.execute("select term from temp.places where col = 'text' order by offset")]
    assert [words.stem(number) for number in words.numbers_of(text)] == indexed
    one_by_one = [words.numbers_of(word).tolist() for word in text.split()]
    assert words.numbers_of(text).tolist() == [number for word in one_by_one for number in word]


def test_passages_keep_their_stems_and_are_scored_alike_without_them(filled):
    (chunk_id, title, text), *_ = filled.execute("select id, title, text from chunks order by id").fetchall()
    kept = store_vectors.stems_of(filled, [chunk_id])[chunk_id]
    assert [words.read(one).tolist() for one in kept] == [words.numbers_of(one).tolist() for one in (title, text)]
    found = search(filled, "refunds that are paid to a card")
    filled.execute("update chunks set text = 'Refunds come by post.' where id = ?", [chunk_id])
    assert store_vectors.stems_of(filled, [chunk_id]) == {}, "not those of a text that is gone"
    filled.execute("update chunks set text = ? where id = ?", [text, chunk_id])
    assert search(filled, "refunds that are paid to a card") == found != []


def test_forms_of_a_word_are_one_as_in_the_index_and_accents_do_not_matter():
    assert words.numbers_of("Arriving arrives").tolist() == words.numbers_of("arrived ARRIVE").tolist()
    assert words.numbers_of("Café").tolist() == words.numbers_of("cafe").tolist()
    assert [words.stem(one) for one in words.numbers_of("parcels snake_case")] == ["parcel", "snake", "case"]
    assert len(words.numbers_of("")) == 0 == len(words.numbers_of("🚲 !?"))


def test_what_the_customer_said_last_comes_first_in_what_was_said_before():
    turns = [Turn("customer", "one"), Turn("agent", "two"), Turn("customer", "three"), Turn("agent", "four")]
    assert said_before(turns).split() == ["three", "one", "four", "two"]


def test_weights_that_a_gate_let_pass_are_used_from_the_next_question_on(embedded):
    put(embedded, "Money", "Money is counted twice. Money is kept in the safe.")
    vectors.embed_passages(embedded, DEFAULT_MODEL)
    question = "Can I have my money returned to the card?"
    refused = as_json(Weights(cosine=0.0, pairs=0.0, title=30.0))
    before = titles(search(embedded, question))
    store_tunings.record_tuning(embedded, run_id=None, weights=refused, turn=None, passed=False, report={})
    assert titles(search(embedded, question)) == before and before[0] == "Refunds"
    store_tunings.record_tuning(embedded, run_id=None, weights=refused, turn=None, passed=True, report={})
    assert titles(search(embedded, question))[0] == "Money"


def test_a_turn_that_was_learned_moves_questions_towards_their_answers(embedded):
    question, refunds = embedding.embed(["Where is my dough?", "Refunds\n" + TEXTS["Refunds"]])
    assert search(embedded, "Where is my dough?") == []
    turn = as_bytes(3 * np.outer(question, refunds))
    store_tunings.record_tuning(embedded, run_id=None, weights=as_json(Weights()), turn=turn, passed=True, report={})
    assert titles(search(embedded, "Where is my dough?")) == ["Refunds"]
