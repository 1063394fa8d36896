"""Training rows for the starter: prompts built exactly as serving builds them, and the text that should follow.

Human dialogues (STAR without bank and hotel, which stay unseen for measuring), and, written by the project, support
cases drawn from domains_*.json, instructions in steps, copying drills, and summaries of the drawn cases.
"""

import gzip
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from data.errors import BadFile
from data.models import Example, Message, Passage, Speaker, Turn
from data.prompts import NOT_FOUND, answer_messages, asked_thread, reply_messages, summary_messages
from finetune.corpus import drills, guides, house_styles
from finetune.corpus.phrases import (
    BYES,
    CLOSINGS,
    GREETINGS,
    IDENTITIES,
    OPENERS,
    QUOTE_QUESTIONS,
    THANKS,
    UNKNOWN,
    WELCOMES,
)
from finetune.corpus.reworded import exchanger, reworded, sentences, telling_words, vocabulary_of
from finetune.corpus.values import values

HELD_OUT_DOMAINS = {"bank", "hotel"}
REWORDED = 0.6
"""Share of the facts whose words are exchanged. Without, 20 domains are learned by heart, and a passage on anything
else is not read."""
LONGER = 0.25
"""Share of the passages asked for that are longer articles."""
HERE = Path(__file__).parent
Row = tuple[list[Message], str]


@dataclass(frozen=True)
class Corpus:
    """Everything that rows are drawn from."""

    dialogues: list[list[Turn]]
    domains: list[dict]
    vocabulary: tuple[str, ...] = ()
    """Words to exchange for others: see reworded.py."""


def load(dialogues: Path) -> Corpus:
    """Read STAR's conversations (JSON lines, gzipped or not) without the held-out domains, and our own domains."""
    if not dialogues.is_file():
        raise BadFile(f"No dialogues at {dialogues}: give STAR's train split with --dialogues FILE.")
    kept: list[list[Turn]] = []
    with gzip.open(dialogues, "rt") if dialogues.suffix == ".gz" else dialogues.open() as lines:
        for record in map(json.loads, lines):
            if HELD_OUT_DOMAINS.isdisjoint(record["domains"]) and record["domains"]:
                kept.append([Turn(speaker=t["role"], text=t["text"]) for t in record["turns"] if t["text"].strip()])
    domains = [d for path in sorted(HERE.glob("domains_*.json")) for d in json.loads(path.read_text())]
    vocabulary = vocabulary_of(tuple(fact["passage"] for domain in domains for fact in domain["facts"]))
    return Corpus(dialogues=kept, domains=domains, vocabulary=vocabulary)


def rows(corpus: Corpus, seed: int) -> Iterator[Row]:
    """Rows without end; the same seed gives the same rows."""
    rng = random.Random(seed)
    shares = {
        dialogue_row: 0.2, case_reply: 0.2, case_answer: 0.09, quote_row: 0.12, foreign_row: 0.21, guide_row: 0.06,
        case_summary: 0.07, drill_row: 0.02, lookup_row: 0.02, repeat_row: 0.01,
    }  # fmt: skip
    while True:
        yield rng.choices(list(shares), list(shares.values()))[0](corpus, rng)


def dialogue_row(corpus: Corpus, rng: random.Random) -> Row:
    """A human dialogue, cut before one of its agent's turns."""
    turns, cut = _cut(corpus, rng)
    examples = []
    if rng.random() < 0.1:
        other, at = _cut(corpus, rng)
        examples = [_example(reply_messages(other[:at]), other[at].text)]
    passages = _passages(rng, corpus, []) if rng.random() < 0.25 else []
    return reply_messages(turns[:cut], passages, examples), turns[cut].text


def case_reply(corpus: Corpus, rng: random.Random) -> Row:
    """An invented support case; the reply solves it by the passage, asks for what is missing, or says goodbye."""
    fact, value, domain = _draw(corpus, rng)
    examples, style = [], None
    if rng.random() < 0.35:
        # The examples' own style shows in nothing but them: this is where following examples is learned.
        style = house_styles.style(rng) if rng.random() < 0.85 else None
        for _ in range(rng.choice((1, 1, 2, 3))):
            other, other_value, _ = _draw(corpus, rng, domain)
            other_turns, other_target = _case(rng, other, other_value, read=other["passage"], style=style)
            examples.append(_example(reply_messages(other_turns), other_target))
    passages = _passages(rng, corpus, [(fact, value)], domain) if rng.random() < 0.85 else []
    turns, target = _case(rng, fact, value, read=fact["passage"] if passages else "", style=style)
    return reply_messages(turns, passages, examples), target


