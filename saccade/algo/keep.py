"""Which groups train: pure functions from the groups of a sampling round to those, or the parts of those, that count.

    keep_all          everything, as it is
    keep_scored       without unscored rollouts
    keep_informative  and without groups whose rewards are all equal
    Differing(by=)    and without groups in which one term is the same everywhere: DAPO's filter
    PassRate(by=)     groups whose mean of one term lies strictly between two bounds: a difficulty filter

Rollouts that take part in their group's statistics but must not be imitated or avoided are another matter: `Algorithm.trains`
leaves them out after the advantages are known (`unless_truncated` is DAPO's overlong filtering).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from saccade.core.rollout import Group, Rollout

Keep = Callable[[Sequence[Group]], list[Group]]
"""The groups of a step -> those that train. It must judge each group by itself: dynamic sampling asks it after every round."""


def keep_all(groups: Sequence[Group]) -> list[Group]:
    """Every group as it is; unscored rollouts and flat groups stay, with advantage 0."""
    return list(groups)


def keep_scored(groups: Sequence[Group]) -> list[Group]:
    """The groups without their unscored rollouts, which then count in no average and feel no penalty."""
    scored = [replace(g, rollouts=tuple(r for r in g.rollouts if r.reward is not None)) for g in groups]
    return [group for group in scored if group.rollouts]


def keep_informative(groups: Sequence[Group]) -> list[Group]:
    """The groups whose rewards differ, without their unscored rollouts: where something can be learned."""
    return [group for group in keep_scored(groups) if not group.is_flat]


@dataclass(frozen=True, kw_only=True)
class Differing:
    """The groups in which the term `by` is not the same for all: 0 < right < G where it is accuracy.

    DAPO (2503.14476) section 3.2 filters by accuracy. The shaped reward will not do: a length penalty makes every group look
    informative.
    """

    by: str = "accuracy"

    def __call__(self, groups: Sequence[Group]) -> list[Group]:
        return [group for group in keep_scored(groups) if len(set(term_values(group, self.by))) > 1]


@dataclass(frozen=True, kw_only=True)
class PassRate:
    """The groups whose mean of the term `by` lies strictly between `low` and `high`: not too hard, not too easy."""

    by: str = "accuracy"
    low: float = 0.01  # C EasyR1 filter_low
    high: float = 0.99  # C EasyR1 filter_high

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"a difficulty filter needs low < high, got {self.low} and {self.high}")

    def __call__(self, groups: Sequence[Group]) -> list[Group]:
        scored = [(group, term_values(group, self.by)) for group in keep_scored(groups)]
        return [group for group, values in scored if values and self.low < fmean(values) < self.high]


def term_values(group: Group, term: str) -> list[float]:
    """What one term gave the group's rollouts, where it gave anything."""
    scores = [rollout.scores[term] for rollout in group.rollouts]
    return [score.value for score in scores if score.value is not None]


def every_rollout(rollout: Rollout) -> bool:
    """All of them train."""
    return True


def unless_truncated(rollout: Rollout) -> bool:
    """Those that ended by themselves: the overlong filtering of DAPO, TRL's mask_truncated_completions."""
    return not rollout.is_truncated
