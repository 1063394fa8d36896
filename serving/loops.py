"""Notice that a text has begun to repeat itself: a model that loops never stops by itself. Pure."""

LONGEST_PIECE = 200
"""Characters of the piece that comes again: up to two or three sentences."""
TIMES = 3
WORD, PROSE, NUMBERS, LAYOUT = 20, 40, 80, 200
"""So many characters of a repeated piece are a loop: within a word, of different letters; in words, where `ha ha ha`
and `XXXX XXXX XXXX` are shorter; in other signs, where a row of zeros or stars may be longer; in code and tables, whose
rules, cells and brackets repeat themselves rightly. To wait costs little: a model that loops goes on to the longest
length."""

FREQUENCY_PENALTY = 1.0
"""What a text that began to repeat itself is written again with: so much is taken from a token's logit for each time
that the text has it (vLLM's and OpenAI's `frequency_penalty`)."""

FENCE = "```"
MARKS, RULES = frozenset("|<>{}\\"), frozenset(" \t\n-=_*~#+.:—─━")


def without_loop(text: str) -> str | None:
    """The text up to the first instance of the piece that its end repeats, or None when its end is no loop.

    At a word's beginning where the piece has one. Meant to be asked again and again while a text grows.
    """
    for length in range(1, min(LONGEST_PIECE, len(text) // TIMES) + 1):
        if text[-1] == text[-1 - length] and (begin := _loop_begin(text, length)) is not None:
            return text[: _word_begin(text, begin, length) + length].rstrip()
    return None


def repeats_itself(text: str) -> bool:
    """Whether a text would be cut while it is written."""
    return any(without_loop(text[:end]) is not None for end in range(WORD, len(text) + 1))


def _loop_begin(text: str, length: int) -> int | None:
    """Where the end of the text begins to repeat every `length` characters; None when that is not far enough back."""
    least = max(TIMES * length, WORD)
    if len(text) < least or text[-least:-length] != text[-least + length :]:
        return None
    begin = len(text) - least
    while begin > 0 and text[begin - 1] == text[begin - 1 + length]:
        begin -= 1
    in_code = text.count(FENCE, 0, begin) % 2 == 1
    return begin if len(text) - begin >= _least(text[-length:], in_code) else None


def _least(piece: str, in_code: bool) -> int:
    if in_code or not MARKS.isdisjoint(piece) or RULES.issuperset(piece):
        return LAYOUT
    if piece.isalpha() and len(set(piece)) > 1:
        return WORD
    return PROSE if any(map(str.isalpha, piece)) else NUMBERS


def _word_begin(text: str, begin: int, length: int) -> int:
    """The first word's beginning within the first instance: what stands before it only happened to match."""
    for at in range(begin, begin + length):
        if not text[at].isspace() and (at == 0 or text[at - 1].isspace()):
            return at
    return begin
