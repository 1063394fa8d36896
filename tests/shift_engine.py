"""The shift's model server, a process of its own and slow on purpose: `python tests/shift_engine.py`.

It prints its address, then takes seconds per word, a line each, from its standard input. What it writes is what a
model may write at its worst: names that ping, buttons and mentions in words, code, tables, texts far too long, nothing.
"""

import hashlib
import sys

from bot_fixtures import Json, ModelServer

PACE = 0.03
"""Seconds per word: with the bot's eight slots, some six drafts a second."""
KINDS = ("plain",) * 12 + ("pings", "pings", "code", "table", "long", "longest", "nothing", "languages")
TEXT = (
    "we are sorry about that and look into it today your order will be changed at no cost please bring the bike to the "
    "workshop from Tuesday to Saturday the part is in stock and takes twenty minutes kind regards"
)
WORDS = TEXT.split()
SUMMARY = (
    "Customer wants: the brake repaired before the weekend.\nDone: the workshop was asked <!channel>.\n"
    "Open: nobody said what it costs.\nNext step: call <@U0CUSTOMER1> by noon."
)


def answer(messages: list[Json]) -> str:
    """The same text for the same prompt, of a kind that hangs on its hash."""
    digest = hashlib.sha256(messages[-1]["content"].encode()).digest()
    if "Customer wants, Done" in messages[0]["content"]:
        return SUMMARY
    kind = KINDS[digest[0] % len(KINDS)]
    words = " ".join(WORDS[digest[n % 32] % len(WORDS)] for n in range(12 + digest[1] % 25))
    # A line counts as one word of the pace: long texts are long, not slow.
    lines = "\n".join(f"{n}.\u00a0{words.replace(' ', chr(0xA0))}" for n in range(1, 90))
    return {
        "plain": f"{words.capitalize()} [1].",
        "pings": f"Hello <@U0CUSTOMER1>, <!channel> @here {words} <!subteam^S0AGENTS|all> <https://x.io|click me>",
        "code": f"Run this:\n```\nreset <bike> && echo '{words[:40]}'\n```\nthen **wait** and `try & again`.",
        "table": f"| part | price |\n|---|---|\n| pads | 18 & up |\n| disc | <b>40</b> |\n\n- {words}\n- second",
        "long": "\n\n".join(f"{n} {words[n:]}" for n in range(1, 9)),
        "longest": lines,
        "nothing": " ",
        "languages": f"Guten Tag, größere Räder 🚲 kosten 40 €. 自転車を持ってきてください。 {words}",
    }[kind]


def main() -> None:
    server = ModelServer()
    server.pace = PACE
    server.answer = answer
    print(server.url, flush=True)
    for line in sys.stdin:
        server.pace = float(line)
        print("paced", flush=True)
    server.close()


if __name__ == "__main__":
    main()
