"""Notice that a text has begun to repeat itself: a model that loops never stops by itself. Pure."""

LONGEST_PIECE = 200
"""Characters of the piece that comes again: up to two or three sentences."""
TIMES = 3
PROSE = 40
"""So many characters of a repeated piece are a loop: `ha ha ha`, `XXXX XXXX XXXX` and the like are shorter."""
LAYOUT = 200
"""The same in code and tables, and without any letter: zeros, rules, cells and brackets repeat themselves rightly."""

FENCE = "```"
MARKS = frozenset("|<>{}\\")


def without_loop(text: str) -> str | None:
    """The text up to the first instance of the piece that its end repeats, or None when its end is no loop.

    At a word's beginning where the piece has one. Meant to be asked again and again while a text grows.
    """
    for length in range(1, min(LONGEST_PIECE, len(text) // TIMES) + 1):
        if text[-1] == text[-1 - length] and (begin := _loop_begin(text, length)) is not None:
            return text[: _word_begin(text, begin, length) + length].rstrip()
    return None


def _loop_begin(text: str, length: int) -> int | None:
    """Where the end of the text begins to repeat every `length` characters; None when that is not far enough back."""
    least = max(TIMES * length, PROSE)
    if len(text) < least or text[-least:-length] != text[-least + length :]:
        return None
    begin = len(text) - least
    while begin > 0 and text[begin - 1] == text[begin - 1 + length]:
        begin -= 1
    prose = _is_prose(text[-length:]) and text.count(FENCE, 0, begin) % 2 == 0
    return begin if len(text) - begin >= (PROSE if prose else LAYOUT) else None


def _is_prose(piece: str) -> bool:
    return any(map(str.isalpha, piece)) and MARKS.isdisjoint(piece)


def _word_begin(text: str, begin: int, length: int) -> int:
    """The first word's beginning within the first instance: what stands before it only happened to match."""
    for at in range(begin, begin + length):
        if not text[at].isspace() and (at == 0 or text[at - 1].isspace()):
            return at
    return begin
