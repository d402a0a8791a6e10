"""Faults of the kind that papers shipped, put into the learner on purpose: each must be caught, and the sound learner must not.

Two guards stand in every run: the probe before the first step (packed against plain against sampled log-probs), and the step's own
comparison with the sampler. Flipped advantages and swapped pictures are also caught by learning tests (tests/test_learning.py,
tests/test_named.py), leaks between siblings and wrong positions by tests/test_probe.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from saccade.algo.named import grpo
from saccade.core.pack import Branch, Pack
from saccade.core.rollout import Group, Score
from saccade.policy.spec import ModelSpec, Optimization, Sampling
from saccade.policy.transformers_policy import TransformersPolicy
from saccade.run.probe import ProbeFailed, probe
from saccade.run.step import experience, optimizer_step
from tests.micro import micro


def shifted_mask(pack: Pack, groups) -> Pack:
    """Every trained token is predicted from one place too early."""
    return replace(pack, source_M=pack.source_M - 1)


def prompt_in_the_loss(pack: Pack, groups) -> Pack:
    """The last token of the prompt is trained in place of each answer's first."""
    first_M = torch.cat([torch.ones(1, dtype=torch.bool), pack.rollout_M.diff() != 0]) if len(pack.rollout_M) else pack.rollout_M
    target_M, source_M = pack.target_M.clone(), pack.source_M.clone()
    target_M[first_M] = pack.token_N[source_M[first_M]]
    source_M[first_M] -= 1
    return replace(pack, target_M=target_M, source_M=source_M)


def swapped_pictures(pack: Pack, groups) -> Pack:
    """The first prompt's pictures go to the last one: the bug of R1-V and its forks."""
    return replace(pack, features=pack.features[::-1])


def answers_of_others(pack: Pack, groups) -> Pack:
    """Each rollout is given the targets of the next."""
    return replace(pack, target_M=pack.target_M.roll(int((pack.rollout_M == 0).sum())))


MUTANTS = [shifted_mask, prompt_in_the_loss, swapped_pictures, answers_of_others]


def put_in(monkeypatch: pytest.MonkeyPatch, mutant: Callable[[Pack, list], Pack]) -> None:
    """The fault into every pack that the learner is given; the sampler's own stay sound."""
    sound = Pack.of

    def faulty(groups):
        pack = sound(groups)
        return mutant(pack, groups) if any(branches for _, branches in groups) else pack

    monkeypatch.setattr(Pack, "of", faulty)


def counting() -> list:
    return [sample for sample in micro(task="counting").stages[0].task.samples][:3]


def stepped(policy: TransformersPolicy) -> dict[str, float]:
    groups = policy.sample(counting(), n=3, sampling=Sampling(max_tokens=12), seed=0)
    groups = [
        replace(g, rollouts=tuple(r.scored({"points": Score(float(i))}, float(i)) for i, r in enumerate(g.rollouts)))
        for g in groups
    ]
    lessons, _ = experience(policy, groups, algorithm=grpo(beta=0.0))
    policy.start_optimizer(Optimization(lr=0.0))
    return optimizer_step(policy, lessons, algorithm=grpo(beta=0.0), lr=0.0)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.__name__)
def test_the_probe_stops_the_run(mutant, monkeypatch):
    policy = TransformersPolicy.load(ModelSpec())
    probe(policy, counting(), seed=1)
    put_in(monkeypatch, mutant)
    with pytest.raises(ProbeFailed, match="disagree"):
        probe(policy, counting(), seed=1)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.__name__)
def test_the_step_sees_that_sampler_and_learner_disagree(mutant, monkeypatch):
    policy = TransformersPolicy.load(ModelSpec())
    assert stepped(policy)["policy/sampler_gap_max"] < 1e-3
    put_in(monkeypatch, mutant)
    assert stepped(policy)["policy/sampler_gap_max"] > 0.1


def test_a_mask_that_is_off_by_one_around_an_environments_reply_is_seen():
    """What the world said was not sampled: training on it, or not on the token beside it, shows in the comparison."""
    policy = TransformersPolicy.load(ModelSpec())
    sample = counting()[0]
    (group,) = policy.sample([sample], n=2, sampling=Sampling(max_tokens=10), seed=0)
    reply = policy.branch_of("12").token_T[:-1]

    def with_reply(rollout, shift: int):
        """The answer, cut in two by a reply; the sampler's log-probs of the second half as the model gives them."""
        a, b = rollout.token_T[:4], rollout.token_T[4:]
        token_T = a + reply + b
        is_sampled_T = (True,) * len(a) + (False,) * len(reply) + (True,) * len(b)
        pack = Pack.of([(policy.encode(sample), [Branch(token_T, is_sampled_T)])])
        logp = iter(policy.logprobs(pack).logp_M.tolist())
        logp_T = tuple(next(logp) if is_sampled else 0.0 for is_sampled in is_sampled_T)
        turned = is_sampled_T[-shift:] + is_sampled_T[:-shift] if shift else is_sampled_T
        return replace(rollout, token_T=token_T, logp_T=logp_T, is_sampled_T=turned)

    gaps = []
    for shift in (0, 1):
        rollouts = tuple(with_reply(r, shift).scored({"points": Score(float(i))}, float(i)) for i, r in enumerate(group.rollouts))
        lessons, _ = experience(policy, [Group(sample=sample, rollouts=rollouts)], algorithm=grpo(beta=0.0))
        policy.start_optimizer(Optimization(lr=0.0))
        gaps.append(optimizer_step(policy, lessons, algorithm=grpo(beta=0.0), lr=0.0)["policy/sampler_gap_max"])
    assert gaps[0] < 1e-3 and gaps[1] > 0.1