def case_answer(corpus: Corpus, rng: random.Random) -> Row:
    """A question and passages; the answer quotes the right one and cites it, or says that it is not there."""
    fact, value, domain = _draw(corpus, rng)
    pair = rng.choice(fact["qa"])
    question = rng.choice(pair["questions"]).format_map(value)
    if rng.random() < 0.12:
        return answer_messages(question, _passages(rng, corpus, [], domain, leave_out=fact)), NOT_FOUND
    passages = _passages(rng, corpus, [(fact, value)], domain)
    number = next(n for n, p in enumerate(passages, start=1) if p.document_id == "asked")
    return answer_messages(question, passages), f"{pair['answer'].format_map(value)} [{number}]"


def quote_row(corpus: Corpus, rng: random.Random) -> Row:
    """A question made of a sentence's own words, and that sentence: as an answer, or as a reply to a customer."""
    fact, value, domain = _draw(corpus, rng)
    sentence = rng.choice(sentences(fact["passage"])).format_map(value)
    missing = rng.random() < 0.12
    passages = _passages(rng, corpus, [] if missing else [(fact, value)], domain, leave_out=fact)
    return _quoted(rng, value, fact["title"], sentence, passages, missing)


def foreign_row(corpus: Corpus, rng: random.Random) -> Row:
    """Like quote_row, from passages that nobody wrote: sentences of any dialogues, with their words exchanged.

    The project's own facts are so few that a model learns them by heart; here nothing but reading helps.
    """
    _, value, _ = _draw(corpus, rng)
    articles = [_article(corpus, rng) for _ in range(rng.choice((1, 2, 2, 3)))]
    asked_at = rng.randrange(len(articles))
    passages = [
        Passage(0, "asked" if at == asked_at else "other", title, " ".join(said), 0.0)
        for at, (title, said) in enumerate(articles)
    ]
    title, said = articles[asked_at]
    missing = len(passages) > 1 and rng.random() < 0.06
    if missing:
        del passages[asked_at]
    return _quoted(rng, value, title, rng.choice(said), passages, missing)


def _article(corpus: Corpus, rng: random.Random) -> tuple[str, list[str]]:
    """A title and a few sentences of dialogues that have nothing to do with each other."""
    said: list[str] = []
    while len(said) < rng.randint(2, 7):
        text = " ".join(rng.choice(rng.choice(corpus.dialogues)).text.split())
        sentence = rng.choice(sentences(text) or [text])
        if 3 <= len(sentence.split()) <= 30 and "{" not in sentence:
            said.append(exchanger(sentence, rng, corpus.vocabulary)(sentence) if rng.random() < 0.7 else sentence)
    words = [word for sentence in said for word in telling_words(sentence)] or ["other"]
    return " ".join(rng.choice(words) for _ in range(rng.randint(1, 3))).capitalize(), said


def _quoted(
    rng: random.Random, value: dict[str, str], title: str, sentence: str, passages: list[Passage], missing: bool
) -> Row:
    """Ask with a few of a sentence's words; the sentence is the answer, with its citation, or the reply."""
    about = telling_words(sentence) or telling_words(title) or [title.lower()]
    keys = [rng.choice(about) for _ in range(rng.choice((1, 2, 2, 3)))]
    asked = rng.choice(QUOTE_QUESTIONS).format(*keys, keys=" ".join(dict.fromkeys(keys)), title=title.lower())
    if rng.random() < 0.5:
        number = next((n for n, p in enumerate(passages, start=1) if p.document_id == "asked"), None)
        return answer_messages(asked, passages), f"{sentence} [{number}]" if number else NOT_FOUND
    turns = [Turn("customer", rng.choice(IDENTITIES).format_map(value) + asked)]
    greet = _known(rng.choice(GREETINGS), _said(turns), value)
    return reply_messages(turns, passages), greet + (UNKNOWN if missing else sentence)


