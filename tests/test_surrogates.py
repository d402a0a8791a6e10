"""The loss of each token and the distance from the reference: literal numbers, reductions to simpler losses, hostile input."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from saccade.algo.named import dapo, grpo
from saccade.algo.penalties import Bounded, k1, k2, k3, k3_straight_through
from saccade.algo.surrogates import (
    CappedWeight,
    ClippedRatio,
    GammaWeight,
    SequenceRatio,
    SequenceRatioPerToken,
    SoftRatio,
    Surrogate,
    WithoutStaleFailures,
    nll,
    policy_gradient,
    rollout_means,
    rollout_peaks,
    rollout_sums,
)
from saccade.algo.weights import sequence_mean_token_mean

SURROGATES = {
    "clipped": ClippedRatio(),
    "dual": ClippedRatio(dual=3.0),
    "sequence": SequenceRatio(),
    "sequence per token": SequenceRatioPerToken(),
    "capped": CappedWeight(),
    "soft": SoftRatio(),
    "gamma": GammaWeight(),
    "without stale": WithoutStaleFailures(limit=0.1),
    "policy gradient": policy_gradient,
}


def every(surrogates: dict[str, Surrogate]):
    return pytest.mark.parametrize("surrogate", surrogates.values(), ids=surrogates.keys())


def f64(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def loss(surrogate: Surrogate, logp, old, adv, rollout=None) -> list[float]:
    return surrogate(f64(*logp), f64(*old), f64(*adv), numbers(rollout, logp)).tolist()


def gradient(surrogate: Surrogate, logp, old, adv, rollout=None) -> Tensor:
    logp_M = f64(*logp).requires_grad_()
    surrogate(logp_M, f64(*old), f64(*adv), numbers(rollout, logp)).sum().backward()
    return logp_M.grad


def numbers(rollout: Sequence[int] | None, logp: Sequence[float]) -> Tensor:
    return torch.tensor([0] * len(logp) if rollout is None else rollout, dtype=torch.long)


tokens = st.lists(st.tuples(st.floats(-3, 0), st.floats(-3, 0), st.floats(-3, 3)), min_size=1, max_size=8)


# what holds for all


@every(SURROGATES)
def test_first_on_policy_step_is_reinforce(surrogate):
    logp, adv = [-0.5, -1.5, -2.5, -0.1], [1.5, 1.5, -0.5, 0.0]
    grad_M = gradient(surrogate, logp, logp, adv, [0, 0, 1, 2])
    assert grad_M.tolist() == pytest.approx([-1.5, -1.5, 0.5, 0.0], abs=1e-12)


@every(SURROGATES)
@given(st.lists(st.tuples(st.floats(-30, 0), st.floats(-30, 0)), min_size=3, max_size=3))
@settings(max_examples=30, deadline=None)
def test_a_rollout_without_advantage_has_exactly_no_gradient_and_changes_nobody_elses(surrogate, pairs):
    logp, old = (list(column) for column in zip(*pairs, strict=True))
    (idle, *rest) = gradient(surrogate, logp, old, [0.0, 2.0, -1.0], [4, 2, 9]).tolist()
    assert idle == 0.0
    assert rest == gradient(surrogate, logp[1:], old[1:], [2.0, -1.0], [2, 9]).tolist()


@every({name: surrogate for name, surrogate in SURROGATES.items() if name != "sequence"})
def test_a_token_without_advantage_has_exactly_no_gradient_beside_tokens_that_have(surrogate):
    grad_M = gradient(surrogate, [-0.50001, -1.0, -1.0], [-0.5, -1.0, -1.0], [0.0, 1.0, 1.0], [3, 3, 3])
    assert grad_M[0].item() == 0.0
    assert grad_M[1:].tolist() == pytest.approx([-1.0, -1.0], abs=1e-4)


def test_one_ratio_for_all_tokens_moves_a_token_without_advantage_too():
    """Which is why GSPO-token exists."""
    assert gradient(SequenceRatio(), [-1.0, -1.0], [-1.0, -1.0], [0.0, 1.0]).tolist() == [-0.5, -0.5]


@every(SURROGATES)
def test_order_and_numbers_of_rollouts_do_not_matter(surrogate):
    logp, old = [-0.3, -1.2, -0.7, -2.0, -0.1], [-0.5, -1.0, -0.7, -1.9, -0.3]
    adv, rollout, order = [1.0, -0.5, 1.0, -0.5, 1.0], [0, 1, 0, 1, 0], [3, 0, 4, 1, 2]
    straight = torch.tensor(loss(surrogate, logp, old, adv, rollout), dtype=torch.float64)
    mixed = loss(surrogate, *([column[i] for i in order] for column in (logp, old, adv)), [-7 * rollout[i] for i in order])
    assert mixed == pytest.approx(straight[order].tolist(), rel=1e-14)


@every(SURROGATES)
def test_rollouts_do_not_feel_each_other(surrogate):
    logp, old, adv = [-0.3, -0.4, -1.2, -2.0], [-0.5, -0.3, -1.0, -1.0], [1.0, 1.0, -0.5, -0.5]
    together = loss(surrogate, logp, old, adv, [0, 0, 1, 1])
    apart = loss(surrogate, logp[:2], old[:2], adv[:2]) + loss(surrogate, logp[2:], old[2:], adv[2:])
    assert together == pytest.approx(apart, rel=1e-14)


@every(SURROGATES)
@pytest.mark.parametrize("adv", [-3.0, 3.0])
@pytest.mark.parametrize(("logp", "old"), [(0.0, -500.0), (-500.0, 0.0), (-1e4, -1e4), (0.0, -1e30)])
def test_absurd_ratios_stay_finite_in_float32(surrogate, logp, old, adv):
    logp_M = torch.full((3,), logp, requires_grad=True)
    loss_M = surrogate(logp_M, torch.full((3,), old), torch.full((3,), adv), torch.tensor([0, 0, 1]))
    loss_M.sum().backward()
    assert torch.isfinite(loss_M).all() and torch.isfinite(logp_M.grad).all()


@every(SURROGATES)
def test_the_old_policy_is_a_constant(surrogate):
    logp_M, old_M = f64(-1.0, -2.0).requires_grad_(), f64(-1.00001, -2.0).requires_grad_()
    surrogate(logp_M, old_M, f64(1.0, -1.0), torch.tensor([0, 1])).sum().backward()
    assert old_M.grad is None and logp_M.grad.abs().min() > 0.9


@every({**SURROGATES, "nll": nll})
def test_no_tokens_have_no_loss(surrogate):
    assert loss(surrogate, [], [], []) == []


# one ratio per token


def test_clipped_ratio_values():
    """Inside; above, clipped for A > 0 and not for A < 0; below, clipped for A < 0 and not for A > 0."""
    ratio = [1.1, 2.0, 2.0, 0.5, 0.5]
    logp = [math.log(r) - 3 for r in ratio]
    loss_M = loss(ClippedRatio(low=0.2, high=0.28), logp, [-3.0] * 5, [2.0, 1.0, -1.0, -1.0, 1.0])
    assert loss_M == pytest.approx([-2.2, -1.28, 2.0, 0.8, -0.5], abs=1e-12)


def test_clipped_tokens_have_no_gradient_and_others_have_ratio_times_advantage():
    logp = [math.log(r) for r in [1.1, 2.0, 2.0, 0.5, 0.5]]
    grad_M = gradient(ClippedRatio(low=0.2, high=0.28), logp, [0.0] * 5, [2.0, 1.0, -1.0, -1.0, 1.0])
    assert grad_M.tolist() == pytest.approx([-2.2, 0.0, 2.0, 0.0, -0.5], abs=1e-12)


def test_dual_clip_caps_the_loss_of_bad_rollouts_only():
    logp, old, adv = [math.log(50.0)] * 2, [0.0] * 2, [-2.0, 2.0]
    assert loss(ClippedRatio(dual=3.0), logp, old, adv) == pytest.approx([6.0, -2.4])
    assert gradient(ClippedRatio(dual=3.0), logp, old, adv).tolist() == [0.0, 0.0]
    assert gradient(ClippedRatio(), logp, old, adv).tolist() == pytest.approx([100.0, 0.0])


def test_an_absurd_ratio_is_cut_at_e_to_the_20():
    loss_M = ClippedRatio()(torch.tensor([0.0]), torch.tensor([-500.0]), torch.tensor([-1.0]), torch.zeros(1))
    assert loss_M.item() == pytest.approx(math.exp(20), rel=1e-5)


@given(tokens)
@settings(max_examples=40, deadline=None)
def test_equal_clips_are_the_symmetric_clip_of_ppo(tokens):
    logp, old, adv = (f64(*column) for column in zip(*tokens, strict=True))
    ratio = (logp - old).exp()
    expected = -torch.minimum(ratio * adv, ratio.clamp(0.8, 1.2) * adv)
    dapo_equal = dapo(low=0.2, high=0.2).surrogate
    assert torch.equal(dapo_equal(logp, old, adv, torch.zeros(len(tokens))), expected)
    assert dapo_equal == grpo(low=0.2, high=0.2).surrogate


def test_nll_is_minus_logp_whatever_the_advantage():
    assert loss(nll, [-0.5, -2.0], [0, 0], [3, -9]) == [0.5, 2.0]
    assert gradient(nll, [-0.5, -2.0], [0, 0], [3, -9]).tolist() == [-1.0, -1.0]


# one ratio per rollout


def test_gspo_ratio_literal():
    """specs/01-algorithms.md 0.10: d = 0.1, -0.2, 0.3 makes 1.0689391."""
    logp, old, adv = [-1.9, -2.2, -1.7], [-2.0] * 3, [-1.0] * 3
    for surrogate in (SequenceRatio(low=0.5, high=0.5), SequenceRatioPerToken(low=0.5, high=0.5)):
        assert loss(surrogate, logp, old, adv) == pytest.approx([1.0689391] * 3, abs=1e-7)
        assert gradient(surrogate, logp, old, adv).tolist() == pytest.approx([1.0689391] * 3, abs=1e-7)


def test_gspo_clips_all_tokens_of_a_rollout_together():
    """The second rollout's mean log-ratio is 0 though its tokens moved: unclipped. The first one's is 0.1: clipped."""
    logp, old = [-1.0, -0.8, -1.5, -0.5], [-1.0, -1.0, -1.0, -1.0]
    for surrogate in (SequenceRatio(), SequenceRatioPerToken()):
        grad_M = gradient(surrogate, logp, old, [1.0] * 4, [7, 7, 3, 3])
        assert grad_M.tolist() == pytest.approx([0.0, 0.0, -1.0, -1.0])


@pytest.mark.parametrize("kind", [SequenceRatio, SequenceRatioPerToken])
@given(tokens)
@settings(max_examples=40, deadline=None)
def test_gspo_on_one_token_answers_is_grpo(kind, tokens):
    logp, old, adv = zip(*tokens, strict=True)
    one, other, alone = kind(low=0.2, high=0.28), ClippedRatio(low=0.2, high=0.28), range(len(tokens))
    assert loss(one, logp, old, adv, alone) == pytest.approx(loss(other, logp, old, adv, alone), abs=1e-12)
    a, b = (gradient(surrogate, logp, old, adv, alone).tolist() for surrogate in (one, other))
    assert a == pytest.approx(b, abs=1e-12)


def weighted(surrogate: Surrogate, logp, old, adv, lengths: list[int]) -> tuple[float, list[float]]:
    """Loss and gradient of a step under the mean over rollouts of each one's mean over tokens."""
    logp_M = f64(*logp).requires_grad_()
    rollout_M = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    total = (torch.from_numpy(sequence_mean_token_mean(lengths)) * surrogate(logp_M, f64(*old), f64(*adv), rollout_M)).sum()
    total.backward()
    return total.item(), logp_M.grad.tolist()


