"""GRPO teaches the embedded model something within seconds, and the wrong sign does not."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from statistics import fmean

import numpy as np

from saccade.algo.algorithm import Algorithm
from saccade.algo.named import grpo
from saccade.core.reward import weighted
from saccade.core.rollout import Group
from saccade.policy.spec import ModelSpec, Optimization, Sampling
from saccade.policy.transformers_policy import TransformersPolicy
from saccade.recipes.reason_rft import reasons
from saccade.run.step import experience, optimizer_step
from tests.micro import micro

SAMPLING = Sampling(max_tokens=64)


def rollouts(policy: TransformersPolicy, *, n: int, seed: int) -> list[Group]:
    """Answers to counting problems, rewarded for working anything out at all."""
    samples = [sample for stage in micro(task="counting").stages for sample in stage.task.samples]
    groups = policy.sample(samples, n=n, sampling=SAMPLING, seed=seed)
    return asyncio.run(weighted((reasons, 1.0)).score(groups, progress=0.0))


def share(policy: TransformersPolicy) -> float:
    return fmean(r.reward for group in rollouts(policy, n=16, seed=999) for r in group.rollouts)


def taught(algorithm: Algorithm, *, steps: int) -> tuple[float, float]:
    """The share of answers that reason, before and after so many steps."""
    policy = TransformersPolicy.load(ModelSpec())
    policy.start_optimizer(Optimization(lr=1e-4, beta2=0.99))
    before = share(policy)
    for step in range(steps):
        lessons, _ = experience(policy, rollouts(policy, n=8, seed=step), algorithm=algorithm)
        optimizer_step(policy, lessons, algorithm=algorithm, lr=1e-4)
    return before, share(policy)


def flipped(groups, costs=None) -> list:
    return [-np.asarray(credit) for credit in grpo().credit(groups, costs)]


def test_grpo_finds_out_that_reasoning_is_rewarded():
    before, after = taught(grpo(beta=0.0), steps=10)
    assert 0.1 < before < 0.6  # the shipped model mostly guesses
    assert after > before + 0.3


def test_a_flipped_advantage_would_be_noticed():
    before, after = taught(replace(grpo(beta=0.0), credit=flipped), steps=10)
    assert after < before - 0.05
