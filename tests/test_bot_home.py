"""The Home tab: what each person sees on it, what its buttons do, and for whom."""

import json
from pathlib import Path

import pytest
from bot_fixtures import BASE, CONTEXT, Bot, last_ephemeral, tokens
from sandbox_fixtures import Refused, SandboxClient
from slack_sdk import WebClient

from data import store, store_preferences, store_replies, store_supervision
from data.knowledge import import_knowledge
from data.preferences import Preferences
from data.prompts import WISHES
from serving import promotion

pytest_plugins = ("bot_fixtures", "sandbox_fixtures")

CUSTOMER, AGENT, OTHER_AGENT = "U0CUSTOMER1", "U0AGENT1", "U0AGENT2"
SUPERVISOR, ADMIN = "U0SUPER1", "U0ADMIN1"
HELP = "C0HELP"


def home(sandbox: SandboxClient, user: str, has: str) -> dict:
    """This person's Home tab after a visit, once it shows `has`."""
    sandbox.home(user)
    return shown(sandbox, user, has)


def shown(sandbox: SandboxClient, user: str, has: str) -> dict:
    return sandbox.wait_for(user, lambda state: state["home"] and has in written(state["home"]) and state["home"])


def written(view: dict) -> str:
    return json.dumps(view["blocks"], ensure_ascii=False)


def draft_for(bot: Bot, sandbox: SandboxClient, text: str = "My invoice is wrong", agent: str = AGENT) -> str:
    ts = sandbox.message(HELP, CUSTOMER, text)["ts"]
    assert sandbox.shortcut(HELP, agent, ts, "suggest_reply")["ok"]
    return bot.until(lambda: (r := bot.newest())["thread_ts"] == ts and r["state"] == "shown" and r)["id"]


def press(sandbox: SandboxClient, user: str, action_id: str, value: str) -> dict:
    return sandbox.action(user, action_id, value=value, view_id=sandbox.state(user)["home"]["id"])


def publish_adapter(bot: Bot, folder: Path, name: str) -> None:
    (folder / name).mkdir(exist_ok=True)
    store.record_adapter(
        bot.db, name=name, run_id=f"run-{name}", base=BASE.hash, path=str(folder / name), sha256=name, pair_ids=[],
        config={},
    )  # fmt: skip
    promotion.promote(bot.db, "reply", name, base=BASE.hash, cause="manual", forced=True)


def test_an_agent_sees_their_own_drafts_and_what_became_of_them(bot, sandbox, model):
    model.answer = lambda messages: "It is <!channel> paid & done."
    sent = draft_for(bot, sandbox)
    sandbox.action(AGENT, "accept", value=sent)
    bot.until(lambda: (d := store.decision(bot.db, sent)) and d.posted_ts)
    model.answer = lambda messages: "The draft of somebody else."
    draft_for(bot, sandbox, agent=OTHER_AGENT)
    seen = written(home(sandbox, AGENT, "sent as drafted"))
    assert "It is &lt;!channel&gt; paid &amp; done." in seen
    assert "|Open the thread>" in seen and "<!date^" in seen
    assert "somebody else" not in seen and "Roll back" not in seen and "Worst rated" not in seen
    assert sandbox.problems() == []


def test_every_visit_publishes_anew(bot, sandbox, model):
    first = home(sandbox, AGENT, "Your drafts")
    suggestion_id = draft_for(bot, sandbox, "A new question")
    assert "waiting for your decision" in written(home(sandbox, AGENT, "waiting for your decision"))
    sandbox.action(AGENT, "dismiss", value=suggestion_id)
    bot.until(lambda: store.decision(bot.db, suggestion_id))
    assert home(sandbox, AGENT, "dismissed")["id"] == first["id"]


