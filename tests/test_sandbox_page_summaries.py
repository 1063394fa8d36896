"""A summary on the sandbox's page, in a real headless Chromium: headings, and links that lead to their messages."""

import asyncio

from playwright.async_api import expect
from sandbox_app import AGENT, CUSTOMER, HELP, off_loop
from test_sandbox_page import column, page, pytestmark

from bot.blocks_summary import summary_messages

__all__ = ["page", "pytestmark"]

pytest_plugins = ["sandbox_fixtures", "sandbox_app"]


async def test_a_line_of_a_summary_leads_to_its_message(sandbox, app, page):
    first = (await off_loop(sandbox.message, HELP, CUSTOMER, "my lamp is broken"))["ts"]
    reply = (await off_loop(sandbox.message, HELP, AGENT, "a new one is on its way", first))["ts"]
    for n in range(45):
        await off_loop(sandbox.message, HELP, CUSTOMER, f"something else {n}")
    link = (await app.client.chat_getPermalink(channel=HELP, message_ts=reply))["permalink"]
    text = "Customer wants: a new lamp\nDone: a new one is on its way"
    ((top, blocks),) = summary_messages(text, {"a new one is on its way": link}, {})
    await app.client.chat_postEphemeral(channel=HELP, user=AGENT, text=top, blocks=blocks)
    agent = column(page, "agent")
    summary = agent.locator(".message.ephemeral")
    await expect(summary.locator("b").nth(1)).to_have_text("Customer wants")
    await expect(summary.get_by_role("link")).to_have_count(1)
    # It is marked for a moment only: looked for in the page itself, from before the click on.
    found, _ = await asyncio.gather(
        page.wait_for_selector(".column.agent .message.found .text"),
        summary.get_by_role("link", name="message").click(),
    )
    assert await found.inner_text() == "a new one is on its way"
    await expect(agent.locator(f'.message[data-ts="{reply}"]')).to_be_in_viewport()
    assert len(page.context.pages) == 1
