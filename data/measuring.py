"""Commands of `python -m data` that measure what answers rest on: the check of a sentence, and the refusal."""

import argparse
from pathlib import Path

from data import calibration, cli
from data.refusal import evaluate_refusal
from data.settings import DataSettings

SUPPORT = Path(__file__).with_name("support.json")


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands."""
    refusal = cli.add_command(
        commands, "evaluate-refusal", _evaluate_refusal, help="measure which questions are refused or asked back"
    )
    refusal.add_argument("docs", type=Path, metavar="DOCS", help='JSON lines of {"id", "title", "text"}')
    refusal.add_argument(
        "questions", type=Path, metavar="QUESTIONS", help='JSON lines of {"question", "history", "answerability"}'
    )
    support = cli.add_command(
        commands, "calibrate-support", _calibrate_support, help="measure the check of answers against people's ratings"
    )
    support.add_argument(
        "ratings",
        type=Path,
        metavar="RATINGS",
        help='JSON lines of {"response", "contexts", "human": {"faithfulness"}}',
    )
    support.add_argument("--write", action="store_true", help=f"write the threshold into data/{SUPPORT.name}")


def _evaluate_refusal(arguments: argparse.Namespace) -> int:
    model = cli.load_settings(DataSettings).embedding_model
    _report(arguments, evaluate_refusal(arguments.docs, arguments.questions, model=model, progress=True))
    return 0


def _calibrate_support(arguments: argparse.Namespace) -> int:
    measured = calibration.calibrate_support(arguments.ratings, progress=True)
    if arguments.write:
        calibration.write_threshold(measured, SUPPORT)
    _report(arguments, measured)
    return 0


def _report(arguments: argparse.Namespace, measured: dict[str, float]) -> None:
    width = max(map(len, measured))
    cli.report(arguments, measured, (f"{name:<{width}} {value:.3g}" for name, value in measured.items()))
