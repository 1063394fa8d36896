"""What a team would gain, on conversations that the starter has never seen: `python tests/bench_backtest.py [SET …]`.

Plays DSTC11-T5 dev, as much of it as has 500 pairs, and STAR's bank and hotel conversations by `python -m finetune
backtest`, as a user would, and puts what it reports into docs/backtest.md, a plot for each beside it. An interrupted
one goes on where it was.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from backtest_conversations import DIALOGUES, conversations

from finetune.backtest_report import PLOT, report_lines

HERE = Path(__file__).parents[1]
FOLDER = HERE / "var" / "backtest"
PLAYED = {
    "dstc11t5": ("DSTC11-T5 dev", ("--nights", "1", "--cases", "60")),
    "dstc11t5-500": ("The first 870 conversations of DSTC11-T5 dev: 500 pairs", ("--nights", "1", "--cases", "60")),
    "bank-hotel": ("STAR's bank and hotel conversations", ("--nights", "2", "--by", "how")),
}


def main() -> int:
    names = sys.argv[1:] or list(PLAYED)
    if unknown := set(names) - set(PLAYED):
        print(f"{', '.join(unknown)}: choose from {', '.join(PLAYED)}", file=sys.stderr)
        return 2
    if not DIALOGUES.is_dir():
        print(f"No backtest is played: there is no data at {DIALOGUES}, and the project holds none of it.")
        return 0
    for name in names:
        document = played(name)
        (FOLDER / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        shutil.copyfile(Path(document["folder"]) / PLOT, HERE / "docs" / f"backtest-{name}.png")
    lines = ["# Backtests", "", "Played by `python tests/bench_backtest.py` on the starter, with the night's defaults."]
    for name, (title, arguments) in PLAYED.items():
        result = FOLDER / f"{name}.json"
        if result.exists():
            lines += ["", *section(name, title, arguments, json.loads(result.read_text(encoding="utf-8")))]
    (HERE / "docs" / "backtest.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))
    return 0


def played(name: str) -> dict:
    """The document that the command prints."""
    file = FOLDER / f"{name}.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(one, ensure_ascii=False) for one in conversations(name)]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "finetune", "backtest", str(file), *PLAYED[name][1]]
    done = subprocess.run(
        [*command, "--folder", str(FOLDER), "--json"],
        cwd=HERE,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def section(name: str, title: str, arguments: tuple[str, ...], document: dict) -> list[str]:
    """A backtest's own report, one heading deeper."""
    told = [line.replace("## ", "### ", 1) if line.startswith("## ") else line for line in report_lines(document)[1:]]
    told = [line.replace("(backtest.png)", f"(backtest-{name}.png)") for line in told]
    command = f"`python -m finetune backtest {name}.jsonl {' '.join(arguments)}`"
    return [
        f"## {title}",
        "",
        f"{command}, base {document['base'][:12]}, {document['seconds'] / 60:.0f} minutes.",
        *told,
    ]


if __name__ == "__main__":
    sys.exit(main())