def test_a_draft_whose_message_vanished_is_shown_again_and_sent_from_the_direct_message(bot, sandbox, model):
    suggestion_id = draft_for(bot, sandbox, "Lost on reload")
    ts = bot.newest()["thread_ts"]
    home(sandbox, AGENT, suggestion_id)
    press(sandbox, AGENT, "show_draft", suggestion_id)
    shown(sandbox, AGENT, "The draft is in our direct message.")
    (message,) = sandbox.channel(AGENT, "D0AGENT1")["messages"]
    sandbox.action(AGENT, "accept", value=suggestion_id, channel="D0AGENT1", message_ts=message["ts"])
    bot.until(lambda: (d := store.decision(bot.db, suggestion_id)) and d.posted_ts)
    (thread,) = (m for m in sandbox.channel(CUSTOMER, HELP)["messages"] if m["ts"] == ts)
    assert [reply["text"] for reply in thread["replies"]] == [message["text"]]
    bot.until(lambda: "Sent." in sandbox.channel(AGENT, "D0AGENT1")["messages"][0]["text"])
    sandbox.home(AGENT)
    sandbox.wait_for(AGENT, lambda state: suggestion_id not in written(state["home"]))


def test_a_summary_that_is_shown_again_keeps_its_sections(bot, sandbox, model):
    model.answer = lambda messages: "Customer wants: a refund.\nDone: nothing.\nOpen: the refund.\nNext step: pay."
    ts = sandbox.message(HELP, CUSTOMER, "Please refund me")["ts"]
    sandbox.shortcut(HELP, AGENT, ts, "summarize_thread")
    row = bot.until(lambda: (r := bot.newest())["task"] == "summary" and r["state"] == "shown" and r)
    first = last_ephemeral(sandbox, AGENT, row["id"])
    home(sandbox, AGENT, row["id"])
    press(sandbox, AGENT, "show_draft", row["id"])
    shown(sandbox, AGENT, "The draft is in our direct message.")
    again = sandbox.channel(AGENT, "D0AGENT1")["messages"][-1]
    sections = [block["text"]["text"] for block in again["blocks"] if block["type"] == "section"]
    assert sections == [block["text"]["text"] for block in first["blocks"] if block["type"] == "section"]
    assert "*Customer wants*" in sections[0] and "thread that it was written for" not in json.dumps(again)


def test_what_was_taken_back_is_called_so_and_what_was_withdrawn_unsent_too(bot, sandbox, model):
    taken, refreshed = draft_for(bot, sandbox, "Sent too early"), draft_for(bot, sandbox, "Never sent")
    sandbox.action(AGENT, "accept", value=taken)
    bot.until(lambda: (d := store.decision(bot.db, taken)) and d.posted_ts)
    last_ephemeral(sandbox, AGENT, "take_back")
    sandbox.action(AGENT, "take_back", value=taken)
    bot.until(lambda: (w := store_replies.withdrawal(bot.db, taken)) and w.deleted_at)
    store.decide(bot.db, refreshed, kind="accepted", text="Hello", reason=None, decided_by=AGENT)
    store_replies.withdraw(bot.db, refreshed, cause="refreshed", withdrawn_by=AGENT)
    view = home(sandbox, AGENT, "taken back")
    found = [b["text"]["text"] for b in view["blocks"] if b.get("text", {}).get("text", "").startswith("*Reply*")]
    newer, older = found[:2]
    assert "*Reply* · not sent: a new draft was asked for" in newer
    assert "*Reply* · taken back" in older and "|Open the thread>" in older


def test_nobody_is_shown_a_draft_that_was_written_for_somebody_else(bot, sandbox, model):
    suggestion_id = draft_for(bot, sandbox, "For one agent")
    publish_button(sandbox, OTHER_AGENT, "show_draft", suggestion_id)
    press(sandbox, OTHER_AGENT, "show_draft", suggestion_id)
    told = sandbox.wait_for(OTHER_AGENT, lambda s: [m for c in s["channels"] if c["is_im"] for m in c["messages"]])
    assert [m["text"] for m in told] == ["This draft was written for somebody else."]


def test_a_customer_is_told_what_the_app_is_for_and_nothing_of_the_teams(bot, sandbox, model):
    draft_for(bot, sandbox)
    (block,) = home(sandbox, CUSTOMER, "Ask me")["blocks"]
    assert block["type"] == "section"


def test_the_messages_tab_publishes_no_home(bot, sandbox, model):
    sandbox.home(AGENT, "messages")
    home(sandbox, OTHER_AGENT, "Your drafts")
    assert sandbox.state(AGENT)["home"] is None


