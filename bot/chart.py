"""Acceptance by task → a picture of each day's drafts, how many of them were used as they were. Pure."""

import hashlib
import io
import json
from collections.abc import Sequence
from datetime import date, timedelta

from bot.acceptance import Acceptance, shares
from bot.night_report import TASK_NAMES

USED, CHANGED, INK, FAINT = "#007a5a", "#d7d4d8", "#1d1c1d", "#8d8a8e"
INCHES_WIDE, INCHES_HIGH, DOTS_PER_INCH = 5.6, 2.0, 240
"""1344 by 480 dots. Few inches make large letters: a Home tab beside a channel list is narrow."""
ALT_LIMIT = 2000


def fingerprint(rows: Sequence[Acceptance], *, today: date) -> str:
    """The hash of all that the picture shows."""
    shown = [today.isoformat(), *([row.name, row.kinds, row.days] for row in rows)]
    return hashlib.sha256(json.dumps(shown).encode()).hexdigest()


def in_words(rows: Sequence[Acceptance]) -> str:
    """What the picture shows, for who cannot see it."""
    said = [f"{TASK_NAMES[row.name]}: {shares(row)}." for row in rows]
    return ("Bars of each day's drafts, used as drafted in green. " + " ".join(said))[:ALT_LIMIT]


def draw(rows: Sequence[Acceptance], *, today: date) -> bytes:
    """A PNG with one panel for each task. Slow (a second the first time): call it off the event loop."""
    # Here and not above: it is for a supervisor's Home tab alone. Without pyplot, which may not be used in threads.
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(INCHES_WIDE, INCHES_HIGH), dpi=DOTS_PER_INCH, layout="constrained")
    panels = figure.subplots(1, len(rows), squeeze=False)[0]
    for panel, row in zip(panels, rows, strict=True):
        days = range(len(row.days))
        panel.bar(days, [decided for _, decided in row.days], color=CHANGED, width=0.8, label="edited or dismissed")
        panel.bar(days, [accepted for accepted, _ in row.days], color=USED, width=0.8, label="used as drafted")
        share = row.kinds["accepted"] / row.decided
        panel.set_title(f"{TASK_NAMES[row.name]} {share:.0%}", fontsize=10, color=INK, loc="left")
        first = today - timedelta(days=len(row.days) - 1)
        panel.set_xticks([0, len(row.days) - 1], [f"{day:%-d %b}" for day in (first, today)])
        panel.yaxis.set_major_locator(MaxNLocator(nbins=3, integer=True))
        panel.tick_params(colors=FAINT, labelsize=8, length=0)
        for side in ("top", "right", "left"):
            panel.spines[side].set_visible(False)
        panel.spines["bottom"].set_color(FAINT)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=8, frameon=False, labelcolor=FAINT)
    png = io.BytesIO()
    figure.savefig(png, format="png")
    return png.getvalue()
