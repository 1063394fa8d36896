"""`python -m serving`: start vLLM, look at its adapters, and choose which one serves."""

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from sqlite_utils import Database

from data import cli, store, store_ledger
from data.models import BASE, SHARED, TASKS, Base, Task, pointer_name
from data.settings import DataSettings
from serving import promotion
from serving.hosted import base_for, engine_for, expect_own_base, stay
from serving.settings import ServingSettings

TEAM = "a Slack workspace's id, or a team of imported conversations: for this one alone"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    # They tell every request at INFO; the engine tells what matters of it.
    for library in ("httpx2", "openai"):
        logging.getLogger(library).setLevel(logging.WARNING)
    return cli.run(_parser(), argv)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m serving", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    cli.add_command(commands, "up", _up, help="start vLLM and stay with it until a signal comes")
    cli.add_command(commands, "adapters", _adapters, help="list the adapters and the tasks that each one serves")
    adopt = cli.add_command(commands, "adopt", _adopt, help="publish an adapter from elsewhere under a new name")
    adopt.add_argument("directory", type=Path, metavar="DIR", help="a run's adapter, or one of another adapter store")
    promote = cli.add_command(commands, "promote", _promote, help="let an adapter serve a task from now on")
    promote.add_argument("task", choices=TASKS, metavar="TASK", help=", ".join(TASKS))
    promote.add_argument("name", metavar="NAME", help=f"an adapter's name, or {BASE}; with --team also {SHARED}")
    promote.add_argument("--team", help=TEAM)
    promote.add_argument("--force", action="store_true", help="also without a passed gate report; it is recorded")
    rollback = cli.add_command(commands, "rollback", _rollback, help="take the newest promotion of a task back")
    rollback.add_argument("task", choices=TASKS, metavar="TASK", help=", ".join(TASKS))
    rollback.add_argument("--team", help=TEAM)
    return parser


def _up(arguments: argparse.Namespace) -> int:
    settings = cli.load_settings(ServingSettings)
    if settings.hosted_model:
        return asyncio.run(stay(settings, _database(), as_json=arguments.json))
    from serving.up import up

    return asyncio.run(up(settings, _database(), os.environ, as_json=arguments.json))


def _adapters(arguments: argparse.Namespace) -> int:
    db = _database()
    base = _base(db, cli.load_settings(ServingSettings))
    teams = store_ledger.promoted_teams(db, base.hash)
    found = [
        {
            "name": adapter.name,
            "base": adapter.base,
            "run": adapter.run_id,
            "created": adapter.created_at,
            "live": promotion.live_tasks(db, adapter.name, base.hash),
            "teams": {
                team: tasks for team in teams if (tasks := promotion.live_tasks(db, adapter.name, base.hash, team))
            },
        }
        for adapter in store.adapters(db)
    ]
    table = [("NAME", "BASE", "RUN", "CREATED", "LIVE FOR")]
    table += [
        (a["name"], a["base"][:12], a["run"][:12], a["created"][:19], ", ".join([*a["live"], *_of_teams(a["teams"])]))
        for a in found
    ]
    live = {task: promotion.live_adapter(db, task, base.hash) for task in TASKS}
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["  ".join(text.ljust(w) for text, w in zip(row, widths, strict=True)).rstrip() for row in table]
    lines.append("Live on this base: " + ", ".join(f"{task} {name}" for task, name in live.items()))
    cli.report(arguments, {"base": base.hash, "live": live, "adapters": found}, lines)
    return 0


def _adopt(arguments: argparse.Namespace) -> int:
    # Here and not above: only this command checks weights, with torch, and waits for it.
    from serving import adapters

    settings = cli.load_settings(ServingSettings)
    expect_own_base(settings, "adopt")
    db = _database()
    base = _base(db, settings)

    async def publish_and_warm() -> tuple[str, float]:
        engine = engine_for(settings)
        try:
            name, canary = adapters.adopt(
                db,
                arguments.directory,
                base=base,
                store_dir=settings.adapter_store,
                root=await engine.root(),
                max_lora_rank=settings.max_lora_rank,
            )
            return name, await adapters.warm([engine], name, canary)
        finally:
            await engine.close()

    name, seconds = asyncio.run(publish_and_warm())
    document = {"adapter": name, "base": base.hash, "warm_seconds": round(seconds, 2)}
    cli.report(arguments, document, [f"{name} is served; `python -m serving promote TASK {name}` puts it to work"])
    return 0


def _promote(arguments: argparse.Namespace) -> int:
    db = _database()
    base = _base(db, cli.load_settings(ServingSettings))
    promotion.promote(
        db, arguments.task, arguments.name, base=base.hash, cause="manual", forced=arguments.force, team=arguments.team
    )
    document = {"task": arguments.task, "adapter": arguments.name, "base": base.hash, "team": arguments.team}
    cli.report(
        arguments, document, [f"{arguments.name} serves the task {pointer_name(arguments.task, arguments.team)}"]
    )
    return 0


def _rollback(arguments: argparse.Namespace) -> int:
    db = _database()
    base = _base(db, cli.load_settings(ServingSettings))
    name = promotion.roll_back(db, arguments.task, base.hash, arguments.team)
    document = {"task": arguments.task, "adapter": name, "base": base.hash, "team": arguments.team}
    cli.report(arguments, document, [f"{name} serves the task {pointer_name(arguments.task, arguments.team)} again"])
    return 0


def _of_teams(teams: dict[str, list[Task]]) -> list[str]:
    return [pointer_name(task, team) for team, tasks in teams.items() for task in tasks]


def _database() -> Database:
    return store.connect(cli.load_settings(DataSettings).database_path)


def _base(db: Database, settings: ServingSettings) -> Base:
    """The base that was served last under this name; what is on the disk, when none was."""
    return store.base_of_model(db, settings.base_name) or base_for(settings)


if __name__ == "__main__":
    sys.exit(main())
