"""How search is tuned: the measured weights, until a night has found better ones for this team."""

import json
from dataclasses import asdict, dataclass, field, fields

import numpy as np
from numpy.typing import NDArray
from sqlite_utils import Database

from data import store_tunings
from data.ranking import Weights
from data.store_tunings import Tuning

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Tuned:
    """The weights, and how a question's vector is turned before it is compared; None: it stays as it is."""

    weights: Weights = field(default_factory=Weights)
    turn: Floats | None = None

    def turned(self, question: Floats) -> Floats:
        """The question's vector, turned towards where the answers of this team stand; of unit length."""
        if self.turn is None or len(self.turn) != len(question):
            return question
        found = question + question @ self.turn
        return found / np.linalg.norm(found)


def tuned(db: Database) -> Tuned:
    """What the newest tuning says that a night's gate let pass; without one, the measured weights."""
    return read(store_tunings.newest_passed(db))


def read(kept: Tuning | None) -> Tuned:
    """A row of tunings as search uses it; without one, the measured weights."""
    if kept is None:
        return Tuned()
    known = {one.name for one in fields(Weights)}
    weights = {name: value for name, value in json.loads(kept.weights).items() if name in known}
    return Tuned(Weights(**weights), None if kept.turn is None else of_bytes(kept.turn))


def as_json(weights: Weights) -> str:
    """Weights as a row keeps them."""
    return json.dumps(asdict(weights))


def as_bytes(turn: Floats) -> bytes:
    """[dimensions, dimensions] as a row keeps it: float16."""
    return turn.astype(np.float16).tobytes()


def of_bytes(kept: bytes) -> Floats:
    """The other way round."""
    side = int((len(kept) // 2) ** 0.5)
    return np.frombuffer(kept, np.float16).reshape(side, side).astype(np.float32)
