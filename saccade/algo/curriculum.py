"""Which samples a step asks, by how often the policy gets them right: a curriculum that mixes and never switches.

Switching data sets from easy to hard hurts (distribution shift, specs/skywork_r1v3.md 5.5). So every sample always keeps a chance,
and difficulty only tilts the odds:

    P(i) = mix / n + (1 - mix) * f_i / sum f        f_i = exp(-((rate_i - target) / width)^2 / 2)

`rate_i` is the running mean of a reward's term over the sample's rollouts so far, and `target` the rate that is asked most, a
number or a schedule: Linear(start=0.8, end=0.3) goes from easy to hard. A group of siblings teaches most near 0.5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from saccade.algo.schedules import Schedule, at, values_of


@dataclass(frozen=True, kw_only=True)
class Curriculum:
    """How the odds of a sample follow from its pass rate.

    by      the term whose mean is the pass rate
    target  the pass rate that is asked most
    width   how fast the odds fall beside it
    mix     share of questions drawn evenly from all samples, above 0
    prior   the pass rate of a sample never asked, where its data has no "pass_rate"
    memory  weight of the old mean when new rollouts come in; 0 believes the last group alone
    """

    by: str = "accuracy"
    target: float | Schedule = 0.5  # O
    width: float = 0.25  # O
    mix: float = 0.3  # O
    prior: float = 0.5  # O
    memory: float = 0.5  # O

    def __post_init__(self) -> None:
        is_sound = 0 < self.mix <= 1 and self.width > 0 and 0 <= self.memory < 1 and 0 <= self.prior <= 1
        if not (is_sound and all(0 <= value <= 1 for value in values_of(self.target))):
            raise ValueError(
                "a curriculum needs 0 < mix <= 1, width > 0, 0 <= memory < 1, and target and prior from 0 to 1, "
                f"got {self}"
            )

    def odds(self, rates: Sequence[float | None], *, progress: float) -> np.ndarray:
        """The chance of each sample to be the next one asked; None where it was never asked."""
        rate_N = np.asarray([self.prior if rate is None else rate for rate in rates])
        near_N = np.exp(-(((rate_N - at(self.target, progress)) / self.width) ** 2) / 2)
        tilted_N = near_N / near_N.sum() if near_N.sum() > 0 else np.full(len(rate_N), 1 / len(rate_N))
        return self.mix / len(rate_N) + (1 - self.mix) * tilted_N

    def draw(self, rates: Sequence[float | None], n: int, *, progress: float, random: np.random.Generator) -> list[int]:
        """The indices of `n` samples, each once (again from the start where there are fewer than `n`)."""
        odds, drawn = self.odds(rates, progress=progress), []
        while len(drawn) < n:
            some = min(n - len(drawn), len(odds))
            drawn += random.choice(len(odds), size=some, replace=False, p=odds).tolist()
        return drawn

    def updated(self, rates: Mapping[int, float], found: Mapping[int, float]) -> dict[int, float]:
        """The running pass rates after a step in which these were found; a sample's first rate replaces what was assumed."""
        new = {place: self.memory * rates.get(place, rate) + (1 - self.memory) * rate for place, rate in found.items()}
        return {**rates, **new}