def guide_row(corpus: Corpus, rng: random.Random) -> Row:
    """Steps in a passage, asked for all together or for the one that comes next: an answer or a reply."""
    _, value, domain = _draw(corpus, rng)
    title, goal, steps, shape = guides.guide(rng, value, corpus.vocabulary)
    asked, said = guides.question(rng, goal, steps, shape)
    text = _longer(corpus, rng, guides.written(steps, shape), domain)
    passages = [Passage(0, "asked", title, text, 0.0), *_passages(rng, corpus, [], domain)[:3]]
    rng.shuffle(passages)
    number = next(n for n, p in enumerate(passages, start=1) if p.document_id == "asked")
    if rng.random() < 0.5:
        return answer_messages(asked, passages), f"{said} [{number}]"
    turns = [Turn("customer", rng.choice(IDENTITIES).format_map(value) + asked)]
    greet = _known(rng.choice(GREETINGS), _said(turns), value)
    return reply_messages(turns, passages), greet + said


def case_summary(corpus: Corpus, rng: random.Random) -> Row:
    """One to three cases in one thread, and a summary under its four headings."""
    turns: list[Turn] = []
    wants, done, still, after = [], [], [], []
    solved = False
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3))):
        fact, value, _ = _draw(corpus, rng)
        case, target = _case(rng, fact, value, read=fact["passage"], always_solve=True)
        solved = rng.random() < 0.75
        turns += [*case, Turn("agent", target)] if solved else case
        said = _said(turns)
        wants.append(_known(fact["wants"], said, value) or fact["title"].lower())
        if solved:
            done.append(_known(fact["done"], said, value))
        if solved and rng.random() < 0.5:
            turns.append(Turn("customer", rng.choice(THANKS)))
        else:
            still.append(_known(fact["open"], said, value))
            after.append(_known(fact["next"], said, value))
    lines = [("Customer wants", wants), ("Done", done), ("Open", still), ("Next step", after)]
    return summary_messages(turns), "\n".join(
        f"{head}: {'; '.join(filter(None, t)) or 'nothing'}." for head, t in lines
    )


def drill_row(corpus: Corpus, rng: random.Random) -> Row:
    """Copy names, numbers and invented words from the customer's message."""
    _, value, domain = _draw(corpus, rng)
    asked, reply = drills.echo(rng, value)
    turns = [Turn("customer", asked)]
    for _ in range(rng.choice((0, 0, 1, 2))):
        _, before, _ = _draw(corpus, rng, domain)
        earlier, answered = drills.echo(rng, before)
        turns = [Turn("customer", earlier), Turn("agent", answered), *turns]
    return reply_messages(turns, _passages(rng, corpus, [], domain) if rng.random() < 0.4 else []), reply


def lookup_row(corpus: Corpus, rng: random.Random) -> Row:
    """Find one row of a list in the passages and repeat it."""
    drawn = [_draw(corpus, rng)[1] for _ in range(rng.randint(2, 6))]
    text, question, answer = drills.lookup(rng, drawn)
    passages = [*_passages(rng, corpus, [])[:2], Passage(0, "asked", "List", text, 0.0)]
    rng.shuffle(passages)
    number = next(n for n, p in enumerate(passages, start=1) if p.document_id == "asked")
    return answer_messages(question, passages), f"{answer} [{number}]"


def repeat_row(corpus: Corpus, rng: random.Random) -> Row:
    """Say again what was said, word for word."""
    text = drills.repeated(rng, _draw(corpus, rng)[1])
    return [Message(role="system", content="Repeat the text."), Message(role="user", content=text)], text