@given(st.lists(st.tuples(st.floats(-3, 3), st.lists(st.floats(-0.4, 0.4), min_size=1, max_size=4)), min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_gspo_and_gspo_token_agree_where_a_rollouts_tokens_share_their_advantage(rollouts):
    lengths = [len(shifts) for _, shifts in rollouts]
    adv = [adv for adv, shifts in rollouts for _ in shifts]
    logp = [-1.0 + shift for _, shifts in rollouts for shift in shifts]
    one, one_grad = weighted(SequenceRatio(low=0.1, high=0.2), logp, [-1.0] * len(logp), adv, lengths)
    other, other_grad = weighted(SequenceRatioPerToken(low=0.1, high=0.2), logp, [-1.0] * len(logp), adv, lengths)
    assert one == pytest.approx(other, abs=1e-12)
    assert one_grad == pytest.approx(other_grad, abs=1e-12)


def test_gspo_and_gspo_token_differ_in_gradient_only_where_advantages_differ():
    logp, old, adv = [-0.9, -1.2, -1.0], [-1.0] * 3, [1.0, 0.0, -2.0]
    one, one_grad = weighted(SequenceRatio(low=0.5, high=0.5), logp, old, adv, [3])
    other, other_grad = weighted(SequenceRatioPerToken(low=0.5, high=0.5), logp, old, adv, [3])
    s = math.exp(-0.1 / 3)
    assert one == pytest.approx(s / 3) and other == pytest.approx(s / 3)
    assert one_grad == pytest.approx([s / 9] * 3)
    assert other_grad == pytest.approx([-s / 3, 0.0, 2 * s / 3])


def test_rollout_statistics_over_tokens_in_any_order():
    value_M, rollout_M = f64(1, -10, 3, -20, 7), torch.tensor([5, 9, 5, 9, -2])
    assert rollout_sums(value_M, rollout_M).tolist() == [4, -30, 4, -30, 7]
    assert rollout_means(value_M, rollout_M).tolist() == [2, -15, 2, -15, 7]
    assert rollout_peaks(value_M, rollout_M).tolist() == [3, -10, 3, -10, 7]
    for statistic in (rollout_sums, rollout_means, rollout_peaks):
        assert statistic(f64(), torch.zeros(0, dtype=torch.long)).tolist() == []


def test_rollout_means_share_their_gradient():
    value_M = f64(1, 2, 3).requires_grad_()
    (rollout_means(value_M, torch.tensor([0, 0, 1])) * f64(1, 5, 7)).sum().backward()
    assert value_M.grad.tolist() == [3, 3, 7]


# weights without gradient


def test_capped_weight_literal():
    """CISPO: ratios of 0.5, 2 and 7 weigh 0.5, 2 and the cap; no token loses its gradient."""
    logp, adv = [-2.0] * 3, [1.0, -1.0, 1.0]
    old = [-2.0 - math.log(r) for r in (0.5, 2.0, 7.0)]
    assert loss(CappedWeight(cap=5.0), logp, old, adv) == pytest.approx([1.0, -4.0, 10.0])
    assert gradient(CappedWeight(cap=5.0), logp, old, adv).tolist() == pytest.approx([-0.5, 2.0, -5.0])
    assert gradient(CappedWeight(cap=5.0, floor=1.0), logp, old, adv).tolist() == pytest.approx([-1.0, 2.0, -5.0])
    assert gradient(ClippedRatio(), logp, old, adv)[2] == 0.0


def test_gamma_weight_literal():
    """VESPO: with W = 2 over the rollout phi is e^3 2^2 e^-6 where A >= 0 and e^2 2^3 e^-4 where A < 0."""
    logp, old = [-1.0, -1.0, -1.0, -1.0], [-1.0, -1.0 - math.log(2), -1.0, -1.0 - math.log(2)]
    adv, rollout = [1.0, 1.0, -1.0, -1.0], [0, 0, 1, 1]
    good, bad = 4 * math.exp(-3), 8 * math.exp(-2)
    assert loss(GammaWeight(), logp, old, adv, rollout) == pytest.approx([good, good, -bad, -bad])
    assert gradient(GammaWeight(), logp, old, adv, rollout).tolist() == pytest.approx([-good, -good, bad, bad])
    assert gradient(GammaWeight(), [-1.0], [-9.0], [1.0]).item() == 0.0  # W = e^8: the weight underflows
    far_below = gradient(GammaWeight(positive=(1.0, 1.0)), [-400.0], [0.0], [1.0]).item()
    assert far_below == pytest.approx(-math.e * 1e-8, rel=1e-6)  # W is held at 1e-8


def test_soft_ratio_literal():
    """SAPO at rho = 2: the gate's value is (4 / tau) sigmoid(tau), its slope in rho 4 sigmoid'(tau)."""
    logp, old, adv = [math.log(2.0)] * 2, [0.0] * 2, [1.0, -1.0]
    assert loss(SoftRatio(), logp, old, adv) == pytest.approx([-2.9242343, 2.8219996], abs=1e-6)
    assert gradient(SoftRatio(), logp, old, adv).tolist() == pytest.approx([-1.5728955, 1.5362194], abs=1e-6)
    sharp = SoftRatio(tau_positive=50.0, tau_negative=50.0)
    assert gradient(sharp, logp, old, adv).tolist() == pytest.approx([0.0, 0.0], abs=1e-12)


def test_stale_failures_bear_no_loss():
    """Three rollouts, fallen by 0.3 and 0.2 a token on average where they failed, and by 0.9 where it was good."""
    logp, old = [-1.5, -1.1, -1.1, -1.3, -1.9], [-1.0] * 5
    adv, rollout = [-1.0, -1.0, -1.0, -1.0, 1.0], [0, 0, 1, 1, 2]
    grad_M = gradient(WithoutStaleFailures(limit=0.25, surrogate=policy_gradient), logp, old, adv, rollout)
    assert grad_M.tolist() == pytest.approx([0.0, 0.0, 1.0, 1.0, -1.0])
    assert grad_M[:2].tolist() == [0.0, 0.0]
    one = WithoutStaleFailures(limit=math.inf)
    assert loss(one, logp, old, adv, rollout) == loss(ClippedRatio(), logp, old, adv, rollout)
    assert loss(WithoutStaleFailures(limit=0.5), [-1.5], [-1.0], [-1.0]) == loss(ClippedRatio(), [-1.5], [-1.0], [-1.0])


@pytest.mark.parametrize(
    ("kind", "bad", "why"),
    [
        (ClippedRatio, {"low": -0.1}, "clip range"),
        (ClippedRatio, {"low": 1.5}, "clip range"),
        (ClippedRatio, {"high": -1.0}, "clip range"),
        (ClippedRatio, {"high": math.nan}, "clip range"),
        (ClippedRatio, {"dual": 1.0}, "dual"),
        (SequenceRatio, {"low": -0.1}, "clip range"),
        (SequenceRatioPerToken, {"high": -0.1}, "clip range"),
        (CappedWeight, {"cap": 0.0}, "floor < cap"),
        (CappedWeight, {"floor": -1.0}, "floor < cap"),
        (SoftRatio, {"tau_positive": 0.0}, "above 0"),
        (SoftRatio, {"tau_negative": math.nan}, "above 0"),
    ],
)
def test_senseless_settings_are_refused(kind, bad, why):
    with pytest.raises(ValueError, match=why):
        kind(**bad)


# penalties


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
@settings(max_examples=40, deadline=None)
def test_k3_is_never_negative(logp, ref):
    assert k3(f64(logp), f64(ref)).item() >= -1e-12


def test_bounded_penalty():
    assert Bounded(limit=10)(f64(-9.0, -1.0), f64(-1.0, -1.0)).tolist() == [10.0, 0.0]


