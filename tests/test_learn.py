"""How a step's experience is split into updates, and how the metrics of several updates become one line."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saccade.core.experience import Experience
from saccade.run.learn import _combined, split
from tests.rollouts import rollout_of, sample_of


def lessons_of(sizes: list[int]) -> list[Experience]:
    """So many rollouts of each sample."""
    found = []
    for number, size in enumerate(sizes):
        sample = sample_of(f"s{number}")
        found += [Experience(rollout=rollout_of(1.0, sample=sample), advantage=1.0) for _ in range(size)]
    return found


@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=12), updates=st.integers(1, 8), seed=st.none() | st.integers(0, 9))
def test_every_rollout_is_in_one_update_with_its_siblings(sizes, updates, seed):
    lessons = lessons_of(sizes)
    parts = split(lessons, updates, shuffled_by=None if seed is None else np.random.default_rng(seed))
    assert sorted(id(one) for part in parts for one in part) == sorted(map(id, lessons))
    assert len(parts) == min(updates, len(sizes)) and all(parts)
    samples = [{id(one.rollout.sample) for one in part} for part in parts]
    assert sum(len(some) for some in samples) == len(sizes)
    if seed is None:
        assert [one for part in parts for one in part] == lessons


def test_updates_have_about_as_many_rollouts_each():
    assert [len(part) for part in split(lessons_of([8] * 8), 4)] == [16, 16, 16, 16]
    assert [len(part) for part in split(lessons_of([8] + [1] * 8), 2)] == [8, 8]
    assert [len(part) for part in split(lessons_of([8, 8]), 4)] == [8, 8]


def test_a_shuffle_mixes_what_came_last():
    lessons = lessons_of([1] * 40)
    last = set(map(id, lessons[20:]))
    shares = [sum(id(one) in last for one in part) for part in split(lessons, 2, shuffled_by=np.random.default_rng(0))]
    assert min(shares) >= 5


def test_nothing_to_learn_is_one_empty_update():
    assert split([], 4) == [[]]


def test_peaks_stay_peaks_counts_add_up_and_means_are_means():
    found = _combined(
        [
            {"policy/ratio_max": 1.0, "correction/max": 2.0, "learn/packs": 1, "policy/grad_norm": 2.0},
            {"policy/ratio_max": 1.6, "learn/packs": 0},
            {"policy/ratio_max": 1.2, "learn/packs": 2, "policy/grad_norm": 1.0},
        ]
    )
    assert found == pytest.approx(
        {"policy/ratio_max": 1.6, "correction/max": 2.0, "learn/packs": 3, "policy/grad_norm": 1.5}
    )
