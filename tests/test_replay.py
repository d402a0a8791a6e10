"""Old experience in place of what says nothing: how much is drawn, with which chances, what is held and for how long."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saccade.algo.corrections import TruncatedRatio
from saccade.algo.replay import (
    ReleasedReplay,
    RepeatedNonzero,
    Replay,
    SelectiveReplay,
    as_held,
    chances,
    paper_replay,
    weighted_draw,
)
from saccade.core.experience import Experience
from tests.rollouts import experience_of

REPLAYS = {
    "selective": SelectiveReplay(),
    "paper": paper_replay(),
    "even": SelectiveReplay(alpha=0.0),
    "released": ReleasedReplay(),
    "repeated": RepeatedNonzero(),
}
every_replay = pytest.mark.parametrize("replay", REPLAYS.values(), ids=REPLAYS.keys())


def fresh_of(*advantages: float, reward: float = 0.0) -> list[Experience]:
    return [experience_of(advantage, reward=reward, name=f"{i}: {advantage}") for i, advantage in enumerate(advantages)]


def held_of(*advantages: float) -> tuple[Experience, ...]:
    return tuple(as_held(experience_of(advantage, name=f"held {advantage}")) for advantage in advantages)


def run(replay: Replay, fresh: Sequence[Experience], held: Sequence[Experience] = (), *, step: int = 1, seed: int = 0):
    return replay(fresh, held, step=step, random=np.random.default_rng(seed))


def names(chosen: Sequence[Experience]) -> list[str]:
    return [one.rollout.text for one in chosen]


# experience


def test_the_size_of_experience_is_its_largest_advantage():
    assert [experience_of(a).size for a in (0.0, -0.75, 0.5)] == [0.0, 0.75, 0.5]
    assert experience_of(np.array([0.25, -2.0, 1.0]), tokens=3).size == 2.0
    assert experience_of(np.zeros(3), tokens=3).size == 0.0
    assert experience_of(np.zeros(0), tokens=0).size == 0.0


def test_one_advantage_stands_for_all_tokens_and_an_array_for_its_own():
    assert experience_of(np.float32(0.5), tokens=3).advantage_T.tolist() == [0.5] * 3
    assert experience_of(np.array([1, -2]), tokens=2).advantage_T.tolist() == [1.0, -2.0]
    assert experience_of(0.5, tokens=0).advantage_T.tolist() == []
    assert experience_of(np.array([1, -2])).advantage_T.dtype == np.float64
    with pytest.raises(ValueError, match="broadcast"):
        experience_of(np.array([1.0, 2.0]), tokens=3).advantage_T  # noqa: B018


def test_what_is_held_is_compared_with_the_policy_that_sampled_it():
    one = as_held(Experience(rollout=experience_of(0.5).rollout, advantage=0.5, correction=TruncatedRatio()))
    assert (one.old_T, one.correction, one.is_replayed, one.advantage) == ((-1.0, -2.0), None, True, 0.5)


# chances


@pytest.mark.parametrize(
    ("alpha", "expected"),
    [
        (0, [1 / 3, 1 / 3, 1 / 3]),
        (0.5, [0.4686, 0.1771, 0.3542]),
        (1, [0.5833, 0.0833, 0.3333]),
        (2, [0.7424, 0.0152, 0.2424]),
    ],
)
def test_chances_literal(alpha, expected):
    """specs/01-algorithms.md 0.10."""
    assert chances([0.875, 0.125, 0.5], alpha=alpha).tolist() == pytest.approx(expected, abs=5e-5)


def test_chances_of_nothing():
    assert chances([], alpha=1).tolist() == []
    assert chances([0.0, 0.0], alpha=1).tolist() == [0.0, 0.0]
    assert chances([0.0, 0.5], alpha=1).tolist() == [0.0, 1.0]


@pytest.mark.parametrize("alpha", [0.0, 1.0, 2.0])
def test_draws_follow_the_chances(alpha):
    """Of 20000 draws a share strays by less than 0.018 (5 sigma at most)."""
    items = held_of(0.875, -0.125, 0.5)
    drawn = Counter(names(weighted_draw(items, 20_000, alpha=alpha, random=np.random.default_rng(3))))
    shares = [drawn[name] / 20_000 for name in names(items)]
    assert shares == pytest.approx(chances([0.875, 0.125, 0.5], alpha=alpha).tolist(), abs=0.018)


def test_a_draw_of_none_or_from_nothing_is_empty():
    random = np.random.default_rng(0)
    assert weighted_draw(held_of(1.0), 0, alpha=1.0, random=random) == []
    assert weighted_draw((), 5, alpha=1.0, random=random) == []
    assert weighted_draw(held_of(0.0, 0.0), 5, alpha=1.0, random=random) == []


# what holds for all


@every_replay
@given(
    fresh=st.lists(st.sampled_from([0.0, 0.0, 0.5, -1.0]), max_size=9),
    held=st.lists(st.sampled_from([0.25, -2.0]), max_size=6),
    seed=st.integers(0, 9),
    reward=st.sampled_from([0.0, 1.0]),
)
@settings(max_examples=40, deadline=None)
def test_nothing_without_an_advantage_comes_out_and_nothing_with_another_than_it_had(replay, fresh, held, seed, reward):
    known = fresh_of(*fresh, reward=reward)
    chosen, kept = run(replay, known, held_of(*held), seed=seed)
    assert all(one.size > 0 for one in (*chosen, *kept))
    assert all(one.rollout.text.endswith(str(one.advantage)) for one in (*chosen, *kept))
    assert all(one.is_replayed for one in kept)
    assert all(one.is_replayed or any(one is same for same in known) for one in chosen)
    assert len(chosen) in (0, len(fresh), len(fresh) // 2)


@every_replay
def test_the_same_seed_draws_the_same_and_another_seed_something_else(replay):
    fresh, held = fresh_of(*[0.0] * 20, 0.5, -1.0, 0.25, 0.75, reward=1.0), held_of(*np.linspace(0.1, 2.0, 20))
    draws = [run(replay, fresh, held, seed=seed) for seed in (4, 4, 5)]
    assert draws[0] == draws[1]
    if replay != RepeatedNonzero():
        assert names(draws[0][0]) != names(draws[2][0])


@every_replay
def test_no_experience_and_none_held_is_nothing(replay):
    assert run(replay, []) == ([], ())
    assert run(replay, fresh_of(0.0, 0.0, 0.0, 0.0)) == ([], ())


# the paper's


def test_zeros_are_replaced_and_the_rest_stays_first_and_in_order():
    fresh = fresh_of(0.0, 0.5, 0.0, -0.25, 0.0)
    chosen, held = run(SelectiveReplay(), fresh, held_of(2.0))
    assert chosen[:2] == [fresh[1], fresh[3]]
    assert len(chosen) == 5 and all(one.is_replayed for one in chosen[2:])
    assert names(held) == ["held 2.0", "1: 0.5", "3: -0.25"]


def test_a_step_full_of_advantages_is_left_as_it_is():
    fresh = fresh_of(0.5, -0.5, 1.0)
    chosen, held = run(SelectiveReplay(), fresh, held_of(2.0))
    assert chosen == fresh and len(held) == 4


def test_a_flat_step_is_all_replayed():
    chosen, held = run(SelectiveReplay(), fresh_of(0.0, 0.0, 0.0), held_of(2.0, -1.0))
    assert len(chosen) == 3 and set(names(chosen)) <= set(names(held))
    assert names(held) == ["held 2.0", "held -1.0"]


@pytest.mark.parametrize(("alpha", "share"), [(0.0, 0.5), (1.0, 0.75), (2.0, 0.9)])
def test_draws_come_from_old_and_new_alike(alpha, share):
    """The fresh advantage of 1.5 and the held one of 0.5: with alpha 1 three draws of four are the fresh one's."""
    chosen, _ = run(SelectiveReplay(alpha=alpha), fresh_of(1.5, *[0.0] * 4000), held_of(0.5))
    assert names(chosen[1:]).count("0: 1.5") / 4000 == pytest.approx(share, abs=0.04)


