"""Larkspur Bikes: its agents keep the house style, its threads do not repeat, its facts stand in the help centre."""

import json
import re
from datetime import UTC, datetime

import pytest

from bot.demo.company import FIRST_NAMES, HELP_CENTRE, KINDS, UNSEEN_NAMES
from bot.demo.rules import RULES, keeps_all, kept, told
from bot.demo.threads import evaluation, history, live, write_history
from data.models import Turn

GREETS, SORRY, ORDER, PROMISE, STEP, SIGN, CALM = RULES

BROKEN = [Turn("customer", "Hi, this is Amara. My rear brake squeals badly since Monday. Order LB-48213. No hurry.")]
ASKED = [Turn("customer", "Good morning. What does a new key cost? I need it today.")]
GOOD_BROKEN = (
    "Good to hear from you, Amara. Sorry about the rear brake.\nOrder LB-48213: New pads cost 18 euros.\n"
    "Next step: come by.\nWe write to you by noon tomorrow.\nRide safe, Larkspur"
)
GOOD_ASKED = (
    "Good to hear from you.\nA new key costs 29 euros.\nNext step: send us the key number.\n"
    "We call you within two hours.\nRide safe, Larkspur"
)


def test_a_reply_in_the_house_style_keeps_every_rule():
    assert [kept(rule, BROKEN, GOOD_BROKEN) for rule in RULES] == [True] * 7
    assert [kept(rule, ASKED, GOOD_ASKED) for rule in RULES] == [True, None, None, True, True, True, True]
    assert keeps_all(ASKED, GOOD_ASKED)


@pytest.mark.parametrize(
    ("rule", "old", "new"),
    [
        (GREETS, ", Amara", ""),
        (GREETS, "Amara", "Aisha"),
        (SORRY, "Sorry about the rear brake.", "Sorry about the brake."),
        (SORRY, " Sorry about the rear brake.", ""),
        (ORDER, "Order LB-48213: ", ""),
        (ORDER, "LB-48213", "LB-48231"),
        (PROMISE, "We write to you by noon tomorrow.", "We call you within two hours."),
        (PROMISE, "We write to you by noon tomorrow.", ""),
        (STEP, "Next step: come by.", "Come by."),
        (STEP, "\nNext step: ", " Next step: "),
        (STEP, "come by.", "come by.\nNext step: wait."),
        (SIGN, "\nRide safe, Larkspur", ""),
        (CALM, "18 euros.", "18 euros!"),
        (CALM, "New pads", "Unfortunately new pads"),
    ],
)
def test_each_rule_is_seen_broken_alone(rule, old, new):
    reply = GOOD_BROKEN.replace(old, new)
    assert reply != GOOD_BROKEN
    assert [r for r in RULES if kept(r, BROKEN, reply) is False] == [rule]


def test_a_call_is_promised_only_where_it_is_urgent():
    assert (
        kept(PROMISE, ASKED, GOOD_ASKED.replace("We call you within two hours.", "We write to you by noon tomorrow."))
        is False
    )


def test_a_name_that_was_not_given_is_not_to_be_made_up():
    assert kept(GREETS, ASKED, GOOD_ASKED.replace("from you.", "from you, Amara.")) is False


def test_an_empty_draft_keeps_no_rule():
    assert not any(kept(rule, BROKEN, "") for rule in RULES)


def test_every_reply_of_the_companys_agents_keeps_every_rule():
    tickets = history()
    threads = tickets + live(2, 100, before=tickets) + evaluation(3, 60, before=tickets)
    for thread in threads:
        exchanges = list(thread.exchanges())
        assert tuple(told(turns) for turns, _ in exchanges) == thread.told
        for turns, reply in exchanges:
            assert keeps_all(turns, reply), (thread.id, reply)
            assert 20 <= len(reply.split()) <= 60, reply


def test_the_threads_are_many_and_none_repeats():
    tickets = history()
    day = live(2, 100, before=tickets)
    unseen = evaluation(3, 60, before=tickets + day)
    openings = [thread.opening for thread in tickets + day + unseen]
    assert len(openings) == len(set(openings)) == 1060
    assert {thread.kind for thread in unseen} == {kind.name for kind in KINDS}
    assert history() == tickets
    names = re.compile("|".join(rf"\b{name}\b" for name in UNSEEN_NAMES))
    assert [thread for thread in unseen if thread.told[-1].name in UNSEEN_NAMES]
    assert not [thread.id for thread in tickets + day if names.search(str(thread.turns))]


def test_every_rule_has_enough_to_do_in_the_evaluation():
    replies = [exchange for thread in evaluation(3, 30, before=[]) for exchange in thread.exchanges()]
    for rule in RULES:
        assert sum(kept(rule, turns, reply) is not None for turns, reply in replies) >= 8, rule


def test_every_number_an_agent_names_stands_in_the_article_of_its_kind():
    for kind in KINDS:
        article = (HELP_CENTRE / f"{kind.article}.md").read_text()
        for text in [*kind.answers, *kind.steps, *(more.answer for more in kind.follow_up)]:
            for number in re.findall(r"\d+(?:[:.,]\d+)?", text):
                assert number in article, (kind.name, text, number)


def test_the_company_is_as_big_as_promised():
    assert 26 <= len(list(HELP_CENTRE.glob("*.md"))) <= 30
    assert len(KINDS) >= 16 and all(len(set(kind.openings)) >= 6 for kind in KINDS)
    assert len(set(FIRST_NAMES)) >= 120


def test_the_history_is_written_as_conversations(tmp_path):

    path = tmp_path / "history.jsonl"
    tickets = history(count=200)
    write_history(tickets, path, until=datetime(2026, 11, 24, tzinfo=UTC))
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(records) == 200 and [r["closed_at"] for r in records] == sorted(r["closed_at"] for r in records)
    assert {turn["role"] for r in records for turn in r["turns"]} == {"customer", "agent"}
    assert 10 < sum("summary" in r for r in records) < 60
