"""The maths of policy optimisation: literal numbers, reductions to simpler algorithms, and what must change nothing."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from saccade.algo.advantages import ZScore, leave_one_out, mean_only
from saccade.algo.algorithm import Algorithm, Refill
from saccade.algo.credit import WithinGroup, equal_credit
from saccade.algo.keep import Differing, keep_all, keep_informative, keep_scored
from saccade.algo.named import dapo, dr_grpo, grpo, gspo, rloo, sft
from saccade.algo.penalties import Bounded, k1, k2, k3, k3_straight_through
from saccade.algo.schedules import Cosine, Linear, at
from saccade.algo.surrogates import ClippedRatio, SequenceRatio, SequenceRatioPerToken, nll, policy_gradient, rollout_means
from saccade.algo.weights import (
    ConstantLimit,
    sequence_mean_token_mean,
    sequence_mean_token_sum,
    token_mean,
)
from saccade.core.rollout import Group, Rollout, Stop
from saccade.core.sample import Message, Sample

SAMPLE = Sample(id="s", messages=(Message("user", ("?",)),), target="7")


def group_of(*rewards: float | None) -> Group:
    empty = Rollout(sample=SAMPLE, text="", token_T=(), logp_T=(), is_sampled_T=(), stop=Stop.EOS)
    return Group(sample=SAMPLE, rollouts=tuple(empty.scored({}, reward) for reward in rewards))


def f64(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def gradient(surrogate, logp, old, adv, rollout=None):
    logp_M = f64(*logp).requires_grad_()
    rollout_M = torch.tensor(rollout if rollout is not None else [0] * len(logp))
    surrogate(logp_M, f64(*old), f64(*adv), rollout_M).sum().backward()
    return logp_M.grad


# advantages

ADVANTAGES = [ZScore(), ZScore(is_unbiased=False), ZScore(eps=0), mean_only, leave_one_out]
rewards_or_none = st.lists(st.none() | st.floats(-10, 10, width=32), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("advantage", "rewards", "expected"),
    [
        (ZScore(eps=0), [1, 0, 0, 0], [1.5, -0.5, -0.5, -0.5]),
        (ZScore(eps=0, is_unbiased=False), [1, 0, 0, 0], [1.7320508, -0.5773503, -0.5773503, -0.5773503]),
        (mean_only, [1, 0, 0, 0], [0.75, -0.25, -0.25, -0.25]),
        (leave_one_out, [1, 0, 0, 0], [1, -1 / 3, -1 / 3, -1 / 3]),
        (ZScore(eps=0), [1] * 7 + [0], [0.3535534] * 7 + [-2.4748737]),
        (ZScore(eps=0, is_unbiased=False), [1] * 7 + [0], [0.3779645] * 7 + [-2.6457513]),
        (ZScore(eps=0.5), [1, 0, 0, 0], [0.75, -0.25, -0.25, -0.25]),
        (ZScore(eps=0), [1, None, 0, 0, 0], [1.5, 0, -0.5, -0.5, -0.5]),
        (leave_one_out, [2, None, 0], [2, 0, -2]),
    ],
)
def test_literal_advantages(advantage, rewards, expected):
    assert advantage(rewards) == pytest.approx(np.array(expected), abs=1e-7)


def test_eps_is_added_to_the_standard_deviation():
    assert ZScore(eps=1e-4)([1, 0, 0, 0])[0] == pytest.approx(0.75 / (0.5 + 1e-4), rel=1e-12)


@pytest.mark.parametrize("advantage", ADVANTAGES)
@pytest.mark.parametrize("rewards", [[np.float32(0.9)] * 7, [0.1] * 3, [0.9, None, 0.9], [5.0], [None, 3.0], [None]])
def test_nothing_to_compare_is_exactly_zero(advantage, rewards):
    assert advantage(rewards).tolist() == [0.0] * len(rewards)


@pytest.mark.parametrize("advantage", ADVANTAGES)
@given(rewards=rewards_or_none)
def test_advantages_sum_to_zero_and_unscored_get_none(advantage, rewards):
    adv_G = advantage(rewards)
    assert math.fsum(adv_G) == pytest.approx(0, abs=1e-6)
    assert all(adv == 0 for adv, reward in zip(adv_G, rewards, strict=True) if reward is None)


@pytest.mark.parametrize("advantage", ADVANTAGES)
@given(rewards=rewards_or_none, seed=st.integers(0, 99))
def test_advantages_follow_their_rollouts_when_siblings_are_permuted(advantage, rewards, seed):
    order = np.random.default_rng(seed).permutation(len(rewards))
    assert advantage([rewards[i] for i in order]).tolist() == advantage(rewards)[order].tolist()


@given(rewards=rewards_or_none)
def test_leave_one_out_is_reward_minus_the_mean_of_the_others(rewards):
    for i, (reward, adv) in enumerate(zip(rewards, leave_one_out(rewards), strict=True)):
        others = [other for j, other in enumerate(rewards) if j != i and other is not None]
        if reward is not None and others:
            assert adv == pytest.approx(reward - sum(others) / len(others), abs=1e-9)


def test_negative_eps_is_refused():
    with pytest.raises(ValueError, match="eps"):
        ZScore(eps=-1.0)


def test_credit_is_per_group():
    credits = WithinGroup(mean_only)([group_of(1.0, 0.0), group_of(1.0, 1.0)])
    assert [list(credit) for credit in credits] == [[0.5, -0.5], [0.0, 0.0]]
    assert [list(credit) for credit in equal_credit([group_of(None, 0.0)])] == [[1.0, 1.0]]


# surrogates


def test_clipped_ratio_values():
    """Inside; above, clipped for A > 0 and not for A < 0; below, clipped for A < 0 and not for A > 0."""
    ratio = [1.1, 2.0, 2.0, 0.5, 0.5]
    adv = [2.0, 1.0, -1.0, -1.0, 1.0]
    logp = [math.log(r) - 3 for r in ratio]
    loss_M = ClippedRatio(low=0.2, high=0.28)(f64(*logp), f64(*[-3.0] * 5), f64(*adv), torch.zeros(5))
    assert loss_M.tolist() == pytest.approx([-2.2, -1.28, 2.0, 0.8, -0.5], abs=1e-12)


def test_clipped_tokens_have_no_gradient_and_others_have_ratio_times_advantage():
    logp = [math.log(r) for r in [1.1, 2.0, 2.0, 0.5, 0.5]]
    grad_M = gradient(ClippedRatio(low=0.2, high=0.28), logp, [0.0] * 5, [2.0, 1.0, -1.0, -1.0, 1.0])
    assert grad_M.tolist() == pytest.approx([-2.2, 0.0, 2.0, 0.0, -0.5], abs=1e-12)


def test_dual_clip_caps_the_loss_of_bad_rollouts_only():
    logp, old, adv = [math.log(50.0)] * 2, [0.0] * 2, [-2.0, 2.0]
    loss_M = ClippedRatio(dual=3.0)(f64(*logp), f64(*old), f64(*adv), torch.zeros(2))
    assert loss_M.tolist() == pytest.approx([6.0, -2.4])
    assert gradient(ClippedRatio(dual=3.0), logp, old, adv).tolist() == [0.0, 0.0]
    assert gradient(ClippedRatio(), logp, old, adv).tolist() == pytest.approx([100.0, 0.0])


def test_an_absurd_ratio_stays_finite_in_float32():
    loss_M = ClippedRatio()(torch.tensor([0.0]), torch.tensor([-500.0]), torch.tensor([-1.0]), torch.zeros(1))
    assert loss_M.item() == pytest.approx(math.exp(20), rel=1e-5)


@given(st.lists(st.tuples(st.floats(-3, 0), st.floats(-3, 0), st.floats(-3, 3)), min_size=1, max_size=8))
def test_equal_clips_are_the_symmetric_clip_of_ppo(tokens):
    logp, old, adv = (f64(*column) for column in zip(*tokens, strict=True))
    ratio = (logp - old).exp()
    expected = -torch.minimum(ratio * adv, ratio.clamp(0.8, 1.2) * adv)
    dapo_equal = dapo(low=0.2, high=0.2).surrogate
    assert torch.equal(dapo_equal(logp, old, adv, torch.zeros(len(tokens))), expected)
    assert dapo_equal == grpo(low=0.2, high=0.2).surrogate


def test_gspo_ratio_literal():
    d = f64(0.1, -0.2, 0.3)
    loss_M = SequenceRatio(low=0.5, high=0.5)(d - 2, f64(-2, -2, -2), f64(-1, -1, -1), torch.zeros(3))
    assert loss_M.tolist() == pytest.approx([1.0689391] * 3, abs=1e-7)
    assert gradient(SequenceRatio(low=0.5, high=0.5), [-1.9, -2.2, -1.7], [-2.0] * 3, [-1.0] * 3).tolist() == (
        pytest.approx([1.0689391] * 3, abs=1e-7)
    )


def test_gspo_clips_all_tokens_of_a_rollout_together():
    """The second rollout's mean log-ratio is 0 though its tokens moved: unclipped. The first one's is 0.1: clipped."""
    logp, old = [-1.0, -0.8, -1.5, -0.5], [-1.0, -1.0, -1.0, -1.0]
    grad_M = gradient(SequenceRatio(), logp, old, [1.0] * 4, [7, 7, 3, 3])
    assert grad_M.tolist() == pytest.approx([0.0, 0.0, -1.0, -1.0])


@given(st.lists(st.tuples(st.floats(-3, 0), st.floats(-3, 0), st.floats(-3, 3)), min_size=1, max_size=8))
def test_gspo_on_one_token_answers_is_grpo(tokens):
    logp, old, adv = (f64(*column) for column in zip(*tokens, strict=True))
    rollout_M = torch.arange(len(tokens))
    one = SequenceRatio(low=0.2, high=0.28)(logp, old, adv, rollout_M)
    other = ClippedRatio(low=0.2, high=0.28)(logp, old, adv, rollout_M)
    assert torch.allclose(one, other, atol=1e-12)


@pytest.mark.parametrize("surrogate", [ClippedRatio(), ClippedRatio(dual=3.0), SequenceRatio(), policy_gradient])
def test_first_on_policy_step_is_reinforce(surrogate):
    logp, adv = [-0.5, -1.5, -2.5, -0.1], [1.5, 1.5, -0.5, 0.0]
    grad_M = gradient(surrogate, logp, logp, adv, [0, 0, 1, 2])
    assert grad_M.tolist() == pytest.approx([-1.5, -1.5, 0.5, 0.0], abs=1e-12)


def test_nll_is_minus_logp_whatever_the_advantage():
    assert nll(f64(-0.5, -2.0), f64(0, 0), f64(3, -9), torch.zeros(2)).tolist() == [0.5, 2.0]
    assert gradient(nll, [-0.5, -2.0], [0, 0], [3, -9]).tolist() == [-1.0, -1.0]


def test_rollout_means_over_tokens_in_any_order():
    assert rollout_means(f64(1, 10, 3, 20), torch.tensor([5, 9, 5, 9])).tolist() == [2, 15, 2, 15]


@pytest.mark.parametrize("bad", [{"low": -0.1}, {"low": 1.5}, {"high": -1.0}, {"dual": 1.0}])
def test_senseless_clips_are_refused(bad):
    with pytest.raises(ValueError, match="clip range|dual"):
        ClippedRatio(**bad)


# penalties and schedules


def test_kl_estimators_literal():
    logp_M, ref_M = f64(-1.0), f64(-1.5)
    values = [k(logp_M, ref_M).item() for k in (k1, k2, k3, k3_straight_through)]
    assert values == pytest.approx([0.5, 0.125, 0.1065307, 0.1065307], abs=1e-7)


@pytest.mark.parametrize(
    ("penalty", "expected"), [(k1, 1.0), (k2, 0.5), (k3, 1 - math.exp(-0.5)), (k3_straight_through, 0.5)]
)
def test_kl_gradients(penalty, expected):
    logp_M = f64(-1.0).requires_grad_()
    penalty(logp_M, f64(-1.5)).sum().backward()
    assert logp_M.grad.item() == pytest.approx(expected, abs=1e-12)


def test_the_k2_loss_has_the_gradient_of_the_reverse_kl_in_expectation():
    """Over a four-token vocabulary: sum_v p(v) * d k2(v), with p held, equals d KL(p || q). k3 differs."""
    logit_V = f64(0.3, -0.2, 1.0, 0.0).requires_grad_()
    ref_V = torch.log_softmax(f64(1.0, 0.0, -0.5, 0.2), 0)
    logp_V = torch.log_softmax(logit_V, 0)
    (exact,) = torch.autograd.grad((logp_V.exp() * (logp_V - ref_V)).sum(), logit_V, retain_graph=True)
    (by_k2,) = torch.autograd.grad((logp_V.exp().detach() * k2(logp_V, ref_V)).sum(), logit_V, retain_graph=True)
    (by_k3,) = torch.autograd.grad((logp_V.exp().detach() * k3(logp_V, ref_V)).sum(), logit_V)
    assert torch.allclose(by_k2, exact, atol=1e-12)
    assert not torch.allclose(by_k3, exact, atol=1e-2)


@given(st.floats(-30, 0), st.floats(-30, 0))
def test_k3_is_never_negative(logp, ref):
    assert k3(f64(logp), f64(ref)).item() >= -1e-12


def test_bounded_penalty():
    assert Bounded(limit=10)(f64(-9.0, -1.0), f64(-1.0, -1.0)).tolist() == [10.0, 0.0]


@pytest.mark.parametrize(
    ("schedule", "values"),
    [
        (Cosine(start=0.04, end=0.0), [0.04, 0.0341421, 0.02, 0.0]),
        (Linear(start=0.04, end=0.0), [0.04, 0.03, 0.02, 0.0]),
        (0.04, [0.04] * 4),
    ],
)
def test_schedules_literal(schedule, values):
    assert [at(schedule, p) for p in (0.0, 0.25, 0.5, 1.0)] == pytest.approx(values, abs=1e-7)


@pytest.mark.parametrize("schedule", [Cosine(start=1.0, end=3.0), Linear(start=1.0, end=3.0)])
def test_progress_outside_the_training_is_its_nearest_end(schedule):
    assert [schedule(-0.5), schedule(1.0001)] == [1.0, 3.0]
    with pytest.raises(ValueError, match="progress"):
        schedule(math.nan)


# weights

WEIGHS = [sequence_mean_token_mean, token_mean, sequence_mean_token_sum, ConstantLimit(limit=10)]


@pytest.mark.parametrize(
    ("weigh", "expected"),
    [
        (sequence_mean_token_mean, [1 / 2, 1 / 6, 1 / 6, 1 / 6]),
        (token_mean, [1 / 4] * 4),
        (sequence_mean_token_sum, [1 / 2] * 4),
        (ConstantLimit(limit=10), [1 / 20] * 4),
    ],
)
def test_literal_weights_and_rollouts_without_tokens_are_no_rows(weigh, expected):
    assert weigh([1, 3]) == pytest.approx(np.array(expected), abs=1e-15)
    assert weigh([0, 1, 0, 3]) == pytest.approx(np.array(expected), abs=1e-15)
    assert weigh([0, 0]).tolist() == weigh([]).tolist() == []
    with pytest.raises(ValueError, match="lengths"):
        weigh([3, -1])


@given(st.lists(st.integers(0, 50), min_size=1, max_size=20).filter(any))
def test_means_weigh_one_in_total(lengths):
    assert math.fsum(sequence_mean_token_mean(lengths)) == pytest.approx(1)
    assert math.fsum(token_mean(lengths)) == pytest.approx(1)


# whole steps


def step_loss(algorithm: Algorithm, theta, old_M, ref_M, groups, lengths, pieces):
    """Loss and gradient of a toy policy, logp = -softplus(features . theta), accumulated over slices of rollouts."""
    credits = [c for credit in algorithm.credit(groups) for c in credit]
    adv_M, weight_M = torch.tensor(np.repeat(credits, lengths)), torch.tensor(algorithm.weigh(lengths))
    rollout_M = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    feature_MD = torch.tensor(np.random.default_rng(0).normal(size=(sum(lengths), 5)))
    theta = theta.clone().requires_grad_()
    total = 0.0
    for piece in pieces:
        inside_M = torch.isin(rollout_M, torch.tensor(piece))
        logp_M = -torch.nn.functional.softplus(feature_MD[inside_M] @ theta)
        loss_M = algorithm.surrogate(logp_M, old_M[inside_M], adv_M[inside_M], rollout_M[inside_M])
        if algorithm.needs_reference:
            loss_M = loss_M + algorithm.beta_at(0.3) * algorithm.penalty(logp_M, ref_M[inside_M])
        loss = (weight_M[inside_M] * loss_M).sum()
        loss.backward()
        total += loss.item()
    return total, theta.grad


@pytest.mark.parametrize(
    "algorithm",
    [grpo(), grpo(beta=Cosine(start=0.1, end=0)), dr_grpo(limit=30), dapo(dual=10.0), gspo(), rloo(beta=0.0), sft()],
    ids=lambda a: a.name,
)
def test_splitting_a_step_into_micro_batches_changes_neither_loss_nor_gradient(algorithm):
    groups = [group_of(1.0, 0.0, 0.25), group_of(0.5, 0.5, 1.0), group_of(0.0, 2.0, 1.0)]
    lengths = [3, 17, 1, 8, 2, 30, 5, 5, 9]
    random = np.random.default_rng(1)
    old_M, ref_M = (torch.tensor(-random.exponential(size=sum(lengths))) for _ in range(2))
    theta = torch.tensor(random.normal(size=5))
    arguments = (algorithm, theta, old_M, ref_M, groups, lengths)
    whole, whole_grad = step_loss(*arguments, [list(range(9))])
    for pieces in ([[i] for i in range(9)], [[0, 1], [2, 3, 4, 5], [6, 7, 8]], [[8, 0], [7, 1, 5], [6, 4, 3, 2]]):
        split, split_grad = step_loss(*arguments, pieces)
        assert split == pytest.approx(whole, rel=1e-12, abs=1e-14)
        assert torch.allclose(split_grad, whole_grad, rtol=1e-11, atol=1e-13)
    assert whole_grad.abs().max() > 1e-4


def test_dr_grpo_differs_from_rloo_by_a_constant_factor():
    groups = [group_of(1.0, 0.0, 0.25, 0.5)]
    lengths, theta = [3, 1, 4, 2], torch.ones(5, dtype=torch.float64)
    feature_MD = torch.tensor(np.random.default_rng(0).normal(size=(10, 5)))
    old_M = -torch.nn.functional.softplus(feature_MD @ theta)
    _, a = step_loss(dr_grpo(limit=100), theta, old_M, old_M, groups, lengths, [[0, 1, 2, 3]])
    _, b = step_loss(rloo(beta=0.0), theta, old_M, old_M, groups, lengths, [[0, 1, 2, 3]])
    assert torch.allclose(a * 100 * 4 / 3, b, rtol=1e-12)


# the bundle


def test_keeping():
    groups = [group_of(1.0, None, 0.0), group_of(1.0, 1.0), group_of(None, None), group_of(2.0)]
    assert keep_all(groups) == groups
    assert [group.rewards for group in keep_scored(groups)] == [(1.0, 0.0), (1.0, 1.0), (2.0,)]
    assert [group.rewards for group in keep_informative(groups)] == [(1.0, 0.0)]


def test_a_reference_is_needed_only_where_beta_can_differ_from_zero():
    assert grpo().needs_reference
    assert grpo(beta=Linear(start=0.0, end=0.1)).needs_reference
    assert not grpo(beta=0).needs_reference
    assert not replace(grpo(), beta=0.0).needs_reference
    assert not any(a.needs_reference for a in (dr_grpo(limit=9), dapo(), gspo(), rloo(beta=0), sft()))
    assert grpo(beta=Cosine(start=0.04, end=0.0)).beta_at(0.5) == pytest.approx(0.02)


def test_a_beta_without_a_penalty_or_below_zero_is_refused():
    with pytest.raises(ValueError, match="no penalty"):
        replace(gspo(), penalty=None, beta=0.1)
    with pytest.raises(ValueError, match="0 or more"):
        grpo(beta=-0.1)


def test_dapo_is_grpo_but_for_its_clip_and_its_weights():
    own = dict(name="dapo", weigh=token_mean, keep=Differing(), refill=Refill())
    assert dapo() == replace(grpo(high=0.28, beta=0.0), **own)
    assert dapo() != replace(grpo(beta=0.0), **own)