def test_settings_are_saved_shown_and_kept_append_only(bot, sandbox, model):
    home(sandbox, AGENT, "the language of what was said")
    set_wishes(sandbox, AGENT, language="German", tone="warm", quiet_from="18:00", quiet_until="08:30")
    seen = written(shown(sandbox, AGENT, "Your settings are saved."))
    assert "German" in seen and "18:00 to 08:30 (Europe/London" in seen
    set_wishes(sandbox, AGENT, language="none", tone="none", quiet_from=None, quiet_until=None)
    shown(sandbox, AGENT, "*Quiet hours:* none")
    assert store_preferences.preferences(bot.db, AGENT) == Preferences()
    assert bot.db.execute("select count(*) from preferences where user_id = ?", [AGENT]).fetchone() == (2,)


def set_wishes(sandbox: SandboxClient, user: str, **wishes: str | None) -> dict:
    press(sandbox, user, "open_settings", "settings")
    view = sandbox.wait_for(user, lambda state: state["views"] and state["views"][-1])
    return sandbox.submit(user, view["id"], {block: {"value": value} for block, value in wishes.items()})


def test_quiet_hours_with_one_time_alone_are_refused_under_the_other(bot, sandbox, model):
    home(sandbox, OTHER_AGENT, "Your settings")
    answer = set_wishes(sandbox, OTHER_AGENT, quiet_from="18:00", quiet_until=None)
    assert answer["errors"] == {"quiet_until": "Quiet hours need both times, or none."}
    assert store_preferences.preferences(bot.db, OTHER_AGENT) == Preferences()


def test_wishes_go_into_the_prompts_of_who_has_them_and_of_nobody_else(bot, sandbox, model, tmp_path):
    wishes = Preferences(language="German", tone="formal")
    store_preferences.set_preferences(bot.db, "U0AGENT3", wishes, request_key="wishes-of-3")
    draft_for(bot, sandbox, "One", agent="U0AGENT3")
    draft_for(bot, sandbox, "Two", agent="U0AGENT4")
    theirs, plain = (asked["messages"][0]["content"] for asked in model.asked)
    assert theirs == plain + " Write formally."
    import_knowledge(bot.db, [write_article(tmp_path)], progress=False)
    sandbox.command(HELP, "U0AGENT3", "/ask", "reset password")
    bot.until(lambda: len(model.asked) == 3)
    assert model.asked[-1]["messages"][0]["content"].endswith(" Write in German.")


def test_a_tone_holds_for_another_draft_beside_what_was_wished_for_it(bot, sandbox, model):
    wishes = Preferences(tone="formal")
    store_preferences.set_preferences(bot.db, "U0AGENT3", wishes, request_key="tone-of-3")
    row = draft_for(bot, sandbox, "A short one, please", agent="U0AGENT3")
    sandbox.action("U0AGENT3", "rewrite", value=f"shorter:{row}")
    bot.until(lambda: len(model.asked) == 2)
    first, second = (asked["messages"][0]["content"] for asked in model.asked)
    assert second == first.removesuffix(" Write formally.") + f" {WISHES['shorter']} Write formally."


