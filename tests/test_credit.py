"""Who gets the credit: literal numbers, what siblings and groups may not change, and what is never rewarded or blamed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saccade.algo.advantages import ZScore, leave_one_out, mean_only
from saccade.algo.credit import (
    Assign,
    BatchScaled,
    BatchWhitened,
    ClassWeighted,
    Costs,
    Credit,
    PerReward,
    StepRewards,
    WithinGroup,
    balanced_weights,
    equal_credit,
)
from saccade.core.rollout import Group, Rollout, Score
from tests.rollouts import group_judged, group_of, judged, rollout_of, sample_of, with_terms

BY_GROUP = {
    "z-score": WithinGroup(ZScore()),
    "mean only": WithinGroup(mean_only),
    "leave one out": WithinGroup(leave_one_out),
    "batch scaled": BatchScaled(),
    "per reward": PerReward(),
    "steps": StepRewards(term="work"),
    "class weighted": ClassWeighted(credit=WithinGroup(ZScore()), weights={"": 2.0}),
}
BY_BATCH = {"whitened": BatchWhitened(), "whitened, baseline": BatchWhitened(baseline=mean_only)}
CREDITS = {**BY_GROUP, **BY_BATCH}


def every(credits: dict[str, Assign]):
    return pytest.mark.parametrize("credit", credits.values(), ids=credits.keys())


def rows(groups: list[Group], credits: list[Credit]) -> list[list[list[float]]]:
    """The credit of each sampled token, by group and sibling."""
    return [
        [np.broadcast_to(one, r.n_sampled).tolist() for r, one in zip(group.rollouts, credit, strict=True)]
        for group, credit in zip(groups, credits, strict=True)
    ]


def whole(credits: list[Credit]) -> list[list[float]]:
    """One number per sibling, all of whose tokens must have the same."""
    assert all(np.ptp(one) == 0 for credit in credits for one in credit)
    return [[float(np.ravel(one)[0]) for one in credit] for credit in credits]


siblings = st.tuples(st.none() | st.floats(-10, 10, width=32), st.integers(1, 3))
batches = st.lists(st.lists(siblings, min_size=1, max_size=5), min_size=1, max_size=4)


def made(batch: list[list[tuple[float | None, int]]]) -> list[Group]:
    return [group_of(*(judged(reward, tokens=tokens) for reward, tokens in row)) for row in batch]


# what holds for all


@every(CREDITS)
@given(batch=batches)
@settings(max_examples=30, deadline=None)
def test_the_unscored_get_exactly_zero_and_change_nothing_for_the_others(credit, batch):
    groups = made(batch)
    scored = [replace(g, rollouts=tuple(r for r in g.rollouts if r.reward is not None)) for g in groups]
    alone = iter(token_T for row in rows(scored, credit(scored, None)) for token_T in row)
    for group, row in zip(groups, rows(groups, credit(groups, None)), strict=True):
        for rollout, token_T in zip(group.rollouts, row, strict=True):
            assert token_T == ([0.0] * rollout.n_sampled if rollout.reward is None else next(alone))


@every(CREDITS)
@given(batch=batches, random=st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_credit_goes_with_its_sibling_and_its_group(credit, batch, random):
    groups = made(batch)
    straight = rows(groups, credit(groups, None))
    order = random.sample(range(len(groups)), len(groups))
    inner = [random.sample(range(len(g.rollouts)), len(g.rollouts)) for g in groups]
    mixed = [replace(groups[g], rollouts=tuple(groups[g].rollouts[i] for i in inner[g])) for g in order]
    assert rows(mixed, credit(mixed, None)) == [[straight[g][i] for i in inner[g]] for g in order]


FLAT = [[np.float32(0.9)] * 7, [0.1 * 3] * 3, [np.float16(0.3)] * 6, [0.9, None, 0.9], [5.0], [None, 3.0], [None, None], []]


@every(BY_GROUP)
@pytest.mark.parametrize("flat", FLAT, ids=str)
def test_a_group_without_differences_gets_exactly_zero_beside_one_that_differs(credit, flat):
    groups = [group_judged(1.0, 0.25, 0.1), group_judged(*flat)]
    first, second = rows(groups, credit(groups, None))
    assert second == [[0.0, 0.0]] * len(flat)
    assert any(token != 0 for token_T in first for token in token_T)


@every(CREDITS)
@pytest.mark.parametrize("flat", FLAT, ids=str)
def test_a_batch_without_differences_gets_exactly_zero(credit, flat):
    groups = [group_judged(*flat), group_judged(*flat, tokens=3)]
    assert rows(groups, credit(groups, None)) == [[[0.0] * 2] * len(flat), [[0.0] * 3] * len(flat)]


@every(CREDITS)
def test_no_groups_have_no_credit(credit):
    assert credit([], None) == []


def test_terms_of_an_unscored_rollout_leave_the_statistics():
    known = [with_terms(1.0, work=1.0), with_terms(0.0, work=0.0)]
    ((a, b, c),) = PerReward()([group_of(*known, with_terms(None, work=5.0, style=None))])
    assert ([a, b], c) == (PerReward()([group_of(*known)])[0].tolist(), 0.0)


def test_steps_of_an_unscored_rollout_leave_the_statistics():
    steps = [rollout_of(1.0, scores={"work": Score(v, steps=((0, v),))}) for v in (1.0, 0.0)]
    unscored = rollout_of(None, scores={"work": Score(5.0, steps=((0, 5.0),)), "style": Score(None)})
    groups = [group_of(*steps, unscored)]
    ((a, b, c),) = rows(groups, StepRewards(term="work")(groups))
    assert (a, b, c) == ([pytest.approx(0.7071, abs=1e-4)], [pytest.approx(-0.7071, abs=1e-4)], [0.0])


# within the group


def test_credit_is_per_group():
    credits = WithinGroup(mean_only)([group_of(1.0, 0.0), group_of(1.0, 1.0)])
    assert [list(credit) for credit in credits] == [[0.5, -0.5], [0.0, 0.0]]


def test_a_whole_answer_pays_for_all_its_tokens():
    """Rewards 1, 1 and 0 less costs of 0.25, 0 and 0.5; the unscored sibling's costs count for nothing."""
    group = group_of(*(rollout_of(reward, tokens=2) for reward in (1.0, 1.0, 0.0, None)))
    costs = [[np.array([0.25, 0.0]), np.array([0.5, -0.5]), np.array([0.0, 0.5]), np.array([9.0, 9.0])]]
    (credit,) = WithinGroup(mean_only)([group], costs)
    assert credit.tolist() == pytest.approx([0.75 - 1.25 / 3, 1 - 1.25 / 3, -0.5 - 1.25 / 3, 0.0])
    (credit,) = BatchScaled(eps=0.0)([group], costs)
    assert credit.tolist() == pytest.approx([0.4147807, 0.7258662, -1.1406469, 0.0], abs=1e-7)


