"""Imitating chosen answers beside the policy gradient: what it weighs, and that it adds exactly its own gradient."""

from __future__ import annotations

from dataclasses import replace

import pytest

from saccade.algo.imitation import Imitation, extended_and_better
from saccade.algo.named import grpo
from saccade.core.experience import Experience
from saccade.run.step import experience, optimizer_step
from tests.rollouts import experience_of
from tests.test_step import gradients, load, rolled_out


def forced(one: Experience) -> Experience:
    """The same with its first token forced."""
    is_sampled_T = (False, *one.rollout.is_sampled_T[1:])
    return replace(one, rollout=replace(one.rollout, is_sampled_T=is_sampled_T))


def better(one: Experience) -> bool:
    return one.advantage > 0


def test_the_chosen_tokens_share_the_weight():
    lessons = [experience_of(1.0, tokens=2), experience_of(-1.0, tokens=3), experience_of(0.5, tokens=6)]
    assert Imitation(weight=0.4, chosen=better).weights(lessons) == [0.05, 0.0, 0.05]
    assert Imitation(chosen=lambda one: False).weights(lessons) == [0.0, 0.0, 0.0]
    assert Imitation().weights([]) == []


def test_by_default_it_is_for_rethought_answers_that_came_out_better():
    one = experience_of(1.0, tokens=3)
    assert not extended_and_better(one)
    assert extended_and_better(forced(one))
    assert not extended_and_better(forced(experience_of(-1.0, tokens=3)))
    assert not extended_and_better(forced(experience_of(0.0, tokens=3)))


@pytest.mark.parametrize("weight", [0.0, -1.0, float("inf"), float("nan")])
def test_a_weight_that_is_none_is_refused(weight):
    with pytest.raises(ValueError, match="must be above 0 and finite"):
        Imitation(weight=weight)


def test_it_adds_the_gradient_of_the_mean_log_prob_and_nothing_else(monkeypatch):
    policy = load()
    groups = rolled_out(policy)
    plain = grpo(beta=0.0)
    imitating = replace(plain, imitation=Imitation(weight=0.5, chosen=better))
    without = gradients(policy, groups, monkeypatch, algorithm=plain)
    both = gradients(policy, groups, monkeypatch, algorithm=imitating)
    # The same by hand: one answer after the other, each with its share of all chosen tokens.
    lessons, _ = experience(policy, groups, algorithm=plain)
    chosen = [one for one in lessons if better(one)]
    n = sum(one.rollout.n_sampled for one in chosen)
    assert len(chosen) > 1
    for one in chosen:
        (pack, _), = policy.packs([replace(groups[0], sample=one.rollout.sample, rollouts=(one.rollout,))])
        with policy.learning(pack) as now:
            (-0.5 / n * now.logp_M.sum()).backward()
    by_hand = {name: p.grad for name, p in policy.model.named_parameters() if p.grad is not None}
    size = max(float(grad.norm()) for grad in by_hand.values())
    assert max(float((both[name] - without[name] - by_hand[name]).norm()) for name in both) < 1e-6 * size


def test_what_is_imitated_is_counted_and_moves_the_policy_towards_it():
    policy = load()
    groups = rolled_out(policy)
    algorithm = replace(grpo(beta=0.0), imitation=Imitation(weight=5.0, chosen=better))
    lessons, _ = experience(policy, groups, algorithm=algorithm)
    n = sum(one.rollout.n_sampled for one in lessons if better(one))
    metrics = optimizer_step(policy, lessons, algorithm=algorithm, lr=1e-3)
    assert metrics["learn/imitated_tokens"] == n > 0
