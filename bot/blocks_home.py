"""The Home tab: a person's own drafts and wishes; for supervisors the night, acceptance and what went wrong. Pure.

Limits (docs.slack.dev, views): 100 blocks, so every list here is short.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bot import blocks_gaps, night_report
from bot.acceptance import DAYS, Acceptance, bars, shares
from bot.blocks import button, note, plain_text, section
from bot.chart import in_words
from bot.listing import TASK_NAME, fate, quoted, reason, shortened, thread_link, when
from bot.slack import Json, escape
from data.models import BASE, Consent, GateReport, Run, Task
from data.preferences import LANGUAGES, Preferences
from data.store_gaps import Gap
from data.store_supervision import Case, Hold, ListedDraft, Written

DIVIDER: Json = {"type": "divider"}
CHANNELS_SHOWN = 10
ROWS_SHOWN = 5

TONE_NAMES = {
    "": "The team's own",
    "warm": "Warm",
    "formal": "Formal",
    "brief": "Brief",
}
NO_LANGUAGE = "The language of what was said"
HELP = (
    "I draft replies, summarise threads and answer questions from the help centre. Ask me in a direct message, mention "
    "me, or type `/ask` and your question in any channel."
)


@dataclass(frozen=True)
class Supervision:
    """What only supervisors and admins see. `links` and `names` are by suggestion or pair, and by person."""

    night: tuple[Run, Sequence[GateReport]] | None
    written: Sequence[Written]
    cases: Mapping[str, Case]
    live: Mapping[tuple[Task, str | None], str]
    """What serves each task for all (None), and for each team that has an adapter of its own."""
    hold: Hold | None
    tasks: Sequence[Acceptance]
    channels: Sequence[Acceptance]
    adapters: Sequence[Acceptance]
    worst: Sequence[ListedDraft]
    comments: Mapping[str, Sequence[tuple[str, str]]]
    dismissed: Sequence[ListedDraft]
    gaps: Sequence[Gap]
    closed_gaps: Sequence[Gap]
    learning: Sequence[Consent]
    disagreements: int = 0
    """Of `rated_by_several` texts, those that some raters liked and others did not."""
    rated_by_several: int = 0
    undoable: Mapping[Task, str] = field(default_factory=dict)
    """What was rolled back from, so lately that it can be undone."""
    team_runs: Sequence[night_report.TeamRun] = ()
    """Of the newest night, for teams with pairs enough for an adapter of their own."""


@dataclass(frozen=True)
class HomePage:
    """One person's Home tab, before it is blocks. `drafts` and `preferences` are None for who drafts nothing."""

    drafts: Sequence[ListedDraft] | None = None
    preferences: Preferences | None = None
    zone: str = ""
    supervision: Supervision | None = None
    links: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    notice: str = ""
    picture: str = ""
    """The file that shows acceptance by task; without one, bars of characters do."""
    given: Sequence[Gap] = ()
    """Gaps that somebody gave to this person, who sees no others."""


def home_blocks(page: HomePage) -> list[Json]:
    """At most 100 blocks."""
    blocks = [section(f":white_check_mark: {escape(page.notice)}")] if page.notice else []
    if page.supervision is not None:
        blocks += supervision_blocks(page.supervision, page)
    if page.drafts is not None and page.preferences is not None:
        if page.given:
            blocks.append(_header("Gaps in the help centre that wait for you"))
            blocks += blocks_gaps.queue(page.given, (), links=page.links, names=page.names)
        blocks += [*([DIVIDER] if blocks else []), _header("Your drafts"), *_own(page.drafts, page.links)]
        blocks += [DIVIDER, _header("Your settings"), *_settings(page.preferences, page.zone)]
    return blocks if blocks else [section(HELP)]


def supervision_blocks(found: Supervision, page: HomePage) -> list[Json]:
    """The supervisors' part."""
    blocks = [_header("The night"), *_night(found, page)]
    blocks += [DIVIDER, _header(f"What agents did with drafts, last {DAYS} days"), *_acceptance(found, page.picture)]
    blocks += [DIVIDER, _header("Worst rated")]
    for draft in found.worst:
        votes = f"{draft.downs} 👎" + (f", {draft.ups} 👍" if draft.ups else "")
        said = [f"{escape(page.names.get(user, 'a colleague'))}: {escape(shortened(text))}"
                for user, text in found.comments.get(draft.suggestion_id, ())[:ROWS_SHOWN]]  # fmt: skip
        blocks.append(_draft(draft, f"{votes} · {fate(draft)}", page, said))
    blocks += [] if found.worst else [note("No text has more thumbs down than up.")]
    if found.disagreements:
        texts = f"{found.disagreements} of {found.rated_by_several} texts that several people rated"
        blocks.append(note(f"Raters disagree on {texts}: each weighs less in training, or is left out."))
    blocks += [DIVIDER, _header("Dismissed")]
    blocks += [_draft(draft, f"dismissed by {_name(draft.decided_by, page)}: {reason(draft.reason)}", page, ())
               for draft in found.dismissed]  # fmt: skip
    blocks += [] if found.dismissed else [note("No draft was dismissed.")]
    blocks += [DIVIDER, _header("Gaps in the help centre")]
    blocks += blocks_gaps.queue(found.gaps, found.closed_gaps, links=page.links, names=page.names)
    return [*blocks, DIVIDER, _header("Where I learn"), *_learning(found.learning, page.names)]