@pytest.mark.parametrize("clear_every", [1, 4])
def test_what_is_held_is_let_go_every_so_many_steps(clear_every):
    held, lengths = (), []
    for step in range(10):
        _, held = run(paper_replay(clear_every=clear_every), fresh_of(0.5, 0.0, -0.5), held, step=step)
        lengths.append(len(held))
    assert lengths == [2 * (step % clear_every + 1) for step in range(10)]


def test_the_paper_takes_ratios_to_the_old_policy_and_we_weigh_by_how_far_it_has_moved():
    fresh = fresh_of(0.0, -0.5)
    (_, ours), _ = run(SelectiveReplay(cap=1.5), fresh)
    (_, papers), held = run(paper_replay(), fresh)
    assert (ours.old_T, ours.correction, ours.is_replayed) == (None, TruncatedRatio(cap=1.5), True)
    assert (papers.old_T, papers.correction, papers.is_replayed) == ((-1.0, -2.0), None, True)
    assert papers == held[0] and ours.advantage == papers.advantage == -0.5


def test_replayed_tokens_keep_each_its_own_advantage():
    adv_T = np.array([0.0, -0.5])
    chosen, held = run(SelectiveReplay(), [experience_of(0.0), experience_of(adv_T)])
    assert [one.advantage_T.tolist() for one in (*chosen, *held)] == [[0.0, -0.5]] * 3


