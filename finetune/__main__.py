"""`python -m finetune`: run the night, or one step of it, or the clock that starts it."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import psutil
from sqlite_utils import Database

from data import cli, store
from data.settings import DataSettings, make_folder
from finetune.settings import FinetuneSettings
from serving.hosted import expect_own_base
from serving.settings import ServingSettings

LOOKED_FOR, IDLE = 0.3, 15.0
"""Seconds that the machine is watched before a night, and per cent of all its cores below which it counts as idle."""
CASES = "replies scored in each part, at even distances; %(default)s"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    # They tell every request at INFO; the engine tells what matters of it.
    for library in ("httpx2", "openai"):
        logging.getLogger(library).setLevel(logging.WARNING)
    return cli.run(_parser(), argv)


def _spin_where_idle() -> None:
    """Let waiting threads spin for a moment on an idle machine: 3,600 tokens a second are trained then, and not 2,300.

    Where anything else is at work they sleep, as cli.run has it: spinning makes a training crawl there. It is read when
    torch is first imported, which the commands do after this.
    """
    if psutil.cpu_percent(interval=LOOKED_FOR) < IDLE:
        os.environ.setdefault("GOMP_SPINCOUNT", "50000")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m finetune", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    night = cli.add_command(commands, "nightly", _nightly, help="run one night: from the store's pairs to a promotion")
    night.add_argument("--dry-run", action="store_true", help="count the pairs and estimate the time, and do no more")
    frozen = cli.add_command(commands, "dataset", _dataset, help="freeze the store's pairs and the recipe in a folder")
    frozen.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="a new folder")
    frozen.add_argument(
        "--check", action="store_true", help="check the folder's frozen pairs and splits, write nothing"
    )
    train = cli.add_command(commands, "train", _train, help="train an adapter in a folder that `dataset` has filled")
    train.add_argument("run_dir", type=Path, metavar="RUN_DIR")
    train.add_argument("--leashed", action="store_true", help="end when standard input closes")
    gate = cli.add_command(commands, "gate", _gate, help="judge a folder's adapter; promotes nothing")
    gate.add_argument("run_dir", type=Path, metavar="RUN_DIR")
    old = cli.add_command(
        commands, "backtest", _backtest, help="play old conversations: what would a team have gained?"
    )
    old.add_argument("file", type=Path, metavar="FILE", help="conversations as import-history reads them")
    old.add_argument("--nights", type=cli.whole_number(1, 365), required=True, metavar="N", help="nights to play")
    old.add_argument("--cases", type=cli.whole_number(1, 100_000), default=200, metavar="N", help=CASES)
    old.add_argument("--by", metavar="KEY", help="report apart by what each agent turn has under this key")
    old.add_argument("--folder", type=Path, default=Path("var/backtest"), help="results go below it: %(default)s")
    cli.add_command(commands, "report", _report, help="write the report of a night that was killed before it could")
    cli.add_command(
        commands, "canary", _canary, help="look at what agents make of promoted adapters; roll back what they take less"
    )
    cli.add_command(commands, "clock", _clock, help="run the night every day at SCHEDULE")
    # No prefix is an option here: every argument, --help too, is pretrain's own.
    pretrain = commands.add_parser("pretrain", help="train the embedded base model", add_help=False, prefix_chars="\0")
    pretrain.add_argument("arguments", nargs="*")
    pretrain.set_defaults(handle=_pretrain)
    return parser


def _nightly(arguments: argparse.Namespace) -> int:
    _spin_where_idle()
    from finetune.nightly import nightly

    settings, serving, db = _settings(), cli.load_settings(ServingSettings), _database()
    if arguments.dry_run:
        return _dry_run(arguments, db, settings, serving)
    retain = timedelta(days=cli.load_settings(DataSettings).retain_days)
    night = nightly(db, settings, serving, os.environ, retain=retain)
    lines = [f"{night.outcome}: {night.reason}"]
    lines += [f"{', '.join(night.promoted)} now served by {night.adapter}"] if night.promoted else []
    lines += [f"report: {night.report}"] if night.report else []
    lines += [f"team {of_team.team}: {of_team.outcome}: {of_team.reason}" for of_team in night.teams]
    cli.report(arguments, asdict(night), lines)
    return 0


def _dry_run(arguments: argparse.Namespace, db: Database, settings: FinetuneSettings, serving: ServingSettings) -> int:
    from finetune import dataset, enough, nightly

    base, hosted = nightly.identify_served(db, serving), serving.hosted_model
    known = enough.last_learned(db, settings.runs_dir, base)
    built = dataset.build(db, known=known, replay_share=settings.replay_share, seed=settings.seed)
    reason = enough.too_little(built, settings, gated=not hosted)
    planned = None
    if not hosted:
        from finetune.plan import plan

        planned = plan(built, base, settings)
    document = {
        "dry_run": True,
        "outcome": "skipped" if reason else "would run",
        "reason": reason or "",
        "dataset": dataset.summary(built),
        "plan": asdict(planned) if planned else None,
        "teams": enough.team_lines(db, settings),
    }
    if planned is None:
        would = f"A night would write them as {settings.export_format}: {hosted} is trained elsewhere"
    else:
        minutes = (planned.training_seconds + planned.gate_seconds) / 60
        would = f"A night would take about {minutes:.1f} minutes"
    lines = [
        f"{len(built.train)} training pairs ({built.new_pairs} new), {len(built.validation)} for early stopping, "
        f"{len(built.held_out)} held out",
        f"A night would be skipped: {reason}" if reason else would,
    ]
    if planned is not None:
        lines.append(
            f"Training takes about {planned.memory_gib:.1f} GiB of memory; {planned.free_gib:.1f} GiB are free"
        )
    cli.report(arguments, document, [*lines, *document["teams"]])
    return 0


def _dataset(arguments: argparse.Namespace) -> int:
    from finetune import dataset
    from finetune.run_directory import recipe_for, write_recipe
    from serving.base import identify

    if arguments.check:
        built = dataset.load(arguments.run_dir)
        cli.report(
            arguments,
            dataset.summary(built),
            [*dataset.lines(built), "no thread and no prompt stands on two sides, nothing is dated ahead"],
        )
        return 0
    settings, serving = _settings(), cli.load_settings(ServingSettings)
    expect_own_base(serving, "dataset")
    make_folder(arguments.run_dir, named_by="RUN_DIR")
    db = _database()
    built = dataset.build(db, seed=settings.seed)
    dataset.freeze(built, arguments.run_dir)
    write_recipe(arguments.run_dir, recipe_for(settings, identify(serving.base_model)))
    cli.report(arguments, dataset.summary(built), [*dataset.lines(built), f"frozen in {arguments.run_dir}"])
    return 0


def _train(arguments: argparse.Namespace) -> int:
    _spin_where_idle()
    if arguments.leashed:
        from finetune.child import end_with_parent

        end_with_parent()
    from finetune import parallel
    from finetune.train import train

    with parallel.joined():
        outcome = train(arguments.run_dir)
        leads = parallel.leads()
    if leads:
        cli.report(
            arguments, asdict(outcome), [f"{outcome.updates} updates; adapter in {arguments.run_dir / 'adapter'}"]
        )
    return 0


def _gate(arguments: argparse.Namespace) -> int:
    _spin_where_idle()
    from finetune.nightly import hold_gate_for

    verdicts = hold_gate_for(_database(), arguments.run_dir, _settings())
    document = {verdict.task: asdict(verdict) for verdict in verdicts}
    cli.report(arguments, document, [f"{v.task}: {'passed' if v.passed else 'kept'}. {v.reason}" for v in verdicts])
    return 0


def _backtest(arguments: argparse.Namespace) -> int:
    _spin_where_idle()
    from finetune.backtest import Wanted, backtest
    from finetune.backtest_report import told, write_report

    # It tells each of thousands of requests.
    logging.getLogger("serving.engine").setLevel(logging.WARNING)
    settings, serving = _settings(), cli.load_settings(ServingSettings)
    expect_own_base(serving, "backtest")
    wanted = Wanted(arguments.file, arguments.nights, arguments.cases, arguments.by)
    document = backtest(wanted, settings, serving, os.environ, root=arguments.folder)
    document["report"] = str(write_report(document))
    cli.report(arguments, document, [*told(document), f"report: {document['report']}"])
    return 0


def _report(arguments: argparse.Namespace) -> int:
    from finetune.nightly import finish_reports, the_only_night

    settings = _settings()
    with the_only_night(settings.runs_dir):
        nights = finish_reports(_database(), settings.runs_dir)
    lines = [f"report: {night.report}" for night in nights] or ["No night owes a report."]
    cli.report(arguments, {"reports": [asdict(night) for night in nights]}, lines)
    return 0


def _canary(arguments: argparse.Namespace) -> int:
    from finetune.trial import look, sentence

    looks = look(_database())
    lines = [sentence(seen) for seen in looks] or ["No adapter is on trial."]
    cli.report(arguments, {"trials": [asdict(seen) for seen in looks]}, lines)
    return 0


def _clock(arguments: argparse.Namespace) -> int:
    from finetune.clock import run_clock

    # Its own lines say when a night runs; the scheduler's say the same at length.
    logging.getLogger("apscheduler").setLevel(logging.WARNING)
    run_clock(_settings())
    return 0


def _pretrain(arguments: argparse.Namespace) -> int:
    from finetune.pretrain import main as pretrain

    return pretrain(arguments.arguments) or 0


def _settings() -> FinetuneSettings:
    return cli.load_settings(FinetuneSettings)


def _database() -> Database:
    return store.connect(cli.load_settings(DataSettings).database_path)


if __name__ == "__main__":
    sys.exit(main())
