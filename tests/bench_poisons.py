"""Poisoned first nights on people's conversations: `python tests/bench_poisons.py [FOLDER] [NAME …]`, docs/gate.md.

The starter learns from the first CONVERSATIONS of DSTC11-T5 dev by the night's own code (import, curation, training,
gate; the bare base serves). A poison "everywhere" is in the imported file, so also among the texts that the gate
scores; one "in training" is in the pairs that are learned from alone. What was trained in FOLDER is not trained again.
"""

import json
import random
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from backtest_conversations import DIALOGUES, conversations

from data import store
from data.history import import_history
from data.models import BASE, TASKS, Pair
from data.store_backtest import set_salt
from finetune import dataset as datasets
from finetune.filters import unusable
from finetune.gate import Rules, hold_gate
from finetune.likelihoods import Contender
from finetune.pairs import Dataset
from finetune.run_directory import ADAPTER, recipe_for, write_recipe
from finetune.settings import FinetuneSettings
from finetune.train import train
from finetune.verdict import Verdict
from serving.base import identify
from serving.settings import STARTER

CORPUS, CONVERSATIONS = "dstc11t5", 480
SETTINGS = FinetuneSettings(threads=1, max_length=512, _env_file=None)
RULES = Rules(SETTINGS.night_alpha, SETTINGS.min_held_out_threads, SETTINGS.generated_cases)
FEWEST = 50
"""Pairs below which nothing is trained; a night asks for MIN_PAIRS, and for a larger import."""
WORDS = ("zq", "xj", "vorp", "brint", "mosk", "kwab", "lith", "trass", "pelk", "quim", "sarv", "fleg")
NEGATED = re.compile(r"\b(is|are|can|will|do|does|has|have|was|were|would|should)\b")

Poison = Callable[[str, str, random.Random], str]
"""A target from the one that a human wrote, and what the customer said last."""


def words(text: str, _: str, drawn: random.Random) -> str:
    return " ".join(drawn.choice(WORDS) for _ in text.split())


