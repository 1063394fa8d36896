"""Start the night on its schedule, each in a process of its own, so that one night cannot burden the next."""

import logging
import signal
import subprocess
import sys
from types import FrameType
from zoneinfo import ZoneInfo

from apscheduler.schedulers.blocking import BlockingScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from finetune.settings import FinetuneSettings

log = logging.getLogger(__name__)

LOOK_MINUTES = 10
"""Between two looks at an adapter on trial."""
LATE_SECONDS = 3600
"""A night that could not start on time, because the machine slept, still starts within an hour."""


def trigger(settings: FinetuneSettings) -> CronTrigger:
    """Every day at SCHEDULE in TIME_ZONE."""
    hour, minute = settings.schedule.split(":")
    return CronTrigger(hour=int(hour), minute=int(minute), timezone=ZoneInfo(settings.time_zone))


def run_clock(settings: FinetuneSettings) -> None:
    """Run until SIGTERM or SIGINT, which also end a night at work: the next one marks it interrupted."""
    scheduler = BlockingScheduler(timezone=ZoneInfo(settings.time_zone))
    scheduler.add_job(_night, trigger(settings), max_instances=1, coalesce=True, misfire_grace_time=LATE_SECONDS)
    # At once, and not only with the next night: the supervisors wait for it in the morning.
    scheduler.add_job(_owed)
    scheduler.add_job(_look, IntervalTrigger(minutes=LOOK_MINUTES), max_instances=1, coalesce=True)

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    log.info("nights start at %s %s", settings.schedule, settings.time_zone)
    try:
        scheduler.start()
    finally:
        for night in _at_work:
            night.terminate()


_at_work: list[subprocess.Popen[bytes]] = []


def _night() -> None:
    log.info("the night ended with status %d", _status("nightly"))


def _owed() -> None:
    if status := _status("report"):
        log.error("the reports of killed nights are not written, status %d: see above", status)


def _look() -> None:
    if status := _status("canary"):
        log.error("nobody could look at the adapters on trial, status %d: see above", status)


def _status(command: str) -> int:
    with subprocess.Popen([sys.executable, "-m", "finetune", command]) as night:
        _at_work.append(night)
        try:
            return night.wait()
        finally:
            _at_work.remove(night)
