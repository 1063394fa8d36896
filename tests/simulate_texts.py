"""How often the gate's rules on texts refuse a night that lost nothing, or gained: `make bench`, docs/gate.md.

Texts are those of real adapters on people's held-out threads (gate_texts.py counted them: gate_texts.json.gz). A night
draws as many threads as the gate writes for, without replacement.
"""

import sys
import time
from collections import Counter
from collections.abc import Iterator

import numpy as np
from gate_texts import read

from finetune.checks import drawn_checks, text_checks
from finetune.settings import FinetuneSettings
from finetune.text_facts import TextFacts

NIGHTS = 1_000
COUNT = FinetuneSettings(_env_file=None).generated_cases
COMPARED = {
    "another seed on the same pairs": ("160 again", "160"),
    "the first seed after the other": ("160", "160 again"),
    "320 pairs after 160": ("320", "160"),
    "160 pairs after the base": ("160", "base"),
    "320 pairs after the base": ("320", "base"),
}
Texts = dict[str, list[TextFacts]]


def refused(candidate: Texts, incumbent: Texts, *, nights: int, seed: int = 0) -> tuple[float, Counter[str]]:
    """The share of nights that any rule refuses, and how many nights each rule does."""
    random, rules, count = np.random.default_rng(seed), Counter[str](), 0
    for _ in range(nights):
        places = random.choice(len(candidate["first"]), size=COUNT, replace=False)
        first, drawn, before = (
            [texts[at] for at in places] for texts in (candidate["first"], candidate["drawn"], incumbent["first"])
        )
        failed = [one.name for one in (*text_checks(first, before), *drawn_checks(drawn, before)) if not one.passed]
        rules.update(failed)
        count += bool(failed)
    return count / nights, rules


def compared(found: dict[str, Texts]) -> Iterator[tuple[str, Texts, Texts]]:
    """What nights compare: their name, the candidate's texts and the incumbent's."""
    for corpus in ("star", "dstc"):
        for name, (candidate, incumbent) in COMPARED.items():
            yield f"{corpus.upper()}, {name}", found[f"{corpus} {candidate}"], found[f"{corpus} {incumbent}"]


def main() -> int:
    started, nights = time.monotonic(), int(sys.argv[1]) if len(sys.argv) > 1 else NIGHTS
    print(f"| nights, {COUNT} texts each | refused | by |\n|---|---|---|")
    for name, candidate, incumbent in compared(read()):
        share, rules = refused(candidate, incumbent, nights=nights)
        by = ", ".join(f"{rule} {number / nights:.1%}" for rule, number in rules.most_common())
        print(f"| {name} | {share:.1%} | {by} |", flush=True)
    print(f"\n{nights} nights a row, {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
