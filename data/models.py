"""The words everyone shares: what flows between Slack, the store, serving and the night."""

from dataclasses import dataclass, field
from typing import Literal, TypedDict

Task = Literal["reply", "summary", "answer"]
TASKS: tuple[Task, ...] = ("reply", "summary", "answer")
Speaker = Literal["customer", "agent"]
DecisionKind = Literal["accepted", "edited", "dismissed"]
SuggestionState = Literal["requested", "drafted", "shown", "failed"]
Role = Literal["agent", "supervisor"]
Audience = Literal["internal", "customer_safe"]
"""Who may read a source of the help centre: colleagues only, or customers too."""
AUDIENCES: tuple[Audience, ...] = ("internal", "customer_safe")
Cause = Literal["gate", "manual", "rollback"]

BASE = "base"
"""The adapter with no weights: the name under which vLLM serves the bare base model."""
SHARED = "shared"
"""Where a team's pointer says so, what serves all serves it too."""


def pointer_name(task: Task, team: str | None) -> str:
    """What a pointer is called in words: `reply`, or `reply of team T1`."""
    return f"{task} of team {team}" if team else task


class Message(TypedDict):
    """One chat message, as the engine and the chat template take it."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True)
class Turn:
    """One message of a thread as the prompt sees it."""

    speaker: Speaker
    text: str
    ts: str | None = None
    user_id: str = field(default="", compare=False)
    """Who said it, where Slack tells."""


@dataclass(frozen=True)
class Passage:
    """A chunk of the help centre that search found."""

    chunk_id: int
    document_id: str
    title: str
    text: str
    score: float
    nearness: float = 0.0
    """The cosine of its meaning and the question's; 0 where no vector was compared."""
    strength: float = 0.0
    """Its score by the weights that were measured, whatever a night has tuned: thresholds are set on it."""


@dataclass(frozen=True)
class Example:
    """A past prompt (its thread only) and the text a human sent: a few-shot example."""

    pair_id: str
    thread: str
    target: str


@dataclass(frozen=True)
class Suggestion:
    """What the model drafted, with the exact prompt that was sent and the adapter that wrote it."""

    id: str
    request_key: str
    task: Task
    team_id: str
    channel_id: str
    thread_ts: str | None
    thread_id: str | None
    requested_by: str
    request: dict[str, str]
    state: SuggestionState
    messages: list[Message] | None
    draft: str | None
    base: str | None
    adapter: str | None
    error: str | None
    created_at: str
    shown_at: str | None


@dataclass(frozen=True)
class Decision:
    """What an agent did with one suggestion. `text` is what was sent, None when dismissed."""

    id: str
    suggestion_id: str
    kind: DecisionKind
    text: str | None
    reason: str | None
    decided_by: str
    posted_ts: str | None
    created_at: str


@dataclass(frozen=True)
class Pair:
    """One SFT pair: the prompt as it was sent and the text the human sent."""

    id: str
    task: Task
    thread_id: str
    messages: list[Message]
    target: str
    source: Literal["suggestion", "history"]
    weight: float
    created_at: str


@dataclass(frozen=True)
class Base:
    """A base model's identity: a hash of its configuration and weights, not its path."""

    hash: str
    model: str
    root: str


@dataclass(frozen=True)
class PreferencePair:
    """One prompt with the text a human sent in place of the draft, and that draft."""

    id: str
    task: Task
    thread_id: str
    messages: list[Message]
    chosen: str
    rejected: str
    created_at: str


@dataclass(frozen=True)
class HistoryPair:
    """What a closed ticket gives: the prompt that serving would have sent, and what the agent wrote then."""

    position: int
    task: Task
    messages: list[Message]
    target: str


@dataclass(frozen=True)
class Rating:
    """One person's thumb. `value` is -1, 0 (taken back) or 1."""

    suggestion_id: str
    user_id: str
    role: Role
    value: int
    created_at: str


@dataclass(frozen=True)
class Consent:
    """One entry of a channel's consent ledger: the newest says whether its decisions may be learned from."""

    channel_id: str
    granted_by: str
    granted: bool
    created_at: str


@dataclass(frozen=True)
class Run:
    """One training. `facts` is what the night notes about it: counts, losses, seconds."""

    id: str
    base: str
    status: str
    error: str | None
    facts: dict[str, object]
    created_at: str
    updated_at: str


@dataclass(frozen=True)
class Adapter:
    """Published LoRA weights, immutable, named once. `base` is the hash of the base they were trained on."""

    name: str
    run_id: str
    base: str
    path: str
    sha256: str
    config: dict[str, object]
    created_at: str


@dataclass(frozen=True)
class GateReport:
    """One gate's verdict on one task, with its whole report."""

    id: str
    run_id: str
    task: Task
    passed: bool
    report: dict[str, object]
    created_at: str


@dataclass(frozen=True)
class Promotion:
    """From here on `adapter` serves `task` on `base` (a hash): the newest row is the pointer.

    Of the rows of a `team`, the newest is that team's pointer; without one, or where it says `shared`, the pointer of
    all holds for it too.
    """

    id: int
    task: Task
    base: str
    adapter: str
    cause: Cause
    gate_report_id: str | None
    forced: bool
    created_at: str
    team: str | None = None
