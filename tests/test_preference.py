"""2AFC against its formula and by hand."""

from __future__ import annotations

import pytest

from saccade.rewards.preference import two_afc


@pytest.mark.parametrize(
    ("left", "right", "p", "score"),
    [
        ([0.2], [0.4], [0.0], 1.0), ([0.2], [0.4], [1.0], 0.0), ([0.4], [0.2], [0.75], 0.75), ([0.3], [0.3], [1.0], 0.5),
        ([0.2, 0.5, 0.3, 0.1], [0.4, 0.1, 0.3, 0.2], [0.0, 1.0, 1.0, 0.25], (1 + 1 + 0.5 + 0.75) / 4),
    ],
)  # fmt: skip
def test_two_afc(left, right, p, score):
    assert two_afc(left, right, p) == pytest.approx(score, abs=1e-15)


def test_exchanging_left_and_right_with_the_votes_changes_nothing():
    left, right, p = [0.1, 0.9, 0.4], [0.3, 0.2, 0.4], [0.2, 0.7, 0.9]
    assert two_afc(left, right, p) == pytest.approx(two_afc(right, left, [1 - share for share in p]))


@pytest.mark.parametrize(
    ("left", "right", "p", "why"),
    [([], [], [], "at least 1"), ([0.1], [0.1, 0.2], [0.5], "as many"), ([0.1], [0.2], [1.5], "shares"), ([float("nan")], [0.2], [0.5], "finite")],
)
def test_what_cannot_be_scored_is_refused(left, right, p, why):
    with pytest.raises(ValueError, match=why):
        two_afc(left, right, p)
