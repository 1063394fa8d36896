"""The Home tab, the settings and the review queue as people see and press them, in a real headless Chromium."""

import re

from playwright.async_api import expect
from sandbox_app import off_loop
from test_sandbox_page import column, page, pytestmark

from data import store, store_preferences, store_supervision
from data.knowledge import import_knowledge
from data.preferences import Preferences

__all__ = ["page", "pytestmark"]

pytest_plugins = ("bot_fixtures", "sandbox_fixtures")

CUSTOMER, AGENT, SUPERVISOR = "U0CUSTOMER1", "U0AGENT1", "U0SUPER1"
HELP = "C0HELP"


async def sent_reply(bot, sandbox):
    ts = (await off_loop(sandbox.message, HELP, CUSTOMER, "My invoice is wrong"))["ts"]
    await off_loop(sandbox.shortcut, HELP, AGENT, ts, "suggest_reply")
    row = await off_loop(bot.until, lambda: (r := bot.newest())["thread_ts"] == ts and r["state"] == "shown" and r)
    await off_loop(sandbox.action, AGENT, "accept", value=row["id"])
    await off_loop(bot.until, lambda: (d := store.decision(bot.db, row["id"])) and d.posted_ts)
    return row["id"]


async def test_an_agent_sees_their_drafts_and_sets_quiet_hours(bot, sandbox, model, page):
    await sent_reply(bot, sandbox)
    agent = column(page, "agent")
    await agent.locator("[data-place=home]").click()
    home = agent.locator(".home")
    await expect(home).to_contain_text("Reply · sent as drafted · Today at ")
    await expect(home.get_by_role("link", name="Open the thread").first).to_be_visible()
    await home.get_by_role("button", name="Change").click()
    form = agent.locator(".modal")
    await form.locator("select[data-block=tone]").select_option("warm")
    await form.locator("input[data-block=quiet_from]").fill("18:00")
    await form.get_by_role("button", name="Save").click()
    await expect(form.get_by_role("alert")).to_have_text("Quiet hours need both times, or none.")
    await form.locator("input[data-block=quiet_until]").fill("08:00")
    await form.get_by_role("button", name="Save").click()
    await expect(form).to_have_count(0)
    await expect(home).to_contain_text("Your settings are saved.")
    await expect(home).to_contain_text("18:00 to 08:00 (Europe/London, your Slack's time zone)")
    assert store_preferences.preferences(bot.db, AGENT) == Preferences("", "warm", "18:00", "08:00")


async def test_a_supervisor_confirms_before_promotions_are_held(bot, sandbox, model, page):
    supervisor = column(page, "supervisor")
    await supervisor.locator("[data-place=home]").click()
    asked = []
    page.once("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss())[1])
    await supervisor.get_by_role("button", name="Hold promotions").click()
    assert asked and asked[0].startswith("Hold promotions?")
    assert store_supervision.hold(bot.db) is None
    page.once("dialog", lambda dialog: dialog.accept())
    await supervisor.get_by_role("button", name="Hold promotions").click()
    await expect(supervisor.locator(".home")).to_contain_text("Promotions are held by sofia since Today at ")


async def test_a_supervisor_says_what_is_wrong_with_a_reply(bot, sandbox, model, page):
    suggestion_id = await sent_reply(bot, sandbox)
    supervisor = column(page, "supervisor")
    await supervisor.locator("[data-place=C0SUPERVISORS]").click()
    review = supervisor.locator(".message").last
    await expect(review).to_contain_text("ana sent this draft as it was. Drafted by AI (base model).")
    await review.get_by_role("button", name="Bad").click()
    form = supervisor.locator(".modal")
    await form.locator("textarea").fill("It promises too much.")
    await form.get_by_role("button", name="Save").click()
    await expect(form).to_have_count(0)
    assert store_supervision.comments(bot.db, suggestion_id) == [(SUPERVISOR, "It promises too much.")]


async def test_a_supervisor_sees_acceptance_as_a_picture(bot, sandbox, model, page):
    await sent_reply(bot, sandbox)
    supervisor = column(page, "supervisor")
    await supervisor.locator("[data-place=home]").click()
    picture = supervisor.locator(".home img")
    await expect(picture).to_be_visible()
    await expect(picture).to_have_attribute("alt", re.compile("Replies: .* as drafted"))
    assert await picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 1000


async def test_a_person_goes_away_and_comes_back(bot, sandbox, model, page):
    agent = column(page, "agent")
    await agent.get_by_role("button", name="active").click()
    await expect(agent.locator(".presence")).to_have_text("○ away")
    assert (await off_loop(sandbox.state, AGENT))["presence"] == "away"
    await agent.locator(".presence").click()
    await expect(agent.locator(".presence")).to_have_text("● active")


async def test_who_asks_in_private_sees_the_question_at_once_and_rates_the_answer(bot, sandbox, model, page, tmp_path):
    (tmp_path / "reset.md").write_text("# Reset a password\n\nOpen Settings, then Security.\n")
    import_knowledge(bot.db, [tmp_path])
    agent = column(page, "agent")
    await agent.locator(".composer textarea").fill("/ask how do I reset a password?")
    await agent.locator(".composer textarea").press("Enter")
    await expect(agent.locator(".messages")).to_contain_text("You asked: how do I reset a password?")
    await expect(agent.locator(".messages")).to_contain_text("Open Settings, then Security")
    await agent.locator(".feedback").get_by_role("button", name="Good").click()
    await expect(agent.locator(".messages")).to_contain_text("Your 👍 is stored.")
