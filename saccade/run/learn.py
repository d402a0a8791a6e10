"""What one step learns from a round of rollouts: experience, replay, and one or several updates.

    made = stage.round(policy, 12, seed=0, memory=memory)
    learned = learn(policy, stage, made, step=12, seed=0, memory=memory)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from saccade.algo.schedules import Adaptive
from saccade.core.experience import Experience
from saccade.policy.protocol import Policy
from saccade.run.memory import Memory
from saccade.run.seeds import derive
from saccade.run.stage import Round, Stage
from saccade.run.step import Part, anchored, bundles, experience, optimizer_step


@dataclass(frozen=True, kw_only=True)
class Learned:
    """The step's metrics, and the advantage of each rollout of the round that was credited, by its id()."""

    metrics: dict[str, float]
    advantages: dict[int, float]


def learn(
    policy: Policy,
    stage: Stage,
    made: Round,
    *,
    step: int,
    seed: int,
    memory: Memory,
    heed: Callable[[Part], None] | None = None,
) -> Learned:
    """Learn from a round, and leave in `memory` what the next step needs; `heed` is told of every pack that is learned from."""
    start = time.perf_counter()
    algorithm, progress = stage.algorithm, step / stage.steps
    beta = algorithm.beta_at(progress, held=memory.beta) if algorithm.needs_reference else 0.0
    lessons, metrics = experience(policy, made.groups, algorithm=algorithm, beta=beta, temperature=stage.temperature)
    advantages = {id(one.rollout): float(one.advantage_T[0]) if one.rollout.n_sampled else 0.0 for one in lessons}
    mixing = None
    if algorithm.replay is not None:
        mixing = np.random.default_rng(derive(seed, stage.name, step, "replay"))
        lessons, memory.held = algorithm.replay(lessons, memory.held, step=step, random=mixing)
        metrics["learn/replayed"] = fmean(one.is_replayed for one in lessons) if lessons else 0.0
    updates = split(lessons, stage.updates_per_rollout, shuffled_by=mixing)
    if len(updates) > 1:
        updates = [anchored(policy, some, temperature=stage.temperature) for some in updates]
    found = [
        optimizer_step(
            policy,
            some,
            algorithm=algorithm,
            lr=stage.optimization.lr_at(step, total=stage.steps),
            beta=beta,
            temperature=stage.temperature,
            is_fresh=stage.was_sampled and number == 0,
            heed=heed,
        )
        for number, some in enumerate(updates)
    ]
    metrics |= _combined(found)
    metrics["policy/kl_coefficient"] = beta
    if isinstance(algorithm.beta, Adaptive) and "policy/kl" in metrics:
        n = sum(len(group.rollouts) for group in made.asked)
        memory.beta = algorithm.beta.after(beta, measured=metrics["policy/kl"], n=n)
    metrics["time/learn"] = time.perf_counter() - start
    return Learned(metrics=metrics, advantages=advantages)


def split(
    lessons: Sequence[Experience], updates: int, *, shuffled_by: np.random.Generator | None = None
) -> list[list[Experience]]:
    """The experience for so many updates, about equally many rollouts each, those of one sample together.

    In order, or shuffled, where what was replayed would else come last. Fewer updates where there are fewer samples.
    """
    rows = bundles(lessons)
    if shuffled_by is not None:
        rows = [rows[i] for i in shuffled_by.permutation(len(rows))]
    updates = max(1, min(updates, len(rows)))
    found: list[list[Experience]] = [[] for _ in range(updates)]
    number, before = 0, 0
    for place, row in enumerate(rows):
        fair = int((before + len(row) / 2) * updates / len(lessons))
        least = updates - (len(rows) - place)  # so that every later update finds a sample
        if found[number] and max(fair, least) > number:
            number += 1
        found[number] += row
        before += len(row)
    return found


def _combined(found: Sequence[dict[str, float]]) -> dict[str, float]:
    """A step's metrics from those of its updates: peaks of peaks, sums of counts, means of means."""
    keys = dict.fromkeys(key for one in found for key in one)
    return {key: _combine(key)([one[key] for one in found if key in one]) for key in keys}


def _combine(key: str) -> Callable[[Sequence[float]], float]:
    if key.endswith(("_max", "/max")):
        return max
    return sum if key.startswith("learn/") else fmean
