"""The Home tab: published at every visit and after every press, for the person who looks at it."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot import (
    blocks,
    blocks_feedback,
    blocks_gaps,
    blocks_home,
    decisions,
    home_chart,
    night_report,
    slack,
    supervision,
)
from bot.acceptance import DAYS, acceptance_by
from bot.blocks_home import HomePage, Supervision
from bot.desk import Desk
from bot.gathering import gather
from bot.slack import Click, Json
from data import store, store_circumstances, store_desk, store_gaps, store_preferences, store_supervision
from data.errors import NotAllowed
from data.models import BASE, TASKS, GateReport, Run
from data.preferences import LANGUAGES, Preferences
from data.store_gaps import Gap
from data.store_supervision import Case, ListedDraft, Written
from serving import promotion

FROM_HOME = "Shown again from the Home tab."
WHERE_TO = "It goes to the thread that it was written for."
OWN_SHOWN = 8
OWN_GAPS_SHOWN = 3
WORST_SHOWN = 5
DISMISSED_SHOWN = 5


def register_home(app: AsyncApp, desk: Desk) -> None:
    """Listen to visits of the Home tab, to its buttons and to the settings' form."""

    async def is_home_tab(event: Json) -> bool:
        return event.get("tab") == "home"

    @app.event("app_home_opened", matchers=[is_home_tab])
    async def opened(event: Json) -> None:
        await publish(desk, event["user"])

    @app.action("roll_back")
    async def roll_back(ack: AsyncAck, body: Json) -> None:
        said = await supervision.roll_back(desk, slack.click_of(body))
        await ack()
        await publish(desk, body["user"]["id"], notice=said)

    @app.action("undo_roll_back")
    async def undo(ack: AsyncAck, body: Json) -> None:
        said = await supervision.undo_roll_back(desk, slack.click_of(body))
        await ack()
        await publish(desk, body["user"]["id"], notice=said)

    @app.action("hold_promotions")
    async def hold(ack: AsyncAck, body: Json) -> None:
        said = await supervision.hold(desk, slack.click_of(body), held=True)
        await ack()
        await publish(desk, body["user"]["id"], notice=said)

    @app.action("release_promotions")
    async def release(ack: AsyncAck, body: Json) -> None:
        said = await supervision.hold(desk, slack.click_of(body), held=False)
        await ack()
        await publish(desk, body["user"]["id"], notice=said)

    @app.action("pause_learning")
    async def pause(ack: AsyncAck, body: Json) -> None:
        said = await supervision.pause_learning(desk, slack.click_of(body))
        await ack()
        await publish(desk, body["user"]["id"], notice=said)

    @app.action("show_draft")
    async def show_draft(ack: AsyncAck, body: Json) -> None:
        await ack()
        await show_again(desk, slack.click_of(body))
        await publish(desk, body["user"]["id"], notice="The draft is in our direct message.")

    @app.action("open_settings")
    async def open_settings(ack: AsyncAck, body: Json) -> None:
        await ack()
        user_id = body["user"]["id"]
        preferences = store_preferences.preferences(desk.db, user_id)
        view = blocks_home.settings_modal(preferences, str(await desk.workspace.time_zone(user_id)))
        await desk.workspace.open_modal(body["trigger_id"], view)

    @app.view("settings")
    async def save_settings(ack: AsyncAck, body: Json, view: Json) -> None:
        user_id = body["user"]["id"]
        if not await _drafts(desk, user_id):
            raise NotAllowed("Only support agents have settings. An admin can add you to AGENTS.")
        preferences = preferences_of(view["state"]["values"])
        if bool(preferences.quiet_from) != bool(preferences.quiet_until):
            missing = "quiet_until" if preferences.quiet_from else "quiet_from"
            await ack(response_action="errors", errors={missing: "Quiet hours need both times, or none."})
            return
        if preferences.quiet_from and preferences.quiet_from == preferences.quiet_until:
            await ack(response_action="errors", errors={"quiet_until": "Quiet hours that end as they begin are none."})
            return
        store_preferences.set_preferences(desk.db, user_id, preferences, request_key=view["id"])
        await ack()
        await publish(desk, user_id, notice="Your settings are saved.")


