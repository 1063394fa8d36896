"""The picture on the supervisors' Home tab: drawn and uploaded once, shown again, and never in the way."""

import json
import urllib.request
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from bot_fixtures import Bot, ModelServer, bot_environment, open_store
from sandbox_fixtures import SandboxClient
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from test_bot_home import draft_for, home, shown, written

from bot import chart
from bot.acceptance import DAYS, acceptance_by
from bot.sandbox.files import kind_of
from data import store, store_pictures
from data.store_supervision import Decided

pytest_plugins = ("bot_fixtures", "sandbox_fixtures")

AGENT, SUPERVISOR, OTHER_SUPERVISOR = "U0AGENT1", "U0SUPER1", "U0SUPER2"
TODAY = date(2026, 11, 24)
DAY = TODAY.isoformat()


@pytest.fixture
def bot(sandbox: SandboxClient, model: ModelServer, tmp_path: Path) -> Iterator[Bot]:
    """A bot with a store of its own, in which an agent has sent one draft."""
    bot = Bot(bot_environment(sandbox, model, tmp_path), open_store(tmp_path))
    bot.start()
    decide(bot, sandbox)
    yield bot
    assert bot.stop() == 0
    bot.db.conn.close()


def decide(bot: Bot, sandbox: SandboxClient) -> None:
    suggestion_id = draft_for(bot, sandbox)
    sandbox.action(AGENT, "accept", value=suggestion_id)
    bot.until(lambda: (d := store.decision(bot.db, suggestion_id)) and d.posted_ts)


def picture_on(sandbox: SandboxClient, user: str = SUPERVISOR) -> dict:
    """The image block on this person's Home tab, once there is one."""
    view = sandbox.wait_for(user, lambda state: state["home"] and '"image"' in written(state["home"]) and state["home"])
    return next(block for block in view["blocks"] if block["type"] == "image")


def api(sandbox: SandboxClient) -> WebClient:
    return WebClient(sandbox.environment["SLACK_BOT_TOKEN"], base_url=sandbox.environment["SLACK_API_URL"])


def rows_of(*decided: Decided) -> list:
    return acceptance_by(lambda found: found.task, decided, today=TODAY)


def one(kind: str, *, count: int = 1, task: str = "reply") -> Decided:
    return Decided(day=DAY, kind=kind, task=task, channel_id="C1", adapter="base", count=count)


def test_a_picture_is_drawn_for_any_number_of_tasks():
    for tasks in (["reply"], ["reply", "summary", "answer"]):
        png = chart.draw(rows_of(*(one("accepted", task=task, count=3) for task in tasks)), today=TODAY)
        assert kind_of(png) == "image/png" and len(png) > 3000


def test_other_numbers_and_another_day_are_another_picture():
    rows = rows_of(one("accepted"))
    same = chart.fingerprint(rows_of(one("accepted")), today=TODAY)
    assert chart.fingerprint(rows, today=TODAY) == same
    assert chart.fingerprint(rows_of(one("dismissed")), today=TODAY) != same
    assert chart.fingerprint(rows, today=date(2026, 11, 25)) != same


def test_it_is_told_in_words_too():
    said = chart.in_words(rows_of(one("accepted", count=3), one("dismissed")))
    assert "Replies: 4 drafts: 75% as drafted, 0% edited, 25% dismissed." in said


def test_a_supervisor_sees_the_numbers_at_once_and_then_the_picture(bot, sandbox, model):
    assert "`" in written(home(sandbox, SUPERVISOR, f"last {DAYS} days"))
    block = picture_on(sandbox)
    file_id = block["slack_file"]["id"]
    with urllib.request.urlopen(f"{sandbox.url}/sandbox/file/{file_id}") as answer:
        assert answer.headers["Content-Type"] == "image/png" and len(answer.read()) > 3000
    assert "Replies: 1 draft: 100% as drafted" in block["alt_text"]
    bot.until(lambda: store_pictures.picture(bot.db, "T0SANDBOX"))
    assert sandbox.problems() == []


def test_it_is_uploaded_once_for_all_and_shown_at_once_from_then_on(bot, sandbox, model):
    home(sandbox, SUPERVISOR, "Your drafts")
    file_id = picture_on(sandbox)["slack_file"]["id"]
    kept = bot.until(lambda: store_pictures.picture(bot.db, "T0SANDBOX"))
    sandbox.fault(method="files.getUploadURLExternal", error="internal_error")
    home(sandbox, OTHER_SUPERVISOR, "Your drafts")
    assert picture_on(sandbox, OTHER_SUPERVISOR)["slack_file"]["id"] == file_id == kept.file_id
    assert sandbox.problems() == []


def test_new_numbers_are_drawn_an_hour_later(bot, sandbox, model):
    home(sandbox, SUPERVISOR, "Your drafts")
    picture_on(sandbox)
    kept = bot.until(lambda: store_pictures.picture(bot.db, "T0SANDBOX"))
    decide(bot, sandbox)
    home(sandbox, SUPERVISOR, "2 drafts: 100% as drafted")
    assert store_pictures.picture(bot.db, "T0SANDBOX") == kept
    with store.immediate(bot.db):
        old = json.dumps({"sha256": kept.sha256, "file_id": kept.file_id, "uploaded_at": "2026-01-01T00:00:00+00:00"})
        bot.db.execute("update meta set value = ? where key = 'picture/T0SANDBOX'", [old])
    home(sandbox, SUPERVISOR, "2 drafts: 100% as drafted")
    renewed = bot.until(lambda: (p := store_pictures.picture(bot.db, "T0SANDBOX")) and p.file_id != kept.file_id and p)
    assert renewed.sha256 != kept.sha256
    assert picture_on(sandbox)["slack_file"]["id"] == renewed.file_id


