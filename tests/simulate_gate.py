"""Thousands of nights through the shipped gate, on differences resampled from real runs: `make bench`, docs/gate.md.

The differences are those of real adapters on people's held-out texts (gate_runs.py made them: gate_cases.json.gz). A
night draws threads with replacement, with all their cases; a night without a gain draws from differences that were
centred or sign-flipped by thread.
"""

import gzip
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import binomtest

from data.models import TASKS
from finetune.evidence import p_values
from finetune.gate import Rules
from finetune.scored import LEAST_GAIN
from finetune.settings import FinetuneSettings

HERE = Path(__file__).resolve().parent
CASES = HERE / "gate_cases.json.gz"
PLOT = HERE.parent / "docs" / "gate.png"
NIGHTS, POWER_NIGHTS = 5_000, 200
SIZES, GAINS = (100, 200, 400, 800), (0.05, 0.1, 0.2)
ALPHA = Rules(FinetuneSettings(_env_file=None).night_alpha, 100, 0).alpha
HOPELESS = 1.0
"""A t below cannot reach a level of .001 with a hundred threads or more: such nights are not tested any further, which
test_simulated_nights.py checks."""

Draw = Callable[[np.random.Generator, int, int], NDArray[np.float64]]
"""Gains (nights, threads) in nats beyond LEAST_GAIN, from a generator, nights and threads."""


@dataclass(frozen=True)
class Population:
    """Threads that a night may draw: the nats gained on each, and its target tokens."""

    gains: NDArray[np.float64]
    tokens: NDArray[np.float64]

    def centred(self, gain: float = 0.0) -> "Population":
        """The same threads, moved so that the mean gain is exactly so many nats per token."""
        return Population(self.gains + (gain - self.gain) * self.tokens, self.tokens)

    @property
    def gain(self) -> float:
        """Nats per token."""
        return float(self.gains.sum() / self.tokens.sum())

    def draw(self, random: np.random.Generator, nights: int, threads: int) -> NDArray[np.float64]:
        """Threads with replacement, as the gate tests them."""
        places = random.integers(0, len(self.gains), size=(nights, threads))
        return (self.gains - LEAST_GAIN * self.tokens)[places]


def runs() -> dict[str, dict]:
    """Every contender's numbers, by corpus and name."""
    return json.loads(gzip.decompress(CASES.read_bytes()))


def population(found: dict[str, dict], candidate: str, incumbent: str) -> Population:
    """The differences of two contenders on the cases that both were measured on."""
    one, other = found[candidate], found[incumbent]
    count = min(len(one["nats"]), len(other["nats"]))
    threads = np.array(one["threads"][:count])
    gains = np.array(other["nats"][:count]) - np.array(one["nats"][:count])
    return Population(
        np.bincount(threads, weights=gains), np.bincount(threads, weights=np.array(one["tokens"][:count], dtype=float))
    )


def null_nights(found: dict[str, dict]) -> Iterator[tuple[str, int, Draw]]:
    """Nights without a gain: their name, held-out threads, and how each task draws."""
    learned = population(found, "star 160", "star base")
    yield "STAR, adapter against base, centred by thread, 100 threads", 100, learned.centred().draw
    yield "the same, 400 threads", 400, learned.centred().draw
    yield "the least gain exactly, 100 threads", 100, learned.centred(LEAST_GAIN).draw
    yield "sign-flipped by thread, 100 threads", 100, _flipped(learned)
    yield "heavy tails (t with 2 degrees), 100 threads", 100, _heavy(learned)
    yield "threads of 1 to 30 cases, 100 threads", 100, _unequal(learned)
    for corpus in ("star", "dstc"):
        name = corpus.upper()
        seeds = population(found, f"{corpus} 160 again", f"{corpus} 160")
        more = population(found, f"{corpus} 320", f"{corpus} 160")
        yield f"{name}, another seed on the same pairs, centred, 100 threads", 100, seeds.centred().draw
        yield f"{name}, another seed, the least gain exactly, 100 threads", 100, seeds.centred(LEAST_GAIN).draw
        yield f"{name}, 320 pairs against 160, centred, 100 threads", 100, more.centred().draw
    # Of 100 threads none may be one of the 5 % that are disasters: that happens in one draw of 170, and then no test
    # sees them.
    for threads in (100, 150, 200, 400):
        yield f"one disaster in 20 threads, {threads} threads", threads, _disasters(learned)


def real_gains(found: dict[str, dict]) -> Iterator[tuple[str, Population]]:
    """What nights compare that did gain: the first with the base, later ones with an adapter of half the pairs."""
    for corpus in ("star", "dstc"):
        for candidate, incumbent in (("160", "base"), ("320", "160")):
            against = "the base" if incumbent == "base" else f"{incumbent} pairs"
            yield (
                f"{corpus.upper()}, {candidate} pairs against {against}",
                population(found, f"{corpus} {candidate}", f"{corpus} {incumbent}"),
            )


def promoted_share(
    draw: Draw, *, nights: int, threads: int, seed: int = 0, alpha: float = ALPHA
) -> tuple[float, float, float]:
    """The share of nights that promote any of all tasks, with its exact interval of 95 %."""
    random = np.random.default_rng(seed)
    passed = np.zeros(nights, dtype=bool)
    for _ in TASKS:
        gains = draw(random, nights, threads)
        hopeful = _t(gains) >= HOPELESS
        passed[hopeful] |= p_values(gains[hopeful]) <= alpha
    interval = binomtest(int(passed.sum()), nights).proportion_ci(method="exact")
    return float(passed.mean()), float(interval.low), float(interval.high)


