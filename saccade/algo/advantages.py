"""From the rewards of a group of siblings to how much better than its siblings each one was.

Every function here takes the rewards of ONE group, None where a rollout could not be scored, and returns a float64
array with one advantage per sibling. Three rules hold for all of them:

- an unscored sibling leaves the statistics and gets advantage 0;
- a group whose known rewards are all equal gets exactly 0 (rounding in the mean must not leak through 1/eps);
- so does a group with fewer than two known rewards, where there is nothing to compare with.

    >>> ZScore(eps=0)([1.0, 0.0, 0.0, 0.0])
    array([ 1.5, -0.5, -0.5, -0.5])
    >>> leave_one_out([1.0, 0.0, None, 0.0])
    array([ 1. , -0.5,  0. , -0.5])

What looks at a whole batch of groups, or at single tokens, is in `credit.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Advantage = Callable[[Sequence[float | None]], np.ndarray]
"""The rewards of one group to one advantage per sibling."""


@dataclass(frozen=True, kw_only=True)
class ZScore:
    """(r - mean) / (std + eps): GRPO, DeepSeekMath (2402.03300) section 4.1.

    `is_unbiased` divides the variance by n - 1 (torch's default, and all released code that we read) instead of n.
    Released values of eps: 1e-6 in verl and EasyR1, 1e-4 in TRL, 1e-8 in oat.
    """

    eps: float = 1e-6
    is_unbiased: bool = True

    def __post_init__(self) -> None:
        require_eps(self.eps)

    def __call__(self, rewards: Sequence[float | None]) -> np.ndarray:
        difference_G, n_known = differences(rewards)
        if not difference_G.any():
            return difference_G
        return difference_G / (deviation(difference_G, n_known, is_unbiased=self.is_unbiased) + self.eps)


def mean_only(rewards: Sequence[float | None]) -> np.ndarray:
    """r - mean: Dr. GRPO (2503.20783), which drops the division by the standard deviation."""
    return differences(rewards)[0]


def leave_one_out(rewards: Sequence[float | None]) -> np.ndarray:
    """r - mean of the OTHER siblings = n / (n - 1) * (r - mean): RLOO (2402.14740)."""
    difference_G, n_known = differences(rewards)
    return difference_G * (n_known / (n_known - 1)) if n_known > 1 else difference_G


def differences(rewards: Sequence[float | None]) -> tuple[np.ndarray, int]:
    """Distance of each known reward from their mean, and how many are known; exact zeros where all are equal."""
    known = [float(reward) for reward in rewards if reward is not None]
    difference_G = np.zeros(len(rewards))
    if len(known) < 2 or max(known) == min(known):
        return difference_G, len(known)
    mean = math.fsum(known) / len(known)
    for i, reward in enumerate(rewards):
        if reward is not None:
            difference_G[i] = float(reward) - mean
    return difference_G, len(known)


def deviation(difference: np.ndarray, n: int, *, is_unbiased: bool) -> float:
    """The standard deviation from `n` values' distances to their mean (zeros for what is unknown); 0 of fewer than two."""
    if n < 2:
        return 0.0
    return math.sqrt(math.fsum(difference**2) / (n - 1 if is_unbiased else n))


def require_eps(eps: float) -> None:
    """ValueError unless eps can be added to a standard deviation."""
    if eps < 0:
        raise ValueError(f"eps is added to a standard deviation and must be 0 or more, got {eps}")
