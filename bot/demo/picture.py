"""A picture of the sandbox's page with a draft in it: `python -m bot.demo --picture FILE` takes the README's."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from bot.demo import day
from bot.demo.slack_people import SlackPeople
from bot.demo.threads import Thread
from bot.sandbox.people import AGENTS, CUSTOMERS, SUPERVISORS
from data.errors import NightshiftError

SIZE = {"width": 1680, "height": 980}


class NoBrowser(NightshiftError):
    """A picture was asked for and nothing can take it."""


def browser() -> str:
    """Where Chromium is. Raises NoBrowser."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        raise NoBrowser("A picture needs a browser: install chromium, or leave --picture out.")
    return found


async def take(people: SlackPeople, threads: Sequence[Thread], path: Path) -> None:
    """Let one reply be sent and rated and one draft wait, then show it to a customer, an agent and a supervisor."""
    # Here and not above: the demo needs no browser.
    from playwright.async_api import async_playwright

    sent, waiting = threads[:2]
    first = await people.write(CUSTOMERS[0], day.CHANNEL, sent.opening)
    draft = await people.suggest(AGENTS[0], day.CHANNEL, first)
    await people.accept(AGENTS[0], draft)
    reply = await people.reply_in(AGENTS[0], day.CHANNEL, first, count=1)
    await people.do("reaction", channel=day.CHANNEL, user=SUPERVISORS[0], message_ts=reply, name="+1")
    await people.suggest(AGENTS[0], day.CHANNEL, await people.write(CUSTOMERS[0], day.CHANNEL, waiting.opening))
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=browser(), args=["--no-sandbox", "--disable-gpu"])
        page = await chromium.new_page(viewport=SIZE)
        await page.goto(people.url)
        await page.get_by_text("Only visible to you").first.wait_for()
        await page.screenshot(path=path)
        await chromium.close()
