"""What one step learns from a round of rollouts: experience, replay, and one or several updates.

    made = stage.round(policy, 12, seed=0, memory=memory)
    learned = learn(policy, stage, made, step=12, seed=0, memory=memory)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

from saccade.algo.schedules import Adaptive
from saccade.core.experience import Experience
from saccade.run.memory import Memory
from saccade.run.seeds import derive
from saccade.run.step import anchored, bundles, experience, optimizer_step

if TYPE_CHECKING:
    from saccade.policy.protocol import Policy
    from saccade.run.stage import Round, Stage


@dataclass(frozen=True, kw_only=True)
class Learned:
    """The step's metrics, and the advantage of each rollout of the round that was credited, by its id()."""

    metrics: dict[str, float]
    advantages: dict[int, float]


def learn(policy: Policy, stage: Stage, made: Round, *, step: int, seed: int, memory: Memory) -> Learned:
    """Learn from a round, and leave in `memory` what the next step needs."""
    algorithm, progress = stage.algorithm, step / stage.steps
    beta = algorithm.beta_at(progress, held=memory.beta) if algorithm.needs_reference else 0.0
    lessons, metrics = experience(policy, made.groups, algorithm=algorithm, beta=beta, temperature=stage.temperature)
    advantages = {id(one.rollout): float(one.advantage_T[0]) if one.rollout.n_sampled else 0.0 for one in lessons}
    if algorithm.replay is not None:
        random = np.random.default_rng(derive(seed, stage.name, step, "replay"))
        lessons, memory.held = algorithm.replay(lessons, memory.held, step=step, random=random)
        metrics["learn/replayed"] = fmean(one.is_replayed for one in lessons) if lessons else 0.0
    parts = split(lessons, stage.updates_per_rollout)
    if len(parts) > 1:
        whole = anchored(policy, [one for part in parts for one in part], temperature=stage.temperature)
        parts = split(whole, stage.updates_per_rollout)
    updates = [
        optimizer_step(
            policy,
            part,
            algorithm=algorithm,
            lr=stage.optimization.lr_at(step, total=stage.steps),
            beta=beta,
            temperature=stage.temperature,
            was_sampled=stage.was_sampled,
        )
        for part in parts
    ]
    metrics |= _means(updates)
    metrics["policy/kl_coefficient"] = beta
    if isinstance(algorithm.beta, Adaptive) and "policy/kl" in metrics:
        n = sum(len(group.rollouts) for group in made.asked)
        memory.beta = algorithm.beta.after(beta, measured=metrics["policy/kl"], n=n)
    return Learned(metrics=metrics, advantages=advantages)


def split(lessons: Sequence[Experience], parts: int) -> list[list[Experience]]:
    """The experience in so many parts, those of one sample together; fewer parts where there are fewer samples."""
    rows = bundles(lessons)
    parts = max(1, min(parts, len(rows)))
    bounds = [round(i * len(rows) / parts) for i in range(parts + 1)]
    return [[one for row in rows[a:b] for one in row] for a, b in zip(bounds, bounds[1:], strict=False)]


def _means(updates: Sequence[dict[str, float]]) -> dict[str, float]:
    """Each metric's mean over the updates that have it: one of which nothing was kept has no loss."""
    keys = dict.fromkeys(key for one in updates for key in one)
    return {key: fmean(one[key] for one in updates if key in one) for key in keys}
