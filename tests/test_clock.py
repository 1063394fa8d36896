"""When the clock starts a night."""

from datetime import UTC, datetime, timedelta

from finetune.clock import trigger
from finetune.settings import FinetuneSettings


def test_the_clock_starts_nights_on_schedule_in_the_teams_time_zone():
    settings = FinetuneSettings(schedule="02:30", time_zone="Europe/Berlin", _env_file=None)
    noon = datetime(2026, 11, 24, 12, tzinfo=UTC)
    first = trigger(settings).get_next_fire_time(None, noon)
    assert first == datetime(2026, 11, 25, 1, 30, tzinfo=UTC)
    assert trigger(settings).get_next_fire_time(first, first + timedelta(minutes=1)) == first + timedelta(days=1)
