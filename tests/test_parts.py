"""A conversation is cut into parts without losing a word."""

import pytest

from bot.parts import cut
from data.models import Turn


def words(turns: list[Turn]) -> list[str]:
    return [word for turn in turns for word in turn.text.split()]


@pytest.mark.parametrize("pieces", [2, 3, 7, 40])
@pytest.mark.parametrize(
    "turns",
    [
        [Turn("customer", f"message {n} " + "word " * (n % 9) + "end", str(n)) for n in range(60)],
        [Turn("customer", "short", "1"), Turn("agent", "a very long log " * 400 + "end", "2")],
        [Turn("customer", " ".join(f"w{n}" for n in range(500)), "1")],
    ],
)
def test_no_word_is_lost_and_no_part_is_empty_or_much_longer_than_its_share(turns, pieces):
    parts = cut(turns, pieces)
    assert words([turn for part in parts for turn in part]) == words(turns)
    share = sum(len(turn.text) for turn in turns) / pieces
    assert len(parts) > 1
    for part in parts:
        assert part and all(turn.text for turn in part)
        assert sum(len(turn.text) for turn in part) <= share + 1


def test_a_message_that_is_cut_keeps_its_speaker_and_its_place():
    (first,), (second,) = cut([Turn("agent", "one two six ten", "7")], 2)
    assert (first, second) == (Turn("agent", "one two", "7"), Turn("agent", "six ten", "7"))


def test_a_text_without_spaces_is_cut_anyway():
    assert [part[0].text for part in cut([Turn("customer", "x" * 10, "1")], 2)] == ["xxxxx", "xxxxx"]
