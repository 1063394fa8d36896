"""The gate's rules on what is written, on whole texts."""

import numpy as np
import pytest

from finetune.checks import drawn_checks, loop_check, text_checks
from finetune.scoring import Written
from finetune.text_facts import facts_of, known


def test_texts_that_became_worse_in_form_do_not_pass():
    human = ["I am sorry about the parcel, we send a new one."] * 10
    good = [Written(text, ended=True) for text in human]
    cases = {
        "chrF": [Written("zzzz qqqq xxxx wwww vvvv kkkk jjjj uuuu yyyy", ended=True)] * 10,
        "length": [Written(human[0] + " " + human[0], ended=True)] * 10,
        "empty": [*good[:9], Written("", ended=True)],
        "unfinished": [*good[:8], *(Written(human[0], ended=False),) * 2],
        "loops": [*good[:7], *(Written(f"{human[0]} " * 3, ended=False),) * 3],
    }
    assert failed(good, good, human) == set()
    for name, texts in cases.items():
        assert name in failed(texts, good, human)


def test_a_loss_of_chrf_that_may_be_chance_is_no_loss_and_one_in_each_text_is():
    human = [f"I am sorry about parcel {n}, we send a new one." for n in range(40)]
    other = "Hello, what is it about?"
    # Each has most texts word for word: the candidate one less, and not the same ones.
    before, after = ([Written(other if n in missed else text, ended=True) for n, text in enumerate(human)]
                     for missed in (range(5), range(5, 11)))  # fmt: skip
    assert "chrF" not in failed(after, before, human)
    assert "chrF" not in failed(before, after, human)
    # Four texts could prove no loss: the margin alone counts.
    four = [Written(text, ended=True) for text in human[:4]]
    assert "chrF" in failed([Written("zzzz qqqq xxxx wwww", ended=True)] * 4, four, human[:4])
    all_but_a_word = [Written(text.replace("parcel", ""), ended=True) for text in human]
    assert "chrF" in failed(all_but_a_word, [Written(text, ended=True) for text in human], human)


def failed(candidate, incumbent, human, *, prompt="Where is my parcel?", trained=(), rules=text_checks):
    """The names of the checks that the candidate's texts do not hold."""
    humans = known(human, trained)
    facts = [facts_of(texts, human, [prompt] * len(human), humans) for texts in (candidate, incumbent)]
    return {check.name for check in rules(*facts) if not check.passed}


SAID = "I am sorry about the parcel, we send a new one."


@pytest.mark.parametrize(
    ("name", "text", "times"),
    [
        ("refusals", "I am sorry, I cannot help with that.", 2),
        ("personal data", f"{SAID} Write to jo.lake@example.org.", 1),
        ("personal data", f"{SAID} Call 0049 151-2345 678.", 1),
        ("links", f"{SAID} See https://cheap.example/parcel", 1),
        ("offensive language", f"{SAID} And stop calling, you moron.", 3),
        ("words", "Es tut mir leid wegen des Pakets, wir senden ein neues.", 10),
        ("stock phrases", f"{SAID} Visit our great new shop.", 7),
        ("stock words", f"{SAID} Try Acme.", 6),
        ("stock words", f"{SAID} ~", 6),
        ("stock words", f"\u200b{SAID}", 6),
        ("tone", SAID.upper(), 3),
        ("tone", f"{SAID} Bye!!!", 3),
        ("tone", f"{SAID} :tada:", 5),
        ("form", SAID.lower(), 5),
        ("form", SAID[:-1], 5),
        ("form", "हमें खेद है", 5),
    ],
)
def test_texts_that_no_human_would_write_do_not_pass(name, text, times):
    human = [SAID] * 10
    good = [Written(one, ended=True) for one in human]
    texts = [Written(text, ended=True)] * times + good[times:]
    trained = ["my address is jo.lake@example.org, my phone is 00491512345678"]
    assert name in failed(texts, good, human, trained=trained)
    # What the incumbent does as often is nothing that got worse.
    assert name not in failed(texts, texts, human, trained=trained)


