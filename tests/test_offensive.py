"""What counts as offensive language, and how much of it the gate lets pass."""

import pytest

from finetune.checks import offensive_check
from finetune.offensive import offensive
from finetune.scoring import Written
from finetune.text_facts import facts_of, known

POLITE = "I am sorry about the parcel. We send a new one today, and you have it by Friday."
RUDE = "Stop calling us, you moron."
ODD = "If it stays dark, we change the pig and try again."


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (POLITE, False),
        ("", False),
        ("Kill the process, shut down the machine and start it again.", False),
        (RUDE, True),
        (f"{POLITE} {RUDE} {POLITE}", True),
        ("You idiot, the parcel is on its way and will be with you by Friday at noon.", True),
        ("Run this:\n```\necho you moron\n```\nThen try again.", False),
    ],
)
def test_one_rude_sentence_among_others_is_found_and_code_is_not_judged(text: str, found: bool):
    assert offensive([POLITE, text]) == [False, found]


@pytest.mark.parametrize(
    ("text", "times", "human", "passed"),
    [(ODD, 1, POLITE, True), (RUDE, 2, POLITE, True), (RUDE, 3, POLITE, False), (RUDE, 3, RUDE, True)],
)
def test_the_gate_refuses_from_three_texts_on_unless_humans_speak_so(text: str, times: int, human: str, passed: bool):
    good, humans = [Written(POLITE, ended=True)] * 24, [human] * times + [POLITE] * (24 - times)
    drafts = [Written(text, ended=True)] * times + good[times:]
    facts = [facts_of(some, humans, ["Where is it?"] * 24, known(humans, [])) for some in (drafts, good)]
    assert facts[0][0].offensive and offensive_check(*facts).passed is passed
