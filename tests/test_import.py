"""Importing knowledge: what changed is followed, what is cited stays, sources are looked after, faults are named."""

import gzip
import json
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from data import store, store_desk, store_replies
from data.__main__ import main
from data.errors import BadFile
from data.knowledge import import_knowledge
from data.search import search

TODAY = datetime.now(UTC).date()


def write(folder: Path, **texts: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.md").write_text(text)
    return folder


def cited(db, chunk_id: int) -> str:
    """The id of a suggestion with this passage in its prompt."""
    asked = store.request_suggestion(
        db, request_key=store.new_id(), task="answer", team_id="T", channel_id="C", thread_ts=None, requested_by="U",
        request={},
    )  # fmt: skip
    store.record_draft(
        db, asked.id, messages=[], draft="d", base="b", adapter="base", chunk_ids=[chunk_id]
    )  # fmt: skip
    return asked.id


def test_a_chunk_that_says_the_same_as_before_keeps_its_id(db, tmp_path):
    folder = write(tmp_path / "help", a="# A\n\nFirst.\n\n## Kept\n\nSame words.")
    import_knowledge(db, [folder])
    before = search(db, "same words")[0].chunk_id
    write(folder, a="# A\n\nFirst, but new.\n\n## More\n\nMore.\n\n## Kept\n\nSame words.")
    assert import_knowledge(db, [folder]).changed == 1
    assert search(db, "same words")[0].chunk_id == before
    order = [row[0] for row in db.execute("select title from chunks order by position").fetchall()]
    assert order == ["A", "A / More", "A / Kept"] and store.ailments(db) == []


@pytest.mark.parametrize("fate", ["changed", "removed"])
def test_a_passage_that_a_suggestion_cites_can_be_shown_after_its_source_is(fate, db, tmp_path):
    folder = write(tmp_path / "help", a="# Refunds\n\nFive days.", b="# B\n\nOther.")
    import_knowledge(db, [folder])
    suggestion_id = cited(db, search(db, "five")[0].chunk_id)
    if fate == "changed":
        write(folder, a="# Refunds\n\nSix days.")
    else:
        (folder / "a.md").unlink()
    assert getattr(import_knowledge(db, [folder]), fate) == 1
    assert search(db, "five") == []
    shown = store_replies.shown_passages(db, suggestion_id)
    assert [(passage.title, passage.text) for passage in shown] == [("Refunds", "Five days.")]
    assert store_desk.source_titles(db, suggestion_id) == ["Refunds"]


def test_what_was_taken_out_and_is_cited_nowhere_is_forgotten_after_a_day(db, tmp_path):
    folder = write(tmp_path / "help", a="# A\n\nOne.\n\n## B\n\nTwo.", c="# C\n\nThree.")
    import_knowledge(db, [folder])
    kept = search(db, "one")[0].chunk_id
    cited(db, kept)
    (folder / "a.md").unlink()
    import_knowledge(db, [folder])
    assert len(db.execute("select id from retired_chunks").fetchall()) == 2
    db.execute("update retired_chunks set retired_at = ?", [store.iso(datetime.now(UTC) - timedelta(days=2))])
    import_knowledge(db, [folder])
    assert db.execute("select id from retired_chunks").fetchall() == [(kept,)]


def test_a_source_has_an_owner_an_audience_and_a_last_day_and_its_front_matter_counts_first(db, tmp_path):
    own = "---\nowner: Ben\naudience: internal\nstale_after: 30\n---\nText b."
    folder = write(tmp_path / "help", a="Text a.", b=own)
    import_knowledge(db, [folder], owner="Ana", audience="customer_safe", stale_after=TODAY)
    a, b = (store.source(db, str(folder / name)) for name in ("a.md", "b.md"))
    assert (a.owner, a.audience, a.stale_after, a.is_stale) == ("Ana", "customer_safe", TODAY.isoformat(), False)
    assert (b.owner, b.audience) == ("Ben", "internal")
    assert b.stale_after == (TODAY + timedelta(days=30)).isoformat()

    assert import_knowledge(db, [folder]).unchanged == 2
    assert import_knowledge(db, [folder], owner="Cem", stale_after=TODAY - timedelta(days=1)).changed == 1
    a = store.source(db, str(folder / "a.md"))
    assert (a.owner, a.audience, a.is_stale) == ("Cem", "customer_safe", True)
    assert store.counts(db)["stale_documents"] == 1


def test_days_until_a_source_is_stale_are_counted_from_what_it_says_and_not_from_every_import(db, tmp_path):
    folder = write(tmp_path / "help", a="Text.")
    import_knowledge(db, [folder], stale_after=10)
    db.execute("update documents set imported_at = ?", [store.iso(datetime.now(UTC) - timedelta(days=4))])
    import_knowledge(db, [folder], stale_after=10)
    assert store.source(db, str(folder / "a.md")).stale_after == (TODAY + timedelta(days=6)).isoformat()
    write(folder, a="New text.")
    import_knowledge(db, [folder], stale_after=10)
    assert store.source(db, str(folder / "a.md")).stale_after == (TODAY + timedelta(days=10)).isoformat()


def test_each_broken_file_is_named_with_its_reason_and_the_others_are_imported(db, tmp_path):
    folder = write(tmp_path / "help", good="# Good\n\nText.", heading="# Only a heading\n", empty="")
    (tmp_path / "outside.md").write_text("Secret.")
    (folder / "link.md").symlink_to(tmp_path / "outside.md")
    (folder / "away").symlink_to(tmp_path)
    (folder / "same.md").symlink_to(folder / "good.md")
    (folder / "nowhere.md").symlink_to(folder / "absent.md")
    (folder / ".hidden.md").write_text("Hidden.")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7")
    (folder / "faq.csv").write_text("question,answer\nHow?,So.\n,lost\n")
    with (folder / "large.html").open("wb") as large:
        large.truncate(50_000_000)
    (folder / "bomb.jsonl.gz").write_bytes(gzip.compress(bytes(30_000_000)))
    (folder / "guide.adoc").write_text("= Guide")
    imported = import_knowledge(db, [folder])
    assert imported.added == 2 and imported.unread == {".adoc": 1}
    assert imported.without_text == [str(folder / "heading.md")]
    assert {name.removeprefix(f"{folder}/"): reason for name, reason in imported.failed.items()} == {
        "empty.md": "it is empty",
        "link.md": "it is a link that leads out of the folder",
        "away": "it is a link that leads out of the folder",
        "nowhere.md": "it is a link to nothing",
        "broken.pdf": imported.failed[str(folder / "broken.pdf")],
        "faq.csv, line 3": "it has no question",
        "large.html": "it has 50 MB, and at most 20 MB are read: split it",
        "bomb.jsonl.gz": "it unpacks to more than 20 MB: split it",
    }
    assert imported.failed[str(folder / "broken.pdf")].startswith("it is no PDF, or damaged")
    assert search(db, "secret") == [] == search(db, "hidden")


def test_without_the_parser_of_a_format_its_files_are_skipped(db, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pdfplumber", None)
    write(tmp_path, a="Text.")
    (tmp_path / "b.pdf").write_bytes(b"%PDF-1.7")
    assert import_knowledge(db, [tmp_path]).failed == {
        str(tmp_path / "b.pdf"): "reading it needs pdfplumber: install nightshift[knowledge]"
    }


def test_a_file_that_breaks_keeps_what_it_said_before(db, tmp_path):
    folder = write(tmp_path / "help", a="# A\n\nWords.")
    import_knowledge(db, [folder])
    write(folder, a="---\naudience: everybody\n---\nNew.")
    assert list(import_knowledge(db, [folder]).failed) == [str(folder / "a.md")]
    assert search(db, "words")


def test_a_page_that_only_lists_others_is_no_fault_and_takes_out_what_it_said(db, tmp_path, capsys):
    folder = write(tmp_path / "help", a="# A\n\nText.")
    (folder / "index.html").write_text("<h1>Help</h1><p>Words.</p>")
    assert import_knowledge(db, [folder]).added == 2
    (folder / "index.html").write_text("<h1>Help</h1><nav><a href='a.html'>A</a></nav>")
    imported = import_knowledge(db, [folder])
    assert (imported.removed, imported.failed) == (1, {}) and search(db, "words") == []
    assert import_knowledge(db, [folder]).removed == 0
    assert main(["import-knowledge", str(folder)]) == 0
    assert f"without text of their own: {folder / 'index.html'}" in capsys.readouterr().out


def site(folder: Path, *names: str) -> Path:
    """A small site on disk with a sitemap of these pages."""
    for name in ("brakes/index.html", "gears.html", "draft.html"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"<nav>Home</nav><main><h1>{name}</h1><p>All on {name.split('/')[0]}.</p></main>")
    locs = "".join(f"<url><loc>https://help.example/{name}</loc></url>" for name in names)
    (folder / "sitemap.xml").write_text(
        f'<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{locs}</urlset>'
    )
    return folder / "sitemap.xml"


def test_a_sitemap_imports_its_pages_from_the_files_beside_it_with_their_addresses(db, tmp_path):
    sitemap = site(tmp_path / "site", "brakes/", "gears", "absent", "../../etc/passwd")
    imported = import_knowledge(db, [sitemap])
    assert imported.added == 2 and search(db, "draft") == []
    assert list(imported.failed) == ["https://help.example/absent", "https://help.example/../../etc/passwd"]
    assert store.source(db, str(tmp_path / "site/brakes/index.html")).link == "https://help.example/brakes/"
    site(tmp_path / "site", "gears")
    assert import_knowledge(db, [sitemap]).removed == 1 and search(db, "brakes") == []
    assert import_knowledge(db, [tmp_path / "site"]).added == 2
    assert store.source(db, str(tmp_path / "site/gears.html")).link == "https://help.example/gears"


def test_a_sitemap_that_is_none_or_names_nothing_on_disk_is_refused(db, tmp_path):
    with pytest.raises(BadFile, match="names no page that lies on disk"):
        import_knowledge(db, [site(tmp_path / "site", "absent")])
    (tmp_path / "feed.xml").write_text("<rss/>")
    with pytest.raises(BadFile, match="it is no sitemap"):
        import_knowledge(db, [tmp_path / "feed.xml"])


def test_the_command_says_what_it_did_and_exits_1_when_something_was_skipped(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DATABASE_PATH", str(tmp_path / "nightshift.db"))
    folder = write(tmp_path / "help", a="# Refunds\n\nIntro.\n\n## How long\n\nFive days.")
    options = ["--owner", "Ana", "--audience", "customer_safe", "--stale-after", "2020-01-31"]
    assert main(["import-knowledge", str(folder), *options]) == 0
    assert capsys.readouterr().out == "1 added, 0 changed, 0 unchanged, 0 removed\n2 passages got vectors\n"
    assert main(["search", "five days"]) == 0
    where = folder / "a.md"
    assert capsys.readouterr().out == (
        f"[1] Refunds / How long\n    {where} (customer-safe, stale since 2020-01-31)\n    Five days.\n"
    )
    (folder / "b.pdf").write_bytes(b"none")
    assert main(["import-knowledge", str(folder), "--json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["unchanged"] == 1 and list(json.loads(out)["failed"]) == [str(folder / "b.pdf")]
    assert err.splitlines()[-1] == (
        "One file or part of one was skipped, for the reasons above; everything else is imported."
    )
    assert main(["import-knowledge", str(folder)]) == 1
    assert "".join(capsys.readouterr()).count(str(folder / "b.pdf")) == 1
    assert main(["search", "five", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["passages"][0]
    assert (found["owner"], found["link"], found["stale_after"]) == ("Ana", str(where), "2020-01-31")


@pytest.mark.parametrize("value", ["soon", "0", "2027-02-30"])
def test_a_last_day_that_is_no_date_and_no_number_of_days_is_wrong_usage(value, capsys):
    assert main(["import-knowledge", ".", "--stale-after", value]) == 2
    assert "--stale-after" in capsys.readouterr().err


REAL = Path(__file__).parents[2] / "shared" / "data" / "kb_chatwoot"


@pytest.mark.skipif(not REAL.exists(), reason=f"{REAL} is not here")
def test_the_documentation_of_a_real_project_imports_whole_and_reads_as_text(db):
    imported = import_knowledge(db, [REAL])
    assert (imported.added, imported.failed) == (88, {})
    for title, text in db.execute("select title, text from chunks").fetchall():
        # Code may hold anything.
        prose = re.sub(r"`[^`]*`", "", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
        assert not re.search(r"</?[A-Za-z]|\*\*|\]\(/|^title:", title + prose), (title, text)
        assert text.count("```") % 2 == 0
        assert not re.search(r"^\|.*[^|\n]$", prose, re.MULTILINE)
