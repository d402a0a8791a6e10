"""The one optimizer step: splitting changes nothing, signs point the right way, flat groups leave the weights alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from saccade.algo.imitation import Imitation
from saccade.algo.named import dapo, dr_grpo, grpo, gspo, rloo
from saccade.core.pack import Pack
from saccade.core.rollout import Group, Rollout, Score
from saccade.policy.spec import ModelSpec, Optimization, Sampling
from saccade.policy.transformers_policy import TransformersPolicy
import saccade.run.step as steps
from saccade.run.step import NotFinite, anchored, experience, optimizer_step
from tests.micro import micro

# transformers' norms and rotary tables round to float32 even in a float64 model (docs/exactness.md).
ROUNDING = 1e-6
IMITATING = replace(grpo(beta=0.0), name="imitating", imitation=Imitation(weight=0.5, chosen=lambda one: one.size > 0))
ALGORITHMS = [IMITATING, grpo(beta=0.0), grpo(beta=0.1), dr_grpo(limit=8), dapo(by="points"), gspo(), rloo(beta=0.05)]


def load(**spec) -> TransformersPolicy:
    policy = TransformersPolicy.load(ModelSpec(dtype="float64", **spec))
    policy.start_optimizer(Optimization(lr=1e-3, max_grad_norm=1e9))
    return policy


def rolled_out(policy: TransformersPolicy, *, siblings: int = 3, seed: int = 0) -> list[Group]:
    """Groups of all three tasks, of unequal lengths, with rewards that differ."""
    samples = micro().stages[0].task.samples[::3]
    groups = policy.sample(samples, n=siblings, sampling=Sampling(max_tokens=9), seed=seed)
    return [
        replace(group, rollouts=tuple(scored(r, float((g + 2 * i) % 3)) for i, r in enumerate(group.rollouts)))
        for g, group in enumerate(groups)
    ]


def scored(rollout: Rollout, points: float | None) -> Rollout:
    return rollout.scored({"points": Score(points)}, points)


def step(policy: TransformersPolicy, groups: list[Group], *, algorithm, shift: float | None = None, **options) -> dict[str, float]:
    """One whole step; `shift` compares with a policy whose log-probs were higher by that much."""
    beta = algorithm.beta_at(0.0)
    lessons, metrics = experience(policy, groups, algorithm=algorithm, beta=beta)
    if shift is not None:
        lessons = anchored(policy, lessons, temperature=1.0)
        lessons = [replace(one, old_T=tuple(logp + shift for logp in one.old_T)) for one in lessons]
    return metrics | optimizer_step(policy, lessons, algorithm=algorithm, beta=beta, **options)


def gradients(policy: TransformersPolicy, groups: list[Group], monkeypatch, **options) -> dict[str, torch.Tensor]:
    """What a step would hand to AdamW."""
    found = {}

    def caught(*, lr):
        found.update({n: p.grad.clone() for n, p in policy.model.named_parameters() if p.grad is not None})
        policy.optimizer.zero_grad(set_to_none=True)
        return 1.0

    monkeypatch.setattr(policy, "update", caught)
    step(policy, groups, lr=1e-3, **options)
    return found


def gap(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
    whole = torch.cat([x.flatten() for x in a.values()]).norm()
    return float(max((a[n] - b[n]).norm() for n in a) / whole)


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda a: f"{a.name}-{a.beta}")
def test_splitting_into_packs_changes_nothing(algorithm, monkeypatch):
    policy = load()
    groups = rolled_out(policy)
    policy.hold_reference()
    with torch.no_grad():  # a reference that is not the policy, so that the penalty counts
        for weight in policy._reference.values():
            weight.mul_(1.02)
    whole = gradients(policy, groups, monkeypatch, algorithm=algorithm)
    policy.spec = replace(policy.spec, learn_tokens=1)  # every sibling in a pack of its own
    assert len(policy.packs(groups)) == sum(len(g.rollouts) for g in groups)
    split = gradients(policy, groups, monkeypatch, algorithm=algorithm)
    assert sum(float(g.norm()) for g in whole.values()) > 0
    assert gap(whole, split) < ROUNDING
    assert gap(whole, gradients(policy, groups[::-1], monkeypatch, algorithm=algorithm)) < ROUNDING


def test_the_first_grpo_step_is_reinforce_by_hand(monkeypatch):
    policy = load()
    groups = rolled_out(policy)
    found = gradients(policy, groups, monkeypatch, algorithm=grpo(beta=0.0, eps=0.0))
    rollouts = [r for g in groups for r in g.rollouts]
    ((pack, members),) = policy.packs(groups)
    with policy.learning(pack) as now:
        loss = 0.0
        for b, (g, i) in enumerate(members):
            rewards = torch.tensor([r.reward for r in groups[g].rollouts], dtype=torch.float64)
            advantage = ((rewards - rewards.mean()) / rewards.std())[i]
            loss = loss - advantage * now.logp_M[pack.rollout_M == b].mean() / len(rollouts)
        policy.model.zero_grad()
        loss.backward()
    by_hand = {n: p.grad for n, p in policy.model.named_parameters() if p.grad is not None}
    assert gap(found, by_hand) < ROUNDING


@pytest.mark.parametrize("shift", [None, -0.3], ids=["first update", "later update"])
@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda a: f"{a.name}-{a.beta}")
def test_leaving_out_what_has_no_advantage_changes_no_gradient(algorithm, shift, monkeypatch):
    """Each group has a rollout whose reward is the mean, and one group is flat."""
    policy = load()
    policy.hold_reference()
    groups = rolled_out(policy)
    groups[0] = replace(groups[0], rollouts=tuple(scored(r, 1.0) for r in groups[0].rollouts))
    packed, whole_parts = [], steps._parts

    def counted(*arguments, skips_idle: bool, **options) -> list[steps.Part]:
        parts = whole_parts(*arguments, skips_idle=skips_idle, **options)
        packed.append(sum(len(part.experience) for part in parts))
        return parts

    monkeypatch.setattr(steps, "_parts", counted)
    skipping = gradients(policy, groups, monkeypatch, algorithm=algorithm, shift=shift)
    some = packed[-1]
    monkeypatch.setattr(steps, "_parts", lambda *arguments, skips_idle, **options: counted(*arguments, skips_idle=False, **options))
    computing = gradients(policy, groups, monkeypatch, algorithm=algorithm, shift=shift)
    has_penalty_in_loss = algorithm.beta != 0 and algorithm.penalty_in == "loss"
    assert some == packed[-1] if has_penalty_in_loss else some < packed[-1]
    assert sum(float(g.norm()) for g in computing.values()) > 0
    assert gap(computing, skipping) < ROUNDING


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda a: f"{a.name}-{a.beta}")
def test_a_step_makes_the_better_answer_likelier_and_the_worse_one_less(algorithm):
    policy = load()
    policy.hold_reference()
    sample = micro().stages[0].task.samples[0]
    (group,) = policy.sample([sample], n=2, sampling=Sampling(max_tokens=6), seed=3)
    group = replace(group, rollouts=tuple(scored(r, float(1 - i)) for i, r in enumerate(group.rollouts)))

    def logps() -> list[float]:
        ((pack, _),) = policy.packs([group])
        logp_M = policy.logprobs(pack).logp_M
        return [float(logp_M[pack.rollout_M == b].sum()) for b in range(2)]

    before = logps()
    step(policy, [group], algorithm=algorithm, lr=1e-4)
    after = logps()
    assert after[0] - after[1] > before[0] - before[1]


def test_flat_groups_and_unscored_rollouts_leave_the_weights_exactly_alone():
    policy = load()
    groups = rolled_out(policy)
    flat = [replace(g, rollouts=tuple(scored(r, 0.9) for r in g.rollouts)) for g in groups]
    unscored = [replace(g, rollouts=tuple(scored(r, None) for r in g.rollouts)) for g in groups]
    before = {n: p.clone() for n, p in policy.model.named_parameters()}
    for some in (flat, unscored):
        step(policy, some, algorithm=grpo(beta=0.0), lr=1.0)
    assert all(torch.equal(p, before[n]) for n, p in policy.model.named_parameters())


def test_later_updates_are_compared_with_the_policy_before_the_first(monkeypatch):
    policy = load()
    groups = rolled_out(policy)
    fresh = gradients(policy, groups, monkeypatch, algorithm=grpo(beta=0.0))
    assert gap(fresh, gradients(policy, groups, monkeypatch, algorithm=grpo(beta=0.0), shift=0.0)) < ROUNDING
    # Ratios far above the clip switch the gradient of good answers off, and leave that of bad ones on.
    clipped = gradients(policy, groups, monkeypatch, algorithm=grpo(beta=0.0), shift=-1.0)
    assert gap(fresh, clipped) > 0.1


def test_temperature_is_the_learners_too():
    policy = load()
    samples = micro().stages[0].task.samples[:2]
    groups = policy.sample(samples, n=2, sampling=Sampling(max_tokens=8, temperature=0.7), seed=0)
    groups = [replace(g, rollouts=tuple(scored(r, float(i)) for i, r in enumerate(g.rollouts))) for g in groups]
    metrics = step(policy, groups, algorithm=grpo(beta=0.0), lr=0.0, temperature=0.7)
    assert metrics["policy/sampler_gap_max"] < 1e-9
    metrics = step(policy, groups, algorithm=grpo(beta=0.0), lr=0.0, temperature=1.0)
    assert metrics["policy/sampler_gap_max"] > 1e-2


def test_what_is_not_finite_is_named_before_any_weight_changes():
    policy = load()
    groups = rolled_out(policy)
    with torch.no_grad():
        policy.model.model.language_model.norm.weight[0] = float("nan")
    before = {n: p.clone() for n, p in policy.model.named_parameters()}
    with pytest.raises(NotFinite, match="not finite") as fault:
        step(policy, groups, algorithm=grpo(beta=0.0), lr=1e-3)
    assert {r.sample.id for r in fault.value.rollouts} == {g.sample.id for g in groups}
    assert all(torch.equal(p.nan_to_num(), before[n].nan_to_num()) for n, p in policy.model.named_parameters())


def test_the_pack_is_a_fraction_of_separate_rows():
    policy = load()
    groups = rolled_out(policy, siblings=8)
    ((pack, _),) = policy.packs(groups)
    assert isinstance(pack, Pack)
    rows = sum(len(policy.encode(g.sample)) + len(r.token_T) for g in groups for r in g.rollouts)
    assert len(pack) < 0.25 * rows