def _night(found: Supervision, page: HomePage) -> list[Json]:
    blocks: list[Json] = []
    if found.night is None:
        blocks.append(section("No night has been run yet. Until one promotes an adapter, the base model writes."))
    else:
        run, reports = found.night
        shown = found.written, found.cases, page.links
        blocks += night_report.night_blocks(run, reports, *shown, with_texts=True, teams=found.team_runs)
    for (task, team), adapter in found.live.items():
        serving = f"{_drafts_of(task, team)} are written by {_writer(adapter)}."
        blocks.append(section(serving) | (_roll_back(task, adapter, team) if adapter != BASE else {}))
        if team is None and task in found.undoable:
            blocks.append(section(f"Just rolled back from {found.undoable[task]}.") | _undo(task, found.undoable[task]))
    return [*blocks, *_hold(found.hold, page.names)]


def _drafts_of(task: Task, team: str | None) -> str:
    return f"*{night_report.TASK_NAMES[task]}*" + (f" of team `{escape(team)}`" if team else "")


def _roll_back(task: Task, adapter: str, team: str | None) -> Json:
    tasks = night_report.TASK_NAMES[task]
    value = f"{task} {adapter} {team}" if team else f"{task} {adapter}"
    whose = f" of team {team}" if team else ""
    confirm = _confirm(
        f"Roll back {tasks.lower()}?",
        f"{tasks}{whose} go back to what wrote them before {adapter}, at once.",
        "Roll back",
    )
    # The adapter stands in the value: a second press, or one on an old view, finds another one serving.
    return {"accessory": _button("roll_back", "Roll back", value, confirm=confirm, style="danger")}


def _undo(task: Task, adapter: str) -> Json:
    return {"accessory": _button("undo_roll_back", "Undo the roll back", f"{task} {adapter}")}


def _hold(hold: Hold | None, names: Mapping[str, str]) -> list[Json]:
    if hold is None:
        text = "A night promotes by itself what passes its gate."
        confirm = _confirm(
            "Hold promotions?",
            "Nights train and judge as before, but promote nothing until you allow it again.",
            "Hold",
        )
        pressed = _button("hold_promotions", "Hold promotions", "hold", confirm=confirm)
    else:
        by = escape(names.get(hold.decided_by, "a colleague"))
        text = f":lock: *Promotions are held* by {by} since {when(hold.created_at)}: nights promote nothing."
        pressed = _button("release_promotions", "Allow promotions", "release", style="primary")
    return [section(text) | {"accessory": pressed}]


def _acceptance(found: Supervision, picture: str) -> list[Json]:
    if not found.tasks:
        return [note("Nobody has decided on a draft in these days.")]
    parts = [("By task", found.tasks, lambda name: night_report.TASK_NAMES[name]),
             ("By channel", found.channels, lambda name: f"<#{name}>"),
             ("By what wrote them", found.adapters, _writer)]  # fmt: skip
    blocks: list[Json] = []
    if picture:
        blocks.append({"type": "image", "slack_file": {"id": picture}, "alt_text": in_words(found.tasks)})
    for title, rows, shown in parts:
        drawn = picture and rows is found.tasks
        lines = [
            f"{'' if drawn else f'`{bars(row.days)}` '}{shown(row.name)} · {shares(row)}" for row in rows[:ROWS_SHOWN]
        ]
        more = f"\n… and {len(rows) - ROWS_SHOWN} more" if len(rows) > ROWS_SHOWN else ""
        blocks.append(section(f"*{title}*\n" + "\n".join(lines) + more))
    return [
        *blocks,
        note("One bar per day (UTC), the newest on the right: the share used as drafted. A dot: no decision."),
    ]


def _learning(channels: Sequence[Consent], names: Mapping[str, str]) -> list[Json]:
    if not channels:
        return [note("I learn in no channel. An admin switches one on with /nightshift consent on.")]
    blocks: list[Json] = []
    for consent in channels[:CHANNELS_SHOWN]:
        text = f"<#{consent.channel_id}> since {when(consent.created_at)}"
        by = names.get(consent.granted_by)
        confirm = _confirm(
            "Pause learning?", "The next night trains without this channel. An admin can switch it on again.", "Pause"
        )
        pause = _button("pause_learning", "Pause learning", consent.channel_id, confirm=confirm)
        blocks.append(section(text + (f", switched on by {escape(by)}" if by else "")) | {"accessory": pause})
    if len(channels) > CHANNELS_SHOWN:
        blocks.append(note(f"… and {len(channels) - CHANNELS_SHOWN} more channels."))
    return blocks


