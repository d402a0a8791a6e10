"""Rewards and punishments for how long an answer is."""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

from saccade.core.reward import Reward, as_score
from saccade.core.rollout import Rollout, Score

LONGER_IF_WRONG = (-0.5, 0.0)  # C VLM-R1: a short wrong answer costs most; so in 2502.03373, which that code cites (S)
SHORTER_IF_WRONG = (0.0, -0.5)  # I VLM-R1's constants by their names: a long wrong answer costs most


@dataclass(frozen=True, kw_only=True)
class SoftOverlong:
    """0 up to limit - buffer sampled tokens, then falling straight to -factor at `limit`: DAPO (2503.14476) equation 13.

        P(y) = -factor * (|y| - (limit - buffer)) / buffer          between the two; -factor beyond `limit`

    `limit` is the paper's L_max, `buffer` its L_cache; 20480 and 4096 there. It is added to the correctness reward (+1
    and -1 there). Dynamic sampling must then filter by correctness and not by the sum.
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
    return Reward(name="overlong", function=SoftOverlong(limit=limit, buffer=buffer, factor=factor), best=0.0)


def cosine(n: float, limit: float, ends: tuple[float, float]) -> float:
    """From ends[0] at 0 to ends[1] at `limit`, along half a cosine; ends[1] beyond.

        r(n) = last + (first - last) (1 + cos(pi n / limit)) / 2,        n = min(n, limit)

    Without the bound, as in VLM-R1's released code, an answer of twice the limit is worth as much as an empty one.

    >>> cosine(0, 1024, (1.0, 0.5)), cosine(1024, 1024, (1.0, 0.5)), cosine(4096, 1024, (1.0, 0.5))
    (1.0, 0.5, 0.5)
    """
    first, last = ends
    return last + (first - last) * (1 + math.cos(math.pi * min(n, limit) / limit)) / 2


@dataclass(frozen=True, kw_only=True)
class CosineLength:
    """The cosine above over the sampled tokens, with other ends for right answers than for wrong ones.

    An answer is right where `accuracy` gives at least `threshold`. `right` and `wrong` are (worth of no token at all, worth
    at `limit` tokens and beyond). An accuracy that cannot tell (None) leaves this term open, too.
    """

    accuracy: Reward
    wrong: tuple[float, float]
    right: tuple[float, float] = (1.0, 0.5)  # C VLM-R1
    limit: int = 1024  # C VLM-R1
    threshold: float = 0.7  # C VLM-R1

    def __post_init__(self) -> None:
        if self.limit <= 0:
            raise ValueError(f"limit is a number of tokens above 0, got {self.limit}")
        if self.accuracy.scope != "rollout":
            raise ValueError(f"a length reward asks one rollout's accuracy; {self.accuracy.name!r} compares siblings")

    @property
    def wants(self) -> frozenset[str]:
        """What the accuracy asks to be offered."""
        return self.accuracy.wants

    def __call__(self, rollout: Rollout, **offered: Any) -> Score | Awaitable[Score]:
        accuracy = self.accuracy.offer(rollout, **offered)
        if inspect.isawaitable(accuracy):
            return self._later(rollout, accuracy)
        return self._score(rollout, as_score(accuracy))

    async def _later(self, rollout: Rollout, accuracy: Awaitable[Any]) -> Score:
        return self._score(rollout, as_score(await accuracy))

    def _score(self, rollout: Rollout, accuracy: Score) -> Score:
        if accuracy.value is None:
            return Score(None, f"no accuracy: {accuracy.why}")
        is_right = accuracy.value >= self.threshold
        value = cosine(rollout.n_sampled, self.limit, self.right if is_right else self.wrong)
        return Score(value, f"{rollout.n_sampled} tokens, {'right' if is_right else 'wrong'}")


def cosine_length(
    accuracy: Reward,
    *,
    wrong: tuple[float, float],
    right: tuple[float, float] = (1.0, 0.5),
    limit: int = 1024,
    threshold: float = 0.7,
) -> Reward:
    """Short right answers are worth more than long ones; for wrong ones `wrong` says it. Named "length".

    The two directions for wrong answers in use are LONGER_IF_WRONG and SHORTER_IF_WRONG; there is no default, as papers and
    code disagree. The pairs are the worth of (no token, `limit` tokens or more); `threshold` is the accuracy that is right.

    >>> weighted((accuracy, 1.0), (cosine_length(accuracy, wrong=LONGER_IF_WRONG), 1.0))
    """
    function = CosineLength(accuracy=accuracy, wrong=wrong, right=right, limit=limit, threshold=threshold)
    return Reward(name="length", function=function, best=None)