def _case(
    rng: random.Random,
    fact: dict,
    value: dict[str, str],
    *,
    read: str,
    always_solve: bool = False,
    style: tuple[str, str] | None = None,
) -> tuple[list[Turn], str]:
    """The turns of a case up to the agent's next message, and that message. It names only what was said or `read`."""

    def say(speaker: Speaker, text: str) -> Turn:
        return Turn(speaker, text.format_map(value))

    def reply(text: str) -> str:
        greet, close = style or (rng.choice(GREETINGS), rng.choice(CLOSINGS))
        return _known(greet, _said(turns), value) + text + _known(close, _said(turns), value)

    identity = rng.choice(IDENTITIES) if rng.random() < 0.6 else ""
    turns: list[Turn] = []
    if rng.random() < 0.2:
        turns = [say("customer", rng.choice(OPENERS)), say("agent", rng.choice(WELCOMES))]
    turns.append(say("customer", identity + rng.choice(fact["problems"])))
    number = rng.randrange(len(fact["asks"]))
    answered = rng.random() < 0.45
    asked = [*turns, say("agent", fact["asks"][number]), say("customer", fact["gives"][number])] if answered else turns
    resolves = [_known(text, _said(asked) + read.format_map(value), value) for text in fact["resolves"]]
    solved = rng.choice([text for text in resolves if text] or [""])
    stage = "solve" if always_solve else rng.choices(("solve", "ask", "bye"), (0.68, 0.18, 0.14))[0]
    if stage == "ask" or not solved:
        return turns, reply(fact["asks"][number].format_map(value))
    turns = asked
    if stage == "solve":
        return turns, reply(solved)
    turns = [*turns, Turn("agent", reply(solved)), say("customer", rng.choice(THANKS))]
    return turns, _known(rng.choice(BYES), _said(turns), value) or "Goodbye."


def _said(turns: list[Turn]) -> str:
    return " ".join(turn.text for turn in turns)


def _known(text: str, said: str, value: dict[str, str]) -> str:
    """The text with its values, or nothing when it would name what was not said."""
    return text.format_map(value) if all(value[n] in said for n in value if "{" + n + "}" in text) else ""


def _cut(corpus: Corpus, rng: random.Random) -> tuple[list[Turn], int]:
    while True:
        turns = rng.choice(corpus.dialogues)
        cuts = [n for n, turn in enumerate(turns) if n and turn.speaker == "agent"]
        if cuts:
            # Late cuts: every turn before is read as well, so one row shows nearly the whole dialogue.
            return turns, max(rng.choice(cuts), rng.choice(cuts))


def _draw(corpus: Corpus, rng: random.Random, domain: dict | None = None) -> tuple[dict, dict[str, str], dict]:
    domain = domain or rng.choice(corpus.domains)
    fact = rng.choice(domain["facts"])
    if rng.random() < REWORDED:
        fact = reworded(fact, rng, corpus.vocabulary)
    items = domain["items"] if rng.random() < 0.6 else rng.choice(corpus.domains)["items"]
    return fact, values(rng, items, rng.choice(domain["companies"])), domain


def _passages(rng, corpus, asked: list, domain: dict | None = None, leave_out: dict | None = None) -> list[Passage]:
    """The passage that is asked for among one to four others, in any order."""
    found = []
    for f, v in asked:
        text = f["passage"].format_map(v)
        text = _longer(corpus, rng, text, domain) if rng.random() < LONGER else text
        found.append(Passage(0, "asked", f["title"], text, 0.0))
    titles = {f["title"] for f, _ in asked} | ({leave_out["title"]} if leave_out else set())
    for _ in range(rng.choice((0, 1, 1, 2, 2, 3, 4)) or (not asked)):
        fact, value, _ = _draw(corpus, rng, domain)
        if fact["title"] not in titles:
            titles.add(fact["title"])
            found.append(Passage(0, "other", fact["title"], fact["passage"].format_map(value), 0.0))
    rng.shuffle(found)
    return found


def _longer(corpus: Corpus, rng: random.Random, text: str, domain: dict | None) -> str:
    """The text as a part of a longer article, as help centres have them: other sentences before and after it."""
    around: list[str] = []
    for _ in range(rng.choice((0, 1, 1, 2))):
        fact, value, _ = _draw(corpus, rng, domain)
        around += [sentence.format_map(value) for sentence in sentences(fact["passage"])]
    cut = rng.randint(0, len(around))
    return " ".join([*around[:cut], text, *around[cut:]])


def _example(messages: list[Message], target: str) -> Example:
    return Example(pair_id="", thread=asked_thread(messages), target=target)
