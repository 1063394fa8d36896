"""A text that repeats itself is noticed and cut; what only looks like that is left alone."""

import pytest

from serving.loops import without_loop

SENTENCE = "I am sorry to hear that your parcel has not come yet."


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("Order " + "L " * 30, "Order L"),
        ("Order" + " L" * 30, "Order L"),
        ("Hello Ada. " + f"{SENTENCE} " * 3, f"Hello Ada. {SENTENCE}"),
        # In the middle of the fourth time: a stream ends anywhere.
        ("Hello Ada. " + f"{SENTENCE} " * 3 + SENTENCE[:20], f"Hello Ada. {SENTENCE}"),
        # The mark before the first time is the same as the one at its end.
        (f"Hello. {SENTENCE} {SENTENCE} {SENTENCE}", f"Hello. {SENTENCE}"),
        (f"{SENTENCE}\n\n" * 3, SENTENCE),
        ("Choose a date:\n" + "- Monday at nine\n" * 4, "Choose a date:\n- Monday at nine"),
        ("Please call 555-0142. " * 4, "Please call 555-0142."),
        ("Open Settings [1]. " * 4, "Open Settings [1]."),
        ("Das tut mir leid, wir kümmern uns. " * 3, "Das tut mir leid, wir kümmern uns."),
        ("申し訳ございません。すぐに確認いたします。" * 3, "申し訳ございません。すぐに確認いたします。"),
        ("Order LE-" + "9" * 80, "Order LE-9"),
        ("We write an email. " + "( " * 40, "We write an email. ("),
        ("Best wishes\n" + "-" * 200, "Best wishes\n-"),
        ("| a | b |\n" * 21, "| a | b |"),
        ("Wait" + "\n" * 300, "Wait"),
        ("a" * 40, "a"),
        # Within a word, where twenty letters are enough.
        ("Sorry about the re" + "ar" * 10, "Sorry about the rear"),
    ],
)
def test_a_loop_is_cut_to_its_first_instance(text, cut):
    assert without_loop(text) == cut


REAL = [
    "Hahahahaha, aaaaaaaaaaaaaaaaaaaargh! We ship to Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch.",
    "Your order 1000000000 was shipped with 0000-0000-0000-0000-0000 on 2026-11-11 at 11:11:11.",
    "Ha ha ha ha, that is a good one! We will send you a new bell, bell, bell today.",
    "No, no, no, no: you need not send it back. It is very, very, very kind of you to ask.",
    "Please enter your card as XXXX XXXX XXXX XXXX and your account as DE00 0000 0000 0000 0000 00.",
    "The address is 00:00:00:00:00:00, the id 00000000-0000-0000-0000-000000000000, the sum " + "0" * 64 + ".",
    "Thank you, thank you, thank you!\n\n" + "-" * 80 + "\nLarkspur Bikes\n" + "=" * 80,
    "| Plan | Basic | Plus | Pro |\n|--------------------|--------------------|--------------------|"
    "--------------------|\n| Repairs | included | included | included |\n| Theft | not included | not included "
    "| not included | not included |\n| Loan | yes | yes | yes | yes | yes | yes | yes | yes | yes |\n"
    "| Bell |     |     |     |     |     |     |     |     |     |\n",
    "1. Open Settings.\n2. Open Settings, then Security.\n3. Open Settings, then Security, then Password.\n"
    "4. Close Settings.\n5. Close the app.\n",
    "- Monday: closed\n- Tuesday: closed\n- Wednesday: closed\n- Thursday: closed\n- Friday: closed\n",
    "Run this:\n```\nfor row in rows:\n    if row:\n        pass\n        pass\n        pass\n        pass\n"
    "print(0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00)\nend\nend\nend\nend\nend\n```\nand tell me.",
    "<div><div><div>bike</div></div></div></div></div></div></div></div></div>",
    "It is rated ★★★★★★★★★★ and 🎉🎉🎉🎉🎉🎉🎉🎉🎉🎉. Sign here: ____________________________________________________",
    "Try the left pedal. If it clicks, try the right pedal. If it clicks, try the chain. If it clicks, call us.",
    "Yes.\n\nYes.\n\nNo. Press the button, wait, press the button, wait, and press the button.",
]


@pytest.mark.parametrize("text", REAL)
def test_a_text_that_only_looks_like_a_loop_is_left_alone_at_every_length(text):
    assert [text[:end] for end in range(len(text) + 1) if without_loop(text[:end]) is not None] == []


def test_a_loop_is_noticed_while_the_text_grows():
    whole = f"Hello. {SENTENCE} " + "Shall I look it up for you? " * 20
    end = next(end for end in range(len(whole)) if without_loop(whole[:end]) is not None)
    assert end <= len(f"Hello. {SENTENCE} ") + 3 * len("Shall I look it up for you? ")
    assert without_loop(whole[:end]) == f"Hello. {SENTENCE} Shall I look it up for you?"
