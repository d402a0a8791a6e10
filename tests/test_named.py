"""The common tests: what must hold for every algorithm by name. A new one in ALGORITHMS is tested here without a line added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from saccade.algo.algorithm import Algorithm
from saccade.algo.credit import BatchWhitened
from saccade.algo.keep import keep_all, keep_scored
from saccade.algo.named import ALGORITHMS, bnpo, dapo, dr_grpo, grpo, grpo_r1v, gspo, named, reinforce_pp_baseline, rloo
from saccade.algo.surrogates import ClippedRatio, policy_gradient, ratio
from saccade.algo.weights import sequence_mean_token_mean, token_mean
from saccade.core.rollout import Group, Rollout, Score, Stop
from saccade.core.sample import Message, Sample

LIMIT = 40
EVERY = [named(name, limit=LIMIT) for name in ALGORITHMS]
LENGTHS = ((3, 17, 1), (8, 2, 30), (5, 5, 9))
REWARDS = ((1.0, 0.0, 0.25), (0.5, 0.5, 1.0), (0.0, 2.0, 1.0))

every_algorithm = pytest.mark.parametrize("algorithm", EVERY, ids=lambda a: a.name)


def batch(rewards=REWARDS, lengths=LENGTHS) -> list[Group]:
    """Groups of rollouts so long and worth so much, told apart by their tokens."""
    groups = []
    for g, (row, lens) in enumerate(zip(rewards, lengths, strict=True)):
        sample = Sample(id=f"s{g}", messages=(Message("user", ("?",)),), target="7")
        rollouts = [
            Rollout(
                sample=sample, text="", token_T=(100 * g + i,) * n, logp_T=(-1.0,) * n, is_sampled_T=(True,) * n, stop=Stop.EOS
            )
            for i, n in enumerate(lens)
        ]
        scored = tuple(r.scored({"accuracy": Score(reward)}, reward) for r, reward in zip(rollouts, row, strict=True))
        groups.append(Group(sample=sample, rollouts=scored))
    return groups


class Toy:
    """Log-probs as a function of five parameters, and fixed ones of an older policy and of a reference, by rollout and token."""

    def __init__(self, *, drift: float) -> None:
        self.theta = torch.tensor(np.random.default_rng(1).normal(size=5), requires_grad=True)
        self.drift = drift

    def features(self, rollout: Rollout) -> Tensor:
        return torch.tensor(np.random.default_rng(rollout.token_T[0]).normal(size=(len(rollout.token_T), 5)))

    def logp_T(self, rollout: Rollout) -> Tensor:
        return -torch.nn.functional.softplus(self.features(rollout) @ self.theta)

    def old_T(self, rollout: Rollout) -> Tensor:
        noise = np.random.default_rng(rollout.token_T[0] + 1).normal(size=len(rollout.token_T))
        return self.logp_T(rollout).detach() + self.drift * torch.tensor(noise)

    def ref_T(self, rollout: Rollout) -> Tensor:
        noise = np.random.default_rng(rollout.token_T[0] + 2).normal(size=len(rollout.token_T))
        return self.logp_T(rollout).detach() + 0.1 * torch.tensor(noise)


def step(algorithm: Algorithm, groups: Sequence[Group], *, drift: float = 0.3, pieces: int = 1, beta: float | None = None):
    """Loss and gradient of one step, taken in so many micro-batches; what run/step.py does, without a model."""
    toy = Toy(drift=drift)
    beta = algorithm.beta_at(0.0) if beta is None else beta
    kept = algorithm.keep(groups)
    costs = None
    if algorithm.penalty is not None and algorithm.penalty_in == "reward":
        costs = [[(beta * algorithm.penalty(toy.old_T(r), toy.ref_T(r))).numpy() for r in g.rollouts] for g in kept]
    credits = algorithm.credit(kept, costs)
    rows = [(r, a) for g, c in zip(kept, credits, strict=True) for r, a in zip(g.rollouts, c, strict=True) if algorithm.trains(r)]
    lengths = [r.n_sampled for r, _ in rows]
    weights = np.split(algorithm.weigh(lengths), np.cumsum(lengths)[:-1])
    total = 0.0
    for part in np.array_split(np.arange(len(rows)), pieces):
        chosen = [rows[i] for i in part]
        logp_M, old_M, ref_M = (torch.cat([f(r) for r, _ in chosen]) for f in (toy.logp_T, toy.old_T, toy.ref_T))
        adv_M = torch.cat([torch.tensor(np.broadcast_to(a, r.n_sampled).copy()) for r, a in chosen])
        rollout_M = torch.repeat_interleave(torch.arange(len(chosen)), torch.tensor([r.n_sampled for r, _ in chosen]))
        loss_M = algorithm.surrogate(logp_M, old_M, adv_M, rollout_M)
        if algorithm.penalty is not None and algorithm.penalty_in == "loss":
            kl_M = algorithm.penalty(logp_M, ref_M)
            loss_M = loss_M + beta * (kl_M * ratio(logp_M, old_M) if algorithm.penalty_by_ratio else kl_M)
        loss = (torch.from_numpy(np.concatenate([weights[i] for i in part])) * loss_M).sum()
        loss.backward()
        total += loss.item()
    return total, toy.theta.grad


def close(a, b) -> bool:
    return a[0] == pytest.approx(b[0], rel=1e-10, abs=1e-12) and torch.allclose(a[1], b[1], rtol=1e-9, atol=1e-12)


@every_algorithm
def test_a_step_moves_something_and_an_older_policy_changes_it(algorithm):
    on_policy, later = step(algorithm, batch(), drift=0.0), step(algorithm, batch(), drift=0.3)
    assert on_policy[1].abs().max() > 1e-4
    if algorithm.surrogate is not policy_gradient:
        assert not torch.allclose(on_policy[1], later[1], rtol=1e-6)


@every_algorithm
def test_the_first_step_after_sampling_is_the_policy_gradient(algorithm):
    """With no penalty in the loss: d loss / d theta = -sum of weight * advantage * d logp / d theta, whatever the surrogate."""
    toy = Toy(drift=0.0)
    kept = algorithm.keep(batch())
    lengths = [r.n_sampled for g in kept for r in g.rollouts]
    weight_M = torch.from_numpy(algorithm.weigh(lengths))
    pairs = [pair for g, c in zip(kept, algorithm.credit(kept, None), strict=True) for pair in zip(g.rollouts, c, strict=True)]
    adv_M = torch.cat([torch.tensor(np.broadcast_to(a, r.n_sampled).copy()) for r, a in pairs])
    (-(weight_M * adv_M * torch.cat([toy.logp_T(r) for r, _ in pairs])).sum()).backward()
    without = replace(algorithm, penalty=None, beta=0.0)
    assert torch.allclose(step(without, batch(), drift=0.0)[1], toy.theta.grad, rtol=1e-9, atol=1e-12)


@every_algorithm
@pytest.mark.parametrize("pieces", [2, 4, 9])
def test_splitting_into_micro_batches_changes_neither_loss_nor_gradient(algorithm, pieces):
    assert close(step(algorithm, batch(), pieces=pieces), step(algorithm, batch()))


@every_algorithm
def test_the_order_of_groups_and_siblings_changes_nothing(algorithm):
    groups = batch()
    turned = [replace(group, rollouts=group.rollouts[::-1]) for group in groups[::-1]]
    assert close(step(algorithm, turned), step(algorithm, groups))


@every_algorithm
def test_what_is_added_to_every_reward_changes_nothing(algorithm):
    raised = tuple(tuple(reward + 5 for reward in row) for row in REWARDS)
    assert close(step(algorithm, batch(raised)), step(algorithm, batch()))


@every_algorithm
def test_equal_rewards_move_nothing(algorithm):
    """Exactly: 0.9 has no exact float, and a mean that rounds must not leak."""
    flat = [[np.float32(0.9)] * 3] * 3
    assert step(replace(algorithm, keep=keep_all, penalty=None, beta=0.0), batch(flat))[1].abs().max() == 0


@every_algorithm
def test_a_flat_group_gets_nothing_beside_one_that_is_not(algorithm):
    if isinstance(algorithm.credit, BatchWhitened):
        pytest.skip("compares over the batch, by design")
    credits = algorithm.credit(batch(((0.9, 0.9, 0.9), REWARDS[1], REWARDS[2])), None)
    assert not np.any(credits[0]) and np.any(credits[1])


@every_algorithm
def test_an_unscored_rollout_leaves_the_others_alone(algorithm):
    if algorithm.keep is keep_all:
        algorithm = replace(algorithm, keep=keep_scored)  # presets that count it as a row, as TRL does
    with_none = ((1.0, 0.0, 0.25, None), (0.5, None, 0.5, 1.0), (0.0, 2.0, 1.0, None))
    lengths = ((3, 17, 1, 4), (8, 6, 2, 30), (5, 5, 9, 2))
    groups = batch(with_none, lengths)
    without = [replace(g, rollouts=tuple(r for r in g.rollouts if r.reward is not None)) for g in groups]
    assert close(step(algorithm, groups), step(algorithm, without))


@every_algorithm
def test_the_reward_of_every_rollout_counts(algorithm):
    whole = step(algorithm, batch(), drift=0.0, beta=0.0)[1]
    for g, i in ((0, 1), (1, 2), (2, 0)):
        changed = [list(row) for row in REWARDS]
        changed[g][i] += 0.7
        assert not torch.allclose(step(algorithm, batch(changed), drift=0.0, beta=0.0)[1], whole, rtol=1e-6)


@every_algorithm
def test_a_better_answer_becomes_likelier_and_a_worse_one_less_likely(algorithm):
    groups = batch(((1.0, 0.0),), ((6, 6),))
    toy = Toy(drift=0.0)
    _, gradient = step(replace(algorithm, penalty=None, beta=0.0), groups, drift=0.0)
    with torch.no_grad():
        before = [toy.logp_T(r).sum() for r in groups[0].rollouts]
        toy.theta -= 1e-3 * gradient / gradient.norm()
        after = [toy.logp_T(r).sum() for r in groups[0].rollouts]
    assert after[0] - before[0] > after[1] - before[1]


@every_algorithm
def test_a_flipped_advantage_is_noticed(algorithm):
    """The mutant of the test above: its condition is false for it."""

    def flipped(groups, costs=None):
        return [[-np.asarray(one) for one in row] for row in algorithm.credit(groups, costs)]

    with pytest.raises(AssertionError):
        test_a_better_answer_becomes_likelier_and_a_worse_one_less_likely(replace(algorithm, credit=flipped))


# reductions


def same(a: Algorithm, b: Algorithm, *, groups=None, factor: float = 1.0, **options) -> bool:
    first, second = step(a, groups or batch(), **options), step(b, groups or batch(), **options)
    return close((factor * first[0], factor * first[1]), second)


def test_dapo_with_equal_clips_and_mean_of_means_is_grpo():
    plain = replace(dapo(high=0.2), weigh=sequence_mean_token_mean)
    assert same(plain, grpo(beta=0.0))
    assert not same(dapo(high=0.2), grpo(beta=0.0))
    assert not same(replace(dapo(high=0.28), weigh=sequence_mean_token_mean), grpo(beta=0.0))


def test_gspo_on_answers_of_one_token_is_grpo():
    groups = batch(lengths=((1, 1, 1),) * 3)
    assert same(gspo(low=0.2, high=0.2), grpo(beta=0.0), groups=groups)
    assert not same(gspo(low=0.2, high=0.2), grpo(beta=0.0))


def test_dr_grpo_is_rloo_but_for_a_factor_on_the_first_step():
    assert same(dr_grpo(limit=LIMIT), rloo(beta=0.0), factor=LIMIT * 3 / 2, drift=0.0)


def test_the_r1v_preset_is_grpo_on_the_first_step_only():
    assert same(grpo_r1v(), grpo(eps=1e-4), drift=0.0)
    assert not same(grpo_r1v(), grpo(eps=1e-4), drift=0.3)


def test_bnpo_is_grpo_with_every_token_equal():
    assert same(bnpo(), replace(grpo(beta=0.0, eps=1e-4), weigh=token_mean))


def test_a_wide_clip_never_acts():
    assert same(grpo(low=1.0, high=1e9), replace(grpo(), surrogate=ClippedRatio(low=0.99, high=1e8)))


def test_reinforce_pp_baseline_on_answers_of_equal_length_is_the_batch_scaled_mean():
    groups = batch(lengths=((4, 4, 4),) * 3)
    credits = reinforce_pp_baseline(eps=0.0).credit(groups)
    centred = np.array(REWARDS) - np.mean(REWARDS, axis=1, keepdims=True)
    tokens = np.repeat(centred, 4)
    expected = centred / np.std(tokens, ddof=1)
    assert [[one[0] for one in row] for row in credits] == pytest.approx(expected, abs=1e-12)


# the names


def test_names_are_those_of_the_registry_and_unknown_ones_are_told():
    assert [algorithm.name for algorithm in EVERY] == list(ALGORITHMS)
    with pytest.raises(ValueError, match="no algorithm 'grop'; have: grpo, dr_grpo"):
        named("grop", limit=9)
    assert named("grpo", limit=9, beta=0.3).beta == 0.3
    with pytest.raises(TypeError, match="betta"):
        named("grpo", limit=9, betta=0.3)


def test_one_more_algorithm_is_a_few_lines():
    """What a newcomer writes, and all that he writes."""

    def grpo_without_failures() -> Algorithm:
        """Learn from what went well alone."""

        def only_better(groups, costs=None):
            return [np.maximum(row, 0.0) for row in grpo().credit(groups, costs)]

        return replace(grpo(beta=0.0), name="grpo_without_failures", credit=only_better)

    new = grpo_without_failures()
    test_the_first_step_after_sampling_is_the_policy_gradient(new)
    test_the_order_of_groups_and_siblings_changes_nothing(new)
    test_equal_rewards_move_nothing(new)
    test_a_better_answer_becomes_likelier_and_a_worse_one_less_likely(new)
