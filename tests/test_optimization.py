"""The learning rate over a stage."""

from __future__ import annotations

import pytest

from saccade.policy.spec import Optimization


@pytest.mark.parametrize(
    ("schedule", "floor", "wanted"),
    [
        ("constant", 0.0, [1.0, 2.0, 2.0, 2.0, 2.0]),
        ("constant", 0.5, [1.0, 2.0, 2.0, 2.0, 2.0]),
        ("linear", 0.0, [1.0, 2.0, 1.5, 1.0, 0.5]),
        ("linear", 0.5, [1.0, 2.0, 1.75, 1.5, 1.25]),
        ("cosine", 0.0, [1.0, 2.0, 1.7071, 1.0, 0.2929]),
        ("cosine", 0.5, [1.0, 2.0, 1.8536, 1.5, 1.1464]),
    ],
)
def test_the_rate_rises_and_falls_to_its_floor(schedule, floor, wanted):
    optimization = Optimization(lr=2.0, schedule=schedule, warmup_steps=2, floor=floor)
    rates = [optimization.lr_at(step, total=6) for step in (0, 2, 3, 4, 5)]
    assert rates == pytest.approx(wanted, abs=1e-4)
    assert optimization.lr_at(6, total=6) == pytest.approx(2.0 * (1.0 if schedule == "constant" else floor))


def test_a_floor_is_a_share():
    with pytest.raises(ValueError, match="floor from 0 to 1"):
        Optimization(lr=1.0, floor=2.0)
