"""`python -m data`: look after the store, the help centre and imported history."""

import argparse
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from sqlite_utils import Database

from data import cli, erasure, lineage, measuring, store, store_erasure, vectors
from data.errors import DatabaseUnusable, EmbedderMissing, NotAllImported
from data.export_formats import FORMATS
from data.history import MOST_REPLIES, import_history
from data.knowledge import Imported, import_knowledge
from data.models import AUDIENCES, TASKS
from data.readers.files import SUFFIXES
from data.search import search
from data.search_evaluation import evaluate_search
from data.settings import DataSettings

HISTORY_FORMATS = (
    'JSON lines of {"id", "turns": [{"role", "text"}]}, a CSV with the columns id, role and text (one message in each '
    "row), or Zendesk's or Intercom's export as JSON or JSON lines; may be gzipped"
)

NAMED = 5
"""Files that a line names before it only counts."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    return cli.run(_parser(), argv)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m data", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    cli.add_command(commands, "migrate", _migrate, help="make the database, or bring it up to this version")
    cli.add_command(commands, "stats", _stats, help="count what the store holds")
    knowledge = cli.add_command(commands, "import-knowledge", _import_knowledge, help="import help-centre files")
    kinds = ", ".join(SUFFIXES)
    knowledge.add_argument(
        "paths",
        nargs="+",
        type=Path,
        metavar="PATH",
        help=f"a folder, a sitemap.xml, or a file of these kinds: {kinds}",
    )
    knowledge.add_argument(
        "--audience",
        choices=AUDIENCES,
        help="who may read them: only customer_safe ones stand in what customers see "
        "(default: a new file is internal, a known one stays as it is)",
    )
    knowledge.add_argument("--owner", help="who answers for them (default: a known file stays as it is)")
    knowledge.add_argument(
        "--stale-after",
        type=cli.date_or_days,
        metavar="DATE|DAYS",
        help="the last day on which they hold, or for how many days after their import they do",
    )
    find = cli.add_command(commands, "search", _search, help="search the help centre")
    find.add_argument("text", nargs="+", metavar="TEXT")
    find.add_argument("--limit", type=cli.whole_number(1, 1000), default=5, help="passages to show (default 5)")
    evaluate = cli.add_command(commands, "evaluate-search", _evaluate_search, help="measure search on questions")
    evaluate.add_argument("docs", type=Path, metavar="DOCS", help='JSON lines of {"id", "title", "text"}')
    evaluate.add_argument("questions", type=Path, metavar="QUESTIONS", help='JSON lines of {"question", "gold"}')
    history = cli.add_command(commands, "import-history", _import_history, help="import closed conversations as pairs")
    history.add_argument("file", type=Path, metavar="FILE", help=HISTORY_FORMATS)
    redaction = cli.add_command(
        commands, "evaluate-redaction", _evaluate_redaction, help="measure what is masked before it is learned from"
    )
    redaction.add_argument("file", type=Path, metavar="FILE", help='JSON lines of {"text", "spans"}, may be gzipped')
    measuring.add_commands(commands)
    cli.add_command(commands, "purge", _purge, help="blank the texts that are older than RETAIN_DAYS")
    why = cli.add_command(
        commands, "why", _why, help="trace a message that was sent to adapter, run, verdicts and the pairs behind it"
    )
    why.add_argument("message", metavar="MESSAGE", help="a suggestion's id, CHANNEL/TS, or the message's permalink")
    exporting = cli.add_command(
        commands, "export", _export, help="write pairs as a hosted model's fine-tuning takes them"
    )
    exporting.add_argument("--format", required=True, choices=FORMATS)
    exporting.add_argument("--out", required=True, type=Path, metavar="FILE", help="JSON lines to train on")
    exporting.add_argument(
        "--validation", type=Path, metavar="FILE", help="JSON lines of the held-out threads (default: left out)"
    )
    exporting.add_argument("--task", choices=TASKS, help="only this task (default: all)")
    erasing = cli.add_command(
        commands, "erase", _erase, help="erase a person's or a thread's text everywhere, and show that it is gone"
    )
    whose = erasing.add_mutually_exclusive_group(required=True)
    whose.add_argument(
        "--person", metavar="WHO", help="a Slack user id, or a name or address as it is written in the threads"
    )
    whose.add_argument("--thread", metavar="WHICH", help="an id, CHANNEL/TS, or the permalink of a message in it")
    erasing.add_argument(
        "--now",
        action="store_true",
        help="take adapters that learned from it out of service at once",
    )
    erasing.add_argument("--dry-run", action="store_true", help="say what would be erased, and change nothing")
    backup = cli.add_command(commands, "backup", _backup, help="write a copy of the database while it is in use")
    backup.add_argument("path", type=Path, metavar="PATH", help="a file that does not exist yet")
    cli.add_command(commands, "doctor", _doctor, help="check the database and say what is pending")
    return parser


def _migrate(arguments: argparse.Namespace) -> int:
    path = _settings().database_path
    db, applied = store.connect_and_migrate(path)
    with db:
        document = {"database": str(path), "applied": applied, "schema_version": store.schema_version(db)}
    lines = [f"applied {name}" for name in applied] or [f"{path} is up to date"]
    cli.report(arguments, document, lines)
    return 0


def _stats(arguments: argparse.Namespace) -> int:
    with _database() as db:
        counts = store.counts(db)
    cli.report(arguments, counts, (_counted(name, value) for name, value in counts.items()))
    return 0


def _import_knowledge(arguments: argparse.Namespace) -> int:
    with _database() as db:
        imported = import_knowledge(
            db,
            arguments.paths,
            audience=arguments.audience,
            owner=arguments.owner,
            stale_after=arguments.stale_after,
            progress=True,
        )
        embedded = _embed(db)
    lines = [
        f"{imported.added} added, {imported.changed} changed, {imported.unchanged} unchanged, "
        f"{imported.removed} removed",
        *([f"{embedded} passages got vectors"] if embedded else []),
        *_passed_over(imported),
        *(f"skipped {path}: {reason}" for path, reason in imported.failed.items()),
    ]
    cli.report(arguments, asdict(imported) | {"embedded": embedded}, lines)
    if imported.failed:
        raise NotAllImported(len(imported.failed))
    return 0


def _passed_over(imported: Imported) -> list[str]:
    lines = [
        f"passed over {count} of kind {kind}, which is not read: make HTML, Markdown or DOCX of them"
        for kind, count in imported.unread.items()
    ]
    if imported.without_text:
        first = ", ".join(imported.without_text[:NAMED])
        more = f" and {len(imported.without_text) - NAMED} more" if len(imported.without_text) > NAMED else ""
        lines.append(f"without text of their own: {first}{more}")
    return lines


def _embed(db: Database) -> int:
    try:
        return vectors.embed_passages(db, _settings().embedding_model, progress=True)
    except EmbedderMissing as error:
        # What was imported is found by its words.
        vectors.say_once(error)
        return 0


def _search(arguments: argparse.Namespace) -> int:
    with _database() as db:
        found = search(db, " ".join(arguments.text), limit=arguments.limit)
        sources = {p.document_id: store.source_of_document(db, p.document_id) for p in found}
    passages, lines = [], []
    for number, passage in enumerate(found, start=1):
        source = sources[passage.document_id]
        document = {"document_id": passage.document_id, "title": passage.title, "text": passage.text}
        line = f"[{number}] {passage.title}"
        if source:
            document |= {name: getattr(source, name) for name in ("link", "owner", "audience", "stale_after")}
            stale = f", stale since {source.stale_after}" if source.is_stale else ""
            line += f"\n    {source.link} ({source.audience.replace('_', '-')}{stale})"
        passages.append(document | {"score": round(passage.score, 3)})
        lines.append("\n".join([line, *(f"    {text}".rstrip() for text in passage.text.split("\n"))]))
    cli.report(arguments, {"passages": passages}, lines or ["nothing found"])
    return 0


def _evaluate_search(arguments: argparse.Namespace) -> int:
    model = _settings().embedding_model
    measured = evaluate_search(arguments.docs, arguments.questions, model=model, progress=True)
    cli.report(arguments, measured, _rates(measured))
    return 0


def _rates(measured: dict[str, object]) -> Iterator[str]:
    intervals = measured["intervals"]
    for name, value in measured.items():
        if isinstance(value, int | float):
            low, high = intervals.get(name, (None, None)) if isinstance(intervals, dict) else (None, None)
            yield f"{name:<10} {value:.4g}" + (f" ({low:.3f} to {high:.3f})" if low is not None else "")


def _import_history(arguments: argparse.Namespace) -> int:
    with _database() as db:
        counts = import_history(db, arguments.file, progress=True)
    line = (
        "{conversations} conversations ({new} new, {known} known before, {held_out} held out): "
        "{reply} reply pairs and {summary} summary pairs added, {skipped} records skipped"
    )
    if counts["notes"]:
        line += ", {notes} private notes left out"
    if counts["left_out"]:
        line += ", {left_out} replies left out: of a longer ticket, " + f"{MOST_REPLIES} are kept, spread evenly"
    cli.report(arguments, counts, [line.format(**counts)])
    return 0


def _evaluate_redaction(arguments: argparse.Namespace) -> int:
    # Here and not above: no other command looks for personal data, and its lists take a while to read.
    from data.evaluate_redaction import evaluate_redaction

    measured = evaluate_redaction(arguments.file)
    lines = [f"{'':<8} {'found':>6} {'precision':>10} {'labelled':>9} {'recall':>7}"]
    for kind, found in measured["kinds"].items():
        figures = (found["found"], found["precision"], found["labelled"], found["recall"])
        shown = ["-" if one is None else f"{one:.3f}" if isinstance(one, float) else str(one) for one in figures]
        lines.append(f"{kind.lower():<8} {shown[0]:>6} {shown[1]:>10} {shown[2]:>9} {shown[3]:>7}")
    unsought = ", ".join(f"{label} {count}" for label, count in measured["not_sought"].items())
    lines.append(f"{measured['texts']} texts; labels that nothing looks for: {unsought or 'none'}")
    cli.report(arguments, measured, lines)
    return 0


def _purge(arguments: argparse.Namespace) -> int:
    days = _settings().retain_days
    before = store.iso(datetime.now(UTC) - timedelta(days=days))
    with _database() as db:
        count = store.purge(db, before)
    cli.report(arguments, {"blanked": count, "before": before}, [f"blanked the texts of {count} rows before {before}"])
    return 0


def _why(arguments: argparse.Namespace) -> int:
    with _database() as db:
        traced = lineage.trace(db, arguments.message)
    cli.report(arguments, asdict(traced), lineage.lines_of(traced))
    return 0


def _export(arguments: argparse.Namespace) -> int:
    # Here and not above: it masks personal data, and the lists for that take a while to read.
    from data.export import export

    with _database() as db:
        counts = export(
            db, arguments.format, arguments.out, task=arguments.task, validation=arguments.validation, progress=True
        )
        for written in filter(None, (arguments.out, arguments.validation)):
            store_erasure.record_backup(db, str(written.resolve()))
    lines = [f"wrote {counts['train']} lines to {arguments.out} ({arguments.format})"]
    if arguments.validation:
        lines.append(f"wrote {counts['validation']} lines of held-out threads to {arguments.validation}")
    cli.report(arguments, {"format": arguments.format, "out": str(arguments.out)} | counts, lines)
    return 0


def _erase(arguments: argparse.Namespace) -> int:
    settings, name = _settings(), arguments.person or arguments.thread
    kind = "person" if arguments.person else "thread"
    find = partial(store_erasure.find_person if arguments.person else store_erasure.find_thread, name=name)
    folders = [settings.runs_dir, settings.adapter_store, settings.database_path.parent / "backtest"]
    with _database() as db:
        erased = erasure.look(db, find, folders)
        if not (erased.suggestions or erased.history_pairs or erased.comments or erased.files or erased.documents):
            raise erasure.NothingFound(name, erased.longer)
        if not arguments.dry_run:
            erased = erasure.erase(
                db, find, kind=kind, database=settings.database_path, folders=folders, at_once=arguments.now
            )
    lines = erasure.told(erased, dry_run=arguments.dry_run, at_once=arguments.now)
    cli.report(arguments, {"dry_run": arguments.dry_run} | asdict(erased), lines)
    if erased.remaining:
        raise erasure.StillThere(erased.remaining)
    return 0


def _backup(arguments: argparse.Namespace) -> int:
    with _database() as db:
        size = store.backup(db, arguments.path)
    cli.report(arguments, {"path": str(arguments.path), "bytes": size}, [f"wrote {arguments.path} ({size:,} bytes)"])
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    path = _settings().database_path
    with _database() as db:
        ailments = store.ailments(db)
        document = {
            "ok": not ailments,
            "database": str(path),
            "bytes": path.stat().st_size,
            "free_bytes": shutil.disk_usage(path.parent).free,
            "schema_version": store.schema_version(db),
            "ailments": ailments,
            "pending": store.pending(db),
        }
    cli.report(arguments, document, (_counted(name, value) for name, value in document.items()))
    if ailments:
        raise DatabaseUnusable(str(path), ailments[0])
    return 0


def _counted(name: str, value: object) -> str:
    if isinstance(value, dict):
        value = f"{sum(value.values()):,} ({', '.join(f'{part} {count:,}' for part, count in value.items())})"
    if isinstance(value, list):
        value = "; ".join(value) or "none"
    return f"{name.replace('_', ' '):<20} {f'{value:,}' if type(value) is int else value}"


def _settings() -> DataSettings:
    return cli.load_settings(DataSettings)


def _database() -> Database:
    return store.connect(_settings().database_path)


if __name__ == "__main__":
    sys.exit(main())
