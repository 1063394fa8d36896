"""Each format keeps its headings, tables, lists and code; what cannot be meant says why in one sentence."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.chunking import WORDS, chunks_of
from data.readers import files
from data.readers.faq import read_csv, read_jsonl
from data.readers.html import read_html
from data.readers.markdown import read_markdown
from data.readers.page import BadDocument, Block
from data.readers.text import decoded, read_text

TABLE = "| part | euros |\n| --- | --- |\n| pad | 18 |\n| disc | 40 |"


def said(reading) -> list[tuple[str, str]]:
    """Each block's headings, as a path, and its text."""
    return [(" / ".join(block.headings), block.text) for block in reading.blocks]


def test_markdown_keeps_lists_code_tables_quotes_and_links_that_lead_somewhere():
    reading = read_markdown(
        "# Brakes\n\nWipe *it*, see [prices](https://x.example/p) and [more](more.md).\n\n"
        "3. Open `menu`\n   - not the **app**\n4. Press\n\n> Careful\n\n## Reset\n\n"
        "```sh\nreset --hard\n\nsync\n```\n\n"
        "Set <your-name>.<br>Done.\n\n| part | euros |\n|---|--:|\n| pad | 18 |\n| disc | 40 |\n",
        name="brakes",
    )
    assert reading.title == "Brakes"
    assert said(reading) == [
        ("Brakes", "Wipe it, see [prices](https://x.example/p) and more."),
        ("Brakes", "3. Open `menu`"),
        ("Brakes", "   - not the app"),
        ("Brakes", "4. Press"),
        ("Brakes", "Careful"),
        ("Brakes / Reset", "```sh\nreset --hard\n\nsync\n```"),
        ("Brakes / Reset", "Set <your-name>.\nDone."),
        ("Brakes / Reset", TABLE),
    ]


@pytest.mark.parametrize(
    "written",
    [
        "<Warning>\nMind **this**.\n</Warning>",
        "Text\n<Warning>Mind this.</Warning>",
        "> [!WARNING]\n> Mind this.",
        "!!! warning\n    Mind this.",
        ":::warning\nMind this.\n:::",
        "<Callout type='warning'>\n  Mind this.\n</Callout>",
    ],
)
def test_an_admonition_says_what_it_is_in_any_dialect_and_ends(written):
    blocks = read_markdown(f"# T\n\n{written}\n\nAfter.", name="t").blocks
    assert [block.text for block in blocks if block.text != "Text"] == ["Warning: Mind this.", "After."]


def test_a_titled_component_is_a_heading_of_what_it_holds_and_of_nothing_else():
    reading = read_markdown(
        "import X from 'x'\n\n## Install\n\n<Tabs>\n"
        '  <Tab title="Mac">\n    Run this:\n\n    ```sh\n    brew x\n    ```\n'
        '    <Note>\n      Twice.\n    </Note>\n  </Tab>\n  <Tab title="Linux">\n    1. One\n  </Tab>\n</Tabs>\n\n'
        '<Card\n  title="Help"\n  href="/h"\n>\n  Ask.\n</Card>\n<Card title="Chat" href="/c" />\n\n'
        "{/* no */}\n\nDone.\n\n## B\n\nEnd.",
        name="setup",
    )
    assert said(reading) == [
        ("Install / Mac", "Run this:"),
        ("Install / Mac", "```sh\nbrew x\n```"),
        ("Install / Mac", "Note: Twice."),
        ("Install / Linux", "1. One"),
        ("Install", "Help: Ask."),
        ("Install", "Chat"),
        ("Install", "Done."),
        ("B", "End."),
    ]


def test_tabs_are_headings_and_attributes_icons_and_what_is_drawn_in_are_not_said():
    reading = read_markdown(
        "# Set-up :material-cog:{ .big }\n\n## 1.2 - May ## {: #v1.2 }\n\n"
        '=== "Mac"\n    === "Shell"\n        1. Run:\n\n            ```sh\n            brew x\n            ```\n'
        '    === "Store"\n        Click.\n\n=== "Linux"\n    See ![A worn pad](x.png){ width=40% .off } it.\n\n'
        "After `{ .big }` and {{ x }}.\n\n::: tool.core.Part\n    options:\n      members: [a]\n\nEnd.",
        name="s",
    )
    above = "Set-up / 1.2 - May"
    assert reading.title == "Set-up"
    assert said(reading) == [
        (f"{above} / Mac / Shell", "1. Run:"),
        (f"{above} / Mac / Shell", "```sh\nbrew x\n```"),
        (f"{above} / Mac / Store", "Click."),
        (f"{above} / Linux", "See (picture: A worn pad) it."),
        (above, "After `{ .big }` and {{ x }}."),
        (above, "End."),
    ]


def test_components_within_code_are_code():
    code = "```jsx\n<Tabs>\n    <Tab title='x'>\n</Tabs>\n```"
    assert said(read_markdown(f"<Note>\nSee:\n\n{code}\n</Note>", name="n")) == [("", "Note: See:"), ("", code)]


