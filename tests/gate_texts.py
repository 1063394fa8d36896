"""What gate_runs.py's adapters write, as the gate counts it: `python tests/gate_texts.py FOLDER`, after gate_runs.py.

Counts and checksums only, in gate_texts.json.gz: of phrases and words those that stand in as many texts as the gate's
rules ask for, of all words those of two texts.
"""

import gzip
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from gate_runs import CORPORA, RUNS, Measured, measured

from data.models import BASE
from finetune.checks import PHRASE_TEXTS
from finetune.gate import LONGEST_TEXT, TEXT_ROOM
from finetune.likelihoods import one_per_thread
from finetune.text_facts import Known, TextFacts, facts_of, known
from serving.engine import ANOTHER_TEMPERATURE

TEXTS = Path(__file__).resolve().parent / "gate_texts.json.gz"
THREADS = 120
SETS = {"phrases": PHRASE_TEXTS, "strange": PHRASE_TEXTS, "said": 2, "human_said": 2}
"""Of each set what stands in so many texts."""


def write(run: Measured, name: str, humans: Known) -> dict[str, list[TextFacts]]:
    """A contender's likeliest texts and drawn ones, for one case of each thread."""
    places = one_per_thread(run.cases)[:THREADS]
    cases, prompts = [run.cases[at] for at in places], [run.encoded[at].prompt for at in places]
    longest = min(LONGEST_TEXT, round(TEXT_ROOM * max(len(run.encoded[at].target) for at in places)))
    written = {
        "first": run.stage.write(name, prompts, longest=longest),
        "drawn": run.stage.draw(name, prompts, longest=longest, temperature=ANOTHER_TEMPERATURE),
    }
    targets = [case.pair.target for case in cases]
    asked = [case.pair.messages[-1]["content"] for case in cases]
    return {kind: facts_of(texts, targets, asked, humans) for kind, texts in written.items()}


def common(texts: Sequence[TextFacts]) -> list[TextFacts]:
    """Without what stands in too few texts for any rule."""
    for name, least in SETS.items():
        counts = Counter(one for text in texts for one in getattr(text, name))
        kept = frozenset(one for one, count in counts.items() if count >= least)
        texts = [replace(text, **{name: getattr(text, name) & kept}) for text in texts]
    return list(texts)


def read() -> dict[str, dict[str, list[TextFacts]]]:
    """Every contender's texts, by corpus and name: the likeliest and the drawn ones."""

    def facts(one: dict) -> TextFacts:
        return TextFacts(**{key: frozenset(value) if key in SETS else value for key, value in one.items()})

    found = json.loads(gzip.decompress(TEXTS.read_bytes()))
    return {name: {kind: [facts(one) for one in texts] for kind, texts in both.items()} for name, both in found.items()}


def main(folder: Path) -> None:
    found: dict[str, dict[str, list[dict]]] = {}
    for corpus in CORPORA:
        for run_name in (*RUNS, BASE):
            run = measured(folder / corpus, run_name)
            humans = known((case.pair.target for case in run.cases), run.trained)
            written = write(run, run_name, humans)
            found[f"{corpus} {run_name}"] = {
                kind: [asdict(one) | {name: sorted(getattr(one, name)) for name in SETS} for one in common(texts)]
                for kind, texts in written.items()
            }
            print(f"{corpus} {run_name}: {len(written['first'])} texts", flush=True)
    TEXTS.write_bytes(gzip.compress(json.dumps(found).encode(), mtime=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
