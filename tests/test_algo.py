"""The maths of policy optimisation: literal numbers, reductions to simpler algorithms, and what must change nothing."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saccade.algo.advantages import ZScore, leave_one_out, mean_only
from saccade.algo.algorithm import Refill
from saccade.algo.keep import Differing
from saccade.algo.named import dapo, dr_grpo, grpo, gspo, rloo, sft
from saccade.algo.schedules import Cosine, Linear
from saccade.algo.weights import (
    ConstantLimit,
    sequence_mean_token_mean,
    sequence_mean_token_sum,
    token_mean,
)

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


# the bundle


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
