"""What every command line of the project shares: exit codes, --json, logs on stderr, settings told apart from bugs.

Exit 0: done. 1: an expected error, told in one sentence on stderr. 2: wrong usage.
"""

import argparse
import json
import logging
import os
import select
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings

from data.errors import BadSetting, NightshiftError

Handler = Callable[[argparse.Namespace], int]
Settings = TypeVar("Settings", bound=BaseSettings)


def run(parser: argparse.ArgumentParser, argv: Sequence[str] | None = None) -> int:
    """Parse, call the handler that `add_command` set, and turn an expected error into one sentence and exit 1."""
    # Threads that wait for others sleep. Where they spin, as is torch's default, two idle cores train 2,700 tokens a
    # second and not 2,350; but beside one busy process it is 70 to 900 and not 1,500 to 1,800, and vLLM and the bot are
    # always there. Read when torch is first imported, which only the handlers do.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", force=True
    )
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as usage:
        return int(usage.code or 0)
    handler: Handler = arguments.handle
    try:
        code = handler(arguments)
        sys.stdout.flush()
        return code
    except NightshiftError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        if not _reader_is_gone():
            raise
        return 0


def _reader_is_gone() -> bool:
    """Has who reads stdout, such as `head`, seen enough? Then nothing more is written there."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    if not poll.poll(0):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return True


def add_command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, handler: Handler, *, help: str
) -> argparse.ArgumentParser:
    """A subcommand with --json. `commands` comes from `parser.add_subparsers(required=True)`."""
    parser = commands.add_parser(name, help=help, description=help)
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout")
    parser.set_defaults(handle=handler)
    return parser


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """An argument's type: a whole number within these bounds; any other is wrong usage."""

    def number(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{value} is not from {least} to {most}")
        return value

    return number


def date_or_days(text: str) -> date | int:
    """An argument's type: a date as 2027-01-31, or a number of days from 1 to 36500."""
    try:
        return whole_number(1, 36500)(text) if text.isdecimal() else date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text} is neither a date as 2027-01-31 nor a number of days") from error


def report(arguments: argparse.Namespace, document: Mapping[str, object], lines: Iterable[str]) -> None:
    """Print the document with --json, else the lines."""
    if arguments.json:
        print(json.dumps(document, ensure_ascii=False, indent=2))
        return
    for line in lines:
        print(line)


def load_settings(kind: type[Settings]) -> Settings:
    """Read settings from the environment and .env; raises BadSetting that names the variable."""
    try:
        return kind()
    except ValidationError as error:
        first = error.errors()[0]
        reason = first["msg"].removeprefix("Value error, ")
        name = "_".join(str(part) for part in first["loc"]).upper()
        raise BadSetting(f"{name} cannot be used: {reason}. Mend it in the environment or in .env.") from error