def test_equal_rewards_and_equal_costs_are_exactly_nothing_in_whatever_order_they_are_paid():
    group = group_of(*(rollout_of(0.1 * 3, tokens=3) for _ in range(3)))
    costs = [[np.array(cost) for cost in ([0.1, 0.2, 0.3], [0.3, 0.2, 0.1], [0.2, 0.3, 0.1])]]
    for advantage in (ZScore(), mean_only, leave_one_out):
        assert WithinGroup(advantage)([group], costs)[0].tolist() == [0.0] * 3


def test_a_small_cost_is_not_lost_beside_a_reward_in_float32():
    group = group_of(*(rollout_of(np.float32(1.0)) for _ in range(2)))
    (credit,) = WithinGroup(mean_only)([group], [[np.array([1e-9]), np.array([0.0])]])
    assert credit.tolist() == pytest.approx([-5e-10, 5e-10], rel=1e-6)


def test_equal_credit_is_one_whatever_the_reward():
    assert [list(credit) for credit in equal_credit([group_of(None, 0.0, 1.0)])] == [[1.0, 1.0, 1.0]]


# one scale for the batch


def test_batch_scale_literal():
    """All rewards: 1, 0, 0, 0 and 1, 1, 1, 0. Their mean is 1/2, their unbiased variance 2/7."""
    groups = [group_of(1.0, 0.0, 0.0, 0.0), group_of(1.0, 1.0, 1.0, 0.0)]
    first, second = BatchScaled(eps=0.0)(groups)
    assert first.tolist() == pytest.approx(np.array([0.75, -0.25, -0.25, -0.25]) / np.sqrt(2 / 7))
    assert second.tolist() == pytest.approx(np.array([0.25, 0.25, 0.25, -0.75]) / np.sqrt(2 / 7))
    assert BatchScaled(eps=0.0, is_unbiased=False)(groups)[0].tolist() == pytest.approx([1.5, -0.5, -0.5, -0.5])
    assert BatchScaled(eps=0.5, is_unbiased=False)(groups)[0].tolist() == pytest.approx([0.75, -0.25, -0.25, -0.25])


