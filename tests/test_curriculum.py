"""Which samples are asked: odds by hand, the share that every sample keeps, draws, and running pass rates."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saccade.algo.curriculum import Curriculum
from saccade.algo.schedules import Linear, Staged

rates_or_none = st.lists(st.none() | st.floats(0, 1), min_size=1, max_size=12)


def drawn(curriculum: Curriculum, rates, n: int, *, progress: float = 0.0, seed: int = 0) -> list[int]:
    return curriculum.draw(rates, n, progress=progress, random=np.random.default_rng(seed))


def test_odds_literal():
    """Distances of one width weigh exp(-1/2) = 0.60653, two widths exp(-2) = 0.13534."""
    plain = Curriculum(target=0.5, width=0.5, mix=0.3)
    assert plain.odds([0.0, 0.5, 1.0], progress=0.0).tolist() == pytest.approx([0.2918480, 0.4163039, 0.2918480], abs=1e-7)
    narrow = Curriculum(target=0.0, width=0.5, mix=0.5)
    near = np.array([1.0, math.exp(-0.5), math.exp(-2.0)])
    assert narrow.odds([0.0, 0.5, 1.0], progress=0.7).tolist() == pytest.approx((1 / 6 + near / near.sum() / 2).tolist())


def test_a_sample_never_asked_counts_as_the_prior():
    curriculum = Curriculum(prior=0.9)
    assert curriculum.odds([None, 0.2], progress=0.0).tolist() == curriculum.odds([0.9, 0.2], progress=0.0).tolist()


def test_a_target_that_falls_goes_from_easy_to_hard():
    curriculum = Curriculum(target=Linear(start=0.8, end=0.3), width=0.1, mix=0.1)
    easy_first = [curriculum.odds([0.8, 0.3], progress=p).tolist() for p in (0.0, 0.5, 1.0)]
    assert easy_first[0][0] > 0.94 and easy_first[2][1] > 0.94
    assert easy_first[1] == pytest.approx([0.5, 0.5])
    staged = Curriculum(target=Staged(values=(0.8, 0.3), starts=(0.0, 0.5)), width=0.1, mix=0.1)
    assert [staged.odds([0.8, 0.3], progress=p).argmax() for p in (0.0, 0.49, 0.5, 1.0)] == [0, 0, 1, 1]


@given(rates=rates_or_none, target=st.floats(0, 1), width=st.floats(1e-3, 10), mix=st.floats(0.01, 1))
@settings(max_examples=40, deadline=None)
def test_odds_are_chances_and_every_sample_keeps_its_even_share(rates, target, width, mix):
    odds = Curriculum(target=target, width=width, mix=mix).odds(rates, progress=0.0)
    assert odds.sum() == pytest.approx(1.0, abs=1e-12)
    assert (odds >= mix / len(rates) * (1 - 1e-12)).all()


@given(rates=rates_or_none)
@settings(max_examples=40, deadline=None)
def test_odds_go_with_their_samples(rates):
    curriculum = Curriculum()
    straight = curriculum.odds(rates, progress=0.0)
    assert curriculum.odds(rates[::-1], progress=0.0).tolist() == pytest.approx(straight[::-1].tolist(), rel=1e-12)


def test_all_even_where_the_mix_is_one_or_every_sample_is_far_away():
    assert Curriculum(mix=1.0).odds([0.0, 0.5], progress=0.0).tolist() == [0.5, 0.5]
    assert Curriculum(target=1.0, width=1e-3, mix=0.1).odds([0.0, 0.3], progress=0.0).tolist() == pytest.approx([0.5, 0.5])


# draws


def test_a_step_asks_each_sample_once_and_again_only_when_all_were_asked():
    rates = [0.0, 0.25, 0.5, 0.75, 1.0]
    for seed in range(20):
        assert sorted(drawn(Curriculum(), rates, 5, seed=seed)) == [0, 1, 2, 3, 4]
        assert len(set(drawn(Curriculum(), rates, 3, seed=seed))) == 3
        twelve = drawn(Curriculum(), rates, 12, seed=seed)
        assert sorted(twelve[:5]) == sorted(twelve[5:10]) == [0, 1, 2, 3, 4] and len(set(twelve[10:])) == 2
    assert drawn(Curriculum(), rates, 0) == []
    assert drawn(Curriculum(), [None], 3) == [0, 0, 0]


def test_a_draws_places_are_plain_numbers_and_follow_the_seed():
    rates = np.linspace(0, 1, 30).tolist()
    first, again, other = (drawn(Curriculum(), rates, 10, seed=seed) for seed in (7, 7, 8))
    assert first == again != other
    assert {type(place) for place in first} == {int}


def test_the_first_of_a_draw_follows_the_odds():
    """Of 4000 first draws a share strays by less than 0.04 (5 sigma)."""
    curriculum, rates, random = Curriculum(width=0.2), [0.0, 0.5, 0.7, None], np.random.default_rng(1)
    counts = Counter(curriculum.draw(rates, 1, progress=0.0, random=random)[0] for _ in range(4000))
    expected = curriculum.odds(rates, progress=0.0).tolist()
    assert [counts[i] / 4000 for i in range(4)] == pytest.approx(expected, abs=0.04)


# pass rates


def test_running_pass_rates_literal():
    curriculum = Curriculum(memory=0.75)
    rates = {3: 0.4, 5: 1.0}
    assert curriculum.updated(rates, {3: 0.8, 7: 0.25}) == pytest.approx({3: 0.5, 5: 1.0, 7: 0.25})
    assert rates == {3: 0.4, 5: 1.0}
    assert Curriculum(memory=0.0).updated({3: 0.4}, {3: 0.8}) == {3: 0.8}
    assert curriculum.updated({}, {}) == {}


def test_what_is_mastered_is_asked_less_and_less():
    curriculum, rates, shares = Curriculum(memory=0.5), {0: 0.5, 1: 0.5}, []
    for _ in range(5):
        shares.append(curriculum.odds([rates[0], rates[1]], progress=0.0)[0])
        rates = curriculum.updated(rates, {0: 1.0})
    assert shares[0] == 0.5 and shares == sorted(shares, reverse=True) and shares[-1] > 0.15


@pytest.mark.parametrize(
    "bad",
    [
        {"mix": 0.0},
        {"mix": 1.1},
        {"width": 0.0},
        {"memory": 1.0},
        {"memory": -0.1},
        {"prior": 1.5},
        {"target": -0.1},
        {"target": Linear(start=0.5, end=1.5)},
        {"target": Staged(values=(0.5, 2.0, 0.5), starts=(0.0, 0.4, 0.6))},
        {"width": math.nan},
        {"target": math.nan},
    ],
)
def test_senseless_settings_are_refused(bad):
    with pytest.raises(ValueError, match="0 < mix <= 1"):
        Curriculum(**bad)
