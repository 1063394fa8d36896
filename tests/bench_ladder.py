"""The curve of quality over the number of pairs, for each rung of the ladder: base, few-shot, adapter, both.

`python tests/bench_ladder.py [--pairs 0,10,30,100,300,1000]` trains an adapter on so many replies of DSTC11-T5 dev by
the night's own code and scores every rung on the last replies, which none has learned. What was scored is kept in
var/ladder and not computed again; docs/ladder.md and docs/ladder.png are drawn from all of it.
"""

import argparse
import random
import shutil
import sys
import tempfile
from pathlib import Path

import torch
from backtest_conversations import DIALOGUES, conversations
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from data import store
from data.errors import TrainingFailed
from data.models import BASE, Base, HistoryPair, Message, Pair, Turn
from data.prompts import reply_messages, with_examples
from finetune.backtest_metrics import Sent, gain, losses
from finetune.chat import encode
from finetune.dataset import EXAMPLES, VALIDATION_SHARE, freeze
from finetune.pairs import Dataset
from finetune.run_directory import ADAPTER, read_json, recipe_for, write_json, write_recipe
from finetune.scoring import Stage
from finetune.settings import FinetuneSettings
from finetune.train import train
from serving.base import identify
from serving.settings import ServingSettings

HERE = Path(__file__).parents[1]
SIZES = (0, 10, 30, 100, 300, 1000)
UNSEEN = 100
RUNGS = {
    "base": "base",
    "fewshot": "few-shot",
    "adapter": "adapter",
    "adapter_fewshot": "adapter, learned examples in the prompt",
    "adapter_new": "adapter, examples that it has not learned",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=lambda text: [int(one) for one in text.split(",")], default=list(SIZES))
    parser.add_argument("--folder", type=Path, default=HERE / "var" / "ladder")
    parser.add_argument("--docs", type=Path, default=HERE / "docs")
    arguments = parser.parse_args()
    if not DIALOGUES.is_dir():
        print(
            f"There is no data at {DIALOGUES}: this measures on data that the project does not hold.", file=sys.stderr
        )
        return 1
    settings, base = FinetuneSettings(), identify(ServingSettings().base_model)
    torch.set_num_threads(settings.cpu_threads)
    folder = arguments.folder / base.hash[:8]
    pool, unseen = replies()
    for size in arguments.pairs:
        if not (folder / f"{size}.json").exists():
            folder.mkdir(parents=True, exist_ok=True)
            # Of an interrupted one.
            shutil.rmtree(folder / f"run-{size}", ignore_errors=True)
            write_json(folder / f"{size}.json", scored(folder, pool, size, unseen, settings, base))
    found = [read_json(path) for path in folder.glob("*.json")]
    found.sort(key=lambda one: one["pairs"])
    draw(arguments.docs / "ladder.png", found)
    text = "\n".join(report(found)) + "\n"
    (arguments.docs / "ladder.md").write_text(text, encoding="utf-8")
    print(text)
    return 0


def replies() -> tuple[list[Pair], list[Pair]]:
    """The pairs that may be learned, in an order drawn once, and the last ones, which never are."""
    pairs = []
    for one in conversations("dstc11t5"):
        *before, sent = [Turn(turn["role"], turn["text"]) for turn in one["turns"]]
        pairs.append(
            Pair(one["id"], "reply", one["id"], reply_messages(before), sent.text, "history", 1.0, "2026-01-01")
        )
    pool, unseen = pairs[:-UNSEEN], pairs[-UNSEEN:]
    random.Random(1).shuffle(pool)
    return pool, unseen


def scored(
    folder: Path, pool: list[Pair], size: int, unseen: list[Pair], settings: FinetuneSettings, base: Base
) -> dict:
    """Every rung that so many pairs allow: its loss on the unseen replies, and its gain over the rung before it."""
    learned = pool[:size]
    try:
        adapter = trained(folder / f"run-{size}", learned, settings, base) if learned else None
    except TrainingFailed as failure:
        # As a night would: no adapter comes of it. So few pairs are validated by one or two.
        print(f"{size} pairs: {failure}", file=sys.stderr)
        adapter = None
    stage = Stage(base, {"adapter": adapter} if adapter else {})
    plain = [one.messages for one in unseen]
    prompts = {"base": (BASE, plain)}
    if learned:
        shown = retrieved(learned, unseen)
        prompts["fewshot"] = (BASE, shown)
        if adapter:
            prompts |= {"adapter": ("adapter", plain), "adapter_fewshot": ("adapter", shown)}
        if adapter and (new := pool[size : 2 * size]):
            prompts["adapter_new"] = ("adapter", retrieved(new, unseen))
    sent = Sent([one.id for one in unseen], [one.target for one in unseen], [0] * len(unseen))
    nats, tokens, read = {}, {}, {}
    for rung, (name, messages) in prompts.items():
        encoded = [
            encode(stage.tokenizer, asked, one.target, limit=stage.context, ends=stage.ends)
            for asked, one in zip(messages, unseen, strict=True)
        ]
        nats[rung] = stage.nats(name, encoded, tokens_per_pass=settings.tokens_per_pass)
        tokens[rung] = [len(one.target) for one in encoded]
        read[rung] = sum(len(one.prompt) for one in encoded) / len(encoded)
    sent = Sent(sent.conversations, sent.targets, tokens["base"])
    document: dict = {"pairs": size, "unseen": len(unseen)}
    for rung in prompts:
        document[rung] = losses(nats[rung], sent) | {"prompt_tokens": read[rung]}
    for rung in prompts.keys() & {"adapter_fewshot", "adapter_new"}:
        won = gain(nats["adapter"], nats[rung], sent)
        document[rung]["gain_over_adapter"] = [won.mean, won.low, won.high]
    return document


