"""The thresholds of Vision-R1's recall and precision, and how they move with training.

    >>> staged().f(0.6, progress=0.2), staged().f(0.6, progress=0.8)
    (0.6, 0.0)

Marks: # P paper, # C released code.
"""

from __future__ import annotations

from dataclasses import dataclass

from saccade.rewards.geometry.matching import Staged

RELEASED_SWITCH = 1500 / 3060  # C step 1500; 49,000 samples at 16 a step


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """The three thresholds as functions of training progress, 0 to 1.

    `top_is_in`: f is 1 at `full_from` itself (P), not only above it (C).
    """

    hit: Staged
    zero_below: Staged
    full_from: Staged
    top_is_in: bool = True

    def f(self, x: float, progress: float) -> float:
        """0 below `zero_below`, 1 from `full_from` on, x between."""
        top = self.full_from(progress)
        if x > top or (self.top_is_in and x == top):
            return 1.0
        return 0.0 if x < self.zero_below(progress) else x


def staged(switch: float = 0.5) -> Thresholds:
    """The paper's thresholds, rising at `switch` of the training. # P"""
    stages = (0.0, switch) if switch < 1 else (0.0,)

    def moving(first: float, then: float) -> Staged:
        return Staged(values=(first, then)[: len(stages)], starts=stages)

    return Thresholds(hit=moving(0.5, 0.75), zero_below=moving(0.5, 0.75), full_from=moving(0.75, 0.9))


def _still(value: float) -> Staged:
    return Staged(values=(value,))


_RELEASED_MOVING = staged(RELEASED_SWITCH)
# C: what the released script trains with, and what its code does with --adaptive true.
RELEASED_RECALL = Thresholds(hit=_still(0.5), zero_below=_still(0.0), full_from=_still(1.0), top_is_in=False)
RELEASED_PRECISION = Thresholds(hit=_still(-1.0), zero_below=_still(0.0), full_from=_still(1.0), top_is_in=False)
RELEASED_RECALL_ADAPTIVE = Thresholds(
    hit=_RELEASED_MOVING.hit, zero_below=_still(0.5), full_from=_still(0.75), top_is_in=False
)
RELEASED_PRECISION_ADAPTIVE = Thresholds(
    hit=_still(-1.0), zero_below=_RELEASED_MOVING.zero_below, full_from=_RELEASED_MOVING.full_from, top_is_in=False
)
