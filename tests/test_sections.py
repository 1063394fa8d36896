"""A model's summary becomes sections; each line finds the message it was made from, or none."""

import pytest

from bot.provenance import sources_of, unmentioned, words_of
from bot.sections import Section, lines_of, open_points, sections_of
from data.models import Turn

AS_ASKED = (
    "Customer wants: a refund for order 4812.\nDone: Ana sent the form.\nOpen: the amount.\nNext step: call back."
)
SECTIONS = [
    Section("Customer wants", ("a refund for order 4812.",)),
    Section("Done", ("Ana sent the form.",)),
    Section("Open", ("the amount.",)),
    Section("Next step", ("call back.",)),
]


@pytest.mark.parametrize(
    "text",
    [
        AS_ASKED,
        AS_ASKED.replace(" ", "  ").replace("  ", " ").replace("\n", "\n\n"),
        AS_ASKED.upper().replace("A REFUND FOR ORDER 4812.", "a refund for order 4812.")
        .replace("ANA SENT THE FORM.", "Ana sent the form.").replace("THE AMOUNT.", "the amount.")
        .replace("CALL BACK.", "call back."),
        "**Customer wants:** a refund for order 4812.\n**Done:** Ana sent the form.\n**Open:** the amount.\n"
        "**Next step:** call back.",
        "*Customer wants*: a refund for order 4812.\n*Done*: Ana sent the form.\n*Open*: the amount.\n"
        "*Next step*: call back.",
        "- Customer wants: a refund for order 4812.\n- Done: Ana sent the form.\n- Open: the amount.\n"
        "- Next step: call back.",
        "1. Customer wants: a refund for order 4812.\n2. Done: Ana sent the form.\n3. Open: the amount.\n"
        "4. Next step: call back.",
        "## Customer wants\n- a refund for order 4812.\n\n## Done\n- Ana sent the form.\n## Open\n* the amount.\n"
        "## Next step\n1. call back.",
        "What the customer wants:\n• a refund for order 4812.\nWhat was done:\n• Ana sent the form.\nStill open:\n"
        "• the amount.\nNext steps:\n• call back.",
        AS_ASKED.replace("\n", " "),
        AS_ASKED.replace("\n", "\r\n"),
    ],
)  # fmt: skip
def test_a_summary_is_read_however_the_model_sets_it(text):
    assert sections_of(text) == SECTIONS


def test_several_lines_under_a_heading_are_several_lines():
    (_, done) = sections_of("Customer wants: help\nDone: first\n- second\n  third\n")
    assert done == Section("Done", ("first", "second", "third"))


def test_what_stands_before_the_first_heading_is_kept():
    text = "Here is the summary:\nCustomer wants: help\nDone: nothing"
    assert sections_of(text)[0] == Section("", ("Here is the summary:",))
    assert lines_of(sections_of(text)) == ["Here is the summary:", "help", "nothing"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "We will look into it today.",
        "Customer wants: help",
        "The shop is open.\nIt is done.\nOpen\nDone",
        "Opening hours: 9 to 5\nDone deal: yes",
        "Der Kunde möchte: Hilfe\nErledigt: nichts",
    ],
)
def test_a_text_in_another_form_has_no_sections(text):
    assert sections_of(text) == []


def test_a_word_like_a_heading_inside_a_line_starts_no_section():
    text = "Customer wants: the door open and the work done\nDone: it is open: wide"
    assert sections_of(text) == [
        Section("Customer wants", ("the door open and the work done",)),
        Section("Done", ("it is open: wide",)),
    ]


def test_no_word_of_a_summary_is_lost():
    text = "Intro\n**Open**: a\n- b\nMore\nOpen: c\nDone:\nNext step:"
    kept = " ".join(f"{s.heading} {' '.join(s.lines)}" for s in sections_of(text))
    assert kept.split() == ["Intro", "Open", "a", "b", "More", "Open", "c", "Done", "Next", "step"]


@pytest.mark.parametrize("nothing", ["none", "None.", "Nothing", "nothing open.", "-", "n/a"])
def test_nothing_open_is_no_open_point(nothing):
    assert open_points(f"Customer wants: help\nOpen: {nothing}\nDone: all") == []


def test_open_points_are_the_lines_under_open():
    assert open_points("Customer wants: x\nOpen:\n- the amount\n- none\n- the address\nDone: y") == [
        "the amount",
        "the address",
    ]