@pytest.mark.parametrize("error", ["missing_scope", "unknown_method"])
def test_without_the_scope_bars_of_characters_stay(bot, sandbox, model, error):
    sandbox.fault(method="files.getUploadURLExternal", error=error)
    home(sandbox, SUPERVISOR, f"last {DAYS} days")
    bot.until(lambda: any(problem.get("error") == error for problem in sandbox.problems()))
    assert "█" in written(sandbox.state(SUPERVISOR)["home"])
    assert store_pictures.picture(bot.db, "T0SANDBOX") is None


def test_a_picture_that_slack_is_still_working_on_is_shown_when_it_is_ready(bot, sandbox, model):
    sandbox.fault(files_ready_after_s=2.5)
    home(sandbox, SUPERVISOR, "Your drafts")
    picture_on(sandbox)
    refused = [problem for problem in sandbox.problems() if problem["method"] == "views.publish"]
    assert refused and "invalid slack file" in json.dumps(refused)


def test_a_picture_that_is_gone_is_drawn_anew_and_until_then_bars_of_characters_stand_there(bot, sandbox, model):
    store_pictures.keep_picture(bot.db, "T0SANDBOX", sha256="0" * 64, file_id="F0DELETED99")
    sandbox.fault(method="files.completeUploadExternal", delay_s=4)
    assert "█" in written(home(sandbox, SUPERVISOR, f"last {DAYS} days"))
    assert store_pictures.picture(bot.db, "T0SANDBOX") is None
    assert picture_on(sandbox)["slack_file"]["id"] != "F0DELETED99"


def test_it_never_takes_the_place_of_a_newer_home_tab(bot, sandbox, model):
    sandbox.fault(files_ready_after_s=2.5)
    view = home(sandbox, SUPERVISOR, "Hold promotions")
    bot.until(lambda: any(problem.get("method") == "views.publish" for problem in sandbox.problems()))
    sandbox.fault(method="files.getUploadURLExternal", error="internal_error", times=9)
    assert sandbox.action(SUPERVISOR, "hold_promotions", value="hold", view_id=view["id"])["ok"]
    shown(sandbox, SUPERVISOR, "Promotions are held")
    kept = bot.until(lambda: store_pictures.picture(bot.db, "T0SANDBOX"))
    assert "Promotions are held" in written(sandbox.state(SUPERVISOR)["home"])
    home(sandbox, SUPERVISOR, "Promotions are held")
    assert picture_on(sandbox)["slack_file"]["id"] == kept.file_id


def test_an_agent_gets_none(bot, sandbox, model):
    assert '"image"' not in written(home(sandbox, AGENT, "Your drafts"))
    assert store_pictures.picture(bot.db, "T0SANDBOX") is None


# The sandbox


def show(sandbox: SandboxClient, **image: object) -> None:
    block = {"type": "image", "alt_text": "a picture", **image}
    api(sandbox).views_publish(user_id=AGENT, view={"type": "home", "blocks": [block]})


def test_the_sandbox_takes_an_upload_in_slacks_three_steps_and_shows_it_in_blocks(sandbox):
    png = chart.draw(rows_of(one("accepted")), today=TODAY)
    uploaded = api(sandbox).files_upload_v2(file=png, filename="a.png", title="A")
    show(sandbox, slack_file={"id": uploaded["files"][0]["id"]})
    assert sandbox.problems() == []


@pytest.mark.parametrize(
    ("image", "complaint"),
    [
        ({}, "exactly one of `image_url` or `slack_file`"),
        ({"slack_file": {}}, "exactly one of `id` or `url`"),
        ({"slack_file": {"id": "F0ABCDEFGH", "url": "https://x.io/a.png"}}, "exactly one of `id` or `url`"),
        ({"slack_file": {"id": "F0ABCDEFGH"}}, "invalid slack file"),
        ({"slack_file": {"id": "nope"}}, "regex pattern"),
        ({"slack_file": {"file": "F0ABCDEFGH"}}, "invalid additional property: file"),
    ],
)
def test_the_sandbox_refuses_a_picture_that_slack_would_not_show(sandbox, image, complaint):
    with pytest.raises(SlackApiError, match=complaint):
        show(sandbox, **image)


def test_the_sandbox_refuses_a_text_as_a_picture_and_an_upload_that_is_not_what_was_announced(sandbox):
    text = api(sandbox).files_upload_v2(file=b"no picture", filename="a.png")
    with pytest.raises(SlackApiError, match="invalid slack file"):
        show(sandbox, slack_file={"id": text["files"][0]["id"]})
    with pytest.raises(SlackApiError, match="invalid_arguments"):
        api(sandbox).files_getUploadURLExternal(filename="a.png", length=0)
    begun = api(sandbox).files_getUploadURLExternal(filename="a.png", length=3)
    with pytest.raises(SlackApiError, match="file_not_found"):
        api(sandbox).files_completeUploadExternal(files=[{"id": begun["file_id"], "title": "a"}])
    request = urllib.request.Request(begun["upload_url"], b"four", {"Content-Type": "application/octet-stream"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    refused.value.close()
