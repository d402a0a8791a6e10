"""Which groups train: all, the scored, the informative, those that differ in one term, and those of middling difficulty."""

from __future__ import annotations

import pytest

from saccade.algo.keep import (
    Differing,
    PassRate,
    every_rollout,
    keep_all,
    keep_informative,
    keep_scored,
    term_values,
    unless_truncated,
)
from saccade.core.rollout import Group, Stop
from tests.rollouts import group_of, rollout_of, with_terms

GROUPS = [group_of(1.0, None, 0.0), group_of(1.0, 1.0), group_of(None, None), group_of(2.0)]


def right(*accuracies: float | None) -> Group:
    """Rollouts of these accuracies; rewards are the same plus a length penalty that differs for each."""
    shaped = [None if a is None else a - 0.01 * i for i, a in enumerate(accuracies)]
    return group_of(*(with_terms(reward, accuracy=a) for reward, a in zip(shaped, accuracies, strict=True)))


def test_keeping():
    assert keep_all(GROUPS) == GROUPS
    assert [group.rewards for group in keep_scored(GROUPS)] == [(1.0, 0.0), (1.0, 1.0), (2.0,)]
    assert [group.rewards for group in keep_informative(GROUPS)] == [(1.0, 0.0)]


@pytest.mark.parametrize("keep", [keep_all, keep_scored, keep_informative, Differing(), PassRate()])
def test_nothing_stays_nothing_and_what_came_in_is_not_changed(keep):
    assert keep([]) == []
    groups = [right(1.0, 0.0, None), right(None), right(1.0, 1.0)]
    before = [group.rollouts for group in groups]
    keep(groups)
    assert [group.rollouts for group in groups] == before


def test_the_order_of_what_is_kept_is_that_of_what_came_in():
    groups = [group_of(rollout_of(float(i), text=str(i)), rollout_of(0.0)) for i in range(5)]
    assert [g.rollouts[0].text for g in keep_informative(groups)] == ["1", "2", "3", "4"]


def test_dapo_filters_by_accuracy_where_the_shaped_reward_differs_everywhere():
    """0 < right < G, specs/01-algorithms.md 0.4; a length penalty makes every group look informative."""
    groups = [right(1.0, 0.0, 1.0), right(1.0, 1.0, 1.0), right(0.0, 0.0, 0.0), right(1.0, None, 1.0), right(1.0)]
    assert not any(group.is_flat for group in groups[:3])
    assert Differing()(groups) == [groups[0]]
    assert len(keep_informative(groups)) == 4


def test_dapos_own_accuracies_are_plus_and_minus_one():
    groups = [right(1.0, -1.0), right(-1.0, -1.0), right(1.0, 1.0)]
    assert Differing()(groups) == groups[:1]


def test_unscored_rollouts_are_left_out_of_a_kept_group():
    (kept,) = Differing()([right(1.0, None, 0.0)])
    assert term_values(kept, "accuracy") == [1.0, 0.0] and len(kept.rollouts) == 2


def test_differing_by_another_term():
    flat = group_of(with_terms(1.0, accuracy=1.0, overlap=0.0), with_terms(1.0, accuracy=0.0, overlap=1.0))
    assert keep_informative([flat]) == []
    assert Differing(by="overlap")([flat]) == [flat]
    with pytest.raises(KeyError, match="depth"):
        Differing(by="depth")([flat])


def test_pass_rates_lie_strictly_between_the_bounds():
    groups = {share: right(*[1.0] * share, *[0.0] * (4 - share)) for share in range(5)}
    assert PassRate()(list(groups.values())) == [groups[1], groups[2], groups[3]]
    assert PassRate(low=0.25, high=0.75)(list(groups.values())) == [groups[2]]
    assert PassRate(low=0.2, high=1.1)(list(groups.values())) == [groups[1], groups[2], groups[3], groups[4]]


def test_unscored_rollouts_do_not_count_in_a_pass_rate():
    """Half of the two scored ones are right, a quarter of all four."""
    (kept,) = PassRate(low=0.4, high=0.6)([right(1.0, 0.0, None, None)])
    assert kept.rewards == (1.0, -0.01)
    assert PassRate()([right(None, None)]) == []


@pytest.mark.parametrize("bounds", [{"low": 0.5, "high": 0.5}, {"low": 1.0, "high": 0.0}])
def test_bounds_that_nothing_lies_between_are_refused(bounds):
    with pytest.raises(ValueError, match="low < high"):
        PassRate(**bounds)


def test_overlong_filtering_leaves_out_what_the_limit_cut_off():
    rollouts = [rollout_of(1.0, stop=stop) for stop in (Stop.EOS, Stop.LENGTH, Stop.WORLD)]
    assert [unless_truncated(rollout) for rollout in rollouts] == [True, False, True]
    assert [every_rollout(rollout) for rollout in rollouts] == [True, True, True]