async def show_again(desk: Desk, click: Click) -> None:
    """Show a draft that waits for its agent once more, in their direct message; what could not be sent, as such.

    Raises NotAllowed, DeskError.
    """
    suggestion = await decisions.draft_of(desk, click)
    if suggestion.requested_by != click.user_id:
        raise NotAllowed("This draft was written for somebody else.")
    if (unsent := decisions.unsent_decision(desk, suggestion)) is not None:
        await desk.workspace.whisper(decisions.unsent(suggestion, unsent), slack.Address("", click.user_id))
        return
    decisions.expect_undecided(desk, suggestion)
    titles = store_desk.source_titles(desk.db, suggestion.id)
    remarks = [f"{FROM_HOME} {WHERE_TO}" if suggestion.task == "reply" else FROM_HOME]
    body = await desk.body(suggestion, suggestion.draft or "")
    below = blocks_feedback.under_answer(suggestion, suggestion.draft or "")
    shown = blocks.draft_messages(suggestion, titles=titles, remarks=remarks, body=body, below=below)
    await desk.workspace.whisper(shown, slack.Address("", click.user_id))


async def publish(desk: Desk, user_id: str, *, notice: str = "") -> None:
    """Show one person their Home tab as things stand now."""
    page = await home_page(desk, user_id, notice=notice)

    async def show(file_id: str, instead_of: str) -> str:
        view = {"type": "home", "blocks": blocks_home.home_blocks(replace(page, picture=file_id))}
        answer = await desk.workspace.call("views.publish", user_id=user_id, view=view, hash=instead_of)
        return str((answer.get("view") or {}).get("hash", ""))

    await home_chart.publish(desk, list(page.supervision.tasks) if page.supervision else [], show)


async def home_page(desk: Desk, user_id: str, *, notice: str = "") -> HomePage:
    """What one person sees: nothing of anybody else's but for supervisors and admins."""
    supervises, drafts = await supervision.supervises(desk, user_id), await _drafts(desk, user_id)
    if supervises:
        await gather(desk.db)
    supervised = _supervision(desk) if supervises else None
    own = store_supervision.own_drafts(desk.db, user_id, limit=OWN_SHOWN) if drafts else None
    listed = [*(own or ()), *((*supervised.worst, *supervised.dismissed) if supervised else ())]
    # Supervisors see theirs among all.
    given = store_gaps.open_gaps(desk.db, limit=OWN_GAPS_SHOWN, owner=user_id) if drafts and not supervises else []
    gaps = [*given, *(supervised.gaps if supervised else ())]
    people = (_people(supervised) if supervised else set()) | owners(gaps)
    preferences = store_preferences.preferences(desk.db, user_id) if drafts else None
    places = {draft.suggestion_id: (draft.channel_id, _stands_at(draft)) for draft in listed}
    links, of_gaps, cases, names, zone = await asyncio.gather(
        _links(desk, places),
        gap_links(desk, gaps),
        case_links(desk, supervised.cases.values() if supervised else ()),
        names_of(desk, people),
        _zone(desk, user_id, preferences),
    )
    return HomePage(
        drafts=own,
        preferences=preferences,
        zone=zone,
        given=given,
        supervision=supervised,
        links=links | of_gaps | cases,
        names=names,
        notice=notice,
    )


def _stands_at(draft: ListedDraft) -> str:
    # A reply that was taken back is deleted; its thread is still there.
    return (None if draft.withdrawn else draft.posted_ts) or draft.thread_ts or ""


def preferences_of(values: Json) -> Preferences:
    """What stands in the settings' form. A value that is no option of it counts as none."""
    language = values["language"]["value"]["selected_option"]["value"]
    tone = values["tone"]["value"]["selected_option"]["value"]
    return Preferences(
        language=language if language in LANGUAGES else "",
        tone=tone if tone in blocks_home.TONE_NAMES else "",
        quiet_from=values["quiet_from"]["value"]["selected_time"] or "",
        quiet_until=values["quiet_until"]["value"]["selected_time"] or "",
    )


async def _drafts(desk: Desk, user_id: str) -> bool:
    """Does this person work with drafts?"""
    return await desk.workspace.role(user_id) is not None


