"""Measuring data → conversations as `import-history` and `backtest` read them: `backtest_conversations.py SET OUT`.

`dstc11t5`: each human reply of DSTC11-T5 dev with the turns before it as context only, knowledge left aside;
`dstc11t5-500`: the first 870 of them, of which a night learns about 500 pairs. `bank`, `hotel`, `bank-hotel`: STAR's
conversations of these domains alone (train and dev), which the starter has never seen; each agent turn keeps `how` it
was written (typed or picked).
"""

import gzip
import json
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

DIALOGUES = Path(__file__).parents[2] / "shared" / "data" / "dialogues"
SETS = ("dstc11t5", "dstc11t5-500", "bank", "hotel", "bank-hotel")

FIRST = {"500": 870}
"""Conversations that leave so many pairs, once the final fifth and the held-out threads are taken away."""


def conversations(name: str, dialogues: Path = DIALOGUES) -> Iterator[dict[str, object]]:
    """Conversations in the order of the data's own ids."""
    match name.split("-"):
        case ["dstc11t5", first]:
            yield from islice(dstc11t5(dialogues), FIRST[first])
        case ["dstc11t5"]:
            yield from dstc11t5(dialogues)
        case domains:
            yield from star(set(domains), dialogues)


def dstc11t5(dialogues: Path) -> Iterator[dict[str, object]]:
    """Turns of one dialogue stand side by side, so that a split by time cuts one dialogue at most."""
    records = [record for record in _records(dialogues / "dstc11t5_val.dev.jsonl.gz") if record["reply"]]
    first_seen: dict[str, int] = {}
    for record in records:
        first_seen.setdefault(_opening(record), len(first_seen))
    for record in sorted(records, key=lambda one: (first_seen[_opening(one)], len(one["turns"]))):
        context = [{"role": turn["role"], "text": turn["text"], "score": False} for turn in record["turns"]]
        yield {"id": record["id"], "turns": [*context, {"role": "agent", "text": record["reply"]}]}


def star(domains: set[str], dialogues: Path) -> Iterator[dict[str, object]]:
    """Conversations about one of these domains and about nothing else."""
    found = [
        record
        for part in ("star.train", "star.dev")
        for record in _records(dialogues / f"{part}.jsonl.gz")
        if len(record["domains"]) == 1 and record["domains"][0] in domains
    ]
    for record in sorted(found, key=lambda one: int(one["id"].rpartition("-")[2])):
        kept = [{key: turn[key] for key in ("role", "text", "how") if key in turn} for turn in record["turns"]]
        yield {"id": record["id"], "turns": kept}


def _opening(record: dict) -> str:
    return "\n".join(turn["text"] for turn in record["turns"][:2])


def _records(path: Path) -> list[dict]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def main() -> int:
    if len(sys.argv) != 3 or sys.argv[1] not in SETS:
        print(f"usage: {sys.argv[0]} {{{','.join(SETS)}}} OUT", file=sys.stderr)
        return 2
    if not DIALOGUES.is_dir():
        print(
            f"There is no data at {DIALOGUES}: this measures on data that the project does not hold.", file=sys.stderr
        )
        return 1
    out = Path(sys.argv[2])
    out.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(one, ensure_ascii=False) for one in conversations(sys.argv[1])]
    out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(lines)} conversations in {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
