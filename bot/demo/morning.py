"""What the demo prints in the morning: rules kept before and after, drafts side by side, the night, the times."""

from collections.abc import Sequence

from bot.demo import tables
from bot.demo.night import Night
from bot.demo.rules import RULES, asks_something, kept
from bot.demo.slack_people import Draft
from bot.demo.threads import Thread

SHOWN = 3


def tell(
    night: Night, threads: Sequence[Thread], before: Sequence[Draft], after: Sequence[Draft], stages: tables.Stages
) -> None:
    """Print it all."""
    print("\nHow often each rule of the house is kept, on threads that nothing was trained on\n")
    print(rules_table(threads, before, after))
    for thread, old, new in list(zip(threads, before, after, strict=True))[:SHOWN]:
        print("\n" + tables.side_by_side(thread.opening, old.text, new.text))
    print("\nThe night\n")
    for line in night.lines():
        print("  " + line)
    print("\n" + stages.table(), flush=True)


def rules_table(threads: Sequence[Thread], before: Sequence[Draft], after: Sequence[Draft]) -> str:
    """n of m per rule, where m counts the threads on which the rule asks something."""
    rows = []
    for rule in RULES:
        asked = [at for at, thread in enumerate(threads) if asks_something(rule, thread.turns[:1])]
        counts = [
            sum(kept(rule, threads[at].turns[:1], drafts[at].text) is True for at in asked)
            for drafts in (before, after)
        ]
        rows.append([rule, *(tables.share(count, len(asked)) for count in counts)])
    return tables.table(["rule", "before the night", "after"], rows)
