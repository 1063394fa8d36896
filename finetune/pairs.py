"""The pairs of one night: what is trained on, what stops it early, what the gate scores."""

from dataclasses import dataclass, field
from typing import Any, Literal

from data.models import Message, Pair, PreferencePair
from finetune.thumbs import Thumb

SIDES = ("train", "validation", "held_out", "thumbs", "preferences")
"""Of a dataset, each in a file of its own."""

Kind = Literal["history", "edited", "accepted"]


@dataclass(frozen=True)
class Shown:
    """A pair that stands as an example in a prompt."""

    pair_id: str
    thread_id: str
    created_at: str


@dataclass(frozen=True)
class Case:
    """A held-out pair. `base_messages` is the prompt that the base would get tonight: with `examples`, as its ladder
    says, found among all that was decided until then, since the candidate has learned from that too.

    `agent` is who decided; history does not say.
    """

    pair: Pair
    kind: Kind
    base_messages: list[Message]
    agent: str = ""
    examples: list[Shown] = field(default_factory=list)


@dataclass(frozen=True)
class Dataset:
    """The pairs of one night, split by thread. `dropped` counts what was left out, by reason.

    `agents` counts the pairs to be learned from by who decided.
    """

    train: list[Pair]
    validation: list[Pair]
    held_out: list[Case]
    dropped: dict[str, int] = field(default_factory=dict)
    new_pairs: int = 0
    curation: dict[str, Any] = field(default_factory=dict)
    """What curation.py tells of it, in plain JSON."""
    agents: dict[str, int] = field(default_factory=dict)
    thumbs: list[Thumb] = field(default_factory=list)
    """Rated texts of threads that are neither held out nor stop training early; many a liked one is a pair, too."""
    preferences: list[PreferencePair] = field(default_factory=list)
    """Real edits; what was chosen is the target of a pair in `train`."""
