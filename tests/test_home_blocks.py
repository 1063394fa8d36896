"""The Home tab out of our types: within Slack's limits however much there is, and nothing on it can ping."""

import json
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from bot import blocks_articles, blocks_feedback, blocks_gaps, blocks_home, listing, night_report
from bot.acceptance import acceptance_by, bars, shares
from bot.blocks_home import HomePage, Supervision
from bot.blocks_replies import REASONS
from bot.listing import fate, shortened, when
from bot.sandbox import rules, values
from data.articles import Article
from data.models import TASKS, Consent, GateReport, Run
from data.preferences import Preferences, is_quiet
from data.store_gaps import Example, Gap
from data.store_supervision import Case, Decided, Hold, ListedDraft, Written

AT = "2026-11-24T08:00:00.000000+00:00"
NASTY = "<!channel> <@U1> & `code` *bold* " + "very long " * 400
TODAY = date(2026, 11, 24)


def draft(number: int, **facts: object) -> ListedDraft:
    known = dict(
        suggestion_id=f"s{number}", task="reply", state="shown", kind="dismissed", text=NASTY, reason=NASTY,
        channel_id="C1", thread_ts="1", posted_ts=None, adapter="night", requested_by="U1", decided_by="U1", at=AT,
        ups=1, downs=3,
    )  # fmt: skip
    return ListedDraft(**(known | facts))


def gap(number: int, state: str = "open") -> Gap:
    examples = [
        Example(f"s{n}", kind, NASTY, NASTY, NASTY, "T1", "C1", "1", "U1", "command", AT)
        for n, kind in enumerate(("not_found", "wrong_fact", "outdated"))
    ]
    return Gap(f"{number:032}", state, 10**6, "U12345678901", "U12345678901", examples, AT)


def fullest_page() -> HomePage:
    """As much as the store can give to one supervisor who drafts as well."""
    names = {f"U{n}": NASTY[:60] for n in range(40)}
    link = "https://t.slack.com/archives/C1/p1?thread_ts=1&cid=C1"
    report = {
        "reason": NASTY, "incumbent": "i" * 60, "threads": 10**6, "cases": 10**6, "wins": 0.5,
        "losses": {"candidate": 1.0, "incumbent": 2.0, "base": 3.0},
        "worse": [{"pair_id": f"p{n}", "nats_per_token": -n} for n in range(300)],
    }  # fmt: skip
    run = Run("r", "b", "done", None, {"outcome": "kept", "held": NASTY}, AT, AT)
    decisions = [Decided("reply", f"C{n}", f"night-{n}", "2026-11-24", "edited", 3) for n in range(60)]
    rows = {key: acceptance_by(lambda d, k=key: getattr(d, k), decisions, today=TODAY)
            for key in ("task", "channel_id", "adapter")}  # fmt: skip
    supervision = Supervision(
        undoable={"reply": "n" * 60, "summary": "n" * 60, "answer": "n" * 60},
        night=(run, [GateReport(t, "r", t, True, report, AT) for t in ("reply", "summary", "answer")]),
        written=[Written("summary", f"p{n}", NASTY, NASTY) for n in range(3)],
        cases={f"p{n}": Case(f"p{n}", NASTY, "C1", "1") for n in range(300)},
        live={(task, team): "n" * 60 for task in TASKS for team in (None, "T0TEAM")},
        hold=Hold(True, "U1", AT),
        tasks=rows["task"], channels=rows["channel_id"], adapters=rows["adapter"],
        worst=[draft(n) for n in range(5)],
        comments={f"s{n}": [(f"U{u}", NASTY) for u in range(40)] for n in range(5)},
        dismissed=[draft(n) for n in range(5)],
        gaps=[gap(n) for n in range(blocks_gaps.OPEN_SHOWN)],
        closed_gaps=[gap(n, "answered") for n in range(blocks_gaps.CLOSED_SHOWN)],
        learning=[Consent(f"C{n}", "U1", True, AT) for n in range(50)],
        disagreements=12, rated_by_several=30,
    )  # fmt: skip
    links = {f"{kind}{n}": link for kind in "sp" for n in range(300)}
    preferences = Preferences("German", "warm", "18:00", "08:00")
    own = [draft(n) for n in range(8)]
    return HomePage(
        own, preferences, "Europe/London", supervision, links, names, notice=NASTY[:300], picture="F0ABCDEFGH"
    )


