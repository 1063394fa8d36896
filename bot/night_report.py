"""A night's rows → what supervisors read of it, on the Home tab and from /nightshift report. Pure: mrkdwn lines."""

from collections.abc import Mapping, Sequence

from bot.blocks import Message, note, section
from bot.listing import quoted, shortened, thread_link, when
from bot.slack import Json, escape
from data.models import TASKS, GateReport, Run, Task
from data.store_supervision import Case, Written

TeamRun = tuple[Run, Sequence[GateReport]]

WORST = 5
WORSE = "*What got worse the most*, with what your agent wrote there:"
SENTENCE = 600
WRITTEN = 3
BEFORE_AND_AFTER = "*Before and after*, for threads that neither has learned from:"
TASK_NAMES: Mapping[Task, str] = {"reply": "Replies", "summary": "Summaries", "answer": "Answers"}
MEANING = (
    "Nats per token say how far the model is from what your agents really wrote in threads that it has never "
    "learned from: less is better."
)


def headline(run: Run) -> str:
    """What the night came to, in one or two sentences."""
    facts = run.facts
    night = f"*Newest night*, {when(run.created_at)}"
    if run.status == "failed" and promoted(run):
        return f"{night}: {_promotion(run)} After that the night failed. {_told(run.error)}"
    if run.status == "failed":
        return f"{night}: failed, so nothing changes. {_told(run.error)}"
    if run.status != "done":
        return f"{night}: still at work, at the step “{escape(run.status)}”."
    outcome = str(facts.get("outcome", ""))
    if outcome == "promoted":
        return f"{night}: {_promotion(run)}"
    if outcome == "exported":
        return f"{night}: the pairs were written for a service's fine-tuning. {_told(facts.get('reason'))}"
    if outcome == "skipped":
        return f"{night}: skipped, so nothing changes. {_told(facts.get('reason'))}"
    if held := facts.get("held"):
        return f"{night}: nothing changes. {_told(held)}"
    return f"{night}: nothing changes, because no task passed its gate."


def _promotion(run: Run) -> str:
    tasks = ", ".join(TASK_NAMES[task].lower() for task in promoted(run))
    return f"`{escape(str(run.facts.get('adapter')))}` was promoted and wrote {tasks} from then on."


def promoted(run: Run) -> list[Task]:
    """The tasks that the night promoted."""
    listed = run.facts.get("promoted")
    return [task for task in TASKS if isinstance(listed, list) and task in listed]


def verdict(run: Run, report: GateReport) -> str:
    """One task's verdict with its numbers."""
    numbers = report.report
    outcome = (
        "promoted" if report.task in promoted(run) else "passed, not promoted" if report.passed else "not promoted"
    )
    lines = [f"*{TASK_NAMES[report.task]}*: {outcome}. {_told(numbers.get('reason'))}"]
    losses = numbers.get("losses")
    if isinstance(losses, dict) and losses:
        incumbent = escape(str(numbers.get("incumbent")))
        lines.append(
            f"{losses['incumbent']:.2f} nats per token before ({incumbent}), {losses['candidate']:.2f} after, on "
            f"{numbers['cases']} texts of {numbers['threads']} threads; better on {numbers['wins'] or 0:.0%}, "
            f"worse on {len(worse(report))}."
        )
    return "\n".join(lines)


def worse(report: GateReport) -> list[dict[str, object]]:
    """The held-out cases that got worse, the worst first."""
    found = report.report.get("worse")
    return found if isinstance(found, list) else []


def worst_cases(reports: Sequence[GateReport]) -> list[tuple[str, float]]:
    """(pair, loss in nats per token) of the cases that got worse the most, over all tasks."""
    found = [(str(one["pair_id"]), -float(str(one["nats_per_token"]))) for report in reports for one in worse(report)]
    return sorted(found, key=lambda one: -one[1])[:WORST]


def message(
    run: Run,
    reports: Sequence[GateReport],
    written: Sequence[Written],
    cases: Mapping[str, Case],
    links: Mapping[str, str],
    *,
    with_texts: bool,
    teams: Sequence[TeamRun] = (),
) -> Message:
    """The night in one message, with the texts of its cases or without."""
    return headline(run), night_blocks(run, reports, written, cases, links, with_texts=with_texts, teams=teams)


def night_blocks(
    run: Run,
    reports: Sequence[GateReport],
    written: Sequence[Written],
    cases: Mapping[str, Case],
    links: Mapping[str, str],
    *,
    with_texts: bool,
    teams: Sequence[TeamRun] = (),
) -> list[Json]:
    """The night: a headline, each task's verdict, those for single teams, and for supervisors the cases, before and
    after and worst.
    """
    told = [headline(run), *(verdict(run, report) for report in reports), *map(team_lines, teams)]
    worst = worst_cases(reports) if with_texts else []
    if with_texts and written:
        told += [BEFORE_AND_AFTER, *(written_lines(one, cases.get(one.pair_id), links) for one in written)]
    if worst:
        told += [WORSE, *(case_line(cases.get(pair), loss, links.get(pair)) for pair, loss in worst)]
    return [*(section(text) for text in told), *([note(MEANING)] if reports else [])]


def team_lines(found: TeamRun) -> str:
    """What came of the adapter for one team alone."""
    run, reports = found
    lines = [f"*Team `{escape(str(run.facts.get('team')))}`*", headline(run), *(verdict(run, one) for one in reports)]
    return "\n".join(lines)


def written_lines(found: Written, case: Case | None, links: Mapping[str, str]) -> str:
    """One held-out thread: what the agent wrote, what the model wrote before, and what the candidate writes."""
    human = quoted(case.text) if case else quoted(None)
    return (
        f"*{TASK_NAMES[found.task]}*{thread_link(links.get(found.pair_id))}\n"
        f"_Agent_\n{human}\n_Before_\n{quoted(found.before)}\n_After_\n{quoted(found.after)}"
    )


def case_line(case: Case | None, loss: float, link: str | None) -> str:
    """One case that got worse: what the agent wrote there, which the candidate finds less likely than before."""
    text = quoted(case.text) if case else "(its text has been erased)"
    return f"{loss:.2f} nats per token worse{thread_link(link)}\n{text}"


def _told(sentence: object) -> str:
    return escape(shortened(str(sentence or ""), SENTENCE))
