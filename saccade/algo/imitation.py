"""Imitating some of the policy's own answers beside the policy gradient.

    >>> Imitation(weight=0.05).weights([better_and_extended, plain])       # 2 and 3 sampled tokens
    [0.025, 0.0]
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from saccade.core.experience import Experience


def extended_and_better(one: Experience) -> bool:
    """Whether words were forced upon the answer (rethinking.py), in this step, and it came out better than its siblings."""
    return not one.is_replayed and not all(one.rollout.is_sampled_T) and bool((one.advantage_T > 0).any())


@dataclass(frozen=True, kw_only=True)
class Imitation:
    """Adds to the loss of an optimizer update the mean negative log-prob of the chosen answers' sampled tokens, times `weight`.

        loss += weight * (-sum over chosen answers of sum_t log pi(y_t)) / (their sampled tokens)

    VL-Rethinker (2504.08837) adds it for rethinking that succeeded; 0.05 there, over the whole answer, its beginning included (# C;
    the paper's first version takes only what came after the forced words, and the code takes answers that waited by themselves, too).
    """

    weight: float = 0.05  # C
    chosen: Callable[[Experience], bool] = extended_and_better

    def __post_init__(self) -> None:
        if not 0 < self.weight < math.inf:
            raise ValueError(f"the weight of imitation must be above 0 and finite, got {self.weight}")

    def weights(self, lessons: Sequence[Experience]) -> list[float]:
        """What each sampled token of each answer weighs: fixed for the whole update, so that splitting cannot change it."""
        is_chosen = [self.chosen(one) for one in lessons]
        n = sum(one.rollout.n_sampled for one, holds in zip(lessons, is_chosen, strict=True) if holds)
        return [self.weight / n if holds and n else 0.0 for holds in is_chosen]