def _supervision(desk: Desk) -> Supervision:
    now = datetime.now(UTC)
    closed_since = store.iso(now - timedelta(days=blocks_gaps.CLOSED_DAYS))
    decided = store_supervision.decided(desk.db, since=store.iso(now - timedelta(days=DAYS)))
    night = store_supervision.newest_night(desk.db)
    written, cases = night_cases(desk, night)
    base = store.base_of_model(desk.db, desk.base_model)
    worst = store_supervision.worst_rated(desk.db, limit=WORST_SHOWN)
    return Supervision(
        night=night,
        written=written,
        cases=cases,
        live=promotion.live_everywhere(desk.db, base.hash) if base else {(task, None): BASE for task in TASKS},
        undoable=supervision.undoable(desk, base),
        hold=store_supervision.hold(desk.db),
        tasks=acceptance_by(lambda found: found.task, decided, today=now.date()),
        channels=acceptance_by(lambda found: found.channel_id, decided, today=now.date()),
        adapters=acceptance_by(lambda found: found.adapter, decided, today=now.date()),
        worst=worst,
        comments={draft.suggestion_id: store_supervision.comments(desk.db, draft.suggestion_id) for draft in worst},
        dismissed=store_supervision.dismissed_drafts(desk.db, limit=DISMISSED_SHOWN),
        gaps=store_gaps.open_gaps(desk.db, limit=blocks_gaps.OPEN_SHOWN),
        closed_gaps=store_gaps.closed_gaps(desk.db, since=closed_since, limit=blocks_gaps.CLOSED_SHOWN),
        learning=store_supervision.learning_channels(desk.db),
        disagreements=len(store_circumstances.disagreements(desk.db)),
        rated_by_several=store_circumstances.rated_by_several(desk.db),
        team_runs=store_supervision.team_runs(desk.db, night[0].id) if night else [],
    )


def _people(found: Supervision) -> set[str]:
    people = {draft.decided_by for draft in found.dismissed if draft.decided_by}
    people |= {user for said in found.comments.values() for user, _ in said}
    people |= {consent.granted_by for consent in found.learning[: blocks_home.CHANNELS_SHOWN]}
    return people | ({found.hold.decided_by} if found.hold else set())


def night_cases(desk: Desk, night: tuple[Run, Sequence[GateReport]] | None) -> tuple[list[Written], dict[str, Case]]:
    """The texts of a night: what was written before and after, and what agents wrote there and in the worst cases."""
    if night is None:
        return [], {}
    run, reports = night
    written = store_supervision.written(desk.db, run.id, limit=night_report.WRITTEN)
    pairs = [*(one.pair_id for one in written), *(pair for pair, _ in night_report.worst_cases(reports))]
    return written, store_supervision.cases(desk.db, pairs)


async def case_links(desk: Desk, cases: Iterable[Case]) -> dict[str, str]:
    """Links to the threads of held-out cases, by pair."""
    return await _links(desk, {case.pair_id: (case.channel_id, case.thread_ts) for case in cases})


async def _links(desk: Desk, places: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    # A thread of imported history is nowhere in Slack, and neither is what a command asked for.
    linked = {key: place for key, place in places.items() if all(place)}
    links = await asyncio.gather(*(desk.workspace.permalink(*p) for p in linked.values()), return_exceptions=True)
    # A message that was deleted, or that we cannot see any more, has no link; the list is of use without it.
    return {key: link for key, link in zip(linked, links, strict=True) if isinstance(link, str)}


async def _zone(desk: Desk, user_id: str, preferences: Preferences | None) -> str:
    """Where the quiet hours are; Slack is not asked about who has none."""
    return str(await desk.workspace.time_zone(user_id)) if preferences and preferences.quiet_from else ""


async def gap_links(desk: Desk, gaps: Iterable[Gap]) -> dict[str, str]:
    """Links to where the examples of gaps were said, by suggestion."""
    examples = [example for gap in gaps for example in gap.examples]
    return await _links(desk, {one.suggestion_id: (one.channel_id, one.thread_ts or "") for one in examples})


def owners(gaps: Iterable[Gap]) -> set[str]:
    """The people among those who look after gaps; others are teams, in words."""
    return {gap.owner for gap in gaps if slack.USER_ID.fullmatch(gap.owner)}


async def names_of(desk: Desk, people: Iterable[str]) -> dict[str, str]:
    """Plain names, by user id, of whom Slack names."""
    asked = sorted(people)
    names = await asyncio.gather(*map(desk.workspace.name, asked), return_exceptions=True)
    return {user: name for user, name in zip(asked, names, strict=True) if isinstance(name, str)}
