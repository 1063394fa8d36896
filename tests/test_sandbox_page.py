"""The sandbox's page in a real headless Chromium: what a person sees and presses reaches the app, and comes back."""

import asyncio
import re
import shutil

import pytest
import pytest_asyncio
from playwright.async_api import async_playwright, expect
from sandbox_app import AGENT, CUSTOMER, HELP, draft_blocks, off_loop
from sandbox_fixtures import PATIENCE

pytest_plugins = ["sandbox_fixtures", "sandbox_app"]

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="skipped: the sandbox's page in a browser; no chromium found")


@pytest_asyncio.fixture
async def page(sandbox):
    async with async_playwright() as playwright:
        expect.set_options(timeout=1000 * PATIENCE)
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS, timeout=1000 * PATIENCE)
        page = await browser.new_page(viewport={"width": 1680, "height": 980})
        page.set_default_timeout(1000 * PATIENCE)
        broken = []
        page.on("pageerror", lambda error: broken.append(str(error)))
        await page.goto(sandbox.url)
        yield page
        await browser.close()
        assert broken == []


def column(page, role):
    return page.locator(f".column.{role}")


async def test_a_customer_writes_and_the_agent_edits_the_draft_in_a_modal(sandbox, app, page):
    customer, agent = column(page, "customer"), column(page, "agent")
    await customer.locator(".composer textarea").fill("My *invoice* is <wrong> & late")
    await customer.locator(".composer textarea").press("Enter")
    await expect(agent.locator(".message .text").first).to_have_text("My invoice is <wrong> & late")
    await expect(agent.locator(".message .text b")).to_have_text("invoice")
    await expect(agent.locator(".message time").first).to_have_text(re.compile(r"^\d\d:\d\d$"))
    await agent.get_by_role("button", name="Suggest a reply").click()
    modal = agent.locator(".modal")
    await expect(modal.locator("textarea")).to_have_value("Hello")
    await modal.locator("textarea").fill("rude")
    await modal.get_by_role("button", name="Send").click()
    await expect(modal.get_by_role("alert")).to_have_text("Be kind.")
    await expect(modal.locator("textarea")).to_have_value("rude")
    await modal.locator("textarea").fill("We are sorry.")
    await modal.get_by_role("button", name="Send").click()
    await expect(modal).to_have_count(0)
    assert app.seen[-1]["view"]["state"]["values"]["draft"]["text"]["value"] == "We are sorry."
    await expect(page.locator("#problems-toggle")).to_have_text("No problems")


async def test_only_the_agent_sees_the_draft_and_presses_its_button(sandbox, app, page):
    ts = (await off_loop(sandbox.message, HELP, CUSTOMER, "hello"))["ts"]
    await app.client.chat_postEphemeral(channel=HELP, user=AGENT, thread_ts=ts, text="a draft", blocks=draft_blocks())
    ephemeral = column(page, "agent").locator(".message.ephemeral")
    await expect(ephemeral).to_contain_text("Only visible to you")
    await expect(page.locator(".message.ephemeral")).to_have_count(1)
    await ephemeral.get_by_role("button", name="Accept").click()
    await expect(ephemeral).to_contain_text("sent")
    await expect(ephemeral.get_by_role("button", name="Accept")).to_have_count(0)


async def test_a_supervisors_thumb_reaches_the_app_and_shows(sandbox, app, page):
    await app.client.chat_postMessage(channel="C0SUPERVISORS", text="please review")
    message = column(page, "supervisor").locator(".message")
    await message.hover()
    await message.get_by_title("React with 👍").click()
    await expect(message.locator(".reaction.mine")).to_have_text("👍 1")
    assert any(body.get("event", {}).get("reaction") == "+1" for body in app.seen)


async def test_a_message_is_pinned_in_its_menu_and_shows_who_did_it(sandbox, app, page):
    await off_loop(sandbox.message, HELP, CUSTOMER, "The yellow key opens the yard.")
    message, seen = column(page, "agent").locator(".message"), column(page, "customer").locator(".message .pinned")
    await message.hover()
    await message.get_by_title("Pin to channel").click()
    await expect(message.locator(".pinned")).to_have_text("Pinned by Ana Ruiz")
    await expect(seen).to_have_text("Pinned by Ana Ruiz")
    assert (await heard(app, lambda event: event["type"] == "pin_added"))["user"] == AGENT
    await message.get_by_title("Un-pin from channel").click()
    await expect(seen).to_have_count(0)
    await expect(page.locator("#problems-toggle")).to_have_text("No problems")


async def test_a_refused_call_shows_among_the_problems(sandbox, page):
    await off_loop(sandbox.command, HELP, AGENT, "/ask", "anyone?")
    await expect(page.locator("#problems-toggle")).to_have_text("1 problem")
    await page.locator("#problems-toggle").click()
    await expect(page.locator("#problems")).to_contain_text("no app is connected")
    await expect(page.locator("#connect")).to_contain_text("SLACK_API_URL=http://127.0.0.1:")


async def heard(app, wanted):
    """The first event that the app was sent and that is wanted."""
    async with asyncio.timeout(PATIENCE):
        while True:
            for body in app.seen:
                if wanted(body["event"]):
                    return body["event"]
            await asyncio.sleep(0.05)


async def test_the_messages_tab_shows_prompts_a_status_and_an_answer_that_grows(sandbox, app, page):
    thread = (await off_loop(sandbox.message, HELP, CUSTOMER, "My invoice is wrong"))["ts"]
    agent = column(page, "agent")
    await agent.locator(f'.message[data-ts="{thread}"]').click()
    await agent.get_by_role("button", name="Nightshift", exact=True).click()
    await expect(agent.locator(".composer-note")).to_have_text("Beside: #help, thread “My invoice is wrong”")
    for told in ("app_context_changed", "app_home_opened"):
        event = await heard(app, lambda event, told=told: event["type"] == told)
        assert event["context"]["entities"][0]["value"]["message_ts"] == thread
    prompts = [{"title": "Summarise it", "message": "Summarise the thread"}]
    await app.client.assistant_threads_setSuggestedPrompts(channel_id="D0AGENT1", title="Hello", prompts=prompts)
    await agent.get_by_role("button", name="Summarise it").click()
    await expect(agent.locator(".message .text").first).to_have_text("Summarise the thread")
    ts = (await heard(app, lambda event: event.get("text") == "Summarise the thread"))["ts"]
    await app.client.assistant_threads_setStatus(channel_id="D0AGENT1", thread_ts=ts, status="is reading it…")
    await expect(agent.locator(".status")).to_have_text("Nightshift is reading it…")
    stream = await app.client.chat_stream(channel="D0AGENT1", thread_ts=ts, buffer_size=1)
    await stream.append(markdown_text="The customer **wants** a &lt;refund&gt;")
    growing = agent.locator(".message.streaming")
    await expect(growing.locator(".text")).to_have_text("The customer wants a <refund>")
    await expect(growing.locator(".text b")).to_have_text("wants")
    await expect(agent.locator(".status")).to_have_count(0)
    await stream.append(markdown_text=" today")
    await expect(growing.locator(".text")).to_have_text("The customer wants a <refund> today")
    await stream.stop(markdown_text=".")
    await expect(growing).to_have_count(0)
    await expect(agent.locator(".replies .message .text")).to_have_text("The customer wants a <refund> today.")
    await expect(page.locator("#problems-toggle")).to_have_text("No problems")
