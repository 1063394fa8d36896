"""What a model wrote, made harmless: nothing in it pings, links or cites what is not there."""

import pytest

from bot import harmless

ANSWERS = [
    "Open Settings, then Security [1]. It is quick [2][7].",
    "Use `a[0](x)` and\n\n```py\nprint(items[3])[9]\n```\nthen [click here](https://evil.example) [1].",
    "Ask <@U0AGENT1> or <!channel>, @here and @channel & co. [7]",
    "日本語の説明はここにあります。" * 12 + "[7] 終わり [1]",
    "[7] Begins with a citation that does not exist, 👩‍👩‍👧 and `an open span",
    "\\`[x](https://evil.example)` and `` [y](https://evil.example) ` and ![z](https://evil.example)",
    "[1]: https://evil.example\nSee [the page][1].",
    "| a | b |\n|---|---|\n| `x` | 2 |\n\n* one\n* two **bold** _it_",
]


def test_a_citation_that_names_no_passage_is_never_shown_and_code_is_left_alone():
    text = "See [1], [3] and `row[3]`. "
    assert harmless.without_false_citations(text, 2).strip() == "See [1], and `row[3]`."


@pytest.mark.parametrize("answer", ANSWERS)
def test_nothing_pings_and_no_link_hides_behind_words(answer):
    text = harmless.safe_markdown(answer)
    assert "<" not in text and ">" not in text
    for mark in ("@here", "@channel", "](https", "]: https", "][1]"):
        assert mark not in text


def test_code_keeps_its_brackets():
    assert "`a[0](x)`" in harmless.safe_markdown("Use `a[0](x)` now")
