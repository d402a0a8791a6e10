"""How sure one may be of a score: intervals for one evaluation, and for the difference of two on the same samples.

    >>> wilson(80, 100)
    Interval(low=0.7111..., high=0.8667...)
    >>> mean_interval([[1, 0, 1, 1], [0, 0, 0, 1]])      # four attempts at each of two samples
    >>> pass_at_k(n=10, correct=3, k=5)
    0.9166...
    >>> mcnemar(before, after).p                          # did the same samples change?

Scores stand per sample: a number each, or a sequence of numbers where a sample had several attempts. Samples are what
was drawn at random, so samples are what is resampled; attempts at one sample are not independent of each other. The
same call gives the same numbers, always: the bootstrap's seed is an argument.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

Scores = Sequence[float] | Sequence[Sequence[float]]

RESAMPLES = 2000  # O: the ends of a 95 % interval then wobble by about 3 % of its width
_CHUNK = 4_000_000  # indices drawn at a time


class Interval(NamedTuple):
    """From low to high, both included."""

    low: float
    high: float


class McNemar(NamedTuple):
    """How many samples only one of two evaluations got right, and how likely that or worse is by chance."""

    n_lost: int
    n_won: int
    p: float


def wilson(n_correct: int, n: int, *, confidence: float = 0.95) -> Interval:
    """Wilson's score interval for a share of n independent yes-or-no outcomes; honest also at 0 % and 100 %."""
    if not 0 <= n_correct <= n or n < 1:
        raise ValueError(f"needs 0 <= n_correct <= n and n >= 1, got {n_correct} of {n}")
    z = _z(confidence)
    share, spread = n_correct / n, z * z / n
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    return Interval(0.0 if n_correct == 0 else middle - half, 1.0 if n_correct == n else middle + half)


def bootstrap(scores: Scores, *, confidence: float = 0.95, resamples: int = RESAMPLES, seed: int = 0) -> Interval:
    """Percentile bootstrap interval of the mean over samples of each sample's mean; resamples whole samples."""
    mean_S = _sample_means(scores)
    random = np.random.default_rng(seed)
    rows = max(1, _CHUNK // len(mean_S))
    means = [
        mean_S[random.integers(0, len(mean_S), size=(min(rows, resamples - start), len(mean_S)))].mean(axis=1)
        for start in range(0, resamples, rows)
    ]
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return Interval(float(low), float(high))


def mean_interval(scores: Scores, *, confidence: float = 0.95, seed: int = 0) -> Interval:
    """The interval that fits the scores: Wilson's where every sample is wholly right or wrong, else the bootstrap.

    So a hundred samples that failed four times each are a hundred failures, and not the certainty of never succeeding.
    """
    mean_S = _sample_means(scores)
    if _are_bits(mean_S):
        return wilson(int(mean_S.sum()), len(mean_S), confidence=confidence)
    return bootstrap(scores, confidence=confidence, seed=seed)


def pass_at_k(*, n: int, correct: int, k: int) -> float:
    """Unbiased chance that at least one of k attempts is right, from `correct` of n: Chen et al. (2107.03374) eq. 1.

    1 - C(n - correct, k) / C(n, k). Average it over samples.
    """
    if not (0 <= correct <= n and 1 <= k <= n):
        raise ValueError(f"needs 0 <= correct <= n and 1 <= k <= n, got correct={correct}, n={n}, k={k}")
    return 1.0 - math.comb(n - correct, k) / math.comb(n, k)


def mcnemar(before: Sequence[float], after: Sequence[float]) -> McNemar:
    """Exact two-sided McNemar test of two evaluations with one 0-or-1 score for each of the same samples, in order."""
    before_S, after_S = _paired_means(before, after)
    if not (_are_bits(before_S) and _are_bits(after_S)):
        raise ValueError("McNemar's test needs one score of 0 or 1 per sample; for others use paired_interval")
    lost, won = int((after_S < before_S).sum()), int((after_S > before_S).sum())
    n = lost + won
    tail = sum(math.comb(n, i) for i in range(min(lost, won) + 1))
    return McNemar(lost, won, min(1.0, 2 * tail / 2**n))


def paired_interval(
    before: Scores, after: Scores, *, confidence: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Interval of mean(after) - mean(before) over the same samples, in order.

    Where every sample is wholly right or wrong: Agresti and Min (2005), a Wald interval after half a sample is added to
    each of the four outcomes, so that "nothing changed on 20 samples" is not called certainty. Otherwise the bootstrap
    of the samples' differences, which is too narrow below some 20 samples.
    """
    before_S, after_S = _paired_means(before, after)
    difference_S = after_S - before_S
    if not (_are_bits(before_S) and _are_bits(after_S)):
        return bootstrap(difference_S.tolist(), confidence=confidence, resamples=resamples, seed=seed)
    n, changed, gain = len(difference_S) + 2, np.abs(difference_S).sum() + 1, difference_S.sum()
    half = _z(confidence) * math.sqrt(changed - gain**2 / n) / n
    return Interval(max(-1.0, float(gain / n - half)), min(1.0, float(gain / n + half)))


def _z(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is a share between 0 and 1, got {confidence}")
    return NormalDist().inv_cdf((1 + confidence) / 2)


def _sample_means(scores: Scores) -> np.ndarray:
    if len(scores) == 0:
        raise ValueError("needs the scores of at least one sample, got none")
    mean_S = np.array([float(np.mean(score)) if np.size(score) else math.nan for score in scores])
    if not np.isfinite(mean_S).all():
        number = int(np.argmin(np.isfinite(mean_S)))
        raise ValueError(f"scores must be finite numbers; sample {number} has none, or nan")
    return mean_S


def _paired_means(before: Scores, after: Scores) -> tuple[np.ndarray, np.ndarray]:
    if len(before) != len(after):
        raise ValueError(f"needs the same samples twice, got {len(before)} before and {len(after)} after")
    return _sample_means(before), _sample_means(after)


def _are_bits(mean_S: np.ndarray) -> bool:
    return bool(np.isin(mean_S, (0.0, 1.0)).all())