def power(threads_of: Population, threads: int, *, nights: int = POWER_NIGHTS, seed: int = 1) -> float:
    """The share of nights that see what was truly gained."""
    gains = threads_of.draw(np.random.default_rng(seed), nights, threads)
    return float((p_values(gains) <= ALPHA).mean())


def main() -> int:
    """Print the tables of docs/gate.md and draw its plot."""
    started, found = time.monotonic(), runs()
    nights = int(sys.argv[1]) if len(sys.argv) > 1 else NIGHTS
    print(f"| nights without a gain, {len(TASKS)} tasks each | promoted | interval (95 %) |\n|---|---|---|")
    false = {}
    for name, threads, gains_of in null_nights(found):
        share, low, high = false[name] = promoted_share(gains_of, nights=nights, threads=threads)
        print(f"| {name} | {share:.2%} | {low:.2%} to {high:.2%} |", flush=True)
    for corpus in ("star", "dstc"):
        seeds = population(found, f"{corpus} 160 again", f"{corpus} 160")
        print(f"\nAnother seed on the same pairs of {corpus.upper()} gains {seeds.gain:+.3f} nats per token.")
    print("\n| nights with a gain | nats per token | " + " | ".join(f"{n} threads" for n in SIZES) + " |")
    print("|---|---|" + "---|" * len(SIZES))
    seen: dict[str, list[float]] = {}
    for name, gained in real_gains(found):
        seen[name] = [power(gained, threads) for threads in SIZES]
        print(
            f"| {name} | {gained.gain:.2f} | " + " | ".join(f"{share:.0%}" for share in seen[name]) + " |", flush=True
        )
    later = population(found, "star 320", "star 160")
    for gain in GAINS:
        shares = seen[f"{gain} nats per token"] = [power(later.centred(gain), threads) for threads in SIZES]
        print(
            f"| STAR's 320 against 160, moved | {gain:.2f} | " + " | ".join(f"{share:.0%}" for share in shares) + " |"
        )
    draw(false, seen)
    print(f"\n{nights} nights a row, {time.monotonic() - started:.0f} s")
    return 0


def draw(false: dict[str, tuple[float, float, float]], seen: dict[str, list[float]]) -> None:
    """Left the nights without a gain, right those with one."""
    figure = Figure(figsize=(12, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for place, (share, low, high) in enumerate(false.values()):
        left.plot([100 * low, 100 * high], [place, place], color="tab:blue")
        left.plot(100 * share, place, "o", color="tab:blue")
    left.axvline(0.3, color="tab:green", linestyle="--", label="the gate's level, .3 %")
    left.axvline(0.5, color="tab:red", label="the bound, .5 %")
    left.set(title="Promoted without a gain", xlabel="% of nights, over all tasks", yticks=range(len(false)))
    left.set_yticklabels(list(false), fontsize=7)
    left.legend()
    for name, shares in seen.items():
        right.plot(SIZES, [100 * share for share in shares], "o-", label=name)
    right.axhline(95, color="black", linewidth=1)
    right.set(title="Promoted with a true gain", xlabel="held-out threads", ylabel="% of nights", xticks=SIZES)
    right.set_ylim(bottom=0)
    right.legend(fontsize=7)
    figure.savefig(PLOT, dpi=110)


def _t(gains: NDArray[np.float64]) -> NDArray[np.float64]:
    return gains.mean(axis=1) * np.sqrt(gains.shape[1]) / np.maximum(gains.std(axis=1), 1e-12)


def _flipped(threads_of: Population) -> Draw:
    def draw(random: np.random.Generator, nights: int, threads: int) -> NDArray[np.float64]:
        places = random.integers(0, len(threads_of.gains), size=(nights, threads))
        signs = random.choice([-1.0, 1.0], size=(nights, threads))
        return signs * threads_of.gains[places] - LEAST_GAIN * threads_of.tokens[places]

    return draw


def _heavy(threads_of: Population) -> Draw:
    def draw(random: np.random.Generator, nights: int, threads: int) -> NDArray[np.float64]:
        return threads_of.centred().draw(random, nights, threads) * np.abs(random.standard_t(2, size=(nights, threads)))

    return draw


def _unequal(threads_of: Population) -> Draw:
    """Each thread is up to 30 of the real ones in a row, most are one."""

    def draw(random: np.random.Generator, nights: int, threads: int) -> NDArray[np.float64]:
        size = np.minimum(30, random.geometric(0.3, size=(nights, threads)) ** 2)
        ends = np.cumsum(np.concatenate([[0.0], np.tile(_beyond(threads_of.centred()), 2)]))
        begin = random.integers(0, len(threads_of.gains), size=(nights, threads))
        return ends[begin + size] - ends[begin]

    return draw


def _disasters(threads_of: Population) -> Draw:
    """Many small gains hide a few great losses: the mean is nought, the median is not."""

    def draw(random: np.random.Generator, nights: int, threads: int) -> NDArray[np.float64]:
        gains = np.abs(threads_of.centred().draw(random, nights, threads))
        mean = np.abs(_beyond(threads_of.centred())).mean()
        return np.where(random.random((nights, threads)) < 0.05, -19 * mean, gains)

    return draw


def _beyond(threads_of: Population) -> NDArray[np.float64]:
    return threads_of.gains - LEAST_GAIN * threads_of.tokens


if __name__ == "__main__":
    sys.exit(main())
