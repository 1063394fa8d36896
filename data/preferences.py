"""What one person wishes for: a language for answers, a tone for replies, hours without suggestions. Pure."""

from dataclasses import dataclass
from datetime import datetime, time, tzinfo
from typing import Literal

Tone = Literal["", "warm", "formal", "brief"]

LANGUAGES = (
    "Arabic", "Chinese", "Czech", "Danish", "Dutch", "English", "Finnish", "French", "German", "Greek", "Hindi",
    "Italian", "Japanese", "Korean", "Norwegian", "Polish", "Portuguese", "Spanish", "Swedish", "Turkish",
    "Ukrainian",
)  # fmt: skip


@dataclass(frozen=True)
class Preferences:
    """Empty means: no wish. A language is named in English; quiet hours are HH:MM on the person's own clock."""

    language: str = ""
    tone: Tone = ""
    quiet_from: str = ""
    quiet_until: str = ""


def is_quiet(preferences: Preferences, moment: datetime, zone: tzinfo) -> bool:
    """Whether a moment (aware) falls into the quiet hours of somebody whose clock is in this zone.

    From the first minute on and up to the second one, over midnight where the first is the later.
    """
    if not preferences.quiet_from or not preferences.quiet_until:
        return False
    here = moment.astimezone(zone).time()
    begin, end = time.fromisoformat(preferences.quiet_from), time.fromisoformat(preferences.quiet_until)
    return begin <= here < end if begin <= end else here >= begin or here < end
