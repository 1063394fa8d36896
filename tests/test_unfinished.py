"""An answer that is still being written: what is shown of it only grows, and nothing in it pings, links or lies."""

import pytest

from bot import unfinished

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


def shown(text: str) -> str:
    return unfinished.safe_markdown(unfinished.settled(text, passages=2))


@pytest.mark.parametrize("answer", ANSWERS)
def test_what_is_shown_only_grows_however_the_text_is_cut(answer):
    whole = unfinished.safe_markdown(unfinished.without_false_citations(answer.strip(), 2).strip())
    before = ""
    for end in range(len(answer) + 1):
        now = shown(answer[:end])
        assert now.startswith(before) and whole.startswith(now), answer[:end]
        before = now
    assert len(before) >= len(whole) - 80


def test_half_a_word_and_half_a_citation_are_held_back():
    assert shown("Open Set") == "Open"
    assert shown("Open Settings [1") == shown("Open Settings [1]") == "Open Settings"
    assert shown("Open Settings [7]. Then") == "Open Settings."


def test_a_citation_that_names_no_passage_is_never_shown_and_code_is_left_alone():
    text = "See [1], [3] and `row[3]`. "
    assert shown(text) == "See [1], and `row[3]`."


@pytest.mark.parametrize("answer", ANSWERS)
def test_nothing_pings_and_no_link_hides_behind_words(answer):
    text = unfinished.safe_markdown(answer)
    assert "<" not in text and ">" not in text
    for mark in ("@here", "@channel", "](https", "]: https", "][1]"):
        assert mark not in text


def test_code_keeps_its_brackets():
    assert "`a[0](x)`" in unfinished.safe_markdown("Use `a[0](x)` now")


def test_text_without_spaces_flows():
    assert len(shown("文" * 200)) > 100
