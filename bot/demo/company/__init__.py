"""The company's tables of text: who writes, about what, and what the help centre says to it."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
HELP_CENTRE = HERE / "help_centre"
PEOPLE = tomllib.loads((HERE / "people.toml").read_text())
FIRST_NAMES: list[str] = PEOPLE["first_names"]
UNSEEN_NAMES: list[str] = PEOPLE["unseen_names"]


@dataclass(frozen=True)
class FollowUp:
    """What a customer asks next about the same thing, in several wordings, and what is answered."""

    asks: list[str]
    answer: str
    step: str


@dataclass(frozen=True)
class Kind:
    """One kind of issue. `article` names the file of the help centre that holds its facts."""

    name: str
    article: str
    openings: list[str]
    answers: list[str]
    steps: list[str]
    follow_up: list[FollowUp]
    parts: list[str]
    faults: list[str]

    def headings(self) -> list[str]:
        """The headings of the kind's article."""
        lines = (HELP_CENTRE / f"{self.article}.md").read_text().splitlines()
        return [line.lstrip("# ") for line in lines if line.startswith("#")]


def _kind(row: dict) -> Kind:
    follow_up = [FollowUp(**entry) for entry in row["follow_up"]]
    return Kind(**{"parts": [], "faults": [], **row, "follow_up": follow_up})


KINDS = [_kind(row) for row in tomllib.loads((HERE / "issues.toml").read_text())["kind"]]
PARTS = sorted({part for kind in KINDS for part in kind.parts})
FAULTS = sorted({fault for kind in KINDS for fault in kind.faults})
