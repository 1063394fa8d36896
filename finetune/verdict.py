"""The gate's word on one task, and its report as the store keeps it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from data.models import Task
from finetune.checks import Check
from finetune.evidence import Effect


@dataclass(frozen=True)
class WrittenCase:
    """What incumbent and candidate write for one held-out thread: before and after, were it promoted."""

    pair_id: str
    before: str
    after: str


@dataclass(frozen=True)
class Verdict:
    """The gate's word on one task. `passed` promotes; `reason` is a sentence fit to show a person."""

    task: Task
    passed: bool
    reason: str
    incumbent: str
    alpha: float
    threads: int
    cases: int
    against_incumbent: Effect | None = None
    against_base: Effect | None = None
    losses: dict[str, float] = field(default_factory=dict)
    wins: float | None = None
    checks: list[Check] = field(default_factory=list)
    strata: dict[str, dict[str, float]] = field(default_factory=dict)
    worse: list[dict[str, object]] = field(default_factory=list)
    differences: list[float] = field(default_factory=list)
    leaked_into_incumbent: int = 0
    candidate: str = ""
    """The fingerprint of the files that were judged: what is promoted must have the same."""
    written: list[WrittenCase] = field(default_factory=list)
    recited: list[dict[str, object]] = field(default_factory=list)
    """Facts of the help centre that the candidate says without their passage (closed_book.Recited)."""


def as_json(verdict: Verdict) -> dict[str, object]:
    """The verdict as the store and gate.json keep it: ids, numbers, and the texts of the cases that got worse."""
    return {name: value for name, value in asdict(verdict).items() if name != "written"}


def from_json(found: Mapping[str, Any]) -> Verdict:
    """The verdict that `as_json` gave: as it was, without what was written."""
    effects = {name: found[name] and Effect(**found[name]) for name in ("against_incumbent", "against_base")}
    return Verdict(**{**found, **effects, "checks": [Check(**check) for check in found["checks"]]})
