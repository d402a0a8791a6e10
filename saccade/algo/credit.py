"""Who gets the credit: from a whole batch of scored groups to the advantage of every rollout, or of every token.

A credit function takes the groups of one sampling round and, where the algorithm's KL penalty stands in the reward, the
cost of each sampled token. It returns one entry per group, and in it one per sibling: a number, or an array over the
sibling's sampled tokens.

    >>> WithinGroup(mean_only)([group_with_rewards_1_and_0])
    [array([ 0.5, -0.5])]

Most algorithms compare within the group (`WithinGroup`); REINFORCE++ whitens over the tokens of the batch; GDPO normalises
each reward by itself before it sums; process rewards credit steps. `ClassWeighted` wraps any of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from saccade.algo.advantages import Advantage, ZScore, deviation, differences, mean_only, require_eps
from saccade.core.rollout import Group, Rollout
from saccade.core.sample import Sample

Credit = Sequence[float | np.ndarray]
"""What one group's siblings are credited with: a number each, or an array over its sampled tokens (so broadcast it)."""

Costs = Sequence[Sequence[np.ndarray]]
"""cost_T of every sibling of every group: what each sampled token pays out of the reward."""

Assign = Callable[[Sequence[Group], Costs | None], list[Credit]]
"""(groups, costs) -> one Credit per group. `costs` is None where no penalty stands in the reward."""


@dataclass(frozen=True)
class WithinGroup:
    """The credit of each group from its own rewards alone, less what the whole answer cost."""

    advantage: Advantage

    def __call__(self, groups: Sequence[Group], costs: Costs | None = None) -> list[Credit]:
        return [self.advantage(rewards) for rewards in _net(groups, costs)]


@dataclass(frozen=True, kw_only=True)
class BatchScaled:
    """(r - mean of the group) / (std of the batch + eps): TRL's scale_rewards="batch", after Lite PPO (2508.08221).

    One std for all groups, so that a nearly unanimous group is not blown up.
    """

    eps: float = 1e-4  # C TRL
    is_unbiased: bool = True  # C TRL

    def __post_init__(self) -> None:
        require_eps(self.eps)

    def __call__(self, groups: Sequence[Group], costs: Costs | None = None) -> list[Credit]:
        rewards = _net(groups, costs)
        difference, n = differences([reward for row in rewards for reward in row])
        scale = deviation(difference, n, is_unbiased=self.is_unbiased) + self.eps
        return [_over(mean_only(row), scale) for row in rewards]


@dataclass(frozen=True, kw_only=True)
class PerReward:
    """GDPO (2601.05242): each reward normalised in its group, then summed by weight, then scaled over the batch.

    Summing first lets a reward with a large spread drown the others; here each term counts by its weight alone. A rollout
    with a term of None is unscored (absent is not zero) and left out. The weights are those of the recipe's sum (`Score.weight`). TRL calls
    it "normalize_then_sum". A group that is flat in every term gets exactly 0.
    """

    eps: float = 1e-4  # C TRL
    is_unbiased: bool = True  # C TRL

    def __post_init__(self) -> None:
        require_eps(self.eps)

    def __call__(self, groups: Sequence[Group], costs: Costs | None = None) -> list[Credit]:
        if costs is not None:
            raise ValueError("per-reward normalisation has no place for a KL penalty in the reward; set penalty_in='loss'")
        sums = [self._sum(group) for group in groups]
        is_known = [[rollout.reward is not None for rollout in group.rollouts] for group in groups]
        pairs = zip((known for row in is_known for known in row), (total for row in sums for total in row), strict=True)
        difference, n = differences([total if known else None for known, total in pairs])
        scaled = iter(_over(difference, deviation(difference, n, is_unbiased=self.is_unbiased) + self.eps))
        rows = [np.array([next(scaled) for _ in row]) for row in sums]
        return [row if total.any() else np.zeros(len(row)) for row, total in zip(rows, sums, strict=True)]

    def _sum(self, group: Group) -> np.ndarray:
        normalise = ZScore(eps=self.eps, is_unbiased=self.is_unbiased)
        total_G = np.zeros(len(group.rollouts))
        for name in dict.fromkeys(name for rollout in group.rollouts for name in rollout.scores):
            scores = [rollout.scores.get(name) for rollout in group.rollouts]
            weight = next(score.weight for score in scores if score is not None)
            total_G += weight * normalise(
                [
                    None if score is None or rollout.reward is None else score.value
                    for rollout, score in zip(group.rollouts, scores, strict=True)
                ]
            )
        total_G[np.abs(total_G) < 1e-12] = 0.0  # what rounding leaves of terms that cancel
        return total_G


