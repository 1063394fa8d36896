"""What the model writes in markdown looks the same in Slack, loses nothing, and does nothing."""

import re
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot import blocks
from bot.markdown import pieces, rendered
from bot.sandbox import rules
from bot.slack import plain

FRAGMENTS = (
    *("<@U1>", "<!channel>", "<!subteam^S1>", "<#C1>", "<!here|x>", "&lt;!channel&gt;", "&", "@channel", "\\", "\\<"),
    *("**", "*", "_", "__", "~~", "`", "``", "```", "~~~", "    ", "\t", " ", "|"),
    *("\n", "\n\n", "\n> ", "\n- ", "\n1. ", "\n7) ", "\n# ", "\n---\n", "\n| a | b |\n|---|--:|\n| 1 | 2 | 3 |\n"),
    *("[label](https://x.io/a|b)", "![i](https://y.io)", "<https://x.io>", "[x](javascript:alert(1))", "[1]"),
    *("[https://bank.example](https://evil.example)", "[a]: b\n", "words ", "太字", "é", "🙂", "👍🏽", "שלום", "مرحبا"),
    *(":smile:", "snake_case", "x" * 3100, "word " * 700, "> " * 30),
)
TEXTS = st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.text(max_size=20)), min_size=1, max_size=25).map("".join)
WRITTEN = TEXTS.filter(lambda text: text.strip() and not re.search("[\ud800-\udfff\x00]", text))
thoroughly = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))


def letters(text: str) -> Counter[str]:
    return Counter(filter(str.isalnum, text))


def sections(made: list[dict]) -> list[str]:
    return [block["text"]["text"] for block in made if block["type"] == "section"]


@thoroughly
@given(WRITTEN)
def test_any_text_becomes_messages_that_slack_takes_and_that_ping_nobody(text):
    for top, made in blocks.messages_of(text):
        rules.check_blocks(made)
        assert {block["type"] for block in made} == {"section"}
        assert 0 < blocks.size(top) <= blocks.MESSAGE_LIMIT
        for shown in (top, *sections(made)):
            assert not re.search(r"<(?!https?:|mailto:)", shown, re.IGNORECASE)


@thoroughly
@given(WRITTEN)
def test_any_text_is_posted_whole_and_in_order(text):
    whole = re.sub(r"\s", "", text)
    tops = [plain(top) for top, _ in blocks.messages_of(text)]
    assert re.sub(r"\s", "", "".join(tops)) == whole
    assert "".join(piece.written for piece in pieces(text, 3000)) == text.replace("\r\n", "\n").replace("\r", "\n")


@thoroughly
@given(WRITTEN)
def test_no_letter_of_any_text_is_missing_in_what_slack_shows(text):
    shown = "".join(plain(part) for _, made in blocks.messages_of(text) for part in sections(made))
    languages = "".join(re.findall(r"(?:```+|~~~+)[^\n]*", text))
    assert not letters(text) - letters(shown) - letters(languages)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("**bold** and *italic*, ~~gone~~", "*bold* and _italic_, ~gone~"),
        ("# A *big* heading", "*A _big_ heading*"),
        ("**two\nlines**", "*two*\n*lines*"),
        ("in**tra**word", "in\u200b*tra*\u200bword"),
        ("これは**太字**です。**「太字」**です", "これは\u200b*太字*\u200bです。\u200b*「太字」*\u200bです"),
        ("`a < b` and ``a`b``", "`a &lt; b` and `aˋb`"),  # noqa: RUF001
        ("```python\nif a < b:\n    pass\n```", "```\nif a &lt; b:\n    pass\n```"),
        ("~~~\n``` not the end\n~~~", "```\n`\u200b`` not the end\n```"),
        ("- one\n- two\n    1. three\n\n7. seven", "• one\n• two\n    1. three\n7. seven"),
        ("- one\n  - two\n    - three", "• one\n    ◦ two\n        ▪ three"),
        ("> said\n> twice", ">said\n>twice"),
        ("[Help](https://x.io/a?b=1&c=2)", "<https://x.io/a?b=1&amp;c=2|Help>"),
        ("see https://x.io.", "see <https://x.io>."),
        ("[mail us](mailto:a@x.io) or <mailto:a@x.io>", "<mailto:a@x.io|mail us> or <mailto:a@x.io>"),
        ("2 * 3 * 4, snake_case, ~5", "2 * 3 * 4, snake_case, ~5"),
        (r"\*not bold\*", "*\u200bnot bold*\u200b"),
        (":tada: 🎉 ça été", ":tada: 🎉 ça été"),
        ("| a | b |\n|---|--:|\n| x | 1 |\n| 日本 | 22 |", "```\na    |  b\n-----+---\nx    |  1\n日本 | 22\n```"),
    ],
)  # fmt: skip
def test_markdown_looks_in_slack_as_it_was_meant(written, shown):
    assert rendered(written) == shown


def test_a_table_too_wide_for_a_screen_is_read_row_by_row():
    wide = f"| Name | Note |\n|---|---|\n| a | {'long ' * 20}|\n| b | short |"
    assert rendered(wide).startswith("• *Name*: a\n   *Note*: long") and "• *Name*: b\n   *Note*: short" in rendered(
        wide
    )


def test_cells_beyond_a_tables_head_are_not_lost():
    assert "extra" in rendered("| a |\n|---|\n| 1 | extra |")


def test_a_link_cannot_pretend_to_lead_elsewhere():
    assert rendered("[https://bank.example](https://evil.example)") == "https://bank.example (<https://evil.example>)"
    assert rendered("[www.bank.example/login](https://evil.example)").endswith("(<https://evil.example>)")
    assert rendered("[x](javascript:alert(1))") == "[x](javascript:alert(1))"
    assert rendered("[Send](slack://app?id=1)") == "Send (slack://app?id=1)"


def test_long_code_stays_code_in_every_part():
    text = "Run this:\n\n```sh\n" + "echo <@U1> `x`\n" * 600 + "```\n\nDone."
    messages = blocks.messages_of(text)
    shown = [part for _, made in messages for part in sections(made)]
    assert len(messages) > 1 and shown[-1].endswith("Done.")
    assert all(part.count("```") % 2 == 0 for part in shown)
    assert sum(part.count("echo &lt;@U1&gt; `x`") for part in shown) == 600


def test_paragraphs_stay_apart_and_lines_together():
    assert sections(blocks.text_sections("one\ntwo\n\nthree\n- four")) == ["one\ntwo\n\nthree\n• four"]


@pytest.mark.parametrize("text", ["-", "1.", "#", ">", "*", "```", "|", "\\"])
def test_a_mark_alone_is_shown_as_it_stands(text):
    assert plain(rendered(text)).replace("\u200b", "") == text


def test_no_text_is_no_message():
    assert blocks.messages_of("") == blocks.messages_of(" \n ") == blocks.text_sections("") == []


def test_an_endless_nesting_is_shown_as_it_stands():
    text = "> " * 500 + "deep"
    assert plain(rendered(text)) == text


def test_a_pathological_text_is_rendered_in_no_time():
    import time

    start = time.perf_counter()
    for text in ("*" * 9000, "`" * 9000, "[" * 9000, "*a_ " * 3000, "|" * 9000, "~a" * 4000, "x" * 20_000):
        blocks.messages_of(text)
    assert time.perf_counter() - start < 5
