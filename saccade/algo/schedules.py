"""Numbers that change with training progress, which runs from 0 (first step) to 1 (last).

    >>> Cosine(start=0.04, end=0.0)(0.5)
    0.02
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

Schedule = Callable[[float], float]
"""progress -> value. Where a schedule is asked for, a plain number is a constant one."""


@dataclass(frozen=True, kw_only=True)
class Linear:
    """A straight line from `start` to `end`."""

    start: float
    end: float

    def __call__(self, progress: float) -> float:
        share = _within(progress)
        return (1 - share) * self.start + share * self.end


@dataclass(frozen=True, kw_only=True)
class Cosine:
    """Half a cosine from `start` to `end`: flat at both, steepest in the middle."""

    start: float
    end: float

    def __call__(self, progress: float) -> float:
        share = (1 + math.cos(math.pi * _within(progress))) / 2
        return share * self.start + (1 - share) * self.end


def at(value: float | Schedule, progress: float) -> float:
    """The value of a schedule, or of a plain number, at this progress."""
    return value(progress) if callable(value) else float(value)


def _within(progress: float) -> float:
    if math.isnan(progress):
        raise ValueError("progress must be a number from 0 to 1, got nan")
    return min(1.0, max(0.0, progress))
