"""Numbers that change with training progress, from 0 at the first step towards 1, and one that answers to a measurement.

    >>> Cosine(start=0.04, end=0.0)(0.5)
    0.02
    >>> Staged(values=(16, 8), starts=(0.0, 0.5))(0.75)         # PTST: fewer siblings as answers may grow longer
    8
    >>> Adaptive(start=0.01, target=0.1).after(0.01, measured=0.3, n=500)
    0.0101

Progress is steps done / steps of the stage, never epochs: of four steps 0, 0.25, 0.5 and 0.75, so that a start of 1 is never. A schedule has no state: a resumed run has the same values. Where a schedule is
asked for, a plain number is a constant one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

Schedule = Callable[[float], float]
"""progress -> value."""


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


@dataclass(frozen=True, kw_only=True)
class Staged:
    """Steps: values[i] from progress starts[i] on, until the next. The first start is 0.

    Answer limits and group sizes of PTST (2503.06749), reward thresholds of Vision-R1 (2503.18013).
    """

    values: tuple[float, ...]
    starts: tuple[float, ...]

    def __post_init__(self) -> None:
        rises = all(a < b for a, b in zip(self.starts, self.starts[1:], strict=False))
        if not self.values or len(self.values) != len(self.starts) or self.starts[0] != 0 or not rises or self.starts[-1] > 1:
            raise ValueError(
                "a staged schedule needs one start per value, rising from 0 to at most 1 (a share of the training); "
                f"got values {self.values}, starts {self.starts}"
            )

    def __call__(self, progress: float) -> float:
        share = _within(progress)
        return [value for value, start in zip(self.values, self.starts, strict=True) if start <= share][-1]


@dataclass(frozen=True, kw_only=True)
class Adaptive:
    """A coefficient that follows a measurement: the KL controller of Ziegler et al. (1909.08593) section 2.2.

        error = clip(measured / target - 1, -0.2, 0.2);  coefficient *= 1 + error * n / horizon

    `n` is the number of rollouts of the step. The coefficient itself is kept by the run, and is in its checkpoints.
    """

    start: float
    target: float
    horizon: float = 10_000  # C OpenRLHF

    def __post_init__(self) -> None:
        if not all(0 < value < math.inf for value in (self.start, self.target, self.horizon)):
            raise ValueError(f"an adaptive coefficient needs start, target and horizon above 0 and finite, got {self}")

    def after(self, coefficient: float, *, measured: float, n: int) -> float:
        """The coefficient for the next step."""
        error = min(0.2, max(-0.2, measured / self.target - 1))
        return coefficient * max(0.1, 1 + error * n / self.horizon)  # O never to 0 or below, from where there is no return


def at(value: float | Schedule, progress: float) -> float:
    """The value of a schedule, or of a plain number, at this progress."""
    return value(progress) if callable(value) else float(value)


def values_of(value: float | Schedule) -> tuple[float, ...]:
    """What a number or a schedule can come to, as far as checks need it: all stages, or both ends."""
    if isinstance(value, Staged):
        return value.values
    return (at(value, 0.0), at(value, 1.0))


def _within(progress: float) -> float:
    if math.isnan(progress):
        raise ValueError("progress must be a number from 0 to 1, got nan")
    return min(1.0, max(0.0, progress))