def _own(drafts: Sequence[ListedDraft], links: Mapping[str, str]) -> list[Json]:
    if not drafts:
        return [note("None yet. Choose “Suggest a reply” in the menu of a customer's message.")]
    return [
        _draft(draft, fate(draft), HomePage(links=links), ()) | (_show_again(draft) if waits(draft) else {})
        for draft in drafts
    ]


def waits(draft: ListedDraft) -> bool:
    """Does a draft wait for its agent: to decide on it, or to say what becomes of a reply that could not be sent?"""
    unsent = draft.task == "reply" and draft.kind in ("accepted", "edited") and draft.posted_ts is None
    undecided = draft.state == "shown" and draft.kind is None
    return (undecided or unsent) and draft.withdrawn is None and draft.text is not None


def _show_again(draft: ListedDraft) -> Json:
    # A draft was shown in a message that vanishes when Slack is reloaded.
    return {"accessory": _button("show_draft", "Show again", draft.suggestion_id)}


def _settings(preferences: Preferences, zone: str) -> list[Json]:
    quiet = "none"
    if preferences.quiet_from:
        quiet = f"{preferences.quiet_from} to {preferences.quiet_until} ({escape(zone)}, your Slack's time zone)"
    text = (
        f"*Answers and summaries in:* {preferences.language or NO_LANGUAGE.lower()}\n"
        f"*Tone of replies:* {TONE_NAMES[preferences.tone].lower()}\n"
        f"*Quiet hours:* {quiet}"
    )
    return [
        section(text) | {"accessory": _button("open_settings", "Change", "settings")},
        note("In quiet hours I suggest nothing unasked. What you ask for is always answered."),
    ]


def settings_modal(preferences: Preferences, zone: str) -> Json:
    """The form in which a person changes their wishes."""
    return {
        "type": "modal",
        "callback_id": "settings",
        "title": plain_text("Your settings"),
        "submit": plain_text("Save"),
        "close": plain_text("Cancel"),
        "blocks": [
            _select("language", "Language of answers and summaries", preferences.language,
                    {"": NO_LANGUAGE, **{language: language for language in LANGUAGES}},
                    "Replies keep the customer's language."),
            _select("tone", "Tone of replies", preferences.tone, TONE_NAMES, None),
            _time("quiet_from", "Quiet hours from", preferences.quiet_from),
            _time("quiet_until", "Quiet hours until", preferences.quiet_until)
            | {"hint": plain_text(f"On your own clock ({zone}). Leave both empty for none.")},
        ],
    }  # fmt: skip


def _draft(draft: ListedDraft, what: str, page: HomePage, said: Sequence[str]) -> Json:
    place = thread_link(page.links.get(draft.suggestion_id))
    lines = [f"*{TASK_NAME[draft.task]}* · {what} · {when(draft.at)}{place}", quoted(draft.text), *said]
    return section("\n".join(lines))


def _writer(adapter: str) -> str:
    return "the base model" if adapter == BASE else f"`{escape(adapter)}`"


def _name(user_id: str | None, page: HomePage) -> str:
    return escape(page.names.get(user_id or "", "a colleague"))


def _select(block_id: str, label: str, chosen: str, options: Mapping[str, str], hint: str | None) -> Json:
    # An option's value may not be empty, and "none" is no language or tone.
    made = {value: {"text": plain_text(text), "value": value or "none"} for value, text in options.items()}
    element = {
        "type": "static_select",
        "action_id": "value",
        "options": list(made.values()),
        "initial_option": made[chosen],
    }
    block: Json = {"type": "input", "block_id": block_id, "label": plain_text(label), "element": element}
    return block | ({"hint": plain_text(hint)} if hint else {})


def _time(block_id: str, label: str, chosen: str) -> Json:
    element = {"type": "timepicker", "action_id": "value"} | ({"initial_time": chosen} if chosen else {})
    return {"type": "input", "block_id": block_id, "label": plain_text(label), "optional": True, "element": element}


def _confirm(title: str, text: str, confirm: str) -> Json:
    words = {"title": title, "text": text, "confirm": confirm, "deny": "Cancel"}
    return {name: plain_text(said) for name, said in words.items()} | {"style": "danger"}


def _button(action_id: str, label: str, value: str, *, confirm: Json | None = None, style: str | None = None) -> Json:
    return button(action_id, label, value, style=style) | ({"confirm": confirm} if confirm else {})


def _header(text: str) -> Json:
    return {"type": "header", "text": plain_text(text)}
