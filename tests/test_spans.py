"""What a person types after /summarize becomes a span, and a span becomes moments on that person's clock."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from bot.spans import LATEST, Span, parse_span, window_of, zone_of


@pytest.mark.parametrize(
    ("typed", "span"),
    [
        ("", LATEST),
        ("   ", LATEST),
        ("2d", Span("days", 2)),
        ("2 d", Span("days", 2)),
        ("2 days", Span("days", 2)),
        ("1 day", Span("days", 1)),
        ("31d", Span("days", 31)),
        ("12h", Span("hours", 12)),
        ("12H", Span("hours", 12)),
        ("1 hour", Span("hours", 1)),
        ("12  hours ", Span("hours", 12)),
        ("last 12 hours", Span("hours", 12)),
        ("last 2d", Span("days", 2)),
        ("744h", Span("hours", 744)),
        ("today", Span("today")),
        (" Today", Span("today")),
        ("YESTERDAY", Span("yesterday")),
        ("last 50", Span("last", 50)),
        ("Last  7", Span("last", 7)),
        ("last 50 messages", Span("last", 50)),
        ("50 messages", Span("last", 50)),
        ("last 1 message", Span("last", 1)),
        ("last 1000", Span("last", 1000)),
        ("007d", Span("days", 7)),
    ],
)
def test_a_span_is_read_as_people_type_it(typed, span):
    assert parse_span(typed) == span


@pytest.mark.parametrize(
    "typed",
    [
        "everything", "50", "0d", "0h", "last 0", "32d", "745h", "last 1001", "last", "last last", "last today", "-2d",
        "2.5h", "2,5h", "2 weeks", "2w", "2d 3h", "2d!", "d2", "h", "today please", "todayyesterday", "tomorrow",
        "\u0663d", "\uff19d", "99999999999d", "last 9999999", "https://example.com", "<@U1>", "2d\x00", "last -5",
        "2 d ays",
    ],
)  # fmt: skip
def test_anything_else_is_no_span(typed):
    assert parse_span(typed) is None


@pytest.mark.parametrize(
    ("one", "other", "word"),
    [("2d", "last 2 days", "2d"), ("12 hours", "12H", "12h"), ("", "last 50 messages", "last 50")],
)
def test_the_same_span_has_one_word(one, other, word):
    assert parse_span(one).word == parse_span(other).word == word
    assert parse_span(word) == parse_span(one)


def test_hours_and_days_count_back_from_now():
    now = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
    assert window_of(Span("hours", 12), now).oldest == datetime(2026, 11, 24, tzinfo=UTC).timestamp()
    assert window_of(Span("days", 2), now).oldest == datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()
    assert window_of(Span("days", 2), now).latest is None


def test_a_number_of_messages_is_no_time():
    assert window_of(Span("last", 50), datetime.now(UTC)) is None


def test_today_begins_at_the_persons_midnight():
    moment = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)
    in_auckland = moment.astimezone(ZoneInfo("Pacific/Auckland"))
    assert window_of(Span("today"), in_auckland).oldest == datetime(2026, 11, 24, 11, 0, tzinfo=UTC).timestamp()
    in_lima = moment.astimezone(ZoneInfo("America/Lima"))
    assert window_of(Span("today"), in_lima).oldest == datetime(2026, 11, 24, 5, 0, tzinfo=UTC).timestamp()


def test_yesterday_ends_just_before_today_begins():
    now = datetime(2026, 11, 24, 12, 30, tzinfo=ZoneInfo("Asia/Kolkata"))
    yesterday, today = window_of(Span("yesterday"), now), window_of(Span("today"), now)
    assert today.oldest - yesterday.oldest == 24 * 3600
    assert 0 < today.oldest - yesterday.latest < 0.001


@pytest.mark.parametrize(("day", "hours"), [(datetime(2026, 3, 30), 23), (datetime(2026, 10, 26), 25)])
def test_a_day_on_which_clocks_change_is_shorter_or_longer(day, hours):
    now = day.replace(hour=9, tzinfo=ZoneInfo("Europe/Berlin"))
    window = window_of(Span("yesterday"), now)
    assert round((window.latest - window.oldest) / 3600, 3) == hours


def test_a_zone_that_this_machine_does_not_know_is_taken_by_its_offset():
    assert zone_of("Asia/Kolkata", 19800) == ZoneInfo("Asia/Kolkata")
    for unknown in ("Mars/Olympus", "../../etc/passwd", "", None):
        assert zone_of(unknown, -18000) == timezone(timedelta(hours=-5))
    assert zone_of(None, None) == timezone(timedelta(0))
