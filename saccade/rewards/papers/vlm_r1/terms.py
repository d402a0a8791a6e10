"""VLM-R1's optional terms: how long an answer is, and what it says twice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from saccade.core.picture import Frame
from saccade.core.reward import Reward
from saccade.core.rollout import Rollout, Score
from saccade.rewards.length import LONGER_IF_WRONG, cosine_length
from saccade.rewards.papers.vlm_r1.reading import SYSTEM as SYSTEM
from saccade.rewards.papers.vlm_r1.detection import weighted_sum
from saccade.rewards.published import published
from saccade.rewards.read.boxes import boxes
from saccade.rewards.repetition import Repetition, repeated_share


@dataclass(frozen=True, kw_only=True)
class ReleasedLength:
    """1 at no token, 0.5 at `limit`, and 1 again at twice that: unbounded, and every answer taken for right. # C"""

    limit: int = 1024  # C

    def __call__(self, rollout: Rollout) -> Score:
        value = 1 - 0.5 * (1 - math.cos(rollout.n_sampled * math.pi / self.limit)) / 2
        return Score(value, f"{rollout.n_sampled} tokens")


@published(
    formula="b + (a - b) (1 + cos(pi min(n, 1024) / 1024)) / 2; a, b = 1, 0.5 if the accuracy is at least 0.7, else -0.5, 0",
    source="C",
    target="what the accuracy reads",
    released="every answer is taken for right, and n is not bounded: 2048 tokens are worth as much as none",
    changed="the real accuracy, bounded; `wrong` says what length does to wrong answers, as constants and code disagree",
)
def length(
    *,
    accuracy: Reward | None = None,
    wrong: tuple[float, float] = LONGER_IF_WRONG,
    limit: int = 1024,
    threshold: float = 0.7,
    as_released: bool = False,
) -> Reward:
    """The cosine length, named "length", over the accuracy of the training; the weighted sum where none is given (# C).

    `wrong`: LONGER_IF_WRONG (as coded) or SHORTER_IF_WRONG (as the constants are named), see rewards/length.py.
    """
    if as_released:
        return Reward(name="length", function=ReleasedLength(limit=limit), best=None)
    return cosine_length(accuracy or weighted_sum(), wrong=wrong, limit=limit, threshold=threshold)


@dataclass(frozen=True, kw_only=True)
class Repeated:
    """Minus the share of boxes with labels that stood before; without boxes, of six words in a row. # C"""

    n: int = 6  # C

    def __call__(self, rollout: Rollout) -> Score:
        read = boxes(rollout.text, frame=Frame.MODEL, keep_swapped=True).value
        if read is None or not read.found:
            return Repetition(n=self.n)(rollout)
        share = repeated_share([(thing.label, thing.box) for thing in read.found])
        return Score(-share, f"{share:.0%} of {len(read.found)} boxes stood before")


@published(
    formula="-(1 - distinct / all) over boxes with labels; without boxes over 6 words in a row",
    source="C",
    target="not read",
)
def repetition() -> Reward:
    """What an answer says twice, -1 to 0, named "repetition"."""
    return Reward(name="repetition", function=Repeated(), best=0.0)
