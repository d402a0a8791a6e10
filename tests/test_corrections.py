"""Weights for the gap between sampler and learner: literal numbers, nothing where there is no gap, finite whatever the gap."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from saccade.algo.corrections import Correction, Corrections, MaskedRatio, Rejected, TruncatedRatio, touched

STATISTICS, REDUCTIONS = ("k1", "k2", "k3"), ("token", "sum", "mean", "max")
REJECTED = {
    f"rejected {statistic} {over}": Rejected(low=-0.5, high=0.5, statistic=statistic, over=over)
    for statistic in STATISTICS
    for over in REDUCTIONS
}
CORRECTIONS: dict[str, Correction] = {
    "truncated": TruncatedRatio(),
    "truncated sequence": TruncatedRatio(level="sequence"),
    "masked": MaskedRatio(),
    "masked token": MaskedRatio(low=0.5, high=5.0, level="token"),
    **REJECTED,
    "several": Corrections((TruncatedRatio(), Rejected(high=0.5, over="mean"))),
}
every = pytest.mark.parametrize("correction", CORRECTIONS.values(), ids=CORRECTIONS.keys())


def weights(correction: Correction, x: list[float], rollout: list[int] | None = None, *, sampler: float = -40.0) -> list[float]:
    """The weight of each token where x = old - sampler."""
    x_M = torch.tensor(x, dtype=torch.float64)
    rollout_M = torch.tensor([0] * len(x) if rollout is None else rollout, dtype=torch.long)
    return correction(x_M + sampler, torch.full_like(x_M, sampler), rollout_M).tolist()


# what holds for all


@every
@given(logp=st.lists(st.floats(-100, 0), max_size=6), n=st.integers(1, 3))
@settings(max_examples=15, deadline=None)
def test_equal_log_probs_weigh_exactly_one(correction, logp, n):
    logp_M = torch.tensor(logp)
    assert correction(logp_M, logp_M.clone(), torch.arange(len(logp)) % n).tolist() == [1.0] * len(logp)


@every
def test_no_gradient_flows_to_either_side(correction):
    old_M, sampler_M = (torch.tensor([-1.0, -2.0]).requires_grad_() for _ in range(2))
    assert not correction(old_M, sampler_M, torch.tensor([0, 0])).requires_grad


@every
@pytest.mark.parametrize(("old", "sampler"), [(0.0, -500.0), (-500.0, 0.0), (0.0, -1e38), (-1e38, 0.0), (-1.0, -math.inf)])
def test_extreme_differences_stay_finite_and_not_negative_in_float32(correction, old, sampler):
    old_M, sampler_M = torch.tensor([old, old, -1.0]), torch.tensor([sampler, sampler, -1.0])
    weight_M = correction(old_M, sampler_M, torch.tensor([4, 4, 7]))
    assert weight_M[2] == 1.0
    assert torch.isfinite(weight_M).all() and (weight_M >= 0).all()


@every
def test_rollouts_do_not_feel_each_other_in_any_order(correction):
    x, rollout, order = [0.4, 1.5, -0.3, 0.1, 0.2], [0, 1, 0, 1, 0], [3, 0, 4, 1, 2]
    straight = weights(correction, x, rollout)
    mixed = weights(correction, [x[i] for i in order], [-3 * rollout[i] for i in order])
    assert mixed == pytest.approx([straight[i] for i in order], rel=1e-12)
    alone = iter(weights(correction, [0.4, -0.3, 0.2]))
    assert [w for w, r in zip(straight, rollout, strict=True) if r == 0] == pytest.approx(list(alone), rel=1e-12)


# truncated and masked


def test_truncated_ratio_literal():
    """specs/01-algorithms.md 0.10: old -1, sampler -2: e^1 = 2.718 becomes 2."""
    args = torch.tensor([-1.0]), torch.tensor([-2.0]), torch.tensor([0])
    assert TruncatedRatio(cap=2.0)(*args).tolist() == [2.0]
    assert TruncatedRatio(cap=3.0)(*args).tolist() == pytest.approx([math.e])


def test_a_token_has_its_own_weight_and_a_sequence_one_for_all():
    x, rollout = [math.log(3), math.log(0.5), math.log(0.1)], [0, 0, 1]
    assert weights(TruncatedRatio(cap=2.0), x, rollout) == pytest.approx([2.0, 0.5, 0.1])
    assert weights(TruncatedRatio(cap=2.0, floor=0.25), x, rollout) == pytest.approx([2.0, 0.5, 0.25])
    assert weights(TruncatedRatio(cap=2.0, level="sequence"), x, rollout) == pytest.approx([1.5, 1.5, 0.1])
    assert weights(TruncatedRatio(cap=1.25, level="sequence"), x, rollout) == pytest.approx([1.25, 1.25, 0.1])


def test_a_long_answers_weight_is_held_at_e_to_the_20_either_way():
    assert weights(TruncatedRatio(cap=1e30, level="sequence"), [0.5] * 100) == pytest.approx([math.exp(20)] * 100)
    assert weights(TruncatedRatio(level="sequence"), [-0.5] * 100) == pytest.approx([math.exp(-20)] * 100)


def test_masked_ratio_keeps_what_lies_inside_as_it_is_and_drops_the_rest():
    x, rollout = [math.log(3), math.log(0.5), math.log(5), math.log(0.2)], [0, 0, 1, 2]
    assert weights(MaskedRatio(low=0.25, high=4.0, level="token"), x, rollout) == pytest.approx([3.0, 0.5, 0.0, 0.0])
    assert weights(MaskedRatio(), x, rollout) == pytest.approx([1.5, 1.5, 0.0, 0.2])
    assert weights(MaskedRatio(low=0.25, high=1.4), x, rollout) == [0.0] * 4
    assert weights(MaskedRatio(), [math.log(2.99), math.log(3.01)], [0, 1]) == pytest.approx([2.99, 0.0])


def test_the_bounds_belong_to_the_range():
    assert weights(MaskedRatio(low=0.5, high=1.0, level="token"), [0.0]) == [1.0]
    assert weights(MaskedRatio(low=1.0, high=2.0, level="token"), [0.0]) == [1.0]
    assert weights(Rejected(low=0.0, high=1.0), [0.0, 1.0], sampler=0.0) == [1.0, 1.0]


# rejection


@pytest.mark.parametrize(
    ("statistic", "over", "expected"),
    [
        ("k1", "token", [0.3, -0.2, 0.1]),
        ("k1", "sum", [0.1, 0.1, 0.1]),
        ("k1", "mean", [0.05, 0.05, 0.1]),
        ("k1", "max", [0.3, 0.3, 0.1]),
        ("k2", "token", [0.045, 0.02, 0.005]),
        ("k2", "sum", [0.065, 0.065, 0.005]),
        ("k2", "mean", [0.0325, 0.0325, 0.005]),
        ("k2", "max", [0.045, 0.045, 0.005]),
        ("k3", "token", [0.0498588, 0.0187308, 0.0051709]),
        ("k3", "sum", [0.0685896, 0.0685896, 0.0051709]),
        ("k3", "mean", [0.0342948, 0.0342948, 0.0051709]),
        ("k3", "max", [0.0498588, 0.0498588, 0.0051709]),
    ],
)
def test_each_statistic_is_rejected_just_beyond_its_literal_value(statistic, over, expected):
    """Log-ratios of 0.3 and -0.2 in one rollout, 0.1 in another."""
    margin = 1e-6
    for bound in expected:
        upper = Rejected(high=bound + margin, statistic=statistic, over=over)
        lower = Rejected(low=bound - margin, high=9.0, statistic=statistic, over=over)
        assert weights(upper, [0.3, -0.2, 0.1], [0, 0, 1]) == [float(value <= bound) for value in expected]
        assert weights(lower, [0.3, -0.2, 0.1], [0, 0, 1]) == [float(value >= bound) for value in expected]
        tight = Rejected(low=bound + margin, high=bound + 2 * margin, statistic=statistic, over=over)
        assert weights(tight, [0.3, -0.2, 0.1], [0, 0, 1]) == [0.0] * 3


def test_ratios_from_six_tenths_to_fourteen():
    correction = Rejected(low=math.log(0.6), high=math.log(1.4))
    ratios = [0.59, 0.61, 1.39, 1.41]
    assert weights(correction, [math.log(ratio) for ratio in ratios], [0, 0, 1, 1]) == [0.0, 1.0, 1.0, 0.0]


def test_several_multiply():
    parts = TruncatedRatio(cap=2.0), Rejected(high=0.5, over="max"), TruncatedRatio(cap=1.5)
    x, rollout = [math.log(3), 0.1, math.log(1.2), 0.2], [0, 0, 1, 1]
    assert weights(Corrections(parts), x, rollout) == pytest.approx([0.0, 0.0, 1.44, math.exp(0.4)])
    assert weights(Corrections(()), x, rollout) == [1.0] * 4


# settings


@pytest.mark.parametrize(
    ("kind", "bad"),
    [
        (TruncatedRatio, {"cap": 0.0}),
        (TruncatedRatio, {"cap": 1.0, "floor": 2.0}),
        (TruncatedRatio, {"floor": -0.1}),
        (TruncatedRatio, {"cap": math.nan}),
        (MaskedRatio, {"low": 3.0}),
        (MaskedRatio, {"low": -1.0}),
        (Rejected, {"low": 1.0, "high": 1.0}),
        (Rejected, {"high": -math.inf}),
        (Rejected, {"high": math.nan}),
    ],
)
def test_senseless_ranges_are_refused(kind, bad):
    with pytest.raises(ValueError, match="low < high"):
        kind(**bad)


@pytest.mark.parametrize(
    ("kind", "bad"),
    [
        (TruncatedRatio, {"level": "rollout"}),
        (MaskedRatio, {"level": "sentence"}),
        (Rejected, {"high": 1.0, "statistic": "k4"}),
        (Rejected, {"high": 1.0, "over": "median"}),
    ],
)
def test_unknown_words_are_refused(kind, bad):
    with pytest.raises(ValueError, match="token"):
        kind(**bad)


@pytest.mark.parametrize("correction", [TruncatedRatio(), MaskedRatio(), Rejected(high=1.0, over="mean")])
def test_a_token_that_the_engine_did_not_score_is_not_corrected(correction):
    old_M, sampler_M = torch.tensor([-1.0, -1.0]), torch.tensor([math.nan, -1.0])
    assert correction(old_M, sampler_M, torch.tensor([0, 0])).tolist() == [1.0, 1.0]


def test_which_tokens_a_correction_touched():
    """Ratios 1, 4 and 0.5 in rollouts of one and of two tokens."""
    sampler_M = torch.zeros(3, dtype=torch.float64)
    old_M, rollout_M = torch.tensor([1.0, 4.0, 0.5], dtype=torch.float64).log(), torch.tensor([0, 1, 1])
    cases = [
        (TruncatedRatio(cap=2.0), [False, True, False]),
        (TruncatedRatio(cap=1.5, level="sequence"), [False, True, True]),
        (MaskedRatio(high=3.0, level="token"), [False, True, False]),
        (Rejected(high=math.log(3.0)), [False, True, False]),
        (Corrections((TruncatedRatio(cap=9.0), Rejected(low=math.log(0.6), high=9.0))), [False, False, True]),
        (Corrections((TruncatedRatio(cap=9.0),)), [False, False, False]),
    ]
    for correction, expected in cases:
        assert touched(correction, old_M, sampler_M, rollout_M).tolist() == expected, correction
