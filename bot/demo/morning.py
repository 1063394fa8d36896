"""What the demo prints in the morning: rules kept before and after, drafts side by side, the night, the times."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from sqlite_utils import Database

from bot.demo import tables
from bot.demo.company import UNSEEN_NAMES
from bot.demo.night import Night, adapters_asked
from bot.demo.rules import RULES, asks_something, greets, kept, told
from bot.demo.slack_people import Draft
from bot.demo.threads import Thread
from data import store

SHOWN = 3


def tell(
    night: Night,
    threads: Sequence[Thread],
    before: Sequence[Draft],
    after: Sequence[Draft],
    *,
    db: Database,
    runs: Path,
) -> None:
    """Print it all."""
    print("\nHow often each rule of the house is kept, on threads that nothing was trained on\n")
    print(rules_table(threads, before, after))
    for thread, old, new in list(zip(threads, before, after, strict=True))[:SHOWN]:
        print("\n" + tables.side_by_side(thread.opening, old.text, new.text))
    print(
        "\nThe starter is tiny, so that all of this needs no download: it learns the house's form, and what stands\n"
        "between greeting and sign-off is often the wrong sentence of the help centre. BASE_MODEL names a larger model."
    )
    print("\nThe night\n")
    for line in [*gate_lines(db, runs), *swap_lines(night)]:
        print("  " + line)


def gate_lines(db: Database, runs: Path) -> list[str]:
    """The gate's verdict on each task of the newest run, and where the report is."""
    newest = store.runs(db)[-1]
    verdicts = [
        f"gate, {found.task}: {'passed' if found.passed else 'kept the incumbent'}. {found.report.get('reason', '')}"
        for found in store.gate_reports(db, newest.id)
    ]
    return [*verdicts, f"report: {runs / newest.id / 'report.md'}"]


def swap_lines(night: Night) -> list[str]:
    """How the pointer moved while requests came in."""
    if night.promotion is None:
        return ["nothing was promoted"]
    before, after = adapters_asked(night)
    seconds = night.swap_seconds()
    first = night.first_of_the_new()
    return [
        f"promoted: {night.promotion.adapter} writes replies from {night.promotion.created_at[11:19]} UTC on",
        f"swap: {seconds:.2f} s from the promotion to the end of its first answer, which took {first.seconds:.2f} s"
        if seconds is not None and first
        else "swap: the new adapter answered nothing",
        f"load around the swap: {before} requests to the old, {after} to the new, {night.lost()} lost",
    ]


def rules_table(threads: Sequence[Thread], before: Sequence[Draft], after: Sequence[Draft]) -> str:
    """n of m per rule, where m counts the threads on which the rule asks something."""
    everyone = range(len(threads))
    new_names = [at for at in everyone if told(threads[at].turns[:1]).name in UNSEEN_NAMES]
    rows = []
    for rule in RULES:
        rows.append([rule, *_shares(rule, everyone, threads, before, after)])
        if RULES[rule] is greets:
            rows.append(["    of them: names that no ticket held", *_shares(rule, new_names, threads, before, after)])
    return tables.table(["rule", "before the night", "after"], rows)


def _shares(rule: str, places: Iterable[int], threads: Sequence[Thread], *drafts: Sequence[Draft]) -> Iterator[str]:
    asked = [at for at in places if asks_something(rule, threads[at].turns[:1])]
    for written in drafts:
        count = sum(kept(rule, threads[at].turns[:1], written[at].text) is True for at in asked)
        yield tables.share(count, len(asked))
