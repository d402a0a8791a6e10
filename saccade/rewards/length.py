"""Rewards and punishments for how long an answer is."""

from __future__ import annotations

from dataclasses import dataclass

from saccade.core.reward import Reward
from saccade.core.rollout import Rollout, Score


@dataclass(frozen=True, kw_only=True)
class SoftOverlong:
    """0 up to limit - buffer sampled tokens, then falling straight to -factor at `limit`: DAPO (2503.14476) equation 13.

        P(y) = -factor * (|y| - (limit - buffer)) / buffer          between the two; -factor beyond `limit`

    `limit` is the paper's L_max, `buffer` its L_cache; 20480 and 4096 there. It is added to the correctness reward (+1 and -1
    there). Dynamic sampling must then filter by correctness and not by the sum.
    """

    limit: int
    buffer: int
    factor: float = 1.0  # P

    def __post_init__(self) -> None:
        if not (0 < self.buffer <= self.limit and self.factor >= 0):
            raise ValueError(f"the overlong buffer lies within the limit: 0 < buffer <= limit and factor >= 0, got {self}")

    def __call__(self, rollout: Rollout) -> Score:
        over = max(0, min(rollout.n_sampled, self.limit) - (self.limit - self.buffer))
        return Score(-self.factor * over / self.buffer, f"{rollout.n_sampled} tokens, {over} into the buffer")


def soft_overlong(*, limit: int, buffer: int, factor: float = 1.0) -> Reward:
    """DAPO's soft overlong punishment as a reward term named "overlong".

    >>> weighted((accuracy, 1.0), (soft_overlong(limit=20480, buffer=4096), 1.0))
    """
    return Reward(name="overlong", function=SoftOverlong(limit=limit, buffer=buffer, factor=factor))