def test_the_fullest_home_tab_is_one_that_slack_takes_and_pings_nobody():
    blocks = blocks_home.home_blocks(fullest_page())
    rules.check_view({"type": "home", "blocks": json.loads(json.dumps(blocks))}, "home")
    assert len(blocks) <= 100
    assert "Raters disagree on 12 of 30 texts" in json.dumps(blocks)
    for block in blocks:
        text = block.get("text", {})
        if text.get("type") == "mrkdwn":
            assert "<@" not in text["text"] and "<!channel" not in text["text"] and text["verbatim"] is True


def test_the_fullest_report_is_a_message_that_slack_takes():
    page = fullest_page()
    assert page.supervision is not None and page.supervision.night is not None
    run, reports = page.supervision.night
    ampersands = [Written("reply", f"p{n}", "&" * 999, "<" * 999) for n in range(3)]
    for written in (page.supervision.written, ampersands):
        text, blocks = night_report.message(run, reports, written, page.supervision.cases, page.links, with_texts=True)
        rules.check_blocks(json.loads(json.dumps(blocks)))
        assert 0 < len(text) < 3000


def test_an_empty_store_makes_a_home_tab_that_says_so():
    nothing = Supervision(None, [], {}, {}, None, [], [], [], [], {}, [], [], [], [])
    blocks = blocks_home.home_blocks(HomePage([], Preferences(), supervision=nothing))
    rules.check_view({"type": "home", "blocks": json.loads(json.dumps(blocks))}, "home")
    seen = json.dumps(blocks)
    for sentence in (
        "No night has been run yet",
        "Nobody has decided",
        "No draft was dismissed",
        "No question went unanswered",
        "None yet.",
    ):
        assert sentence in seen


def test_the_gaps_of_an_agent_stand_above_their_drafts_and_are_ones_that_slack_takes():
    names = {"U12345678901": NASTY[:60]}
    page = HomePage([draft(1)], Preferences(), given=[gap(n) for n in range(3)], names=names)
    blocks = blocks_home.home_blocks(page)
    rules.check_view({"type": "home", "blocks": json.loads(json.dumps(blocks))}, "home")
    seen = json.dumps(blocks)
    assert seen.index("wait for you") < seen.index("answer_gap") < seen.index("Your drafts")


def test_the_longest_list_of_gaps_is_a_message_that_slack_takes():
    text, blocks = blocks_gaps.listed([gap(n) for n in range(blocks_gaps.LISTED)], links={}, names={})
    rules.check_blocks(json.loads(json.dumps(blocks)))
    assert 0 < len(text) < 3000


@pytest.mark.parametrize("article", [Article("", ""), Article(NASTY, NASTY, "customer_safe", NASTY, date(2027, 1, 31))])
def test_the_form_for_an_article_is_one_that_slack_takes_and_gives_back_what_it_was_given(article):
    view = blocks_gaps.answer_modal(gap(1), article)
    rules.check_view(json.loads(json.dumps(view)), "modal")
    entered = values.state_values(view["blocks"], {})
    back, wrong = blocks_articles.article_in(entered, today=TODAY)
    assert (back.audience, back.stale_after) == (article.audience, article.stale_after)
    # A text that is too long for one field comes together again from several.
    assert back.text.split() == article.text.split() and wrong.keys() == (set() if article.text else {"title", "text"})


@pytest.mark.parametrize("preferences", [Preferences(), Preferences("Turkish", "brief", "22:00", "06:30")])
def test_the_forms_are_ones_that_slack_takes(preferences):
    for view in (blocks_home.settings_modal(preferences, "Europe/London"), blocks_feedback.comment_modal("s" * 32)):
        rules.check_view(json.loads(json.dumps(view)), "modal")


def test_every_tone_of_the_form_is_one_that_the_prompt_knows():
    from data.prompts import TONES

    assert set(blocks_home.TONE_NAMES) == {"", *TONES}