def test_a_batch_of_one_group_is_the_z_score():
    groups = [group_of(0.3, 1.0, None, 0.2)]
    assert BatchScaled(eps=1e-4)(groups)[0].tolist() == pytest.approx(ZScore(eps=1e-4)(groups[0].rewards).tolist())


def test_a_nearly_unanimous_group_is_not_blown_up():
    groups = [group_of(1.0, 1.0, 1.0, 0.999), group_of(1.0, 0.0, 1.0, 0.0)]
    assert np.abs(WithinGroup(ZScore())(groups)[0]).max() > 1
    assert np.abs(BatchScaled()(groups)[0]).max() < 0.002


# each reward by itself


def test_per_reward_literal():
    """Terms 1, 0, 0, 0 with weight 1 and 2, 0, 2, 0 with weight 1/2, by hand."""
    siblings = [
        rollout_of(right + kept / 2, scores={"right": Score(right), "kept": Score(kept, weight=0.5)})
        for right, kept in ((1.0, 2.0), (0.0, 0.0), (0.0, 2.0), (0.0, 0.0))
    ]
    half = 0.5 * np.sqrt(3) / 2
    total = np.array([1.5 + half, -0.5 - half, -0.5 + half, -0.5 - half])
    (credit,) = PerReward(eps=0.0)([group_of(*siblings)])
    assert credit.tolist() == pytest.approx((total / np.sqrt((total**2).sum() / 3)).tolist())
    assert credit[0] == pytest.approx(1.4299597)


def test_per_reward_tells_two_rewards_from_one_where_the_z_score_cannot():
    """One pair differs in one reward, the other in both: both have z-scores of 0.707 (2601.05242, figure 2)."""
    one = group_of(with_terms(1.0, a=1.0, b=0.0), with_terms(0.0, a=0.0, b=0.0))
    both = group_of(with_terms(2.0, a=1.0, b=1.0), with_terms(0.0, a=0.0, b=0.0))
    z = WithinGroup(ZScore(eps=0))([one, both])
    assert z[0].tolist() == pytest.approx(z[1].tolist())
    of_one, of_both = PerReward(eps=0.0)([one, both])
    assert of_both.tolist() == pytest.approx((2 * of_one).tolist())


def test_per_reward_does_not_see_the_scale_of_a_term():
    def groups(scale: float) -> list[Group]:
        pairs = [[(1, 3), (0, 1), (1, 2)], [(0, 2), (1, 0), (0, 9)]]
        return [group_of(*(with_terms(0.0 + a + scale * b, a=a, b=scale * b) for a, b in row)) for row in pairs]

    small, large = PerReward(eps=0.0)(groups(0.01)), PerReward(eps=0.0)(groups(1000.0))
    assert np.concatenate(small).tolist() == pytest.approx(np.concatenate(large).tolist())


def test_one_reward_in_one_group_is_the_z_score():
    group = group_of(*(with_terms(r, right=r) for r in (1.0, 0.0, 0.0, 0.5)))
    assert PerReward(eps=0.0)([group])[0].tolist() == pytest.approx(ZScore(eps=0)(group.rewards).tolist())


def test_a_term_that_is_not_known_adds_nothing_to_its_rollout():
    """The second rollout's total was made without `b`, which the other two have as 1 and 0."""
    siblings = [with_terms(2.0, a=1.0, b=1.0), with_terms(1.0, a=1.0, b=None), with_terms(0.0, a=0.0, b=0.0)]
    (credit,) = PerReward(eps=0.0)([group_of(*siblings)])
    third = 1 / np.sqrt(3)
    total = np.array([third + np.sqrt(0.5), third, -2 * third - np.sqrt(0.5)])
    assert credit.tolist() == pytest.approx((total / np.sqrt((total**2).sum() / 2)).tolist())


@pytest.mark.parametrize("credit", [PerReward(), StepRewards(term="work")])
def test_costs_are_refused_where_they_have_no_place(credit):
    with pytest.raises(ValueError, match="penalty_in='loss'"):
        credit([group_judged(1.0, 0.0)], [[np.zeros(2)] * 2])


# whitened over the tokens of the batch


def test_whitening_counts_tokens_not_answers():
    """One token of reward 1 and three of reward 0: over tokens the mean is 1/4, the unbiased std 1/2."""
    groups = [group_of(rollout_of(1.0, tokens=1)), group_of(rollout_of(0.0, tokens=3))]
    assert rows(groups, BatchWhitened(eps=0.0)(groups)) == [[[1.5]], [[-0.5] * 3]]
    assert BatchWhitened(eps=0.0, is_unbiased=False)(groups)[0][0] == pytest.approx([1.7320508])
    assert rows(groups, BatchWhitened(eps=0.5)(groups)) == [[[0.75]], [[-0.25] * 3]]


