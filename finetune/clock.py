"""Start the night on its schedule, each in a process of its own, so that one night cannot burden the next."""

import logging
import os
import signal
import subprocess
import sys
from threading import Event
from zoneinfo import ZoneInfo

from apscheduler.schedulers.background import BackgroundScheduler
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
    scheduler = BackgroundScheduler(timezone=ZoneInfo(settings.time_zone))
    scheduler.add_job(_night, trigger(settings), max_instances=1, coalesce=True, misfire_grace_time=LATE_SECONDS)
    # At once, and not only with the next night: the supervisors wait for it in the morning.
    scheduler.add_job(_owed)
    scheduler.add_job(_look, IntervalTrigger(minutes=LOOK_MINUTES), max_instances=1, coalesce=True)
    # Through a pipe: what a handler raises while APScheduler submits a job, SystemExit too, it logs, and goes on.
    told, tell = os.pipe()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os.write(tell, b"."))
    log.info("nights start at %s %s", settings.schedule, settings.time_zone)
    scheduler.start()
    os.read(told, 1)
    _ended.set()
    for night in list(_at_work):
        night.terminate()
    scheduler.shutdown()


_at_work: list[subprocess.Popen[bytes]] = []
_ended = Event()


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
        if _ended.is_set():
            night.terminate()
        try:
            return night.wait()
        finally:
            _at_work.remove(night)