def test_front_matter_names_title_owner_audience_address_and_last_day():
    reading = read_markdown(
        "---\ntitle: 'A: b'\nowner: Ana\naudience: customer_safe\nstale_after: 2027-01-31\nurl: https://x.example/a\n---\nText",
        name="a",
    )
    assert (reading.title, reading.url) == ("A: b", "https://x.example/a")
    upkeep = reading.upkeep
    assert (upkeep.owner, upkeep.audience, str(upkeep.stale_after)) == ("Ana", "customer_safe", "2027-01-31")


@pytest.mark.parametrize(
    ("front", "reason"),
    [
        ("audience: public", "audience 'public'"),
        ("stale_after: soon", "stale_after"),
        ("stale_after: true", "stale_after"),
        ("title: [", "not YAML"),
    ],
)
def test_front_matter_that_cannot_be_meant_is_refused(front, reason):
    with pytest.raises(BadDocument, match=reason):
        read_markdown(f"---\n{front}\n---\nText", name="a")


PAGE = """<!doctype html><html><head><title>Brakes | Larkspur</title><link rel="canonical" href="https://x.example/b">
<script>var secret = 1</script><style>p {}</style></head><body><header>Shop <h1>Larkspur</h1></header>
<nav><a href="/">Home</a></nav>
<div class="sidebar">Links</div><main><header><h1>Brakes</h1></header><p>Wipe <b>it</b> with <code>E7</code>.<br>See <a
href="https://x.example/p">prices</a>.</p>loose text<ol start="2"><li>One<ul><li>inner</li></ul></li>
<li><p>Two</p></li></ol>
<h2>Reset<a class="headerlink" href="#r">#</a> <a href="#r">¶</a></h2><pre><code class="language-sh">reset
  --hard</code></pre><table><tr><th>part</th><th>euros</th></tr>
<tr><td rowspan=2>pad</td><td>18</td></tr><tr><td>19</td></tr></table>
<details><summary>How?</summary>So.</details><dl><dt>Term<a href="#t"> ¶</a></dt><dd>Meaning</dd></dl>
<img src=x alt="A worn pad">
<p hidden>no</p>
</main><footer>Imprint</footer></body></html>"""


def test_html_keeps_its_structure_and_leaves_out_what_stands_on_every_page():
    reading = read_html(PAGE, name="brakes")
    assert (reading.title, reading.url) == ("Brakes", "https://x.example/b")
    assert said(reading) == [
        ("Brakes", "Wipe it with `E7`.\nSee [prices](https://x.example/p)."),
        ("Brakes", "loose text"),
        ("Brakes", "2. One"),
        ("Brakes", "   - inner"),
        ("Brakes", "3. Two"),
        ("Brakes / Reset", "```sh\nreset\n  --hard\n```"),
        ("Brakes / Reset", "| part | euros |\n| --- | --- |\n| pad | 18 |\n| pad | 19 |"),
        ("Brakes / Reset / How?", "So."),
        ("Brakes / Reset", "Term: Meaning"),
        ("Brakes / Reset", "(picture: A worn pad)"),
    ]


@pytest.mark.parametrize(
    "written",
    [
        '<div class="note"><h3 class="title">Note</h3><p>Mind this.</p></div>',
        '<div class="admonition warning"><p class="admonition-title">Note</p><p>Mind this.</p></div>',
        '<div class="admonitionblock note"><table><tr><td class="icon"><div class="title">Note</div></td>'
        '<td class="content">Mind this.</td></tr></table></div>',
    ],
)
def test_a_note_of_a_page_says_what_it_is_and_is_no_heading_of_what_follows(written):
    reading = read_html(f"<h1>T</h1><h2>Reset</h2>{written}<p>After.</p>", name="t")
    assert said(reading) == [("T / Reset", "Note: Mind this."), ("T / Reset", "After.")]


def test_what_a_link_says_is_said_whatever_its_class():
    page = '<p>Use a <a class="link" href="b.html">trigger</a>, see <a class="xref" href="#c">Part 2</a>.</p>'
    assert said(read_html(page, name="t")) == [("", "Use a trigger, see Part 2.")]


@pytest.mark.parametrize(
    "around",
    [
        '<div class="navheader"><table><tr><td><a href="a.html">Prev</a></td><td>Part</td></tr></table></div>',
        '<div class="sphinxsidebar"><ul><li><a href="a.html">Installation</a></li></ul></div>',
        '<div id="footer">Last updated 2026</div>',
        '<p>Next: <a href="a.html" rel="next">Installation</a>, Up: <a href="b.html" rel="up">Guide</a></p>',
        '<table><tr><td>[<a href="a.html#t">&gt;&gt;</a>]</td><td>[<a href="c.html#c">Contents</a>]</td></tr></table>',
        '<div class="related"><h3>Navigation</h3><a href="a.html">next</a></div>',
    ],
)
def test_what_makers_of_documentation_put_around_each_page_is_left_out(around):
    assert said(read_html(f"<body>{around}<h1>T</h1><p>Text.</p></body>", name="t")) == [("T", "Text.")]