def trained(run_dir: Path, learned: list[Pair], settings: FinetuneSettings, base: Base) -> Path:
    """The night's training on these pairs; kept when it is there already."""
    if not (run_dir / ADAPTER).exists():
        held_back = int(len(learned) * VALIDATION_SHARE)
        dataset = Dataset(train=learned[held_back:], validation=learned[:held_back], held_out=[])
        freeze(dataset, run_dir)
        write_recipe(run_dir, recipe_for(settings, base))
        train(run_dir)
    return run_dir / ADAPTER


def retrieved(learned: list[Pair], unseen: list[Pair]) -> list[list[Message]]:
    """The prompts with the examples that the desk would find among these pairs."""
    with tempfile.TemporaryDirectory() as folder:
        db = store.connect(Path(folder) / "nightshift.db")
        with store.immediate(db):
            for one in learned:
                pair = HistoryPair(0, "reply", one.messages, one.target)
                store.record_history(db, one.id, team_id="", created_at=one.created_at, pairs=[pair])
            # The unseen replies are what is held out here.
            db.execute("update threads set held_out = 0")
        shown = [
            with_examples(one.messages, store.accepted_examples(db, "reply", text=last_said(one), limit=EXAMPLES))
            for one in unseen
        ]
        db.conn.close()
    return shown


def last_said(pair: Pair) -> str:
    """The customer's newest message."""
    return pair.messages[-1]["content"].rpartition("\nCustomer: ")[2]


def draw(path: Path, found: list[dict]) -> None:
    """One line for each rung; none where a rung has no pairs."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for rung, label in RUNGS.items():
        points = [(one["pairs"], one[rung]) for one in found if rung in one]
        if not points:
            continue
        sizes = [size for size, _ in points]
        (line,) = axes.plot(sizes, [read["loss"] for _, read in points], "o-", label=label)
        low, high = zip(*(read["loss_ci"] for _, read in points), strict=True)
        axes.fill_between(sizes, low, high, alpha=0.1, color=line.get_color())
    # From 0 to 10 linear, then by powers of ten: so many pairs have no logarithm.
    axes.set_xscale("symlog", linthresh=10)
    axes.set(title="Loss on replies that nobody learned", xlabel="pairs", ylabel="nats per token")
    axes.set_xticks([one["pairs"] for one in found], [str(one["pairs"]) for one in found])
    axes.minorticks_off()
    axes.legend()
    figure.savefig(path, dpi=120)


def report(found: list[dict]) -> list[str]:
    """What was found, in Markdown."""
    lines = [
        "# The ladder: quality over the number of pairs",
        "",
        f"Loss in nats per token on the last {found[0]['unseen']} human replies of DSTC11-T5 dev (95 %, by reply), on "
        "the starter and the night's own recipe: `python tests/bench_ladder.py`. The tokens are those of a prompt, on "
        "average.",
        "",
        "![Loss by number of pairs](ladder.png)",
        "",
        "| pairs | " + " | ".join(RUNGS.values()) + " |",
        "|---|" + "---|" * len(RUNGS),
    ]
    for one in found:
        lines.append(f"| {one['pairs']} | " + " | ".join(_cell(one.get(rung)) for rung in RUNGS) + " |")
    lines += ["", "Examples beside an adapter: nats per token won over the same adapter without them.", ""]
    for one in found:
        for rung in ("adapter_fewshot", "adapter_new"):
            if rung in one:
                won, low, high = one[rung]["gain_over_adapter"]
                lines.append(f"- {one['pairs']} pairs, {RUNGS[rung]}: {won:+.3f} ({low:+.3f} to {high:+.3f})")
    return lines


def _cell(read: dict | None) -> str:
    if read is None:
        return ""
    low, high = read["loss_ci"]
    return f"{read['loss']:.3f} ({low:.3f} to {high:.3f}), {read['prompt_tokens']:.0f} tokens"


if __name__ == "__main__":
    sys.exit(main())
