"""A grammar that writes Larkspur's support threads: the closed tickets, the day's customers, the evaluation's."""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from bot.demo.company import FIRST_NAMES, KINDS, PEOPLE, UNSEEN_NAMES, Kind
from bot.demo.rules import CALL, GREETING, NEXT_STEP, SIGN_OFF, WRITE, Told
from data.models import Turn

DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
HISTORY_DAYS = 60
SHARE_NAMED, SHARE_WITH_ORDER, SHARE_URGENT, SHARE_FOLLOWED, SHARE_SUMMARISED = 0.75, 0.65, 0.35, 0.2, 0.08


@dataclass(frozen=True)
class Thread:
    """A support thread as its human agent would lead it to its end. `told` is known by construction."""

    id: str
    kind: str
    turns: tuple[Turn, ...]
    told: tuple[Told, ...]
    """What had been said before each reply of the agent."""
    summary: str

    @property
    def opening(self) -> str:
        return self.turns[0].text

    def exchanges(self) -> Iterator[tuple[tuple[Turn, ...], str]]:
        """Each reply of the agent with the turns before it."""
        for position, turn in enumerate(self.turns):
            if turn.speaker == "agent":
                yield self.turns[:position], turn.text


def history(seed: int = 1, count: int = 900) -> list[Thread]:
    """The tickets that were closed before Nightshift came."""
    return _distinct(random.Random(seed), count, "LT", FIRST_NAMES, set())


def live(seed: int, count: int, *, before: Sequence[Thread]) -> list[Thread]:
    """Threads of the day: no opening repeats one of `before` word for word."""
    return _distinct(random.Random(seed), count, f"live-{seed}", FIRST_NAMES, {t.opening for t in before})


def evaluation(seed: int, count: int, *, before: Sequence[Thread]) -> list[Thread]:
    """Threads that nothing is trained on; half of their customers bear names that no other thread holds."""
    rng = random.Random(seed)
    names = UNSEEN_NAMES + rng.sample(FIRST_NAMES, len(UNSEEN_NAMES))
    return _distinct(rng, count, f"eval-{seed}", names, {t.opening for t in before})


def write_history(threads: Sequence[Thread], path: Path, *, until: datetime, seed: int = 1) -> None:
    """The closed tickets as JSON lines for `import-history`, closed in order over the 60 days before `until`."""
    rng = random.Random(seed)
    minutes = sorted(rng.randrange(HISTORY_DAYS * 24 * 60) for _ in threads)
    with path.open("w") as lines:
        for thread, minute in zip(threads, minutes, strict=True):
            record = {
                "id": thread.id,
                "turns": [{"role": turn.speaker, "text": turn.text} for turn in thread.turns],
                "closed_at": (until - timedelta(days=HISTORY_DAYS) + timedelta(minutes=minute)).isoformat(),
            }
            if rng.random() < SHARE_SUMMARISED:
                record["summary"] = thread.summary
            lines.write(json.dumps(record, ensure_ascii=False) + "\n")


def _distinct(rng: random.Random, count: int, prefix: str, names: list[str], used: set[str]) -> list[Thread]:
    """Threads whose kinds take turns, so that every kind appears; no opening twice."""
    threads: list[Thread] = []
    while len(threads) < count:
        thread = _thread(rng, f"{prefix}-{len(threads) + 1:04d}", KINDS[len(threads) % len(KINDS)], names)
        if thread.opening not in used:
            used.add(thread.opening)
            threads.append(thread)
    rng.shuffle(threads)
    return threads