def test_each_token_pays_for_itself_and_those_after_it():
    """Returns 1 - (0.5, 0.25, 0) and 0 + 0.25, by hand; the unscored answer's costs count for nothing."""
    group = group_of(rollout_of(1.0, tokens=3), rollout_of(0.0, tokens=1), rollout_of(None, tokens=2))
    costs: Costs = [[np.array([0.25, 0.25, 0.0]), np.array([-0.25]), np.array([9.0, 9.0])]]
    returns = np.array([0.5, 0.75, 1.0, 0.25])
    expected = (returns - 0.625) / np.sqrt(((returns - 0.625) ** 2).sum() / 3)
    ((a, b, c),) = rows([group], BatchWhitened(eps=0.0)([group], costs))
    assert a + b == pytest.approx(expected.tolist())
    assert c == [0.0, 0.0]
    ((a, b, _),) = rows([group], BatchWhitened(baseline=mean_only, eps=0.0)([group], costs))
    returns = np.array([0.0, 0.25, 0.5, -0.25])  # rewards less their mean of 0.5
    assert a + b == pytest.approx(((returns - 0.125) / np.sqrt(((returns - 0.125) ** 2).sum() / 3)).tolist())


def test_the_baseline_takes_away_what_a_whole_group_earned():
    """An easy prompt (1, 1, 1, 0) and a hard one (0, 0, 0, 1), a token each."""
    groups = [group_of(1.0, 1.0, 1.0, 0.0), group_of(0.0, 0.0, 0.0, 1.0)]
    plain = whole(BatchWhitened(eps=0.0, is_unbiased=False)(groups))
    assert plain == [[1.0, 1.0, 1.0, -1.0], [-1.0, -1.0, -1.0, 1.0]]
    easy, hard = whole(BatchWhitened(baseline=mean_only, eps=0.0, is_unbiased=False)(groups))
    assert easy == pytest.approx([0.5773503, 0.5773503, 0.5773503, -1.7320508])
    assert hard == pytest.approx([-0.5773503, -0.5773503, -0.5773503, 1.7320508])


def test_whitening_compares_groups_of_one():
    assert whole(BatchWhitened(eps=0.0, is_unbiased=False)([group_of(1.0), group_of(0.0)])) == [[1.0], [-1.0]]


@given(batch=batches)
@settings(max_examples=30, deadline=None)
def test_whitened_tokens_have_mean_0_and_deviation_1_at_most(batch):
    groups = made(batch)
    found = rows(groups, BatchWhitened(is_unbiased=False)(groups))
    pairs = [pair for g, row in zip(groups, found, strict=True) for pair in zip(g.rollouts, row, strict=True)]
    known = [token for rollout, token_T in pairs if rollout.reward is not None for token in token_T]
    if known:
        assert np.mean(known) == pytest.approx(0, abs=1e-6)
        assert np.std(known) < 1 + 1e-6


# steps


def stepped(*steps: tuple[int, float | None], tokens: int = 4) -> Rollout:
    return rollout_of(0.0, tokens=tokens, scores={"work": Score(0.0, steps=steps)})


def test_steps_literal():
    """Step scores 1, 0 and 0.5 are 1, -1 and 0 when normalised: a token is credited with those that end at it or later."""
    group = group_of(stepped((1, 1.0), (3, 0.0)), stepped((2, 0.5)), stepped())
    ((first, second, third),) = rows([group], StepRewards(term="work", eps=0.0)([group]))
    assert first == pytest.approx([0.0, 0.0, -1.0, -1.0])
    assert second == third == [0.0] * 4
    group = group_of(stepped((1, 1.0), (3, 1.0)), stepped((0, 0.0), (2, 0.0)))
    ((first, second),) = rows([group], StepRewards(term="work", eps=0.0)([group]))
    high = np.sqrt(3) / 2
    assert first == pytest.approx([2 * high, 2 * high, high, high])
    assert second == pytest.approx([-2 * high, -high, -high, 0.0])


def test_one_step_at_the_end_of_each_answer_is_outcome_supervision():
    rewards = (1.0, 0.0, 0.25)
    group = group_of(*(stepped((3, reward)) for reward in rewards))
    assert whole(StepRewards(term="work")([group]))[0] == pytest.approx(ZScore()(rewards).tolist())


