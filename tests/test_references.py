"""What a KL penalty pulls to: the policy as it was, a reference that follows it, or the base without adapters."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from saccade.algo.named import rloo
from saccade.policy.spec import LoRA, ModelSpec, Optimization
from saccade.policy.transformers_policy import TransformersPolicy
from saccade.run.learn import learn
from saccade.run.memory import Memory
from tests.micro import micro
from tests.test_stages import stage


@pytest.mark.parametrize("spec", [ModelSpec(), ModelSpec(lora=LoRA(rank=2))], ids=["full", "lora"])
def test_a_reference_is_what_the_policy_was_and_can_follow_it(spec):
    policy = TransformersPolicy.load(spec)
    policy.start_optimizer(Optimization(lr=1e-2))
    (group,) = policy.sample(micro().stages[0].task.samples[:1], n=2, sampling=stage().sampling, seed=0)
    ((pack, _),) = policy.packs([group])
    policy.hold_reference()
    start = policy.logprobs(pack).logp_M
    with policy.learning(pack) as now:
        (-now.logp_M.mean()).backward()
    policy.update(lr=1e-2)
    moved = policy.logprobs(pack).logp_M
    assert (moved - start).abs().max() > 1e-3
    assert torch.equal(policy.reference_logprobs(pack), start)
    assert torch.equal(policy.logprobs(pack).logp_M, moved)  # the policy has its own weights back
    held = policy.reference_state()
    policy.sync_reference(mix=1.0)
    assert torch.allclose(policy.reference_logprobs(pack), moved, atol=1e-5)
    policy.hold_reference(held)
    assert torch.equal(policy.reference_logprobs(pack), start)
    if spec.lora:
        with policy.model.disable_adapter():
            base = policy.logprobs(pack).logp_M
        policy.hold_reference(policy.base_state())
        assert torch.allclose(policy.reference_logprobs(pack), base, atol=1e-5)
    else:
        with pytest.raises(ValueError, match="adapters"):
            policy.base_state()


def test_the_base_as_reference_needs_adapters():
    recipe = micro()
    rl = replace(recipe.stages[1], reference="base")
    with pytest.raises(ValueError, match="set lora"):
        replace(recipe, stages=(recipe.stages[0], rl))
    replace(recipe, stages=(recipe.stages[0], rl), model=ModelSpec(lora=LoRA(rank=2)))


def test_kl_in_the_reward_is_paid_by_whoever_strays():
    """RLOO's way: r - beta * (log-prob of the answer under the policy - under the reference)."""
    policy = TransformersPolicy.load(ModelSpec(dtype="float64"))
    policy.start_optimizer(Optimization(lr=0.0))
    policy.hold_reference()
    with torch.no_grad():
        for weight in policy._reference.values():
            weight.mul_(1.02)
    rl = stage(algorithm=rloo(beta=0.3), prompts=2)
    made = rl.round(policy, 0, seed=0, memory=Memory())
    net = []
    for group in made.groups:
        row = []
        for rollout in group.rollouts:
            ((pack, _),) = policy.packs([replace(group, rollouts=(rollout,))])
            kl = float((policy.logprobs(pack).logp_M - policy.reference_logprobs(pack)).sum())
            row.append(rollout.reward - 0.3 * kl)
        net.append([r - (sum(row) - r) / (len(row) - 1) for r in row])
    learned = learn(policy, rl, made, step=0, seed=0, memory=Memory())
    found = [[learned.advantages[id(r)] for r in g.rollouts] for g in made.groups]
    assert found == [pytest.approx(row, abs=1e-5) for row in net]
    plain = learn(policy, replace(rl, algorithm=rloo(beta=0.0)), made, step=0, seed=0, memory=Memory())
    assert any(abs(plain.advantages[key] - value) > 1e-3 for key, value in learned.advantages.items())