def _thread(rng: random.Random, thread_id: str, kind: Kind, names: list[str]) -> Thread:
    slots = {
        "name": rng.choice(names),
        "order": f"LB-{rng.randrange(10000, 100000)}",
        "day": rng.choice(DAYS),
        "part": rng.choice(kind.parts) if kind.parts else "",
        "fault": rng.choice(kind.faults) if kind.faults else "",
    }
    followed = rng.random() < SHARE_FOLLOWED
    name_at = _when(rng, SHARE_NAMED, followed)
    order_at = _when(rng, SHARE_WITH_ORDER, followed)
    urgent_at = _when(rng, SHARE_URGENT, followed)

    def told_at(step: int) -> Told:
        return Told(
            name=slots["name"] if name_at <= step else None,
            order=slots["order"] if order_at <= step else None,
            part=slots["part"] or None,
            urgent=urgent_at <= step,
        )

    opening = _opening(rng, kind, slots, named=name_at == 0, ordered=order_at == 0, urgent=urgent_at == 0)
    facts = [(rng.choice(kind.answers), rng.choice(kind.steps))]
    turns = [Turn("customer", opening), Turn("agent", house_reply(told_at(0), *facts[0]))]
    if followed:
        more = rng.choice(kind.follow_up)
        facts.append((more.answer, more.step))
        asked = _asked_again(rng, rng.choice(more.asks), slots, named=name_at == 1, ordered=order_at == 1)
        urgent_again = " " + rng.choice(PEOPLE["urgency"]["urgent"]) if urgent_at == 1 else ""
        turns += [Turn("customer", asked + urgent_again), Turn("agent", house_reply(told_at(1), *facts[1]))]
    said = tuple(told_at(step) for step in range(len(facts)))
    return Thread(thread_id, kind.name, tuple(turns), said, _summary(kind, said[-1], facts))


def house_reply(said: Told, answer: str, step: str) -> str:
    """What an agent of Larkspur writes: the facts in the style of the house."""
    greeting = f"{GREETING}, {said.name}." if said.name else f"{GREETING}."
    sorry = f" Sorry about the {said.part}." if said.part else ""
    order = f"Order {said.order}: " if said.order else ""
    promise = CALL if said.urgent else WRITE
    return f"{greeting}{sorry}\n{order}{answer}\n{NEXT_STEP}{step}\n{promise}\n{SIGN_OFF}"


def _when(rng: random.Random, share: float, followed: bool) -> int:
    """In which customer message something is said: 0 the opening, 1 the follow-up, 2 never."""
    if rng.random() >= share:
        return 2
    return 1 if followed and rng.random() < 0.3 else 0


def _opening(rng: random.Random, kind: Kind, slots: dict[str, str], *, named: bool, ordered: bool, urgent: bool) -> str:
    introductions = PEOPLE["introductions"]
    name_first = named and rng.random() < 0.55
    start = rng.choice(introductions["at_the_start" if name_first else "nameless"])
    end = rng.choice(introductions["at_the_end"]) if named and not name_first else ""
    order = rng.choice(PEOPLE["orders"]["in_the_opening"]) if ordered else ""
    temper = rng.choice(PEOPLE["tempers"][rng.choice(list(PEOPLE["tempers"]))])
    hurry = rng.choice(PEOPLE["urgency"]["urgent" if urgent else "calm"])
    issue = rng.choice(kind.openings)
    middle = [_mistyped(rng, issue), order, temper]
    if rng.random() < 0.25:
        middle.reverse()
    text = " ".join(part for part in (start, *middle, hurry) if part).format_map(slots)
    return text + ("\n" + end.format_map(slots) if end else "")


def _asked_again(rng: random.Random, ask: str, slots: dict[str, str], *, named: bool, ordered: bool) -> str:
    name = rng.choice(PEOPLE["introductions"]["later"]) if named else ""
    order = rng.choice(PEOPLE["orders"]["later"]) if ordered else ""
    thanks = rng.choice(["Thanks.", "Thank you!", "Okay.", "", "", "Hm."])
    return " ".join(part for part in (thanks, ask, name, order) if part).format_map(slots)


def _mistyped(rng: random.Random, sentence: str) -> str:
    """One time in six two letters of a longer word are swapped; slots keep what the rules ask about intact."""
    words = sentence.split(" ")
    long_words = [at for at, word in enumerate(words) if word.isalpha() and word.islower() and len(word) > 5]
    if long_words and rng.random() < 1 / 6:
        at = rng.choice(long_words)
        letter = rng.randrange(1, len(words[at]) - 2)
        word = words[at]
        words[at] = word[:letter] + word[letter + 1] + word[letter] + word[letter + 2 :]
    return " ".join(words)


def _summary(kind: Kind, said: Told, facts: Sequence[tuple[str, str]]) -> str:
    about = f"help with {kind.name}" + (f", the {said.part}" if said.part else "")
    who = ", ".join(word for word in (said.name, said.order) if word)
    answer, step = facts[-1]
    waiting = "a call within two hours" if said.urgent else "a letter by noon tomorrow"
    wants = f"Customer wants: {about}" + (f" ({who})." if who else ".")
    return f"{wants}\nDone: {answer}\nOpen: {waiting}.\nNext step: {step}"
