"""Random names, numbers and invented words for the starter's training text, one set per conversation."""

import random
import tomllib
from pathlib import Path

WORDS = {name: text.split() for name, text in tomllib.loads((Path(__file__).parent / "words.toml").read_text()).items()}
ENDINGS = ("com", "org", "net")
BUTTONS = [
    *(
        "Confirm",
        "Start again",
        "Pair again",
        "Save changes",
        "Send code",
        "Remove device",
        "Check status",
        "Print label",
    ),
    *("Report a problem", "Renew now", "Skip this month", "Change plan", "Ask for help", "Upload photo", "Add member"),
    *("Restore", "Reset", "Sign out everywhere"),
]


def invented_word(rng: random.Random) -> str:
    """A word that no text contains, so that the only way to write it is to copy it."""
    return "".join(rng.choice(WORDS["syllables"]) for _ in range(rng.randint(2, 4)))


def code(rng: random.Random) -> str:
    """A serial or reference number in one of several shapes."""
    letters = "ABCDEFGHJKLMNPQRSTUVWXYZ"
    shape = rng.choice(
        ("AA-99999", "A9999", "999999", "AAA-999", "99-999-99", "AA999A", "#99999", "A-99-AA", "9999999999")
    )
    kinds = {"A": letters, "9": "0123456789"}
    return "".join(rng.choice(kinds.get(character, character)) for character in shape)


def values(rng: random.Random, items: list[str], company: str) -> dict[str, str]:
    """One value for every placeholder of the domain files."""
    first = rng.choice(WORDS["first_names"]) if rng.random() < 0.6 else invented_word(rng).capitalize()
    last = rng.choice(WORDS["last_names"]) if rng.random() < 0.6 else invented_word(rng).capitalize()
    item, item2 = rng.sample(items, 2)
    if rng.random() < 0.15:
        item = invented_word(rng) + " " + item
    city, city2 = rng.sample(WORDS["cities"], 2)
    day, day2 = rng.sample(WORDS["weekdays"], 2)
    sign = rng.choice(("$", "£", "€"))
    cents = rng.choice(("", "", ".50", ".99", ".90"))
    return {
        "days": str(rng.choice((2, 3, 5, 7, 10, 14, 20, 21, 28, 30, 45, 60, 90, rng.randint(2, 99)))),
        "days2": str(rng.randint(2, 60)),
        "hours": str(rng.choice((2, 4, 6, 8, 12, 24, 36, 48, 72))),
        "minutes": str(rng.choice((2, 5, 10, 15, 20, 30, 40, 45, 90))),
        "months": str(rng.choice((2, 3, 6, 9, 12, 18, 24, 36))),
        "amount": f"{sign}{rng.randint(2, 250)}{cents}",
        "amount2": f"{sign}{rng.randint(2, 900)}{cents}",
        "percent": str(rng.choice((5, 10, 15, 20, 25, 30, 40, 50, rng.randint(2, 95)))),
        "city": city,
        "city2": city2,
        "country": rng.choice(WORDS["countries"]),
        "first": first,
        "name": f"{first} {last}",
        "person": " ".join((rng.choice(WORDS["first_names"]), rng.choice(WORDS["last_names"]))),
        "order": rng.choice((code(rng), str(rng.randint(10000, 9999999)), code(rng))),
        "code": code(rng),
        "email": f"{first.lower()}{rng.choice('._')}{last.lower()}@{invented_word(rng)}.{rng.choice(ENDINGS)}",
        "phone": f"{rng.randint(200, 999)} {rng.randint(100, 999)} {rng.randint(1000, 9999)}",
        "date": " ".join(rng.sample((str(rng.randint(1, 28)), rng.choice(WORDS["months"])), 2)),
        "weekday": day,
        "weekday2": day2,
        "time": f"{rng.randint(7, 11)} {rng.choice(('am', 'pm'))}",
        "time2": f"{rng.randint(1, 10)}{rng.choice((':30', ':15', ''))} pm",
        "item": item,
        "item2": item2,
        "company": company,
        "floor": rng.choice(("first", "second", "third", "fourth", "fifth")),
        "size": str(rng.choice((6, 8, 10, 12, 16, 20, 38, 40, 42, rng.randint(2, 99)))),
        "color": rng.choice(WORDS["colors"]),
        "website": f"{company.lower().replace(' ', '')}.example",
        "menu": " > ".join(rng.sample(WORDS["menus"], 2)),
        "button": rng.choice(BUTTONS),
    }
