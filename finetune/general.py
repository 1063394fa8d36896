"""A fixed set of what every assistant should still do after it was trained: the project's own texts. Pure."""

from data.models import Message, Passage, Turn
from data.prompts import answer_messages, reply_messages, summary_messages
from finetune.checks import Check

MARGIN = 2.0
"""Nats per token that the set may cost more than under the base: style moves the loss, forgetting ruins it."""


def _plain(system: str, asked: str) -> list[Message]:
    return [Message(role="system", content=system), Message(role="user", content=asked)]


def _passage(title: str, text: str) -> Passage:
    return Passage(0, "", title, text, 0.0)


HELPFUL = "You are a helpful assistant."
CASES: tuple[tuple[list[Message], str], ...] = (
    (_plain(HELPFUL, "What is the capital of France?"), "The capital of France is Paris."),
    (_plain(HELPFUL, "How many days does a week have?"), "A week has seven days."),
    (_plain(HELPFUL, "Name three colours."), "Red, green and blue."),
    (_plain(HELPFUL, "Say thank you to a colleague who helped you move."), "Thank you so much for helping me move!"),
    (_plain(HELPFUL, "Repeat after me: the kettle is on the shelf."), "The kettle is on the shelf."),
    (_plain(HELPFUL, "What is two plus three?"), "Two plus three is five."),
    (
        _plain(HELPFUL, "Put into one sentence: It rained. The match was cancelled."),
        "The match was cancelled because it rained.",
    ),
    (_plain(HELPFUL, "Write the opposite of: The door is open."), "The door is closed."),
    (
        answer_messages(
            "How long do I have to send a jacket back?",
            (_passage("Returns", "Jackets can be sent back within 30 days. The label is in the box."),),
        ),
        "You can send a jacket back within 30 days. [1]",
    ),
    (
        answer_messages(
            "Where is the reset button?", (_passage("Reset", "The reset button is under the cover on the left side."),)
        ),
        "The reset button is under the cover on the left side. [1]",
    ),
    (
        answer_messages(
            "Do you ship to islands?", (_passage("Shipping", "We ship to the mainland only. Islands are not served."),)
        ),
        "No, we ship to the mainland only. [1]",
    ),
    (
        reply_messages([Turn("customer", "Hello, my lamp arrived broken. Can I have another one?")]),
        "I am sorry that your lamp arrived broken. I will send you another one.",
    ),
    (
        reply_messages(
            [
                Turn("customer", "I cannot log in."),
                Turn("agent", "Which message do you see?"),
                Turn("customer", "It says wrong password."),
            ]
        ),
        "Please choose a new password with the link on the login page.",
    ),
    (
        reply_messages([Turn("customer", "Thank you, that solved it!")]),
        "You are welcome. Have a nice day!",
    ),
    (
        summary_messages(
            [Turn("customer", "The heater makes a loud noise."), Turn("agent", "I have booked an engineer for Monday.")]
        ),
        "Customer wants: the heater to be quiet.\nDone: an engineer is booked.\nOpen: the visit.\nNext step: Monday.",
    ),
    (
        summary_messages(
            [
                Turn("customer", "Please cancel my order of two chairs."),
                Turn("agent", "It is cancelled, the money comes back in five days."),
            ]
        ),
        "Customer wants: to cancel two chairs.\nDone: it is cancelled.\nOpen: the money.\nNext step: none.",
    ),
)


def check(after: float, before: float) -> Check:
    """From nats per token of the set under the candidate and under the base."""
    return Check("general set", f"{after:.2f} nats per token against the base's {before:.2f}", after <= before + MARGIN)