@pytest.mark.parametrize(
    ("facts", "status", "says"),
    [
        (
            {"outcome": "promoted", "promoted": ["reply"], "adapter": "n1"},
            "done",
            "`n1` was promoted and wrote replies",
        ),
        ({"outcome": "kept"}, "done", "no task passed its gate"),
        ({"outcome": "kept", "held": "A supervisor holds promotions."}, "done", "A supervisor holds promotions."),
        ({"outcome": "skipped", "reason": "Too few pairs."}, "done", "skipped, so nothing changes. Too few pairs."),
        ({}, "gate", "still at work, at the step “gate”"),
        ({}, "failed", "failed, so nothing changes. Out of memory &amp; luck."),
        (
            {"promoted": ["reply"], "adapter": "n1"},
            "failed",
            "`n1` was promoted and wrote replies from then on. After that the night failed. Out of memory",
        ),
    ],
)
def test_the_night_is_told_in_a_sentence(facts, status, says):
    error = "Out of memory & luck." if status == "failed" else None
    assert says in night_report.headline(Run("r", "b", status, error, facts, AT, AT))


def test_acceptance_is_counted_by_day_and_a_day_without_decisions_is_a_dot():
    found = [
        Decided("reply", "C1", "base", "2026-11-24", "accepted", 3),
        Decided("reply", "C1", "base", "2026-11-24", "edited", 1),
        Decided("reply", "C1", "base", "2026-11-22", "dismissed", 4),
        Decided("reply", "C1", "base", "2026-01-01", "accepted", 9),
        Decided("answer", "C1", "base", "2026-11-23", "accepted", 1),
    ]
    replies, answers = acceptance_by(lambda one: one.task, found, today=TODAY, days=3)
    assert (replies.name, replies.days, bars(replies.days)) == ("reply", ((0, 4), (0, 0), (3, 4)), "▁·▇")
    assert shares(replies) == "8 drafts: 38% as drafted, 12% edited, 50% dismissed"
    assert (bars(answers.days), shares(answers)) == ("·█·", "1 draft: 100% as drafted, 0% edited, 0% dismissed")


@pytest.mark.parametrize(
    ("quiet", "zone", "utc", "is_so"),
    [
        (("18:00", "08:00"), "Europe/London", "2026-11-24T17:59", False),
        (("18:00", "08:00"), "Europe/London", "2026-11-24T18:00", True),
        (("18:00", "08:00"), "Europe/London", "2026-11-24T03:00", True),
        (("18:00", "08:00"), "Europe/London", "2026-11-24T08:00", False),
        (("12:00", "13:00"), "Europe/London", "2026-11-24T12:30", True),
        (("12:00", "13:00"), "Asia/Tokyo", "2026-11-24T03:30", True),
        # In summer London is an hour ahead of UTC.
        (("12:00", "13:00"), "Europe/London", "2026-07-24T11:30", True),
        (("", ""), "Europe/London", "2026-11-24T03:00", False),
    ],
)
def test_quiet_hours_are_on_the_persons_own_clock(quiet, zone, utc, is_so):
    moment = datetime.fromisoformat(utc).replace(tzinfo=UTC)
    assert is_quiet(Preferences(quiet_from=quiet[0], quiet_until=quiet[1]), moment, ZoneInfo(zone)) is is_so


@pytest.mark.parametrize(
    ("stored", "says"),
    [*((reason, f"dismissed ({label.lower()})") for reason, label in REASONS.items()),
     ("other: the snake_case <b>", "dismissed (the snake_case &lt;b&gt;)"), (None, "dismissed")],
)  # fmt: skip
def test_a_dismissed_draft_says_why_in_the_words_of_its_button_or_of_its_agent(stored, says):
    assert fate(draft(1, reason=stored)) == says


def test_a_quoted_text_is_read_without_its_markup_and_formats_nothing():
    text = "# Hello\n\nIt is **paid**, see [the terms](https://x.example/a).\n\n1. Open *Plan*\n2. Press `go`\n\n- Wait"
    said = "> Hello It is paid, see the terms (https://x.example/a). 1. Open Plan 2. Press go • Wait"
    assert listing.quoted(text) == said
    assert listing.quoted("2 *bold* 3 <!here> & _x_") == "> 2 bold 3 &lt;!here&gt; &amp; x"
    assert listing.quoted("---") == "> ---" and listing.quoted(None) == "> _erased_"
    assert "*\u200bnot bold*" in listing.quoted("2 \\*not bold* 3")


def test_a_text_is_shortened_at_a_word_or_anywhere_where_there_are_no_words():
    assert shortened("one  two\nthree", 12) == "one two …"
    assert len(shortened("字" * 500, 100)) <= 101
    assert shortened("short") == "short"


def test_a_time_is_one_that_slack_shows_on_the_readers_clock():
    assert when(AT) == "<!date^1795507200^{date_short_pretty} at {time}|24 Nov 2026, 08:00 UTC>"
