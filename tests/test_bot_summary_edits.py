"""What a model may not do to a summary: undo what an agent did to it, or bring in links of its own."""

import json

from bot_fixtures import last_ephemeral
from test_bot_summaries import OTHER_AGENT, edited, lamp_thread, link_to, said, shown, summary_of_thread

from bot.own_lines import agents_of, keep
from data import store
from data.store_summaries import SummaryEdit

pytest_plugins = ("bot_fixtures", "sandbox_fixtures")

AGENT = "U0AGENT1"


def test_an_agents_lines_stay_where_she_put_them_and_what_she_deleted_stays_away(bot, sandbox, model):
    first, reply = lamp_thread(sandbox)
    draft = (
        "Customer wants: a refund.\nDone: I have asked the warehouse for a new lamp.\nOpen: the moon.\nNext step: wait"
    )
    model.answer = lambda messages: draft
    row = summary_of_thread(bot, sandbox, first)
    kept = draft.replace("a refund.", "a refund for order 4812, says Ana.").replace(
        "Open: the moon.", "Open:\n- call Carla"
    )
    edited(bot, sandbox, row, kept)
    said(sandbox, "It has arrived, thanks!", thread_ts=first)
    model.answer = lambda messages: draft.replace("Next step: wait", "Next step: none")
    again = summary_of_thread(bot, sandbox, first, OTHER_AGENT)
    assert again["draft"] == (
        "Customer wants: a refund for order 4812, says Ana.\nDone: I have asked the warehouse for a new lamp.\n"
        "Open: call Carla\nNext step: none"
    )
    assert shown(sandbox, OTHER_AGENT, again["id"])[:3] == [
        f"*Customer wants*\n• a refund for order 4812, says Ana.  (kept from ana's edit)  "
        f"<{link_to(first, first)}|→\u00a0message>",
        f"*Done*\n• I have asked the warehouse for a new lamp.  <{link_to(reply, first)}|→\u00a0message>",
        "*Open*\n• call Carla  (kept from ana's edit)",
    ]
    told = json.dumps(last_ephemeral(sandbox, OTHER_AGENT, again["id"]))
    assert "2 lines of ana that the new draft did not have are kept word for word: press Edit to remove" in told
    assert "Left out again, as ana had deleted it: a refund. \\u00b7 the moon." in told
    assert sandbox.problems() == []


def test_an_agents_line_outlives_many_summaries_until_somebody_removes_it(bot, sandbox, model):
    first, _ = lamp_thread(sandbox)
    model.answer = lambda messages: "Customer wants: a lamp.\nDone: nothing."
    edited(bot, sandbox, summary_of_thread(bot, sandbox, first), "Customer wants: a lamp.\nDone: called Carla.")
    for text in ("Second.", "Third."):
        said(sandbox, text, thread_ts=first)
        row = summary_of_thread(bot, sandbox, first)
        assert row["draft"] == "Customer wants: a lamp.\nDone: called Carla."
        sandbox.action(AGENT, "accept", value=row["id"])
        bot.until(lambda row=row: store.decision(bot.db, row["id"]))
    said(sandbox, "Fourth.", thread_ts=first)
    edited(bot, sandbox, summary_of_thread(bot, sandbox, first), "Customer wants: a lamp.\nDone: nothing at all.")
    said(sandbox, "Fifth.", thread_ts=first)
    model.answer = lambda messages: "Customer wants: a lamp.\nDone: called Carla."
    assert summary_of_thread(bot, sandbox, first)["draft"] == "Customer wants: a lamp.\nDone: nothing at all."


def test_an_edit_too_long_to_go_on_from_is_kept_beside_a_summary_made_afresh(bot, sandbox, model):
    first, _ = lamp_thread(sandbox)
    own = "call Carla, " + "and then again " * 60 + "at noon"
    edited(bot, sandbox, summary_of_thread(bot, sandbox, first), f"Customer wants: a lamp.\nNext step: {own}")
    said(sandbox, "It has arrived, thanks!", thread_ts=first)
    model.answer = lambda messages: "Customer wants: two lamps.\nOpen: the bill."
    row = summary_of_thread(bot, sandbox, first)
    last_ephemeral(sandbox, AGENT, "too long for the model to go on from")
    assert row["draft"] == f"Customer wants:\n- a lamp.\n- two lamps.\nOpen: the bill.\nNext step: {own}"
    sources = bot.db.query("select pair_id from suggestion_sources where suggestion_id = ?", [row["id"]])
    assert len(list(sources)) == 1


DRAFT = "Customer wants: a lamp.\nOpen: the lamp."
EDIT = "Customer wants: a lamp.\nOpen: none\nNext step: call Carla at noon."


def after(*edits: tuple[str, str], kept: str, draft: str) -> str:
    return keep(agents_of([SummaryEdit("s", *edit, "U1") for edit in edits]), kept, draft).text


def test_what_the_model_wrote_and_what_says_nothing_may_go():
    now = "Customer wants: two lamps.\nOpen: the second lamp."
    assert after((DRAFT, EDIT), kept=EDIT, draft=now) == now + "\nNext step: call Carla at noon."
    has = now + "\nNext step: please Call  Carla at noon"
    assert after((DRAFT, EDIT), kept=EDIT, draft=has) == has
    assert after((DRAFT, EDIT), kept=DRAFT, draft=now) == now


def test_a_line_moved_to_another_heading_stays_moved():
    moved = "Customer wants: a lamp.\nDone:\n- the lamp.\nOpen: none"
    text = after((DRAFT, moved), kept=moved, draft="Customer wants: a lamp.\nOpen: the lamp.")
    assert text == "Customer wants: a lamp.\nDone: the lamp.\nOpen:"


def test_a_summary_rewritten_without_headings_stands_before_the_models_and_deletes_nothing():
    prose = "In my own words.\nTwo lines."
    assert after((DRAFT, prose), kept=prose, draft=DRAFT) == f"{prose}\n{DRAFT}"
    assert after((DRAFT, EDIT), kept=EDIT, draft="It is done.") == "It is done.\nNext step: call Carla at noon."


def test_who_deletes_last_or_writes_last_decides():
    first, second = (DRAFT, "Customer wants: a lamp.\nOpen: the bill."), (DRAFT, DRAFT + "\nDone: x.")
    assert after(first, kept=first[1], draft=DRAFT) == "Customer wants: a lamp.\nOpen: the bill."
    back = ("Customer wants: a lamp.\nOpen: the bill.", DRAFT)
    assert after(first, back, kept=DRAFT, draft=DRAFT) == DRAFT
    assert after(first, back, second, kept=second[1], draft=DRAFT) == DRAFT.replace("Open", "Done: x.\nOpen")


def test_a_link_of_a_summary_that_nobody_wrote_opens_nothing(bot, sandbox, model):
    first = said(sandbox, "See https://shop.example/o/4812, the lamp is broken.")
    model.answer = lambda messages: (
        "Customer wants: a lamp, see https://shop.example/o/4812.\nNext step: [Send](https://evil.example/x)"
    )
    row = summary_of_thread(bot, sandbox, first)
    seen = json.dumps(last_ephemeral(sandbox, AGENT, row["id"]))
    assert "<https://shop.example/o/4812>" in seen and "https://evil" not in seen
    assert "Send (evil.example/x)" in seen