THREAD = [
    Turn("customer", "Hello, my order 4812 arrived with a broken lamp. I would like my money back.", "1"),
    Turn("agent", "I am sorry! I have asked the warehouse for a replacement lamp.", "2"),
    Turn("customer", "Thanks. Could you change my delivery address to 5 Elm Street too?", "3"),
    Turn("agent", "Sure, the address is changed.", "4"),
]


def source(line: str, turns: list[Turn] = THREAD, heading: str = "Done") -> str | None:
    (found,) = sources_of([Section(heading, (line,))], turns)
    return found.ts if found else None


@pytest.mark.parametrize(
    ("line", "ts"),
    [
        ("Order 4812 arrived broken", "1"),
        ("The warehouse was asked for a replacement", "2"),
        ("Asked the warehouses for replacements", "2"),
        ("New delivery address: 5 Elm Street", "3"),
        ("4812", "1"),
        ("Order 4812 arrived with a broken lamp, money back wanted", "1"),
    ],
)
def test_a_line_comes_from_the_message_that_shares_its_words(line, ts):
    assert source(line) == ts


@pytest.mark.parametrize("line", ["Everything is fine", "none", "", "A manager will call tomorrow", "?", "the", "lamp"])
def test_a_line_without_a_convincing_message_has_no_source(line):
    assert source(line) is None


def test_what_the_customer_wants_was_said_by_the_customer():
    turns = [*THREAD[:1], Turn("agent", "Order 4812, a broken lamp, a refund: understood.", "2")]
    assert source("Refund for the broken lamp of order 4812", turns) == "2"
    assert source("Refund for the broken lamp of order 4812", turns, "Customer wants") == "1"


def test_of_two_equal_messages_the_first_is_the_source():
    turns = [Turn("customer", "invoice 77 please", "1"), Turn("customer", "invoice 77 please", "2")]
    assert source("Invoice 77", turns) == "1"


def test_a_summary_in_another_language_links_by_numbers_and_to_the_first_and_the_last_message():
    turns = [
        Turn("customer", "My lamp of order 4812 is broken, I want my money back.", "1"),
        Turn("agent", "The form for ticket 9907 is on its way.", "2"),
        Turn("customer", "Thanks, I will wait.", "3"),
    ]
    text = "Customer wants: Geld zurück für die Lampe.\nDone: Formular zu 9907 verschickt.\n"
    text += "- Alles erledigt soweit.\nOpen: none\nNext step: Auf Antwort warten."
    found = sources_of(sections_of(text), turns)
    assert [turn and turn.ts for turn in found] == ["1", "2", None, None, "3"]


def test_in_another_language_each_line_is_found_by_itself_by_its_numbers_and_names():
    turns = [
        Turn("customer", "My Larkspur of order 4812 rattles, and I paid 1,250.00 for it.", "1"),
        Turn("agent", "Please bring it to our workshop in Hove on day 7.", "2"),
        Turn("customer", "Is Deniz there? Deniz knows it.", "3"),
        Turn("agent", "Yes. We also refund 40 for the ride, by PayPal.", "4"),
    ]
    text = "Customer wants: Das Larkspur zu 4812 klappert.\nDone: 1250,00 wurden bezahlt.\n- Termin in Hove.\n"
    text += "- 40 werden erstattet.\n- Alles erledigt soweit.\nOpen: Ob Deniz da ist."
    found = sources_of(sections_of(text), turns)
    assert [turn and turn.ts for turn in found] == ["1", "1", "2", "4", None, "3"]
    text = "Customer wants: 注文4812の修理\nDone: 40の返金をPayPalで約束\n- 店は７日に予約"
    assert [turn and turn.ts for turn in sources_of(sections_of(text), turns)] == ["1", "4", "2"]


def test_what_is_next_was_said_last():
    turns = [Turn("agent", "We call you within two hours.", "1"), Turn("agent", "We call you within two hours.", "2")]
    assert source("A call within two hours", turns, "Next step") == "2"
    assert source("A call within two hours", turns, "Done") == "1"


def test_words_of_languages_without_spaces_are_compared():
    turns = [Turn("customer", "請求書の金額が間違っています", "1"), Turn("agent", "確認して連絡します", "2")]
    assert source("請求書の金額が間違い", turns) == "1"
    assert words_of("ÉTÉ été") == {"été"}


def test_points_that_a_text_does_not_speak_of_are_found_once():
    points = ["refund of order 4812", "address on Elm Street", "the refund for the order 4812", "warranty card missing"]
    assert unmentioned(points, "Open: the refunds of order 4812.") == ["address on Elm Street", "warranty card missing"]
    assert unmentioned(["warranty card missing", "Missing the warranty card"], "") == ["warranty card missing"]
    assert unmentioned([], "x") == []