def test_two_steps_may_end_at_the_same_token_and_unknown_ones_count_for_nothing():
    group = group_of(stepped((1, 1.0), (1, 0.0), (0, None)), stepped((1, 1.0), (3, None)))
    ((first, second),) = rows([group], StepRewards(term="work", eps=0.0)([group]))
    up, down = 1 / np.sqrt(3), -2 / np.sqrt(3)
    assert first == pytest.approx([up + down, up + down, 0.0, 0.0])
    assert second == pytest.approx([up, up, 0.0, 0.0])


@pytest.mark.parametrize("end", [-1, 4])
def test_a_step_that_ends_nowhere_is_refused(end):
    with pytest.raises(ValueError, match=f"'work' on row 's' ends at sampled token {end}, but there are 4"):
        StepRewards(term="work")([group_of(stepped((end, 1.0)), stepped((0, 0.0)))])


def test_a_rollout_without_the_term_is_credited_nothing():
    group = group_of(stepped((0, 1.0)), stepped((0, 0.0)), rollout_of(3.0, tokens=4))
    assert rows([group], StepRewards(term="work")([group]))[0][2] == [0.0] * 4


# classes


def test_balanced_weights_literal():
    """specs/lr_iad.md 3.3: 23.8 % defects in one set, 11.1 % in the other."""
    assert balanced_weights({"normal": 76.2, "defect": 23.8}) == pytest.approx({"normal": 0.6561680, "defect": 2.1008403})
    assert balanced_weights({"normal": 88.9, "defect": 11.1}) == pytest.approx({"normal": 0.5624297, "defect": 4.5045045})


def test_balanced_weights_are_held_between_their_bounds():
    assert balanced_weights({"normal": 99, "defect": 1}) == {"normal": 99 / 99 * 100 / 198, "defect": 5.0}
    assert balanced_weights({"normal": 999, "defect": 1}, low=1.0, high=9.0) == {"normal": 1.0, "defect": 9.0}
    assert balanced_weights({"normal": 7, "never seen": 0}) == {"normal": 0.5, "never seen": 5.0}
    assert balanced_weights({"a": 4, "b": 4, "c": 4}) == {"a": 1.0, "b": 1.0, "c": 1.0}
    assert balanced_weights({"a": 16, "b": 1}, power=0.5, low=0, high=9)["b"] == pytest.approx(np.sqrt(8.5))
    assert balanced_weights({}) == {}


def test_a_class_weight_in_the_reward_cancels_and_on_the_advantage_does_not():
    """specs/lr_iad.md 3.4: a factor that is constant within a group is gone after the group's own normalisation."""
    rewards, weight = (1.0, 0.0, 0.0, 1.0), 2.1
    credit = WithinGroup(ZScore(eps=0))
    plain, in_reward = credit([group_of(*rewards), group_of(*(weight * reward for reward in rewards))])
    assert in_reward.tolist() == pytest.approx(plain.tolist())
    defect = group_of(*rewards, sample=sample_of("d", kind="defect"))
    (weighted,) = ClassWeighted(credit=credit, weights={"defect": weight})([defect])
    assert weighted == pytest.approx((2.1 * plain).tolist())


def test_class_weights_by_another_class_and_for_whole_arrays():
    rewards = {"a/1": (1.0, 0.0), "b/1": (1.0, 0.0), "c/1": (1.0,)}
    groups = [group_of(*row, sample=sample_of(name)) for name, row in rewards.items()]
    credit = ClassWeighted(credit=BatchWhitened(), weights={"b": 3.0, "c": 0.0}, class_of=lambda sample: sample.id[0])
    plain, weighted = rows(groups, BatchWhitened()(groups)), rows(groups, credit(groups))
    assert weighted == [plain[0], [[3 * token for token in token_T] for token_T in plain[1]], [[0.0]]]
    assert plain[2] != [[0.0]]


def test_class_weights_pass_costs_on():
    costs = [[np.array([0.5]), np.array([0.0])]]
    credit = ClassWeighted(credit=WithinGroup(mean_only), weights={"": 4.0})
    assert credit([group_of(1.0, 1.0)], costs) == [[-1.0, 1.0]]


def test_senseless_settings_are_refused():
    for kind in (BatchScaled, PerReward, BatchWhitened):
        with pytest.raises(ValueError, match="eps"):
            kind(eps=-1e-9)
    with pytest.raises(ValueError, match="eps"):
        StepRewards(term="work", eps=-1.0)
    with pytest.raises(ValueError, match=r"0 or more and finite, got \{'b': -1.0\}"):
        ClassWeighted(credit=BatchScaled(), weights={"a": 1.0, "b": -1.0})