def test_a_tone_and_a_wish_for_another_draft_are_counted_where_a_thread_fills_the_context(bot, sandbox, model):
    agent, room = "U0AGENT3", CONTEXT - CONTEXT // 4
    ts = sandbox.message(HELP, CUSTOMER, "hello")["ts"]
    for _ in range(60):
        sandbox.message(HELP, CUSTOMER, "hello", ts)
    sandbox.message(HELP, CUSTOMER, "word " * ((room - 200) * 4 // 5), ts)
    store_preferences.set_preferences(bot.db, agent, Preferences(tone="formal"), request_key="long-of-3")
    sandbox.shortcut(HELP, agent, ts, "suggest_reply")
    row = bot.until(lambda: (r := bot.newest())["thread_ts"] == ts and r["state"] == "shown" and r)
    sandbox.action(agent, "rewrite", value=f"shorter:{row['id']}")
    bot.until(lambda: (r := bot.newest())["id"] != row["id"] and r["state"] in ("shown", "failed"))
    assert model.refusals == [] and bot.newest()["state"] == "shown"
    # Without its last two sentences the prompt would have left room for more of the thread.
    assert room - 6 <= tokens(model.asked[-1]["messages"]) <= room


def write_article(folder: Path) -> Path:
    (folder / "reset.md").write_text("# Reset a password\n\nOpen Settings, then Security.\n")
    return folder


def test_a_supervisor_sees_acceptance_ratings_and_dismissed_drafts(bot, sandbox, model):
    model.answer = lambda messages: "A bad text."
    bad = draft_for(bot, sandbox, "Rate this")
    sandbox.action(AGENT, "accept", value=bad)
    bot.until(lambda: (d := store.decision(bot.db, bad)) and d.posted_ts)
    store.rate(bot.db, suggestion_id=bad, user_id=SUPERVISOR, role="supervisor", value=-1, request_key="bad-1")
    store_supervision.comment(
        bot.db, suggestion_id=bad, user_id=SUPERVISOR, text="Too <cold> & short", request_key="bad-2"
    )
    dismissed = draft_for(bot, sandbox, "Dismiss this")
    store.decide(bot.db, dismissed, kind="dismissed", text=None, reason="wrong_tone", decided_by=AGENT)
    view = home(sandbox, SUPERVISOR, "Worst rated")
    seen = written(view)
    assert "1 👎 · sent as drafted" in seen and "sofia: Too &lt;cold&gt; &amp; short" in seen
    assert "dismissed by ana: wrong tone" in seen
    assert f"<#{HELP}> · " in seen and "% as drafted" in seen
    assert [p for p in sandbox.problems() if p["method"] == "views.publish"] == []


def test_a_question_that_found_nothing_is_a_gap_for_supervisors(bot, sandbox, model):
    sandbox.command(HELP, AGENT, "/ask", "Do you sell unicycles?")
    bot.until(lambda: bot.newest()["state"] == "failed")
    seen = written(home(sandbox, SUPERVISOR, "Do you sell unicycles?"))
    assert "Nothing found for a question" in seen and "*Once*, the last <!date^" in seen


def test_admins_see_what_supervisors_see(bot, sandbox, model):
    assert "Worst rated" in written(home(sandbox, ADMIN, "Worst rated"))


def test_a_supervisor_rolls_back_once_however_often_the_button_is_pressed(bot, sandbox, model, tmp_path):
    for name in ("night-one", "night-two"):
        publish_adapter(bot, tmp_path, name)
    view = home(sandbox, SUPERVISOR, "night-two")
    button = next(b["accessory"] for b in view["blocks"] if b.get("accessory", {}).get("action_id") == "roll_back")
    assert button["confirm"]["title"]["text"] == "Roll back replies?" and button["value"] == "reply night-two"
    # The other supervisor's view is older than the first one's press.
    home(sandbox, "U0SUPER2", "night-two")
    press(sandbox, SUPERVISOR, "roll_back", "reply night-two")
    shown(sandbox, SUPERVISOR, "Rolled back: the task reply is served by night-one now.")
    press(sandbox, "U0SUPER2", "roll_back", "reply night-two")
    shown(sandbox, "U0SUPER2", "Nothing was rolled back: night-one serves the task reply by now.")
    assert promotion.live_adapter(bot.db, "reply", BASE.hash) == "night-one"


def test_promotions_are_held_and_allowed_again(bot, sandbox, model):
    home(sandbox, SUPERVISOR, "Hold promotions")
    press(sandbox, SUPERVISOR, "hold_promotions", "hold")
    seen = written(shown(sandbox, SUPERVISOR, "Promotions are held* by sofia"))
    assert "Allow promotions" in seen
    standing = store_supervision.hold(bot.db)
    assert standing is not None and standing.decided_by == SUPERVISOR
    press(sandbox, SUPERVISOR, "release_promotions", "release")
    shown(sandbox, SUPERVISOR, "Nights may promote again.")
    assert store_supervision.hold(bot.db) is None


def test_learning_is_paused_in_a_channel(bot, sandbox, model):
    sandbox.command(HELP, ADMIN, "/nightshift", "consent on")
    bot.until(lambda: (c := store.consent(bot.db, HELP)) and c.granted)
    assert "switched on by priya" in written(home(sandbox, SUPERVISOR, "switched on by priya"))
    press(sandbox, SUPERVISOR, "pause_learning", HELP)
    shown(sandbox, SUPERVISOR, "I no longer learn from that channel")
    consent = store.consent(bot.db, HELP)
    assert consent is not None and (consent.granted, consent.granted_by) == (False, SUPERVISOR)


@pytest.mark.parametrize("action_id", ["roll_back", "hold_promotions", "release_promotions", "pause_learning"])
def test_the_supervisors_buttons_are_not_on_an_agents_home(bot, sandbox, model, action_id):
    home(sandbox, AGENT, "Your settings")
    with pytest.raises(Refused):
        sandbox.action(AGENT, action_id, view_id=sandbox.state(AGENT)["home"]["id"])


def test_the_newest_nights_verdict_is_read_from_the_store(bot, sandbox, model):
    sandbox.command(HELP, ADMIN, "/nightshift", "consent on")
    bot.until(lambda: (c := store.consent(bot.db, HELP)) and c.granted)
    model.answer = lambda messages: "What the agent wrote."
    pair = draft_for(bot, sandbox, "A held-out case")
    sandbox.action(AGENT, "accept", value=pair)
    bot.until(lambda: (d := store.decision(bot.db, pair)) and d.posted_ts)
    night(bot, pair)
    seen = written(home(sandbox, SUPERVISOR, "Newest night"))
    assert "*Replies*: promoted. Better than the incumbent" in seen
    assert (
        "2.50 nats per token before (base), 2.10 after, on 120 texts of 110 threads; better on 71%, worse on 2" in seen
    )
    assert "0.40 nats per token worse" in seen and "> What the agent wrote." in seen
    assert "(its text has been erased)" in seen
    assert (
        "_Agent_\\n> What the agent wrote.\\n_Before_\\n> What the base wrote.\\n_After_\\n> What the adapter writes."
        in seen
    )


def night(bot: Bot, pair_id: str) -> None:
    run_id = store.start_run(bot.db, base=BASE.hash)
    report = {
        "reason": "Better than the incumbent by 0.400 nats per token.", "incumbent": "base", "threads": 110,
        "cases": 120, "losses": {"candidate": 2.1, "incumbent": 2.5, "base": 2.5}, "wins": 0.71,
        "worse": [{"pair_id": pair_id, "thread_id": "t", "nats_per_token": -0.4},
                  {"pair_id": "gone", "thread_id": "t", "nats_per_token": -0.2}],
    }  # fmt: skip
    report_id = store.record_gate_report(bot.db, run_id=run_id, task="reply", passed=True, report=report)
    store_supervision.record_written(bot.db, report_id, [(pair_id, "What the base wrote.", "What the adapter writes.")])
    store.update_run(bot.db, run_id, status="done", outcome="promoted", promoted=["reply"], adapter="night-x")


@pytest.mark.parametrize(
    ("action_id", "value"),
    [
        ("roll_back", "reply night-9"),
        ("hold_promotions", "hold"),
        ("release_promotions", "release"),
        ("pause_learning", HELP),
    ],
)
def test_who_is_no_supervisor_any_more_presses_an_old_button_in_vain_and_is_told(bot, sandbox, model, action_id, value):
    store.set_consent(bot.db, HELP, granted_by=ADMIN, granted=True, request_key=f"on-{action_id}")
    store_supervision.set_hold(bot.db, held=True, decided_by=SUPERVISOR, request_key=f"held-{action_id}")
    publish_button(sandbox, AGENT, action_id, value)
    press(sandbox, AGENT, action_id, value)
    told = sandbox.wait_for(AGENT, lambda state: [m for c in state["channels"] if c["is_im"] for m in c["messages"]])
    assert "Only supervisors and admins can do this." in told[0]["text"]
    assert store_supervision.hold(bot.db) is not None
    consent = store.consent(bot.db, HELP)
    assert consent is not None and consent.granted
    store_supervision.set_hold(bot.db, held=False, decided_by=SUPERVISOR, request_key=f"free-{action_id}")


def publish_button(sandbox: SandboxClient, user: str, action_id: str, value: str) -> None:
    """A Home tab as it was published when this person still was a supervisor."""
    button = {"type": "button", "action_id": action_id, "value": value, "text": {"type": "plain_text", "text": "Press"}}
    slack = WebClient(sandbox.environment["SLACK_BOT_TOKEN"], base_url=sandbox.environment["SLACK_API_URL"])
    slack.views_publish(user_id=user, view={"type": "home", "blocks": [{"type": "actions", "elements": [button]}]})
