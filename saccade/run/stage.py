"""The legs of a training: each makes groups for a step; `train.py` learns from them with the one optimizer step."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean, pstdev
from typing import TYPE_CHECKING

from saccade.algo.algorithm import Algorithm, sft
from saccade.algo.surrogates import policy_gradient
from saccade.core.reward import Rewards
from saccade.core.rollout import Group, Rollout, Stop
from saccade.core.sample import DataError, Sample, Task
from saccade.policy.spec import Optimization, Sampling
from saccade.run.seeds import batch_indices, derive

if TYPE_CHECKING:
    from saccade.policy.protocol import Policy


class TooManyUnscored(RuntimeError):
    """More rollouts without a score than a stage allows."""


@dataclass(frozen=True, kw_only=True)
class SFT:
    """Supervised fine-tuning on the samples' own solutions: `batch` samples a step."""

    name: str = "sft"
    task: Task
    steps: int
    batch: int
    optimization: Optimization
    algorithm: Algorithm = field(default_factory=sft)
    # What every stage says of itself, and imitation cannot change.
    updates_per_rollout: int = field(default=1, init=False)
    temperature: float = field(default=1.0, init=False)
    was_sampled: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        _require_samples(self.name, self.task)
        _require_counts(self.name, steps=self.steps, batch=self.batch)
        without = [sample.id for sample in self.task if sample.solution is None]
        if without:
            raise DataError(
                f"stage {self.name!r} imitates solutions, but {len(without)} of {len(self.task)} samples of "
                f"{self.task.name!r} have none (first: {without[0]}); give the rows a solution, or drop the stage"
            )

    def groups(self, policy: Policy, step: int, *, seed: int) -> tuple[list[Group], dict[str, float]]:
        """This step's solutions as groups of one."""
        indices = batch_indices(len(self.task), batch=self.batch, step=step, seed=derive(seed, self.name))
        return [_imitated(policy, self.task.samples[i]) for i in indices], {}


@dataclass(frozen=True, kw_only=True)
class RL:
    """Group-relative reinforcement learning: `prompts` samples a step, `siblings` rollouts of each.

    `updates_per_rollout` splits a step's groups into that many optimizer steps, by order. More than `max_unscored_share`
    of a step's rollouts without a reward stops the run.
    """

    name: str = "rl"
    task: Task
    rewards: Rewards
    algorithm: Algorithm
    steps: int
    prompts: int
    siblings: int
    sampling: Sampling
    optimization: Optimization
    updates_per_rollout: int = 1
    max_unscored_share: float = 0.2
    was_sampled: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        _require_samples(self.name, self.task)
        _require_counts(self.name, steps=self.steps, prompts=self.prompts)
        if self.siblings < 2:
            raise ValueError(f"a group needs at least 2 siblings to compare, got {self.siblings}")
        if not self.sampling.is_whole:
            raise ValueError(
                "RL must sample from the whole distribution (temperature above 0, top_p 1, top_k 0): log-probs of a "
                f"truncated one are not the learner's; got {self.sampling}"
            )
        if self.updates_per_rollout > 1 and self.algorithm.surrogate is policy_gradient:
            raise ValueError(
                f"{self.algorithm.name} has no ratio to correct later updates with; set updates_per_rollout=1, or choose "
                "an algorithm that clips"
            )
        if not 1 <= self.updates_per_rollout <= self.prompts:
            raise ValueError(f"updates_per_rollout must be 1 to prompts ({self.prompts}), got {self.updates_per_rollout}")

    @property
    def temperature(self) -> float:
        """The temperature at which log-probs count."""
        return self.sampling.temperature

    def groups(self, policy: Policy, step: int, *, seed: int) -> tuple[list[Group], dict[str, float]]:
        """This step's rollouts, sampled and scored, and what they were like."""
        indices = batch_indices(len(self.task), batch=self.prompts, step=step, seed=derive(seed, self.name))
        samples = [self.task.samples[i] for i in indices]
        start = time.perf_counter()
        groups = policy.sample(
            samples, n=self.siblings, sampling=self.sampling, seed=derive(seed, self.name, step, "sample")
        )
        sampled = time.perf_counter()
        groups = asyncio.run(self.rewards.score(groups, progress=step / self.steps))
        metrics = rollout_metrics(groups, self.rewards)
        metrics["time/sample"] = sampled - start
        metrics["time/score"] = time.perf_counter() - sampled
        if metrics["rollout/unscored"] > self.max_unscored_share:
            raise TooManyUnscored(
                f"{metrics['rollout/unscored']:.0%} of the rollouts of step {step} have no reward, at most "
                f"{self.max_unscored_share:.0%} may; look at the 'why' of their scores in rollouts.jsonl"
            )
        return groups, metrics


Stage = SFT | RL


def rollout_metrics(groups: Sequence[Group], rewards: Rewards) -> dict[str, float]:
    """Rewards (each term unweighted), lengths and group statistics of a step, by the keys of docs/metrics.md."""
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    known = [rollout.reward for rollout in rollouts if rollout.reward is not None]
    metrics: dict[str, float] = {"reward/mean": fmean(known) if known else 0.0}
    for name in rewards.names:
        values = [r.scores[name].value for r in rollouts if r.scores[name].value is not None]
        metrics[f"reward/{name}"] = fmean(values) if values else 0.0
    spreads = [pstdev(rewards_G) for g in groups if len(rewards_G := [r for r in g.rewards if r is not None]) > 1]
    metrics["rollout/group_std"] = fmean(spreads) if spreads else 0.0
    metrics["rollout/flat_groups"] = fmean(group.is_flat for group in groups)
    metrics["rollout/tokens"] = fmean(rollout.n_sampled for rollout in rollouts)
    metrics["rollout/truncated"] = fmean(rollout.is_truncated for rollout in rollouts)
    metrics["rollout/unscored"] = 1 - len(known) / len(rollouts)
    return metrics


def _require_samples(stage: str, task: Task) -> None:
    if not len(task):
        raise DataError(f"stage {stage!r} has no samples to train on; give it a larger data set, or drop the stage")


def _require_counts(stage: str, **counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name} of stage {stage!r} must be at least 1, got {count}")


def _imitated(policy: Policy, sample: Sample) -> Group:
    token_T = policy.branch_of(sample.solution).token_T
    n = len(token_T)
    rollout = Rollout(
        sample=sample,
        text=sample.solution,
        token_T=token_T,
        logp_T=(0.0,) * n,
        is_sampled_T=(True,) * n,
        stop=Stop.EOS,
        pictures=policy.seen(sample),
    )
    return Group(sample=sample, rollouts=(rollout,))
