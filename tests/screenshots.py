"""The README's pictures of the sandbox's page: `python tests/screenshots.py [NAME…]`, by `make screenshots`.

The bot, the sandbox, the store and the browser are the real ones; what the model writes, and the decisions of the days
before, are invented here, so that each picture shows what it is about.
"""

import argparse
import random
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot_fixtures import BASE, ROOT, Bot, Json, ModelServer, bot_environment, open_store
from PIL import Image
from playwright.sync_api import Locator, Page, sync_playwright
from sandbox_fixtures import SandboxClient, start_sandbox
from sqlite_utils import Database

from bot.demo.picture import browser
from data import store
from data.knowledge import import_knowledge
from data.models import DecisionKind, Task

DOCS = ROOT / "docs"
MOST_BYTES = 250_000
WIDTH, SCALE = 1680, 1.5
CUSTOMER, AGENT, OTHER, SUPERVISOR = "U0CUSTOMER1", "U0AGENT1", "U0AGENT2", "U0SUPER1"
HELP, DIRECT, REVIEW = "C0HELP", "D0AGENT1", "C0SUPERVISORS"
ADAPTER = "night-20261118-5c0e2a"

OPENING = (
    "Hi! The display of my cargo bike shows *E07* since this morning and the motor gives no help. "
    "I bring two kids to school tomorrow, what can I do?"
)
REPLY = (
    "Hello Carla, sorry about the motor. E07 means that the speed sensor has moved:\n\n"
    "1. Push the magnet on the rear spoke back to the sensor.\n2. Hold the power button for ten seconds.\n\n"
    "If the motor still gives no help, ride home without it and book a motor check in the app. It takes one hour and "
    "is free within the warranty."
)
BRAKES = (
    "Hello Carla, that is mostly dirt: wipe the disc with alcohol, never with oil. If it still squeals, we change the "
    "pads in 20 minutes for 18 euros, without a booking."
)
CHARGE = (
    "Hello Carla, a full charge takes five hours, and 80 percent is reached after three. Charge it indoors, please."
)
SUMMARY = (
    "Customer wants: The E07 error gone before school tomorrow; two children ride along.\n"
    "Done: Carla pushed the magnet back and restarted, and E07 is gone.\n"
    "- A slot for the brakes is booked for Thursday.\n"
    "Open: The front brake still squeals after she wiped the disc.\n"
    "Next step: Look at the brake pads on Thursday before 10:00."
)
ANSWER = (
    "Yes. A subscription can be paused for **one to three months a year**, and a paused month costs 5 euros [1].\n\n"
    "- Ask for it in the app under *Plan*, *Pause*, by the 25th of the month before [1].\n"
    "- You may keep the bike at home, but theft cover and rescue rest as well [1].\n"
    "- Or bring it to the shop: we store it dry and charge the battery [1].\n\nThe pause ends by itself [1]."
)
THREAD = (
    (CUSTOMER, "My bike shows E07 and the motor is silent. We need it for school tomorrow, with two children."),
    (AGENT, "Sorry, Carla. Please push the magnet on the rear spoke back to the sensor, then restart."),
    (CUSTOMER, "Did that, E07 is gone. Thank you! But the front brake still squeals, I wiped the disc twice."),
    (AGENT, "I booked you a slot on Thursday before 10:00, so it is ready on the same day."),
    (CUSTOMER, "Great. Is it the pads?"),
)  # fmt: skip


def answer(messages: list[Json]) -> str:
    """What the model writes in these pictures."""
    asked = messages[-1]["content"]
    if "Customer wants, Done" in messages[0]["content"]:
        return SUMMARY
    if "subscription over" in asked:
        return ANSWER
    if "charge take" in asked:
        return CHARGE
    return BRAKES if "squeals" in asked else REPLY


