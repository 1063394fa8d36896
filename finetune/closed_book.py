"""Ask a candidate for facts of the help centre without the passage: facts come from knowledge, not from an adapter.

What an adapter knows by heart it goes on saying when the article has changed.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from data.chunking import SENTENCE_END
from data.models import Message, Task, Turn
from data.prompts import answer_messages, reply_messages
from data.store_knowledge import StoredChunk
from finetune.chat import prompt_ids
from finetune.checks import Check, sign_test
from finetune.scoring import Stage

LONGEST = 48
"""Tokens of an answer: who knows the fact says it early."""
WORDS = range(5, 41)
"""Words of a sentence that can be asked for."""
COMMON = 2
"""A fact that stands in more articles than this is known without any one of them."""
MARGIN = 0.05
"""Share of the facts that a candidate may recite more than the incumbent: a house style has a few of its own, such as
opening hours in a sign-off, and a number is now and then guessed right."""
LEVEL = 1 / 8
"""Of the sign test, beside the margin, as lax as on loops and for the same reason: a night refused by chance costs a
day, a fact known by heart is said for as long as the adapter serves. Of 40 facts, a candidate that knows a quarter
after an incumbent that guesses 2 % is seen in 97 nights of 100; where both guess 2 %, chance refuses two nights of 100.
Both were simulated; see tests/test_closed_book.py."""
NUMBER = re.compile(r"(?<![\w.,:/#-])(?P<sign>[€$£] ?)?(?P<fact>\d+(?:[.,:]\d+)*)(?P<share> ?%)?(?![\w/-]|[.,:]\d)")
NAME = re.compile(r"(?<=[\w,;] )(?P<fact>[^\W\d_a-zß-öø-ÿ][\w'\u2019-]{2,}(?: [^\W\d_a-zß-öø-ÿ][\w'\u2019-]{2,})*)")
MARKS = re.compile(r"[*`~]+|(?<!\w)_+|_+(?!\w)|!?\[([^\]]*)\]\([^)]*\)|^\s*(?:[-+>]|\d+[.)]|#{1,6})\s+", re.MULTILINE)


@dataclass(frozen=True)
class Probe:
    """A question, and the fact that only this chunk of the help centre answers it with."""

    chunk_id: int
    question: str
    fact: str


@dataclass(frozen=True)
class Recited:
    """A fact that the candidate said without its passage; what else it said is kept nowhere."""

    task: Task
    chunk_id: int
    question: str
    fact: str
    also_the_incumbent: bool


def probes(chunks: Sequence[StoredChunk], *, limit: int) -> list[Probe]:
    """Questions for at most so many facts, in the order of the chunks: one of each article first, numbers before names.

    A fact that is common, or that its question gives away, is none to ask for.
    """
    found = [(chunk.document_id, probe, is_name) for chunk in chunks for probe, is_name in _probes_of(chunk)]
    texts: dict[str, str] = {}
    for chunk in chunks:
        texts[chunk.document_id] = f"{texts.get(chunk.document_id, '')}\n{chunk.title}\n{chunk.text}"
    known: Counter[str] = Counter()
    for fact in {probe.fact for _, probe, _ in found}:
        known[fact] = sum(states(text, fact) for text in texts.values())
    asked: Counter[str] = Counter()
    ranked = []
    for document_id, probe, _ in sorted(found, key=lambda one: one[2]):
        if known[probe.fact] <= COMMON:
            ranked.append((asked[document_id], len(ranked), probe))
            asked[document_id] += 1
    return [probe for _, _, probe in sorted(ranked, key=lambda one: one[:2])[:limit]]


def hold(
    stage: Stage, task: Task, asked: Sequence[Probe], *, candidate: str, incumbent: str
) -> tuple[list[Check], list[Recited]]:
    """Let both contenders answer without any passage or example. A summary is of what stands in its prompt."""
    if not asked or task == "summary":
        return [], []
    ids = [prompt_ids(stage.tokenizer, messages(task, probe.question)) for probe in asked]
    after, before = (
        [states(written.text, probe.fact) for written, probe in zip(texts, asked, strict=True)]
        for texts in (stage.write(name, ids, longest=LONGEST) for name in (candidate, incumbent))
    )
    recited = [
        Recited(task, probe.chunk_id, probe.question, probe.fact, also)
        for probe, said, also in zip(asked, after, before, strict=True)
        if said
    ]
    return [closed_book_check(after, before)], recited


def closed_book_check(candidate: Sequence[bool], incumbent: Sequence[bool]) -> Check:
    """Which facts each recites. Refused: significantly more than the incumbent, and by more than the margin."""
    found = f"{sum(candidate)} of {len(candidate)} facts recited without their passage, against {sum(incumbent)}"
    return Check(
        "closed book",
        found,
        sign_test(candidate, incumbent) > LEVEL or sum(candidate) - sum(incumbent) <= MARGIN * len(candidate),
    )


def states(text: str, fact: str) -> bool:
    """Does a text say this number or name, as a whole and not as a part of another?"""
    return re.search(rf"(?<!\w)(?<!\d[.,:]){re.escape(fact)}(?!\w|[.,:]\d)", text, re.IGNORECASE) is not None


def lines(recited: Sequence[Mapping[str, object]]) -> list[str]:
    """The cases that `as_json` gave, as the night's report lists them: new ones first."""
    return [
        f"- {'as before' if one['also_the_incumbent'] else '**new**'}: “{one['fact']}”, asked for by: {one['question']}"
        for one in sorted(recited, key=lambda one: bool(one["also_the_incumbent"]))
    ]


def as_json(recited: Sequence[Recited]) -> list[dict[str, object]]:
    """As a report keeps them."""
    return [asdict(one) for one in recited]


def messages(task: Task, question: str) -> list[Message]:
    """A prompt with neither a passage nor an example."""
    return answer_messages(question, ()) if task == "answer" else reply_messages([Turn("customer", question)])


def _probes_of(chunk: StoredChunk) -> Iterator[tuple[Probe, bool]]:
    heading = chunk.title.rpartition(" / ")[2]
    for sentence in _sentences(chunk.text):
        for pattern in (NUMBER, NAME):
            for match in pattern.finditer(sentence):
                fact = match["fact"]
                question = f"{heading}: {_asked(sentence, match)}"
                if not states(question, fact) and not (pattern is NUMBER and len(fact) < 2):
                    yield Probe(chunk.id, question, fact), pattern is NAME


def _sentences(text: str) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n|\n(?=\s*(?:[-*+]|\d+[.)])\s)", text):
        # Rows of tables and code are no sentences.
        if "|" in paragraph or "```" in paragraph:
            continue
        plain = " ".join(MARKS.sub(r"\1", paragraph).split())
        yield from (one for one in SENTENCE_END.split(plain) if len(one.split()) in WORDS)


def _asked(sentence: str, fact: re.Match[str]) -> str:
    """The sentence as a question for what is taken out of it."""
    groups = fact.groupdict()
    if "sign" not in groups:
        asked = "what"
    elif groups["sign"]:
        asked = "how much"
    elif ":" in groups["fact"]:
        asked = "what time"
    else:
        asked = "how many" + (" percent" if groups["share"] else "")
    return sentence[: fact.start()] + asked + sentence[fact.end() :].rstrip(" .!?…") + "?"
