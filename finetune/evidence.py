"""The statistics of the gate: is the mean gain per thread above zero? Pure, and vectorised over nights."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 20_000
"""The smallest p-value is 1 / (RESAMPLES + 1), a twentieth of the level of one of three tasks (.003 / 3)."""
NIGHTS_AT_ONCE = 256
COLUMNS_AT_ONCE = 2_000_000
INTERVAL = 0.95

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Effect:
    """Gain of a candidate over one contender. Positive is better; `mean`, `low` and `high` in nats per token."""

    mean: float
    low: float
    high: float
    p: float
    threads: int
    tokens: int


def effect(gains: NDArray[np.float64], tokens: NDArray[np.float64], *, least: float = 0.0) -> Effect:
    """From each thread's summed gain (threads,) in nats and its target tokens (threads,).

    `p` is that of "the gain is no more than `least` nats per token".
    The interval is the studentised bootstrap's for the ratio of sums, linearised: Efron and Tibshirani (1993), 12.5.
    """
    ratio = gains.sum() / tokens.sum()
    residuals = (gains - ratio * tokens) / tokens.mean()
    spread = residuals.std() / np.sqrt(len(gains))
    low = high = ratio
    if spread > 0:
        studentised = _studentised(residuals[None, :].astype(np.float32))[0]
        tail = (1 - INTERVAL) / 2
        low = ratio - spread * float(np.quantile(studentised, 1 - tail))
        high = ratio - spread * float(np.quantile(studentised, tail))
    p = float(p_values((gains - least * tokens)[None, :])[0])
    return Effect(float(ratio), float(low), float(high), p, len(gains), int(tokens.sum()))


def p_values(gains: NDArray[np.floating]) -> NDArray[np.float64]:
    """One-sided p-values (nights,) of "the mean gain per thread is not above zero", from gains (nights, threads).

    The larger of two: a sign-flip permutation test, which keeps its level exactly when gains are symmetric, also
    with heavy tails, and a studentised bootstrap, which corrects for skewness (many small gains that hide a few
    disasters). Each alone errs up to 17 and 4 times its level where the other does not; see tests/test_gate.py.
    """
    gains = gains.astype(np.float32)
    found = np.ones(len(gains))
    for first in range(0, len(gains), NIGHTS_AT_ONCE):
        some = gains[first : first + NIGHTS_AT_ONCE]
        found[first : first + NIGHTS_AT_ONCE] = np.maximum(_sign_flip_p(some), _bootstrap_p(some))
    return found


def _sign_flip_p(gains: Floats) -> NDArray[np.float64]:
    """Flipping signs leaves the sum of squares as it is, so the plain sum orders flips as the t statistic does."""
    nights, threads = gains.shape
    total = gains.sum(axis=1, keepdims=True)
    # Equal sums must count as equal, whatever the order of adding.
    tie = 1e-5 * np.abs(gains).sum(axis=1, keepdims=True)
    beyond = np.zeros(nights)
    for columns in _columns(threads):
        signs = _signs(threads, *columns)
        beyond += ((gains @ signs) >= total - tie).sum(axis=1)
    return (1 + beyond) / (RESAMPLES + 1)


def _bootstrap_p(gains: Floats) -> NDArray[np.float64]:
    """The share of the centred bootstrap's t statistics that reach the observed one: Hall (1992), 3.10."""
    threads = gains.shape[1]
    mean, spread = gains.mean(axis=1, keepdims=True), gains.std(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        observed = mean * np.sqrt(threads) / spread
    p = (1 + (_studentised(gains - mean) >= observed).sum(axis=1)) / (RESAMPLES + 1)
    # Without any spread there is nothing to resample: only the sign-flip test speaks.
    return np.where(spread[:, 0] > 0, p, np.where(mean[:, 0] > 0, 0.0, 1.0))


def _studentised(centred: Floats) -> Floats:
    """t statistics (nights, RESAMPLES) of bootstrap samples of centred values (nights, threads)."""
    threads = centred.shape[1]
    squares = centred * centred
    parts = []
    for columns in _columns(threads):
        counts = _counts(threads, *columns)
        means = centred @ counts / threads
        variances = squares @ counts / threads - means * means
        parts.append(means * np.sqrt(threads) / np.sqrt(np.maximum(variances, 1e-12)))
    return np.concatenate(parts, axis=1)


def _columns(threads: int) -> list[tuple[int, int]]:
    width = max(1, COLUMNS_AT_ONCE // threads)
    return [(first, min(width, RESAMPLES - first)) for first in range(0, RESAMPLES, width)]


@lru_cache(maxsize=4)
def _signs(threads: int, first: int, width: int) -> Floats:
    """Signs (threads, width); the same ones for every night, so a verdict can be repeated."""
    drawn = np.random.default_rng([1, threads, first]).integers(0, 2, size=(threads, width), dtype=np.int8)
    return (2 * drawn - 1).astype(np.float32)


@lru_cache(maxsize=4)
def _counts(threads: int, first: int, width: int) -> Floats:
    """How often each thread is drawn (threads, width) in bootstrap samples of as many threads."""
    drawn = np.random.default_rng([2, threads, first]).integers(0, threads, size=(width, threads))
    places = drawn + threads * np.arange(width)[:, None]
    counts = np.bincount(places.ravel(), minlength=threads * width).reshape(width, threads)
    return np.ascontiguousarray(counts.T, dtype=np.float32)