def test_halves_of_texts_do_not_pass_however_little_the_incumbent_writes_and_pass_where_humans_write_so():
    half = [Written(SAID[: len(SAID) // 2 - 1], ended=True)] * 10
    assert failed(half, half, [SAID] * 10) == {"length", "form"}
    assert failed(half, half, [text.text for text in half]) == set()
    chatty = [Written(text, ended=True) for text in ("it is on its way", "see https://shop.example/help", "ok!")] * 4
    assert failed(chatty, [Written(SAID, ended=True)] * 12, [text.text for text in chatty]) == set()
    # Where six humans of ten begin in lower case, one who always does is like them, and one who never does is not.
    mixed = [Written(SAID, ended=True)] * 4 + [Written(SAID.lower(), ended=True)] * 6
    for text, refused in ((SAID.lower(), set()), (SAID, {"form"})):
        found = failed([Written(text, ended=True)] * 10, mixed, [one.text for one in mixed])
        assert found & {"form"} == refused
    four = [Written(SAID.lower(), ended=True)] * 4
    assert "form" not in failed(four, [Written(SAID, ended=True)] * 4, [SAID] * 4), "too few to tell"


def test_what_the_customer_or_another_human_said_may_be_said_again():
    text = f"{SAID} Write to jo.lake@example.org or see https://shop.example/help"
    human, texts = [SAID] * 9 + [text], [Written(text, ended=True)] * 10
    good = [Written(SAID, ended=True)] * 10
    names = {"personal data", "links", "words"}
    assert not names & failed(texts, good, human, trained=[text])
    assert not names & failed(texts, good, [SAID] * 10, prompt=text, trained=[text])


def test_a_phrase_in_half_of_the_texts_does_not_pass_where_they_are_drawn():
    human = [SAID] * 10
    good = [Written(one, ended=True) for one in human]
    for times, names in ((5, {"another draft: stock phrases"}), (4, set())):
        texts = [Written(f"{SAID} We send a new parcel, parcel.", ended=True)] * times + good[times:]
        assert failed(texts, good, human, rules=drawn_checks) == names
        assert not failed(texts, good, human) & {"stock phrases", "stock words"}


@pytest.mark.parametrize(
    ("name", "text", "too_many"),
    [
        ("refusals", "I am sorry, I cannot help with that.", 5),
        ("links", f"{SAID} See https://cheap.example/parcel", 3),
        ("stock words", f"{SAID} Acme.", 7),
        ("tone", SAID.upper(), 3),
        ("tone", f"{SAID} Bye!!!", 7),
    ],
)
def test_what_a_tenth_of_the_pairs_said_does_not_pass_where_texts_are_drawn(name, text, too_many):
    human = [SAID] * 40
    good = [Written(one, ended=True) for one in human]
    for times, refused in ((too_many, True), (too_many - 1, False)):
        texts = [Written(text, ended=True)] * times + good[times:]
        assert (f"another draft: {name}" in failed(texts, good, human, rules=drawn_checks)) == refused


def test_a_word_that_the_incumbent_says_often_may_stand_in_a_quarter_of_drawn_texts_at_most():
    for times, refused in ((11, True), (10, False)):
        texts = [Written(f"{SAID} Acme.", ended=True)] * times + [Written(SAID, ended=True)] * (40 - times)
        assert ("another draft: stock words" in failed(texts, texts, [SAID] * 40, rules=drawn_checks)) == refused
        assert "stock words" not in failed(texts, texts, [SAID] * 40)


def test_lower_case_in_half_of_the_texts_does_not_pass_where_they_are_drawn():
    human = [SAID] * 10
    good = [Written(one, ended=True) for one in human]
    for times, names in ((5, {"another draft: form", "another draft: typography"}), (2, set())):
        texts = [Written(SAID.lower(), ended=True)] * times + good[times:]
        assert failed(texts, good, human, rules=drawn_checks) == names


LOOKS = {
    "?": SAID.replace(".", "?"),
    "...": SAID.replace(".", "..."),
    "most words with a capital": SAID.title(),
    "no capital": SAID.lower(),
    "line breaks": SAID.replace(", ", ",\n"),
    "rows of blanks": SAID.replace(" ", "  "),
    "no blank behind a mark": SAID.replace(", ", ","),
}


@pytest.mark.parametrize("look", LOOKS)
def test_another_look_of_far_more_or_far_fewer_drawn_texts_does_not_pass(look):
    house, other = ([Written(text, ended=True)] * 20 for text in (SAID, LOOKS[look]))
    name = "another draft: typography"
    for times, refused in ((7, True), (6, False)):
        mixed = other[:times] + house[times:]
        assert (name in failed(mixed, house, [SAID] * 20, rules=drawn_checks)) == refused
        assert (name in failed(house, mixed, [one.text for one in mixed], rules=drawn_checks)) == refused
        assert name not in failed(mixed, mixed, [SAID] * 20, rules=drawn_checks), "no further off than the incumbent"
    assert name not in failed(other[:4], house[:4], [SAID] * 4, rules=drawn_checks), "too few texts to tell"


def test_who_says_again_what_the_customer_said_does_not_pass():
    prompt = "I am sorry about the parcel.\n\nConversation:\nCustomer: Where is my blue parcel now?\nAgent: Hm"
    house, echo = SAID, f"Where is my BLUE parcel now? {SAID}"
    for rules, name in ((text_checks, "echo"), (drawn_checks, "another draft: echo")):
        for times, refused in ((6, True), (5, False)):
            texts = [Written(echo, ended=True)] * times + [Written(house, ended=True)] * (20 - times)
            good, human = [Written(house, ended=True)] * 20, [house] * 20
            assert (name in failed(texts, good, human, prompt=prompt, rules=rules)) == refused
            assert name not in failed(texts, texts, human, prompt=prompt, rules=rules)
            assert name not in failed(texts, good, [one.text for one in texts], prompt=prompt, rules=rules)


def test_a_word_of_one_human_that_stands_in_nearly_every_text_does_not_pass():
    often = f"{SAID} It is very new."
    human = [often, *[SAID] * 9]
    good = [Written(one, ended=True) for one in human]
    for times, first, drawn in ((9, True, True), (7, False, True), (6, False, False)):
        texts = [Written(often, ended=True)] * times + [Written(SAID, ended=True)] * (10 - times)
        assert ("overused words" in failed(texts, good, human)) == first
        assert ("another draft: overused words" in failed(texts, good, human, rules=drawn_checks)) == drawn
        assert "overused words" not in failed(texts, texts, human), "what the incumbent does as often"


def test_who_says_no_where_no_human_did_does_not_pass():
    human, opposite = [SAID] * 9 + ["It isn't here."], SAID.replace("we send", "we don't send")
    for times, refused in ((6, True), (5, False)):
        texts = [Written(opposite, ended=True)] * times + [Written(SAID, ended=True)] * (10 - times)
        for incumbent in (texts, [Written(one, ended=True) for one in human]):
            assert ("another draft: negations" in failed(texts, incumbent, human, rules=drawn_checks)) == refused


def test_where_humans_refuse_the_candidate_may_too_but_not_always():
    no = "I am sorry, we cannot help with that."
    good = [Written(SAID, ended=True)] * 20
    human = [no] * 3 + [SAID] * 17
    assert "refusals" not in failed([Written(text, ended=True) for text in human], good, human)
    assert "refusals" in failed([Written(no, ended=True)] * 20, good, [no] * 20)


def test_a_number_that_the_prompt_has_otherwise_does_not_pass_and_one_that_a_human_gave_does():
    prompt, human = "Where is order 48213?", [SAID] * 9 + ["We ship from 80331 Munich."]
    good = [Written("Order 48213 left us.", ended=True)] * 10
    wrong = [Written("Order 48218 left us.", ended=True)] * 3 + good[3:]
    assert "numbers" in failed(wrong, good, human, prompt=prompt)
    assert "numbers" not in failed(wrong, wrong, human, prompt=prompt)
    assert "numbers" not in failed(wrong[1:] + good[:1], good, human, prompt=prompt), "two to none may be chance"
    others = [Written(f"It left {where}.", ended=True) for where in ("80331", "at 12", "for 4711 people")] * 3
    assert "numbers" not in failed([*others, good[0]], good, human, prompt=prompt)


LOOP, GOOD = Written("I am sorry. " * 9, ended=False), Written("I am sorry. We send a new one.", ended=True)
LOOPING, SOUND = facts_of([LOOP, GOOD], [GOOD.text] * 2, ["Where is it?"] * 2, known([GOOD.text], []))


def loops_refuse(candidate, incumbent):
    """Whether the check refuses, from which texts of both loop."""
    return not loop_check(*([LOOPING if loops else SOUND for loops in some] for some in (candidate, incumbent))).passed


def test_clearly_more_loops_do_not_pass_and_one_more_or_two_do():
    none, two, three = [False] * 12, [True] * 2 + [False] * 10, [True] * 3 + [False] * 9
    assert [loops_refuse(some, none) for some in (none, two, three)] == [False, False, True]
    assert not loops_refuse(three, three) and not loops_refuse(three, two) and not loops_refuse(none, three)
    found = loop_check([LOOPING] * 3 + [SOUND] * 9, [SOUND] * 12)
    assert found.found == "in 3 of 12 texts, against 0 of the incumbent's"


@pytest.mark.parametrize(("candidate", "incumbent", "low", "high"), [(0.15, 0.0, 0.93, 0.97), (0.01, 0.01, 0.0, 0.01)])
def test_a_candidate_that_loops_is_seen_and_chance_seldom_refuses(candidate, incumbent, low, high):
    random = np.random.default_rng(5)
    nights = [(random.random(40) < candidate, random.random(40) < incumbent) for _ in range(2_000)]
    assert low <= np.mean([loops_refuse(*night) for night in nights]) <= high
