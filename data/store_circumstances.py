"""How the pairs came about: who decided, how fast, what raters said of it, and what was not learned from, and why."""

from dataclasses import dataclass

from sqlite_utils import Database

from data.models import DecisionKind
from data.store_connection import row, rows


@dataclass(frozen=True)
class Circumstances:
    """Of one decided pair. `seconds` passed between showing the draft and the decision, None where that is not known.

    `supervisors` and `agents` are sums of thumbs on what was sent.
    """

    pair_id: str
    kind: DecisionKind
    draft: str | None
    decided_by: str
    seconds: float | None
    supervisors: int
    agents: int
    up: int
    down: int


@dataclass(frozen=True)
class Manner:
    """How one agent decides: all decisions that stand, and those that took the draft as it was."""

    user_id: str
    decisions: int
    accepted: int


@dataclass(frozen=True)
class Disagreement:
    """A text that some raters liked and others did not."""

    suggestion_id: str
    channel_id: str
    thread_ts: str | None
    up: int
    down: int


def circumstances(db: Database) -> dict[str, Circumstances]:
    """Those of every decided pair, by its id; imported history has none."""
    found = rows(
        db,
        """
        select p.id as pair_id, p.kind, p.draft, d.decided_by,
               (julianday(d.created_at) - julianday(s.shown_at)) * 86400 as seconds,
               coalesce(t.supervisors, 0) as supervisors, coalesce(t.agents, 0) as agents,
               coalesce(t.up, 0) as up, coalesce(t.down, 0) as down
        from decided_pairs p
        join decisions d on d.suggestion_id = p.id
        join suggestions s on s.id = p.id
        left join thumbs t on t.suggestion_id = p.id
        """,
    )
    return {one["pair_id"]: Circumstances(**one) for one in found}


def manners(db: Database) -> list[Manner]:
    """How each agent decides on drafts of replies, the busiest first."""
    found = rows(
        db,
        """
        select d.decided_by as user_id, count(*) as decisions, sum(d.kind = 'accepted') as accepted
        from decisions d join suggestions s on s.id = d.suggestion_id
        where s.task = 'reply' and s.id not in (select suggestion_id from withdrawals)
        group by d.decided_by order by decisions desc, user_id
        """,
    )
    return [Manner(**one) for one in found]


def disagreements(db: Database) -> list[Disagreement]:
    """Texts with thumbs both up and down, the most disputed first; none from direct messages."""
    found = rows(
        db,
        """
        select t.suggestion_id, s.channel_id, s.thread_ts, t.up, t.down
        from thumbs t join suggestions s on s.id = t.suggestion_id
        where t.up > 0 and t.down > 0 and s.channel_id not like 'D%'
        order by min(t.up, t.down) desc, t.up + t.down desc, t.suggestion_id
        """,
    )
    return [Disagreement(**one) for one in found]


def rated_by_several(db: Database) -> int:
    """The number of texts that more than one person has rated."""
    found = row(db, "select count(*) as texts from thumbs where up + down > 1")
    return int(found["texts"]) if found else 0


UNLEARNED = {
    "dismissed": "d.kind = 'dismissed'",
    "wrong or outdated fact": "d.kind = 'edited' and d.reason in ('wrong_fact', 'outdated')",
    "not sent, or taken back": """
        d.kind <> 'dismissed'
        and (s.id in (select suggestion_id from withdrawals) or (s.task = 'reply' and d.posted_ts is null))
    """,
    "channel without consent": "s.channel_id not in (select channel_id from consented_channels)",
    "text erased by retention": "d.kind <> 'dismissed' and d.text is null",
    "thumbs down": """
        exists (select 1 from thumbs t where t.suggestion_id = s.id
                and (t.supervisors_down > 0 or 2 * t.supervisors + t.agents < 0))
    """,
}
"""Why a decision is no pair, in the order in which the reasons are told: each decision counts once."""


def unlearned(db: Database) -> dict[str, int]:
    """Decisions that are no pairs, counted by the first reason that holds."""
    cases = " ".join(f"when {condition} then '{reason}'" for reason, condition in UNLEARNED.items())
    found = rows(
        db,
        f"""
        select reason, count(*) as decisions from (
            select case {cases} end as reason
            from decisions d join suggestions s on s.id = d.suggestion_id
            where s.id not in (select id from decided_pairs)
        ) where reason is not null group by reason order by decisions desc
        """,
    )
    return {one["reason"]: one["decisions"] for one in found}
