"""Instructions in numbered steps, and longer articles: what a reply must take over whole, in order, or one line of."""

import random

from finetune.corpus.values import invented_word

VERBS = [
    *("open", "close", "press", "hold", "check", "remove", "clean", "turn", "choose", "reset", "move", "lift"),
    *("fill", "unplug", "connect", "select", "enter", "copy", "print", "sign", "scan", "tighten", "replace", "update"),
    "enable",
]
PLACES = [
    *("", "", "", " for {minutes} minutes", " twice", " under {menu}", " at the back", " with {code}"),
    *(
        " until it clicks",
        " in the {city} office",
        " before {time}",
        " on the {floor} page",
        " and wait",
        " from the list",
    ),
    *(
        " to {size}",
        " next to the {item}",
        " and press {button}",
        " by {weekday}",
        " of the {item2}",
        " without the {item}",
    ),
]
GOALS = [
    *("set up", "repair", "renew", "return", "cancel", "install", "change", "empty", "test", "send", "book"),
    "export",
]
ASKED = [
    *("How do I {goal}?", "how to {goal}", "What are the steps to {goal}?", "I want to {goal}. How?"),
    *("Please tell me how to {goal}.", "{goal}, how does that work", "I can't {goal}!", "Need to {goal}, please help."),
]
INTRODUCTIONS = ["", "", "To {goal}: ", "Please follow these steps. ", "Here is how to {goal}. ", "You can {goal} so: "]
AFTER = [
    *("I did this: {step}. What now?", "what comes after: {step}", "{step}, done. And then?"),
    "Next step after '{step}'?",
]
WRITTEN = ["{n}. {step}.", "{n}) {step}.", "Step {n}: {step}.", "- {step}.", "{step}."]


def guide(rng: random.Random, value: dict[str, str], vocabulary: tuple[str, ...]) -> tuple[str, str, list[str], str]:
    """Title, what it is for, its steps as the passage writes them, and the shape they are written in."""
    thing = " ".join(_thing(rng, value, vocabulary) for _ in range(rng.choice((1, 1, 2))))
    goal = f"{rng.choice(GOALS)} the {thing}"
    shape = rng.choice(WRITTEN)
    steps = []
    for _ in range(rng.randint(2, 5)):
        step = f"{rng.choice(VERBS)} the {_thing(rng, value, vocabulary)}{rng.choice(PLACES)}".format_map(value)
        steps.append(step[0].upper() + step[1:])
    return rng.choice((goal.capitalize(), f"How to {goal}", thing.capitalize())), goal, steps, shape


def written(steps: list[str], shape: str) -> str:
    """All steps in one line."""
    return " ".join(shape.format(n=n, step=step) for n, step in enumerate(steps, start=1))


def question(rng: random.Random, goal: str, steps: list[str], shape: str) -> tuple[str, str]:
    """A question about the guide, and what answers it: all steps mostly, or the one that follows another."""
    if rng.random() < 0.25:
        at = rng.randrange(len(steps) - 1)
        asked = rng.choice(AFTER).format(step=steps[at][0].lower() + steps[at][1:])
        return asked, shape.format(n=at + 2, step=steps[at + 1])
    return rng.choice(ASKED).format(goal=goal), rng.choice(INTRODUCTIONS).format(goal=goal) + written(steps, shape)


def _thing(rng: random.Random, value: dict[str, str], vocabulary: tuple[str, ...]) -> str:
    kind = rng.random()
    if kind < 0.25:
        return invented_word(rng)
    return value["item"] if kind < 0.4 else rng.choice(vocabulary)
