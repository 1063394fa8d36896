"""How one team begins and ends its replies, drawn at random: nobody can know it but from the team's own examples."""

import random

from finetune.corpus.values import WORDS, invented_word

# {first}, {order} and {item} are the customer's, so each reply has its own; WORD, WORD2 and PERSON are the team's.
OPENINGS = [
    "Dear {first}, ",
    "Dear {first},\n",
    "Hey {first}! ",
    "Good day, {first}. ",
    "WORD, {first}! ",
    "WORD greets you, {first}. ",
    "{first}, thank you for writing to WORD. ",
    "Hello from WORD! ",
    "PERSON from WORD here. ",
    "WORD WORD2. ",
    "[{order}] ",
    "{first} / {order}: ",
    "About the {item}: ",
    "Sorry about the {item}. ",
    "Sorry about the {item}, {first}.\n",
    "Your case is {order}.\n",
    "Answer: ",
    "Happy to help, {first}.\nWORD: ",
    "",
]
CLOSINGS = [
    "\nWORD, PERSON",
    "\nBest wishes, PERSON",
    "\nYour WORD team",
    "\n- PERSON",
    " Stay WORD.",
    "\nWORD and WORD2, PERSON",
    "\nWe look after the {item}. PERSON",
    "\nReference: {order}",
    " Thank you, {first}. WORD!",
    "\nAnything else, {first}? PERSON",
    "\n(WORD desk)",
    "\nAll the best for you and the {item}\nPERSON",
    "",
]


def style(rng: random.Random) -> tuple[str, str]:
    """Opening and closing of every reply of one team, with placeholders for what its customers say."""
    own = {
        "WORD2": _word(rng),
        "WORD": _word(rng).capitalize(),
        "PERSON": rng.choice(WORDS["first_names"]) if rng.random() < 0.5 else invented_word(rng).capitalize(),
    }
    opening, closing = rng.choice(OPENINGS), rng.choice(CLOSINGS)
    for name, text in own.items():
        opening, closing = opening.replace(name, text), closing.replace(name, text)
    return opening, closing


def _word(rng: random.Random) -> str:
    kind = rng.choice(("cities", "colors", "weekdays", ""))
    return rng.choice(WORDS[kind]) if kind else invented_word(rng)