class Studio:
    """Holds what the pictures are taken of."""

    def __init__(self, page: Page, sandbox: SandboxClient, bot: Bot, model: ModelServer) -> None:
        self.page, self.sandbox, self.bot, self.model = page, sandbox, bot, model

    def column(self, role: str) -> Locator:
        return self.page.locator(f".column.{role}")

    def draft(self, text: str, *, agent: str = AGENT) -> str:
        """A customer writes and this agent asks for a reply; the suggestion's id once it is shown."""
        ts = self.sandbox.message(HELP, CUSTOMER, text)["ts"]
        return self.suggest(ts, "suggest_reply", agent=agent)["id"]

    def suggest(self, ts: str, callback_id: str, *, agent: str = AGENT) -> Json:
        self.sandbox.shortcut(HELP, agent, ts, callback_id)
        return self.bot.until(lambda: (r := self.bot.newest())["thread_ts"] == ts and r["state"] == "shown" and r)

    def decide(self, suggestion_id: str, action_id: str, *, agent: str = AGENT) -> None:
        self.sandbox.action(agent, action_id, value=suggestion_id)
        self.bot.until(
            lambda: (d := store.decision(self.bot.db, suggestion_id)) and (d.posted_ts or d.kind == "dismissed")
        )

    def settle(self) -> None:
        """Let the page draw what has come, and fonts and pictures load."""
        self.page.wait_for_timeout(700)


def draft(studio: Studio) -> Locator:
    """A draft with its sources and buttons, for the agent's eyes only."""
    studio.draft(OPENING)
    shown = studio.column("agent").locator(".message.ephemeral").last
    shown.get_by_role("button", name="Why this?").wait_for()
    return studio.column("agent")


def edit(studio: Studio) -> Locator:
    """The form in which the agent changes a draft."""
    draft(studio).locator(".message.ephemeral").last.get_by_role("button", name="Edit").click()
    studio.column("agent").locator(".modal").wait_for()
    return studio.column("agent")


def why(studio: Studio) -> Locator:
    """What a draft stands on."""
    agent = draft(studio)
    agent.locator(".message.ephemeral").last.get_by_role("button", name="Why this?").click()
    agent.locator(".modal").wait_for()
    return agent


def summary(studio: Studio) -> Locator:
    """A thread's summary, each line with a link to its message."""
    ts = studio.sandbox.message(HELP, *THREAD[0])["ts"]
    for user, text in THREAD[1:]:
        studio.sandbox.message(HELP, user, text, ts)
    studio.suggest(ts, "summarize_thread")
    studio.column("agent").get_by_text("Next step").wait_for()
    return studio.column("agent")


def streamed(studio: Studio) -> Locator:
    """An answer in the direct message while the model writes it."""
    agent = studio.column("agent")
    agent.get_by_role("button", name="Nightshift", exact=True).click()
    studio.model.pace = 0.3
    studio.sandbox.message(DIRECT, AGENT, "Can a customer pause the subscription over the winter?")
    agent.locator(".message.streaming").wait_for()
    studio.page.wait_for_timeout(300)
    return agent


def review(studio: Studio) -> Locator:
    """What supervisors rate: a reply that was sent, one that was edited, a draft that was dismissed."""
    studio.decide(studio.draft("How long does a full charge take?"), "accept")
    studio.decide(studio.draft("My front brake squeals since the rain."), "dismiss")
    edited = studio.draft("The front brake squeals, do I need a booking?", agent=OTHER)
    studio.sandbox.action(OTHER, "edit", value=edited)
    view = studio.sandbox.wait_for(OTHER, lambda state: state["views"] and state["views"][-1])
    studio.sandbox.submit(OTHER, view["id"], {"draft": {"text": f"{BRAKES}\n\nRide safe, Ben"}})
    supervisor = studio.column("supervisor")
    supervisor.get_by_text("ben edited the draft").wait_for()
    return supervisor


def home_agent(studio: Studio) -> Locator:
    """An agent's own drafts and settings."""
    studio.decide(studio.draft("My front brake squeals since the rain."), "accept")
    studio.decide(studio.draft("The rear brake squeals too, is that normal?"), "dismiss")
    studio.draft(OPENING)
    studio.column("agent").locator("[data-place=home]").click()
    studio.column("agent").get_by_text("waiting for your decision").first.wait_for()
    return studio.column("agent")


def home_supervisor(studio: Studio) -> Locator:
    """Acceptance over two weeks, what serves, and what went wrong."""
    studio.decide(studio.draft("My front brake squeals since the rain."), "dismiss")
    supervisor = studio.column("supervisor")
    supervisor.locator("[data-place=home]").click()
    supervisor.locator(".home img").wait_for(timeout=30_000)
    return supervisor


