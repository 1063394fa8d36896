"""The help centre: files become chunks, chunks are found, and how well is measured."""

import json

import pytest

from data import store
from data.chunking import WORDS, chunks_of
from data.errors import BadFile
from data.knowledge import chunk_markdown, import_knowledge
from data.readers.text import read_text
from data.search import search
from data.search_evaluation import evaluate_search


def test_a_section_is_a_chunk_titled_by_its_headings():
    chunks = chunk_markdown(
        "# Brakes\n\nWipe the *disc*.\n\n## Wear\n\n- Pads: [18 euros](x.md)\n- `E7` error\n\n### Front\n\nSame.\n\n"
        "## Prices\n\n| part | euros |\n|---|---|\n| pad | 18 |\n",
        title="Brakes",
    )
    assert [(c.title, c.text) for c in chunks] == [
        ("Brakes", "Wipe the disc."),
        ("Brakes / Wear", "- Pads: 18 euros\n- `E7` error"),
        ("Brakes / Wear / Front", "Same."),
        ("Brakes / Prices", "| part | euros |\n| --- | --- |\n| pad | 18 |"),
    ]


def test_a_long_text_is_cut_between_paragraphs_then_sentences_then_words_and_loses_no_word():
    paragraphs = ["one two three. " * 30, "alpha " * 300, "end"]
    for chunks in (
        chunk_markdown("\n\n".join(paragraphs), title="T"),
        chunks_of(read_text("\n\n".join(paragraphs), name="T").blocks, title="T"),
    ):
        assert all(len(c.text.split()) <= WORDS for c in chunks)
        assert " ".join(c.text for c in chunks).split() == " ".join(paragraphs).split()


def test_importing_a_folder_again_follows_what_changed_in_it(db, tmp_path):
    folder = tmp_path / "help"
    folder.mkdir()
    (folder / "brakes.md").write_text("---\ntitle: 'Brakes and discs'\n---\nWipe the disc.")
    (folder / "gears.txt").write_text("Oil the chain.\n\nWeekly.")
    (folder / "logo.png").write_bytes(b"\x89PNG")
    first = import_knowledge(db, [folder])
    assert (first.added, first.failed) == (2, {})
    assert search(db, "disc")[0].title == "Brakes and discs"
    document_id = search(db, "disc")[0].document_id

    assert import_knowledge(db, [folder]).unchanged == 2
    (folder / "brakes.md").write_text("# Brakes\n\nCall the workshop.")
    (folder / "gears.txt").unlink()
    second = import_knowledge(db, [folder])
    assert (second.changed, second.removed) == (1, 1)
    assert search(db, "disc") == [] and search(db, "chain") == []
    assert search(db, "workshop")[0].document_id == document_id
    assert store.ailments(db) == []


def test_a_path_that_holds_nothing_is_refused(db, tmp_path):
    with pytest.raises(BadFile, match="does not exist"):
        import_knowledge(db, [tmp_path / "absent"])
    with pytest.raises(BadFile, match="no file to import"):
        import_knowledge(db, [tmp_path])


def test_search_finds_by_any_word_in_any_form_and_takes_no_syntax_from_a_customer(db, tmp_path):
    (tmp_path / "a.md").write_text("# Delivery\n\nParcels arrive within three days.")
    (tmp_path / "b.md").write_text("# Returns\n\nSend the parcel back. Café Zürich takes it.")
    import_knowledge(db, [tmp_path])
    assert [p.title for p in search(db, "When will it be arriving?")] == ["Delivery"]
    assert [p.title for p in search(db, "cafe zurich")] == ["Returns"]
    assert {p.title for p in search(db, 'parcels" OR (NEAR* -x: ^')} == {"Delivery", "Returns"}
    assert search(db, "what is this?") == [] == search(db, "") == search(db, "🚲")
    assert [p.title for p in search(db, "parcel", history="I want to return it")] == ["Returns", "Delivery"]


def test_search_is_measured_on_labelled_questions(tmp_path):
    docs, questions = tmp_path / "docs.jsonl", tmp_path / "questions.jsonl"
    names = ["brake", "chain", "saddle"]
    docs.write_text("\n".join(json.dumps({"id": name, "title": name, "text": f"All on the {name}."}) for name in names))
    asked = [
        {"question": "my brake squeals", "gold": ["brake"]},
        {"question": "chain or saddle?", "gold": ["chain", "saddle"], "history": [{"role": "customer", "text": "hi"}]},
        {"question": "wheels", "gold": ["chain"]},
    ]
    questions.write_text("\n".join(map(json.dumps, asked)))
    measured = evaluate_search(docs, questions)
    rates = ["hit@1", "hit@5", "hit@10", "recall@5", "recall@10", "mrr"]
    assert list(measured) == ["questions", *rates, "p95_ms", "intervals"] and list(measured["intervals"]) == rates
    low, high = measured["intervals"]["mrr"]
    assert 0 <= low < measured["mrr"] < high <= 1
    assert measured["questions"] == 3 and measured["hit@1"] == measured["mrr"] == measured["recall@5"] == 2 / 3
    questions.write_text('{"question": "no gold"}\n')
    with pytest.raises(BadFile, match='line 1 has no "gold"'):
        evaluate_search(docs, questions)
