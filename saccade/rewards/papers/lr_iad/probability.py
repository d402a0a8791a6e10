"""How probable the right answer is: the three estimators of p. # I specs/lr_iad.md 3.3"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from saccade.core.rollout import Group, Rollout
from saccade.core.sample import Sample
from saccade.rewards.papers.lr_iad.classes import normal_or_defect

Pieces = Callable[[Sequence[int]], Sequence[str]]
"""The text that each token adds."""


class Probability(Protocol):
    """p for every sibling, from the group and which of it are right."""

    def __call__(self, group: Group, is_right_G: Sequence[bool], pieces: Pieces | None) -> list[float]: ...


@dataclass(frozen=True)
class GroupAccuracy:
    """p = right siblings / siblings. # I estimator (b)"""

    def __call__(self, group: Group, is_right_G: Sequence[bool], pieces: Pieces | None) -> list[float]:
        return [sum(is_right_G) / len(is_right_G)] * len(is_right_G)


@dataclass(frozen=True)
class AnswerProbability:
    """p = the probability with which the tokens of the last answer block were sampled, at its temperature. # I (a)

    A right rollout's answer is the gold answer, so this is the gold's probability after that reasoning; wrong ones earn
    nothing whatever p is. Tokens that only partly lie in the block count whole, blank ones not; what was not sampled is
    certain. A confident right answer earns less than a hesitant one: give the reward a `base`.
    """

    def __call__(self, group: Group, is_right_G: Sequence[bool], pieces: Pieces | None) -> list[float]:
        if pieces is None:
            raise TypeError("AnswerProbability needs `pieces`, the text that each token adds; a run offers it")
        return [
            self.probability(rollout, pieces) if is_right else 0.0
            for rollout, is_right in zip(group.rollouts, is_right_G, strict=True)
        ]

    def probability(self, rollout: Rollout, pieces: Pieces) -> float:
        """Of one rollout whose answer block can be read."""
        written = pieces(rollout.token_T)
        text = "".join(written)
        end = text.rfind("</answer>")
        start = text.rfind("<answer>", 0, max(end, 0))
        if start < 0:
            return 0.0
        start += len("<answer>")
        total, at = 0.0, 0
        for piece, logp in zip(written, rollout.logp_T, strict=True):
            if at < end and at + len(piece) > start and piece.strip():
                total += logp
            at += len(piece)
        return math.exp(min(0.0, total))


@dataclass(frozen=True, kw_only=True)
class RunningAccuracy:
    """p = the accuracy given for the sample's class, as by `ClassCounts.accuracy`; 0 for one it lacks. # I (c)"""

    accuracy: Mapping[str, float]
    class_of: Callable[[Sample], str] = normal_or_defect

    def __post_init__(self) -> None:
        odd = {name: share for name, share in self.accuracy.items() if not 0 <= share <= 1}
        if odd:
            raise ValueError(f"accuracies lie between 0 and 1, got {odd}")

    def __call__(self, group: Group, is_right_G: Sequence[bool], pieces: Pieces | None) -> list[float]:
        return [self.accuracy.get(self.class_of(group.sample), 0.0)] * len(is_right_G)
