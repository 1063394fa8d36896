"""The morning's report of one night: Markdown for the supervisors, and one plot."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from data.models import Run
from finetune import closed_book, curation
from finetune.evidence import Effect
from finetune.pairs import Dataset
from finetune.run_directory import ADAPTER, LOSSES, MANIFEST, PLOT, REPORT, read_json, read_lines
from finetune.thumbs import counts, sentence
from finetune.verdict import Verdict

WORST = 20
SHOWN = 400


def write_report(
    run_dir: Path,
    run: Run,
    dataset: Dataset,
    verdicts: Sequence[Verdict],
    promoted: Sequence[str],
    adapter: str | None,
    *,
    held: str = "",
) -> Path:
    """Write report.md and night.png into the run's folder and return the report's path."""
    losses, manifest = read_lines(run_dir / LOSSES), read_json(run_dir / ADAPTER / MANIFEST)
    draw(run_dir / PLOT, losses, verdicts)
    lines = report_lines(run, dataset, losses, verdicts, promoted, adapter, held=held, manifest=manifest)
    (run_dir / REPORT).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return run_dir / REPORT


def report_lines(
    run: Run,
    dataset: Dataset,
    losses: Sequence[dict],
    verdicts: Sequence[Verdict],
    promoted: Sequence[str],
    adapter: str | None,
    *,
    held: str = "",
    manifest: Mapping[str, Any] | None = None,
) -> list[str]:
    """The report in Markdown; `held` says why nothing that passed was promoted, `manifest` is the adapter's.

    It quotes targets of cases that got worse, so it is as private as the dataset.
    """
    kept = held or "Nothing changes: the incumbent stays."
    whose = f", team {run.facts['team']}" if run.facts.get("team") else ""
    outcome = f"**{adapter}** now serves: {', '.join(promoted)}{whose}." if promoted else kept
    lines = [f"# Night of {run.created_at[:10]}{whose}", "", outcome, ""]
    lines += [
        f"- {v.task}: {'promoted' if v.task in promoted else f'{v.incumbent} stays'}. {v.reason}" for v in verdicts
    ]
    lines += [f"- search: {run.facts['search']}"] if "search" in run.facts else []
    lines += [f"- {told}" for told in run.facts.get("teams", [])]
    lines += [
        "",
        "![Loss of the run and differences per case](night.png)",
        "",
        *_training(dataset, losses, manifest or {}),
    ]
    for verdict in verdicts:
        if verdict.against_incumbent is not None and verdict.against_base is not None:
            lines += _evidence(verdict, verdict.against_incumbent, verdict.against_base)
    return [*lines, "", f"Run {run.id} on base {run.base[:12]}."]


def draw(path: Path, losses: Sequence[dict], verdicts: Sequence[Verdict]) -> None:
    """Left the loss of the run, right the distribution of the differences per held-out case."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    trained = [(one["update"], one["loss"]) for one in losses if "loss" in one]
    validated = [(one["update"], one["validation_loss"]) for one in losses if one.get("validation_loss") is not None]
    for points, style, label in ((trained, "-", "training"), (validated, "o-", "validation")):
        if points:
            left.plot(*zip(*points, strict=True), style, label=label)
    left.set(title="Loss of the run", xlabel="update", ylabel="nats per token")
    if trained or validated:
        left.legend()
    for verdict in verdicts:
        if verdict.differences:
            right.hist(verdict.differences, bins=40, alpha=0.6, label=f"{verdict.task} ({verdict.cases} cases)")
    right.axvline(0, color="black", linewidth=1)
    right.set(title="Gain per held-out case", xlabel="nats per token (right of 0: better)", ylabel="cases")
    if any(verdict.differences for verdict in verdicts):
        right.legend()
    figure.savefig(path, dpi=120)


def _training(dataset: Dataset, losses: Sequence[dict], manifest: Mapping[str, Any]) -> list[str]:
    validated = [one["validation_loss"] for one in losses if one.get("validation_loss") is not None]
    dropped = ", ".join(f"{count} {reason}" for reason, count in dataset.dropped.items()) or "none"
    lines = [
        "## Training",
        "",
        f"{len(dataset.train)} pairs, {len(dataset.validation)} for early stopping, "
        f"{len(dataset.held_out)} held out for the gate; left out: {dropped}.",
    ]
    if len(validated) > 1:
        lines.append(f"Validation loss {validated[0]:.3f} → {min(validated):.3f} nats per token.")
    if edits := manifest.get("preferences"):
        lines.append(f"DPO: {edits['pairs']} edits preferred in {edits['accuracy']:.0%} of cases{_kept(edits)}.")
    if dataset.thumbs:
        lines.append(f"{sentence(**counts(dataset.thumbs))}.")
    if thumbs := manifest.get("thumbs"):
        lines.append(
            f"KTO: liked texts became likelier than disliked ones by {thumbs['margin']:.2f} nats{_kept(thumbs)}."
        )
    if told := [f"- {line.strip()}" for line in curation.lines(dataset.curation)]:
        lines += ["", "## Pairs", "", *told]
    return lines


def _kept(stage: Mapping[str, Any]) -> str:
    return "" if stage["kept"] else "; left out, since it cost validation loss"


def _evidence(verdict: Verdict, incumbent: Effect, base: Effect) -> list[str]:
    losses = verdict.losses
    lines = [
        "",
        f"## {verdict.task.capitalize()}",
        "",
        f"{verdict.cases} human-written texts in {verdict.threads} held-out threads, level {verdict.alpha:.4f}.",
        "",
        "| against | its loss | candidate's | gain (95 %) | p |",
        "|---|---|---|---|---|",
    ]
    for label, name, found in ((f"incumbent ({verdict.incumbent})", "incumbent", incumbent), ("base", "base", base)):
        lines.append(
            f"| {label} | {losses[name]:.3f} | {losses['candidate']:.3f} "
            f"| {found.mean:+.3f} ({found.low:+.3f} to {found.high:+.3f}) | {found.p:.5f} |"
        )
    lines += ["", f"Losses and gains are nats per token. The candidate is better on {verdict.wins or 0:.0%} of cases."]
    lines += ["", *(f"- {'holds' if c.passed else '**fails**'}: {c.name}, {c.found}" for c in verdict.checks)]
    for name, stratum in verdict.strata.items():
        lines.append(
            f"- {name}: {stratum['cases']:.0f} cases, candidate {stratum['candidate']:.3f}, "
            f"incumbent {stratum['incumbent']:.3f}"
        )
    if verdict.leaked_into_incumbent:
        lines.append(f"- {verdict.leaked_into_incumbent} threads are not scored: the incumbent has learned from them")
    if verdict.recited:
        lines += ["", "Facts of the help centre that the candidate says without their passage:", ""]
        lines += closed_book.lines(verdict.recited)
    if verdict.worse:
        lines += ["", f"{len(verdict.worse)} cases got worse; the worst:", ""]
        for case in verdict.worse[:WORST]:
            lines.append(
                f"- {case['nats_per_token']:+.3f}, {case['thread_id']} ({case['pair_id']}): {_line(case, 'text')}"
            )
            lines += [f"  - {name}: {_line(case, name)}" for name in ("before", "after") if name in case]
    return lines


def _line(case: dict[str, object], name: str) -> str:
    return " ".join(str(case.get(name, "")).split())[:SHOWN]
