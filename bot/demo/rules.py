"""The house style of Larkspur's agents, as one checker per rule. Four rules depend on what the thread says. Pure."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bot.demo.company import FAULTS, FIRST_NAMES, PARTS, UNSEEN_NAMES
from data.models import Turn

GREETING = "Good to hear from you"
CALL = "We call you within two hours."
WRITE = "We write to you by noon tomorrow."
NEXT_STEP = "Next step: "
SIGN_OFF = "Ride safe, Larkspur"


def _one_of(words: Sequence[str]) -> str:
    """A pattern for any of these words; longest first, so that "rear brake disc" is not read as "rear brake"."""
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


NAME = re.compile(rf"\b({_one_of(FIRST_NAMES + UNSEEN_NAMES)})\b")
ORDER = re.compile(r"\bLB-\d{5}\b")
BROKEN = re.compile(rf"\b({_one_of(PARTS)}) (?:{_one_of(FAULTS)})\b")
URGENT = re.compile(r"\b(stranded|stuck|today|tonight|tomorrow)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Told:
    """What the customer has said so far, as far as the house style asks."""

    name: str | None
    order: str | None
    part: str | None
    urgent: bool


def told(turns: Sequence[Turn]) -> Told:
    """Read name, order number, broken part and urgency out of the customer's messages."""
    text = "\n".join(turn.text for turn in turns if turn.speaker == "customer")
    name, order, broken = NAME.search(text), ORDER.search(text), BROKEN.search(text)
    return Told(
        name=name[1] if name else None,
        order=order[0] if order else None,
        part=broken[1] if broken else None,
        urgent=bool(URGENT.search(text)),
    )


def greets(said: Told, reply: str) -> bool:
    """Opens with the greeting and the first name; without a name when none was given."""
    return reply.startswith(f"{GREETING}, {said.name}." if said.name else f"{GREETING}.")


def regrets(said: Told, reply: str) -> bool | None:
    """Something is broken: says sorry about the part, in the customer's word."""
    return f"Sorry about the {said.part}." in reply if said.part else None


def names_order(said: Told, reply: str) -> bool | None:
    """An order number was given: names it before the substance, and no other."""
    if not said.order:
        return None
    before_the_step = reply.split(NEXT_STEP)[0]
    return f"Order {said.order}:" in before_the_step and set(ORDER.findall(reply)) == {said.order}


def promises(said: Told, reply: str) -> bool:
    """Urgent: a call within two hours. Otherwise: a letter by noon tomorrow. Never both."""
    right, wrong = (CALL, WRITE) if said.urgent else (WRITE, CALL)
    return right in reply and wrong not in reply


def gives_next_step(said: Told, reply: str) -> bool:
    """Exactly one line holds the next step."""
    steps = [line for line in reply.splitlines() if line.startswith(NEXT_STEP)]
    return len(steps) == 1 and len(steps[0]) > len(NEXT_STEP)


def signs_off(said: Told, reply: str) -> bool:
    """The last words are always the same."""
    return reply.rstrip().endswith(SIGN_OFF)


def stays_calm(said: Told, reply: str) -> bool:
    """No exclamation mark, and never "unfortunately"."""
    return "!" not in reply and "unfortunately" not in reply.lower()


RULES: dict[str, Callable[[Told, str], bool | None]] = {
    "greets the customer by the name given": greets,
    "is sorry about the part that broke": regrets,
    "names the order that was given": names_order,
    "calls if urgent, else writes by noon": promises,
    "has one line with the next step": gives_next_step,
    "ends with the house's sign-off": signs_off,
    "has no '!' and no 'unfortunately'": stays_calm,
}


def kept(rule: str, turns: Sequence[Turn], reply: str) -> bool | None:
    """Whether a reply to these turns keeps one rule of RULES; None where the rule asks nothing. No text keeps none."""
    verdict = RULES[rule](told(turns), reply)
    return verdict if verdict is None else verdict and bool(reply.strip())


def asks_something(rule: str, turns: Sequence[Turn]) -> bool:
    """Whether a rule says anything about a reply to these turns."""
    return kept(rule, turns, "-") is not None


def keeps_all(turns: Sequence[Turn], reply: str) -> bool:
    """Whether a reply may go out as it is."""
    return all(kept(rule, turns, reply) is not False for rule in RULES)
