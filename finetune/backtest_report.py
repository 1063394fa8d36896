"""A backtest for people: a table, and a plot of the losses and acceptances by night. Pure, but for the files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from finetune.backtest_metrics import ACCEPTED, BESIDE

REPORT, PLOT = "backtest.md", "backtest.png"
CONTENDERS = (("base", "base_"), ("few-shot", "fewshot_"), ("served", ""))


def write_report(document: Mapping[str, Any]) -> Path:
    """Write backtest.md and backtest.png beside result.json and return the report's path."""
    folder = Path(document["folder"])
    draw(folder / PLOT, document["nights"])
    (folder / REPORT).write_text("\n".join(report_lines(document)) + "\n", encoding="utf-8")
    return folder / REPORT


def told(document: Mapping[str, Any]) -> list[str]:
    """For a terminal: a table of the nights, what each did, and what the team would gain."""
    nights = document["nights"]
    return [*table(nights), "", *_done(nights), "", verdict(nights[-1])]


def table(nights: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line per night. The change is against base or few-shot alone, whichever is the better."""
    rows = [("NIGHT", "PAIRS", "BASE", "FEW-SHOT", "SERVED", "CHANGE", "CANDIDATE", "ACCEPTED", "SERVED BY")]
    for night in nights:
        rows.append(
            (
                str(night["night"]),
                str(night["pairs"]),
                f"{night['base_loss']:.3f}",
                f"{night['fewshot_loss']:.3f}",
                f"{night['loss']:.3f}",
                f"{night['loss'] / night[night['to_beat'] + '_loss'] - 1:+.1%}",
                "-" if night["candidate_loss"] is None else f"{night['candidate_loss']:.3f}",
                f"{night['acceptance']:.1%}",
                "base, few-shot" if night["served"] == "base" else night["served"],
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(text.rjust(w) for text, w in zip(row, widths, strict=True)) for row in rows]


def report_lines(document: Mapping[str, Any]) -> list[str]:
    """The report in Markdown: numbers only, no text of a conversation."""
    nights = document["nights"]
    last = nights[-1]
    lines = [
        f"# Backtest of {document['file']}",
        "",
        verdict(last),
        "",
        f"{document['conversations']} conversations; the newest {document['final_conversations']} were never learned "
        f"from and are scored after every night ({last['cases']} replies). Losses are nats per token of what the human "
        f"sent; a draft counts as accepted from a character edit similarity of {ACCEPTED}. In brackets: 95 %, by "
        "conversation.",
        "",
        "![Loss and acceptance by night](backtest.png)",
        "",
        "## On conversations that no night learned from",
        "",
        *_losses(nights),
        "",
        *_texts(nights),
        "",
        "## On the day after each night",
        "",
        *_losses([{**night, **night["next_slice"]} for night in nights]),
        "",
        "## What each night did",
        "",
        *(f"- {line}" for line in _done(nights)),
    ]
    for kind in last.get("by", {}):
        apart = [{**night, **night["by"][kind]} for night in nights]
        lines += ["", f"## Only {kind}", "", *_losses(apart), "", *_texts(apart)]
    return lines


def _done(nights: Sequence[Mapping[str, Any]]) -> list[str]:
    return [f"Night {night['night']}: {night['outcome']}. {night['reason']}" for night in nights]


def verdict(last: Mapping[str, Any]) -> str:
    """What the team would gain, in one sentence."""
    name = {"base": "the bare base", "fewshot": "few-shot alone"}[last["to_beat"]]
    before = last[f"{last['to_beat']}_loss"]
    share, (low, high) = last["loss"] / before - 1, last["gain_ci"]
    sure = "" if low > 0 else " (no proven gain)"
    tried = ""
    if last["candidate_loss"] is not None and last["promoted"] is None:
        change = last["candidate_loss"] / last["base_loss"] - 1
        tried = (
            f" Its candidate came to {last['candidate_loss']:.3f} ({change:+.1%} against the base) and was not served."
        )
    return (
        f"After the last night, what is served has a loss of {last['loss']:.3f} on what humans sent, against "
        f"{before:.3f} of {name}, the better of the two without an adapter: {share:+.1%}, {last['gain']:+.3f} nats per "
        f"token ({low:+.3f} to {high:+.3f}){sure}. Simulated acceptance: {last['acceptance']:.1%}, "
        f"the bare base's {last['base_acceptance']:.1%}.{tried}"
    )


def draw(path: Path, nights: Sequence[Mapping[str, Any]]) -> None:
    """Left the losses by night, right the simulated acceptance; bands are intervals of 95 %."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for label, prefix in CONTENDERS:
        _line(left, nights, label, f"{prefix}loss")
        _line(right, nights, label, f"{prefix}acceptance")
    tried = [(night["night"], night["candidate_loss"]) for night in nights if night["candidate_loss"] is not None]
    if tried:
        left.plot(*zip(*tried, strict=True), "x", color="black", label="candidate")
    left.set(title="Loss on what humans sent", xlabel="night", ylabel="nats per token")
    right.set(title=f"Simulated acceptance (similarity ≥ {ACCEPTED})", xlabel="night", ylabel="share of drafts", ylim=0)
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlim(0.5, len(nights) + 0.5)
        axes.legend()
    figure.savefig(path, dpi=120)


def _line(axes: Axes, nights: Sequence[Mapping[str, Any]], label: str, key: str) -> None:
    numbers = [night["night"] for night in nights]
    (line,) = axes.plot(numbers, [night[key] for night in nights], "o-", label=label)
    low, high = zip(*(night[f"{key}_ci"] for night in nights), strict=True)
    axes.fill_between(numbers, low, high, alpha=0.15, color=line.get_color())


def _losses(nights: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = [
        "| night | pairs | replies | base | few-shot | candidate | served | won over the better | per byte |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for night in nights:
        low, high = night["gain_ci"]
        tried = "-" if night["candidate_loss"] is None else f"{night['candidate_loss']:.3f}"
        lines.append(
            f"| {night['night']} | {night['pairs']} | {night['cases']} | {_with(night, 'base_loss', '.3f')} "
            f"| {_with(night, 'fewshot_loss', '.3f')} | {tried} | {_with(night, 'loss', '.3f')} "
            f"| {night['gain']:+.3f} ({low:+.3f} to {high:+.3f}) "
            f"| {night['base_loss_per_byte']:.3f}, {night['loss_per_byte']:.3f} |"
        )
    return lines


def _texts(nights: Sequence[Mapping[str, Any]]) -> list[str]:
    at = f"accepted at {BESIDE[0]} / {ACCEPTED} / {BESIDE[1]}"
    lines = [f"| night | contender | chrF | ROUGE-L | similarity | {at} |", "|---|---|---|---|---|---|"]
    for night in nights:
        for label, prefix in CONTENDERS:
            beside = [night[f"{prefix}acceptance_at"][str(level)] for level in BESIDE]
            lines.append(
                f"| {night['night']} | {label} | {_with(night, f'{prefix}chrf', '.1f')} "
                f"| {_with(night, f'{prefix}rouge_l', '.3f')} | {night[f'{prefix}similarity']:.3f} "
                f"| {beside[0]:.1%} / {_with(night, f'{prefix}acceptance', '.1%')} / {beside[1]:.1%} |"
            )
    return lines


def _with(night: Mapping[str, Any], key: str, form: str) -> str:
    low, high = night[f"{key}_ci"]
    return f"{night[key]:{form}} ({low:{form}} to {high:{form}})"