@dataclass(frozen=True, kw_only=True)
class BatchWhitened:
    """REINFORCE++ (2501.03262): every token's return, whitened over all sampled tokens of the batch.

        A_t = r - sum of the costs from t on                 then (A - mean) / (std + eps) over the tokens

    With a `baseline` (REINFORCE++-baseline: `mean_only`) r is first replaced by the baseline's advantage in its group. The
    batch is what is compared, not the group: a group with equal rewards gets 0 only where the whole batch is equal.
    """

    baseline: Advantage | None = None
    eps: float = 1e-8  # I the paper names no value
    is_unbiased: bool = True  # C verl's masked_whiten

    def __post_init__(self) -> None:
        require_eps(self.eps)

    def __call__(self, groups: Sequence[Group], costs: Costs | None = None) -> list[Credit]:
        returns: list[list[np.ndarray | None]] = []
        for g, group in enumerate(groups):
            rewards = self.baseline(group.rewards) if self.baseline else group.rewards
            row: list[np.ndarray | None] = []
            for i, rollout in enumerate(group.rollouts):
                if rollout.reward is None:
                    row.append(None)
                    continue
                to_come_T = 0.0 if costs is None else np.cumsum(costs[g][i][::-1])[::-1]
                row.append(np.broadcast_to(float(rewards[i]) - to_come_T, rollout.n_sampled))
            returns.append(row)
        known = [token_T for row in returns for token_T in row if token_T is not None]
        every = np.concatenate(known) if known else np.zeros(0)
        if len(every) < 2 or every.max() == every.min():
            return [[np.zeros(r.n_sampled) for r in group.rollouts] for group in groups]
        mean = math.fsum(every) / len(every)
        scale = deviation(every - mean, len(every), is_unbiased=self.is_unbiased) + self.eps
        return [
            [
                np.zeros(rollout.n_sampled) if token_T is None else (token_T - mean) / scale
                for rollout, token_T in zip(group.rollouts, row, strict=True)
            ]
            for group, row in zip(groups, returns, strict=True)
        ]


@dataclass(frozen=True, kw_only=True)
class StepRewards:
    """Process supervision, DeepSeekMath (2402.03300) section 4.1.3: each token is credited with the steps still to come.

    All step scores of the group's siblings (`Score.steps` of the reward named `term`) are normalised together; the
    advantage of a token is the sum of the normalised scores of the steps that end at it or after it. Scores of None, and
    rollouts without steps, leave the statistics and get 0. Costs of a KL penalty are left out of it: use penalty_in="loss".
    """

    term: str
    eps: float = 1e-6  # C as ZScore
    is_unbiased: bool = True  # C

    def __post_init__(self) -> None:
        require_eps(self.eps)

    def __call__(self, groups: Sequence[Group], costs: Costs | None = None) -> list[Credit]:
        if costs is not None:
            raise ValueError("step rewards have no place for a KL penalty in the reward; set penalty_in='loss'")
        return [self._credit(group) for group in groups]

    def _credit(self, group: Group) -> Credit:
        steps = [self._steps(rollout) for rollout in group.rollouts]
        normalise = ZScore(eps=self.eps, is_unbiased=self.is_unbiased)
        normal = iter(normalise([value for row in steps for _, value in row]))
        credit = []
        for rollout, row in zip(group.rollouts, steps, strict=True):
            ends_T = np.zeros(rollout.n_sampled)
            for end, _ in row:
                ends_T[end] += next(normal)
            credit.append(np.cumsum(ends_T[::-1])[::-1])
        return credit

    def _steps(self, rollout: Rollout) -> tuple[tuple[int, float], ...]:
        score = rollout.scores.get(self.term)
        steps = () if score is None or score.value is None or rollout.reward is None else score.steps
        for end, _ in steps:
            if not 0 <= end < rollout.n_sampled:
                raise ValueError(
                    f"a step of {self.term!r} on row {rollout.sample.id!r} ends at sampled token {end}, but there are "
                    f"{rollout.n_sampled}; count sampled tokens from 0"
                )
        return steps


@dataclass(frozen=True, kw_only=True)
class ClassWeighted:
    """Another credit times a weight by the sample's class: what LR-IAD needs to make rare defects count.

    A factor that is constant within a group cancels in the group's own normalisation when it stands in the reward
    (specs/lr_iad.md 3.4); on the advantage it does not. `class_of` says which class, its kind by default; a class without
    a weight counts 1. `balanced_weights` gives inverse-frequency weights.
    """

    credit: Assign
    weights: Mapping[str, float]
    class_of: Callable[[Sample], str] = lambda sample: sample.kind

    def __post_init__(self) -> None:
        odd = {name: weight for name, weight in self.weights.items() if not 0 <= weight < math.inf}
        if odd:
            raise ValueError(f"class weights must be 0 or more and finite, got {odd}")

    def __call__(self, groups: Sequence[Group], costs: Costs | None = None) -> list[Credit]:
        weights = [self.weights.get(self.class_of(group.sample), 1.0) for group in groups]
        credits = self.credit(groups, costs)
        return [[weight * one for one in credit] for weight, credit in zip(weights, credits, strict=True)]


def balanced_weights(
    counts: Mapping[str, float], *, power: float = 1.0, low: float = 0.5, high: float = 5.0
) -> dict[str, float]:
    """clip((N / (K n_c)) ** power, low, high) for K classes with counts n_c of N samples. I specs/lr_iad.md 3.3

    >>> balanced_weights({"normal": 76.2, "defect": 23.8})
    {'normal': 0.656..., 'defect': 2.100...}
    """
    total, classes = math.fsum(counts.values()), len(counts)
    return {
        name: min(high, max(low, (total / (classes * count)) ** power)) if count > 0 else high
        for name, count in counts.items()
    }


def equal_credit(groups: Sequence[Group], costs: Costs | None = None) -> list[Credit]:
    """Credit 1 for every rollout, whatever its reward: imitation."""
    return [np.ones(len(group.rollouts)) for group in groups]


def _net(groups: Sequence[Group], costs: Costs | None) -> list[tuple[float | None, ...]]:
    """Each group's rewards, less what each whole rollout cost."""
    if costs is None:
        return [group.rewards for group in groups]
    return [
        tuple(None if r is None else float(r) - math.fsum(cost_T) for r, cost_T in zip(group.rewards, row, strict=True))
        for group, row in zip(groups, costs, strict=True)
    ]


def _over(difference: np.ndarray, scale: float) -> np.ndarray:
    return difference / scale if difference.any() else difference
