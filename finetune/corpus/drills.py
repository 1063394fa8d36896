"""Short exchanges whose answer can only be written by copying from the prompt: what induction is learned from."""

import random

from finetune.corpus.values import code, invented_word

# Opening line of the customer, then agent replies that repeat what was said. One opening may be followed by any reply
# whose placeholders it mentions.
OPENINGS = [
    "Hi, I am {first}. My {item} from order {order} has not come.",
    "Hello, this is {name}, I need help with order {order}.",
    "{first} here. The {item} stopped working on {weekday}.",
    "My name is {name} and my number is {phone}.",
    "Can you look at {order} please? It was {amount} and I paid {amount2}.",
    "I moved from {city} to {city2}, please change my address. I'm {first}.",
    "the code on my {item} is {code}",
    "Please send it to {email} by {weekday}.",
    "I would like the {item} in {color}, size {size}, and the {item2} too.",
    "Is {person} there? I spoke with them on {date} about {order}.",
    "Good morning! {name}, booking {code}, for {weekday} at {time}.",
    "I was charged {amount2} on {date} instead of {amount}!",
    "Could someone call me on {phone} after {time}? Ask for {first}.",
    "We are in {city}, on the {floor} floor. Reference {code}.",
    "It's {first} again, the {color} {item} arrived broken.",
    "Two things: the {item} is late, and the {item2} does not fit. Order {order}.",
    "Where is my parcel? {order}. Thanks, {first}",
    "i want to cancel {order} it was for {weekday}",
    "Which is right, {weekday} at {time} or {weekday2} at {time2}? - {first}",
    "Account {email}, the button {button} does nothing.",
]
REPLIES = [
    "Thank you {first}, I have found it.",
    "Thanks, {first}. I am looking at order {order} now.",
    "I can see order {order} for the {item}.",
    "Sorry to hear about the {item}, {first}.",
    "Your number is {phone}, is that right?",
    "The difference between {amount} and {amount2} will be paid back.",
    "I have changed your address from {city} to {city2}.",
    "The code {code} is correct.",
    "I will send it to {email}.",
    "So that is the {item} in {color}, size {size}, and the {item2}.",
    "{person} is not here today, but I can help you with {order}.",
    "You are booked for {weekday} at {time}, the reference is {code}.",
    "We charged {amount2} on {date}. It should have been {amount}.",
    "We will call {phone} after {time}.",
    "Someone will come to the {floor} floor in {city}. Please keep {code} ready.",
    "A new {color} {item} is on its way, {first}.",
    "The {item} is late and the {item2} does not fit, I have noted both for {order}.",
    "I have cancelled {order}.",
    "It is {weekday2} at {time2}, {first}.",
    "Did you press {button} while signed in as {email}?",
    "Hello {name}! How can I help you today?",
    "Got it: {order}.",
    "Noted: {first}, {phone}.",
    "Let me repeat that: {code}.",
    "The {item} will be with you on {weekday}.",
    "I see, the {item} from {date}.",
    "Hello {first}, the {item} left {city} on {weekday} and will be in {city2} on {weekday2}.",
    "All set for {weekday} at {time}, {first}.",
]
# Tables: the question asks for one cell, the answer is that cell.
ROW = ["{item}: {amount}, {days} days", "{person}: {phone}", "{city}: open until {time}", "{code}: {item}, {color}"]


def echo(rng: random.Random, value: dict[str, str]) -> tuple[str, str]:
    """An opening and one or two replies made only of words from the opening and fixed ones."""
    opening = rng.choice(OPENINGS)
    second = rng.choice(OPENINGS) if rng.random() < 0.3 else ""
    told = {name for name in value if "{" + name + "}" in opening + second}
    if "name" in told:
        told.add("first")
    fitting = [r for r in REPLIES if all(part.split("}")[0] in told for part in r.split("{")[1:])]
    fitting = [r for r in fitting if "{" in r] or ["Could you tell me a little more?"]
    replies = rng.sample(fitting, min(len(fitting), rng.choice((1, 1, 2))))
    asked = opening + (" " + second if second else "")
    return asked.format_map(value), " ".join(replies).format_map(value)


def lookup(rng: random.Random, draw: "list[dict[str, str]]") -> tuple[str, str, str]:
    """A list of rows, a question for one of them, and the row's own words as the answer."""
    shape = rng.choice(ROW)
    rows = [shape.format_map(value) for value in draw]
    chosen = rng.choice(rows)
    key, rest = chosen.split(": ", 1)
    question = rng.choice(
        ("What do you have for {}?", "{}?", "Tell me about {}, please.", "I need the entry of {}.")
    ).format(key)
    answer = rng.choice(("{key}: {rest}.", "For {key} it is {rest}.", "{rest}.")).format(key=key, rest=rest)
    return ". ".join(rows) + ".", question, answer


def repeated(rng: random.Random, value: dict[str, str]) -> str:
    """Words, numbers and phrases in an order that means nothing: what comes next is known only by looking it up."""
    parts = [*value.values(), *(invented_word(rng) for _ in range(8)), *(code(rng) for _ in range(4))]
    return " ".join(rng.choices(parts, k=rng.randint(3, 24)))
