"""A draft and what stands around it, as an agent meets it: the real bot, the sandbox's page, a headless browser."""

import re

from playwright.async_api import expect
from test_sandbox_page import column, page, pytestmark  # noqa: F401

pytest_plugins = ("bot_fixtures", "sandbox_fixtures")


async def draft(page, text="My invoice is wrong"):  # noqa: F811
    customer, agent = column(page, "customer"), column(page, "agent")
    await expect(customer.locator(".title")).to_contain_text("#help")
    await customer.locator(".composer textarea").fill(text)
    await customer.locator(".composer textarea").press("Enter")
    await agent.get_by_role("button", name="Suggest a reply").last.click()
    shown = agent.locator(".message.ephemeral").last
    await expect(shown.get_by_role("button", name="Send")).to_be_visible()
    return agent, shown


async def test_an_agent_asks_why_wishes_for_a_shorter_one_and_says_what_was_wrong(bot, sandbox, model, page):  # noqa: F811
    agent, shown = await draft(page)
    await shown.get_by_role("button", name="Why this?").click()
    modal = agent.locator(".modal")
    await expect(modal).to_contain_text("Written by the base model")
    await modal.get_by_role("button", name="Close").last.click()
    model.answer = lambda messages: "Today."
    await shown.get_by_label("More").select_option("Shorter")
    shorter = agent.locator(".message.ephemeral").last
    await expect(shorter).to_contain_text("Shorter, as you asked.")
    await shorter.get_by_role("button", name="Dismiss").click()
    await expect(shorter).to_contain_text("What was wrong with it?")
    await shorter.get_by_role("button", name="Missing step").click()
    await expect(shorter).to_contain_text("Dismissed: missing step. Thank you.")
    await expect(page.locator("#problems-toggle")).to_have_text("No problems")


async def test_an_agent_is_told_that_the_thread_moved_on_sends_anyway_and_takes_it_back(bot, sandbox, model, page):  # noqa: F811
    agent, shown = await draft(page)
    customer = column(page, "customer")
    await customer.locator(".thread-toggle").last.click()
    await customer.get_by_label("Reply in thread").last.fill("Never mind.")
    await customer.get_by_label("Reply in thread").last.press("Enter")
    await expect(agent.locator(".replies")).to_contain_text("Never mind.")
    await shown.get_by_role("button", name="Edit").click()
    modal = agent.locator(".modal")
    await modal.locator("textarea").fill("Glad to hear it.")
    await modal.locator("select").select_option("Outdated")
    await modal.get_by_role("button", name="Send").click()
    unsent = agent.locator(".message.ephemeral", has_text="Glad to hear it.")
    await expect(unsent).to_contain_text("Not sent: 1 message has come")
    await unsent.get_by_role("button", name="Send anyway").click()
    await expect(customer.locator(".replies")).to_contain_text("Glad to hear it.")
    await agent.get_by_role("button", name="Take it back").click()
    await expect(customer.locator(".replies")).not_to_contain_text("Glad to hear it.")
    await expect(agent.locator(".message.ephemeral", has_text=re.compile("Taken back"))).to_be_visible()
    await expect(page.locator("#problems-toggle")).to_have_text("No problems")