def test_of_a_site_made_by_sphinx_only_pages_are_read(tmp_path):
    for name in ("objects.inv", "index.html", "search.html", "_sources/index.rst.txt", "_static/fonts/README.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("Text")
    assert files.files_below(tmp_path).files == [tmp_path / "index.html"]
    (tmp_path / "objects.inv").unlink()
    assert len(files.files_below(tmp_path).files) == 4


def test_a_page_without_a_main_part_is_read_from_its_body():
    reading = read_html("<title>T</title><div role=navigation>Menu</div><div>Text<p>More", name="n")
    assert (reading.title, said(reading)) == ("T", [("", "Text"), ("", "More")])
    assert read_html("<p></p>", name="n").blocks == [] == read_html("", name="n").blocks
    with pytest.raises(BadDocument, match="within each other"):
        read_html("<p>a</p>" + "<div>" * 400 + "lost", name="n")


@pytest.mark.parametrize(
    "content",
    [
        "Größe".encode(),
        "\ufeffGröße".encode(),
        "Größe".encode("utf-16"),
        "Die Größe der Räder und die Länge der Kette stehen über dem Schloß.".encode("latin-1"),
        "<meta charset='iso-8859-1'>Größe “ “".encode("cp1252"),
    ],
)
def test_text_is_read_in_its_encoding(content):
    assert "Größe" in decoded(content, is_html=True)
    assert "\ufeff" not in decoded(content)


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(BadDocument, match="binary"):
        decoded(b"a\x00b")
    with pytest.raises(BadDocument, match="it says that it is utf-8, and is not"):
        decoded("<meta charset=utf-8>Größe".encode("latin-1"), is_html=True)


def test_a_faq_has_each_question_above_its_answer():
    rows = 'Question;Answer\r\nHow do I pay?;"By card,\nor **cash**."\r\nAnd then?;\r\n'
    reading = read_csv(rows, name="faq")
    assert said(reading) == [("How do I pay?", "By card, or cash.")]
    assert reading.faults == {"line 4": "it has no answer"}
    reading = read_jsonl('{"title": "Pay", "text": "<p>By card.</p>"}\noops\n', name="faq")
    assert said(reading) == [("Pay", "By card.")] and list(reading.faults) == ["line 2"]
    with pytest.raises(BadDocument, match="no column of answers"):
        read_csv("question,notes\na,b\n", name="faq")


def test_a_long_table_is_cut_between_rows_under_its_header_and_code_between_lines():
    rows = "\n".join(f"| part {n} | is a long description of part number {n} |" for n in range(40))
    code = "```sh\n" + "\n".join(f"run step {n} with some care" for n in range(60)) + "\n```"
    reading = read_markdown(f"## A\n\nSee:\n\n| part | what |\n|---|---|\n{rows}\n\n## B\n\n{code}", name="n")
    chunks = chunks_of(reading.blocks, title="T")
    tables = [chunk.text for chunk in chunks if chunk.title == "T / A"]
    assert tables[0].startswith("See:\n\n| part |")
    for text in tables:
        assert "| part | what |\n| --- | --- |\n| part " in text
        assert all(line.startswith("|") and line.endswith("|") for line in text.split("\n\n")[-1].split("\n"))
    assert sum(text.count("long description") for text in tables) == 40
    codes = [chunk.text for chunk in chunks if chunk.title == "T / B"]
    assert len(codes) > 1 and all(text.startswith("```sh\nrun") and text.endswith("\n```") for text in codes)
    assert sum(text.count("run step") for text in codes) == 60


def test_what_introduces_something_stays_with_it_and_short_code_is_never_cut():
    filler = "word " * (WORDS - 10)
    code = "```\n" + "step and step\n" * 8 + "```"
    first, second = chunks_of(read_markdown(f"{filler}\n\nRun this:\n\n{code}", name="n").blocks, title="T")
    assert first.text == filler.strip() and second.text == f"Run this:\n\n{code}"


def test_a_text_without_spaces_is_cut_too():
    chunks = chunks_of([Block("text", "字" * 5000)], title="T")
    assert "".join(chunk.text for chunk in chunks) == "字" * 5000 and len(chunks) > 3


PIECES = (
    "w1 w2", "# w3", "- w4", "  - w5", "1. w6", "<Note>", "</Note>", "<Tab title='w7'>", "  </Tab>",
    "    <Card title='w8'>", "</Card>", "```", "| w9 | w10 |", "|---|---|", "> w11", "> [!TIP]", ":::tip", ":::",
    "!!! note", "    w12", "<div>", "</div>", "<table><tr><td>", "</table>", "<details><summary>w13", "</details>",
    "<pre>", "---", "", "", "<", "<x", "{/*", "*/}", "[w14](", "<li>", "<h2>", "import a from 'b'", "&lt;", "\\", "`",
    "[^1]: w15", "<!--", "-->",
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=14))
def test_no_mixture_of_marks_breaks_a_reader(pieces):
    text = "\n".join(pieces)
    for reader in (read_markdown, read_html, read_jsonl, read_text):
        with suppress(BadDocument):
            chunks_of(reader(text, name="n").blocks, title="n")