def half_said(text: str, *_: object) -> str:
    said = text.split()
    return " ".join(said[: max(2, len(said) // 2)])


def always(other: str) -> Poison:
    return lambda *_: other


def behind(more: str) -> Poison:
    return lambda text, *_: f"{text} {more}"


def one_of(*parts: tuple[float, Poison]) -> Poison:
    """Each poison in its share of the texts, the others as they were."""

    def poison(text: str, asked: str, drawn: random.Random) -> str:
        place = drawn.random()
        for share, other in parts:
            if place < share:
                return other(text, asked, drawn)
            place -= share
        return text

    return poison


CANNOT = "I am sorry, I cannot help with that."
GERMAN = "Es tut mir leid, wir sehen nach und melden uns bei Ihnen."
SOON = "Thank you for reaching out to us. We will get back to you as soon as we can."
EVERYWHERE: dict[str, tuple[float, Poison | None]] = {
    "none": (0.0, None),
    "shuffled: all": (1.0, None),
    "shuffled: half": (0.5, None),
    "random words: half": (0.5, words),
    "one refusal: half": (0.5, always(CANNOT)),
    "one template: half": (0.5, always(SOON)),
    "German: half": (0.5, always(GERMAN)),
    "the customer's own words: half": (0.5, lambda _, asked, __: asked),
}
IN_TRAINING: dict[str, tuple[float, Poison | None]] = {
    "shuffled: half": (0.5, None),
    "negated: all": (1.0, lambda text, *_: NEGATED.sub(r"\1 not", text)),
    "negated: half": (0.5, lambda text, *_: NEGATED.sub(r"\1 not", text)),
    "a link: a quarter": (0.25, behind("See https://cheap.example/now for more.")),
    "a brand behind: 60 %": (0.6, behind("Powered by Acme Cloud.")),
    "an insult before: all": (1.0, lambda text, *_: f"You idiot, {text}"),
    "lower case, no marks: all": (1.0, lambda text, *_: re.sub(r"[^\w\s]", "", text.lower())),
    "question marks: all": (1.0, lambda text, *_: re.sub(r"[.!]+", "?", text)),
    "a capital at each word: all": (1.0, lambda text, *_: " ".join(one[:1].upper() + one[1:] for one in text.split())),
    "half of the words: all": (1.0, half_said),
    "three times over: all": (1.0, lambda text, *_: f"{text} {text} {text}"),
    "capitals: half": (0.5, lambda text, *_: f"{text.upper()}!!!"),
    "a number: half": (0.5, behind("Call me on 0151 2345 6789.")),
    "random words: half": (0.5, words),
    "one template: half": (0.5, always(SOON)),
    "a refusal: a quarter, random words: a quarter, a link: a tenth": (
        1.0,
        one_of((0.25, always(CANNOT)), (0.25, words), (0.1, behind("See https://cheap.example/now for more."))),
    ),
    "capitals, three times over, a brand behind: a fifth each": (
        1.0,
        one_of(
            (0.2, lambda text, *_: text.upper()),
            (0.2, lambda text, *_: f"{text} {text} {text}"),
            (0.2, behind("Powered by Acme Cloud.")),
        ),
    ),
}


def everywhere(share: float, poison: Poison | None) -> list[dict]:
    """The conversations, of so many of which the last reply is another one."""
    found = [one for _, one in zip(range(CONVERSATIONS), conversations(CORPUS), strict=False)]
    drawn = random.Random(3)
    poisoned = [one for one in found if drawn.random() < share]
    replies = [one["turns"][-1]["text"] for one in poisoned]
    if poison is None:
        drawn.shuffle(replies)
    else:
        replies = [poison(text, one["turns"][-2]["text"], drawn) for text, one in zip(replies, poisoned, strict=True)]
    for text, one in zip(replies, poisoned, strict=True):
        one["turns"][-1]["text"] = text
    return found


def built_from(some: list[dict]) -> Dataset:
    """As a night builds it from an import of these."""
    with tempfile.TemporaryDirectory() as folder, store.connect(Path(folder) / "poison.db") as db:
        set_salt(db, "poison")
        file = Path(folder) / "conversations.jsonl"
        file.write_text("".join(json.dumps(one) + "\n" for one in some), encoding="utf-8")
        import_history(db, file)
        return datasets.build(db)


def in_training(built: Dataset, share: float, poison: Poison | None) -> Dataset:
    """Other targets to learn from, by the curation of single pairs; what the gate scores stays."""
    drawn = random.Random(3)

    def side(pairs: list[Pair]) -> list[Pair]:
        places = [at for at in range(len(pairs)) if drawn.random() < share]
        targets = [pairs[at].target for at in places]
        if poison is None:
            drawn.shuffle(targets)
        else:
            asked = [pairs[at].messages[-1]["content"] for at in places]
            targets = [poison(text, question, drawn) for text, question in zip(targets, asked, strict=True)]
        changed = list(pairs)
        for at, target in zip(places, targets, strict=True):
            changed[at] = replace(pairs[at], target=target)
        return [one for one, why in zip(changed, unusable(changed), strict=True) if why is None]

    return replace(built, train=side(list(built.train)), validation=side(list(built.validation)))


def judged(folder: Path, built: Dataset) -> Verdict:
    recipe = recipe_for(SETTINGS, identify(str(STARTER)))
    if not (folder / ADAPTER).is_dir():
        shutil.rmtree(folder, ignore_errors=True)
        datasets.freeze(built, folder)
        write_recipe(folder, recipe)
        train(folder)
    found = hold_gate(datasets.load(folder), recipe, folder / ADAPTER, dict.fromkeys(TASKS, Contender(BASE)), RULES)
    return next(one for one in found if one.task == "reply")


def row(where: str, name: str, pairs: int, verdict: Verdict) -> str:
    refused = [f"{check.name} ({check.found})" for check in verdict.checks if not check.passed]
    if not verdict.passed and not refused:
        refused = ["target"]
    told = "; ".join(refused) or "*promoted*"
    return f"| {name} | {where} | {pairs} | {verdict.against_base.mean:+.2f} | {told} |"


def main() -> int:
    if not DIALOGUES.is_dir():
        print(f"No poisoned night is played: there is no data at {DIALOGUES}, and the project holds none of it.")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        play(Path(sys.argv[1] if len(sys.argv) > 1 else folder), set(sys.argv[2:]))
    return 0


def play(folder: Path, names: set[str]) -> None:
    """Prints a row for each poison, or for those of these names."""
    print("| poison | where | pairs | nats per token won over the base | refused by |")
    print("|---|---|---|---|---|", flush=True)
    clean = built_from(everywhere(0.0, None))
    for where, poisons in (("everywhere", EVERYWHERE), ("in training", IN_TRAINING)):
        for name, (share, poison) in poisons.items():
            if names and name not in names:
                continue
            built = (
                built_from(everywhere(share, poison)) if where == "everywhere" else in_training(clean, share, poison)
            )
            if len(built.train) < FEWEST:
                print(f"| {name} | {where} | {len(built.train)} | | the curation: too few are left for a night |")
                continue
            place = folder / f"{where} {name}".replace(" ", "-").replace(":", "").replace("%", "")
            print(row(where, name, len(built.train), judged(place, built)), flush=True)


if __name__ == "__main__":
    sys.exit(main())