@pytest.mark.parametrize("bad", [{"alpha": -1.0}, {"clear_every": 0}, {"cap": 0.0}, {"cap": -1.0}])
def test_senseless_settings_are_refused(bad):
    with pytest.raises(ValueError, match="alpha >= 0, clear_every >= 1 and a cap above 0 or None"):
        SelectiveReplay(**bad)


# the released code's


def test_a_step_shrinks_to_half_and_the_queue_holds_the_latest_of_that_many():
    """Eight fresh a step, five with an advantage: the queue has four places."""
    fresh = fresh_of(0.5, 0.0, 1.0, 0.0, -1.0, 0.0, 0.25, -0.25)
    held = ()
    for step in range(40):
        chosen, held = run(ReleasedReplay(), fresh, held, step=step)
        assert len(chosen) == 4
        assert names(held) == ["2: 1.0", "4: -1.0", "6: 0.25", "7: -0.25"]


def test_the_queue_outlives_flat_steps():
    held = held_of(1.0, 2.0)
    for step in range(40):
        chosen, held = run(ReleasedReplay(), fresh_of(*[0.0] * 6), held, step=step)
        assert names(held) == ["held 1.0", "held 2.0"]
        assert len(chosen) == 3 and set(names(chosen)) == set(names(held))  # the whole queue, and one of it again


def test_fresh_experience_is_drawn_again_by_size_and_the_queue_fills_the_rest():
    """Two fresh ones of 3 and 1 for four places: two draws among them, each 3 to 1, and two others from the queue."""
    fresh, held = fresh_of(3.0, 1.0, *[0.0] * 6), held_of(5.0, 5.0)
    largest = 0
    for seed in range(1000):
        chosen, _ = run(ReleasedReplay(), fresh, held, seed=seed)
        assert [one.is_replayed for one in chosen] == [False, False, True, True]
        assert len({id(one) for one in chosen[2:]}) == 2
        largest += names(chosen[:2]).count("0: 3.0")
    assert largest / 2000 == pytest.approx(0.75, abs=0.05)


def test_the_queue_is_drawn_from_by_size():
    """One place, held sizes of 3 and 1: three draws of four are the larger one's."""
    drawn = [names(run(ReleasedReplay(), fresh_of(0.0, 0.0), held_of(3.0, 1.0), seed=seed)[0]) for seed in range(1000)]
    assert drawn.count(["held 3.0"]) / 1000 == pytest.approx(0.75, abs=0.07)
    assert drawn.count(["held 1.0"]) == 1000 - drawn.count(["held 3.0"])


def test_the_added_right_answers_never_come_out_but_take_places():
    """Of forty right answers without advantage a tenth is added: beside one that has some, what stands there is its copies."""
    fresh = fresh_of(0.5, *[0.0] * 40, reward=1.0)
    chosen, _ = run(ReleasedReplay(), fresh, held_of(1.0))
    assert Counter(one.is_replayed for one in chosen) == {False: 5, True: 15}
    assert set(names(chosen[:5])) == {"0: 0.5"}
    chosen, _ = run(ReleasedReplay(), fresh_of(0.5, *[0.0] * 40, reward=0.5), held_of(1.0))
    assert Counter(one.is_replayed for one in chosen) == {False: 1, True: 19}


@pytest.mark.parametrize(
    "fresh",
    [pytest.param([], id="none"), pytest.param([0.5], id="one"), pytest.param([0.5, -0.5, 0.0, 0.0], id="fewer")],
)
def test_the_queue_is_never_cleared_by_a_small_step(fresh):
    _, held = run(ReleasedReplay(), fresh_of(*fresh), held_of(1.0, 2.0, 3.0, 4.0))
    assert len(held) == 4


# its control


def test_the_informative_are_repeated_in_order_until_the_step_is_full():
    fresh = fresh_of(0.0, 0.5, 0.0, -0.25, 0.0)
    chosen, held = run(RepeatedNonzero(), fresh, held_of(9.0))
    assert names(chosen) == ["1: 0.5", "3: -0.25", "1: 0.5", "3: -0.25", "1: 0.5"]
    assert held == () and not any(one.is_replayed for one in chosen)