SCENES: dict[str, tuple[Callable[[Studio], Locator], int]] = {
    "draft": (draft, 800),
    "edit": (edit, 800),
    "why": (why, 900),
    "summary": (summary, 940),
    "streamed": (streamed, 760),
    "review": (review, 940),
    "home-agent": (home_agent, 720),
    "home-supervisor": (home_supervisor, 985),
}
"""Each with the height of the page, so that little of the picture is empty."""


def two_weeks(db: Database) -> None:
    """Decisions of two weeks, made up: the base model for one, an adapter for the other."""
    rng = random.Random(4)
    store.record_adapter(
        db, name=ADAPTER, run_id="invented", base=BASE.hash, path="-", sha256="0" * 64, pair_ids=[], config={}
    )
    for days_ago in range(13, -1, -1):
        adapter = "base" if days_ago > 6 else ADAPTER
        kept = 0.35 if adapter == "base" else 0.6
        for number in range(rng.randint(5, 9)):
            task: Task = "answer" if number == 0 else "summary" if number == 1 else "reply"
            kind: DecisionKind = "accepted" if rng.random() < kept else rng.choice(("edited", "edited", "dismissed"))
            _decided(db, f"{days_ago}-{number}", task, kind, adapter, rng.choice((HELP, HELP, "C0BILLING")), days_ago)
    run_id = store.start_run(db, base=BASE.hash)
    store.update_run(db, run_id, status="done", outcome="promoted", adapter=ADAPTER, promoted=["reply"])
    with store.immediate(db):
        db.execute("update runs set created_at = ?", [store.iso(datetime.now(UTC) - timedelta(days=6, hours=14))])
    store.append_promotion(db, task="reply", base=BASE.hash, adapter=ADAPTER, cause="manual", forced=True)


def _decided(db: Database, key: str, task: Task, kind: DecisionKind, adapter: str, channel: str, days_ago: int) -> None:
    made = store.request_suggestion(
        db, request_key=key, task=task, team_id="T0SANDBOX", channel_id=channel, thread_ts=None, requested_by=OTHER,
        request={"kind": "command"},
    )  # fmt: skip
    assert made is not None
    store.record_draft(db, made.id, messages=[], draft=BRAKES, base=BASE.hash, adapter=adapter)
    reason = "missing_step" if kind == "dismissed" else None
    store.decide(db, made.id, kind=kind, text=None if reason else BRAKES, reason=reason, decided_by=OTHER)
    # As if posted, or the bot would send them at its start.
    store.record_posted(db, made.id, "1700000000.000100")
    at = store.iso(datetime.now(UTC) - timedelta(days=days_ago, hours=2))
    with store.immediate(db):
        db.execute("update decisions set created_at = ? where suggestion_id = ?", [at, made.id])
        db.execute("update suggestions set created_at = ?, shown_at = ? where id = ?", [at, at, made.id])


def take(name: str, path: Path) -> None:
    """One picture, of a workspace of its own."""
    process, sandbox = start_sandbox()
    model = ModelServer()
    model.answer, model.names = answer, {"base", ADAPTER}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        db = open_store(Path(folder))
        import_knowledge(db, [ROOT / "bot" / "demo" / "company" / "help_centre"], audience="customer_safe")
        two_weeks(db)
        bot = Bot(bot_environment(sandbox, model, Path(folder)), db)
        bot.start()
        chromium = playwright.chromium.launch(executable_path=browser(), args=["--no-sandbox", "--disable-gpu"])
        scene, height = SCENES[name]
        page = chromium.new_page(viewport={"width": WIDTH, "height": height}, device_scale_factor=SCALE)
        page.goto(sandbox.url)
        page.locator(".column.agent .title b").wait_for()
        studio = Studio(page, sandbox, bot, model)
        shown = scene(studio)
        if name != "streamed":
            studio.settle()
        shown.screenshot(path=path)
        chromium.close()
        bot.stop()
        db.conn.close()
    model.close()
    process.terminate()
    process.communicate(timeout=10)
    # A palette of 256 is all that such a picture has, and a third of the bytes.
    Image.open(path).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python tests/screenshots.py", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*SCENES, []], metavar="NAME", help=f"of: {', '.join(SCENES)}")
    for name in parser.parse_args(argv).names or SCENES:
        path = DOCS / f"{name}.png"
        take(name, path)
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size:,} bytes", flush=True)
        if path.stat().st_size > MOST_BYTES:
            print(f"{path.name} is larger than {MOST_BYTES:,} bytes", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
