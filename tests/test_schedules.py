"""Numbers that change with progress, and the coefficient that answers to a measurement."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saccade.algo.schedules import Adaptive, Cosine, Linear, Staged, at, values_of

# with progress


@pytest.mark.parametrize(
    ("schedule", "values"),
    [
        (Cosine(start=0.04, end=0.0), [0.04, 0.0341421, 0.02, 0.0]),
        (Linear(start=0.04, end=0.0), [0.04, 0.03, 0.02, 0.0]),
        (Staged(values=(16, 8, 4), starts=(0.0, 0.25, 0.9)), [16, 8, 8, 4]),
        (Staged(values=(7,), starts=(0,)), [7, 7, 7, 7]),
        (0.04, [0.04] * 4),
    ],
)
def test_schedules_literal(schedule, values):
    assert [at(schedule, p) for p in (0.0, 0.25, 0.5, 1.0)] == pytest.approx(values, abs=1e-7)


@pytest.mark.parametrize(
    "schedule", [Cosine(start=1.0, end=3.0), Linear(start=1.0, end=3.0), Staged(values=(1.0, 2.0, 3.0), starts=(0.0, 0.5, 1.0))]
)
def test_progress_outside_the_training_is_its_nearest_end(schedule):
    assert [schedule(-0.5), schedule(1.0001)] == [1.0, 3.0]
    assert [schedule(-math.inf), schedule(math.inf)] == [1.0, 3.0]
    with pytest.raises(ValueError, match="progress"):
        schedule(math.nan)


@given(st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_what_rises_never_falls(a, b):
    early, late = sorted((a, b))
    for kind in (Linear, Cosine):
        first, last = (kind(start=-1.0, end=2.0)(progress) for progress in (early, late))
        assert -1.0 - 1e-12 <= first <= last + 1e-12 <= 2.0 + 2e-12


# in stages


@pytest.mark.parametrize("stages", [2, 3])
def test_progressive_thinking_suppression(stages):
    """specs/vision_r1.md 1.4: stages of 100 steps each; siblings times answer limit stays 64K tokens a prompt."""
    starts = tuple(i / stages for i in range(stages))
    siblings = Staged(values=(16, 8, 4)[:stages], starts=starts)
    limit = Staged(values=(4096, 8192, 16384)[:stages], starts=starts)
    asked = [(siblings(step / (100 * stages)), limit(step / (100 * stages))) for step in range(100 * stages)]
    assert asked == [pair for pair in [(16, 4096), (8, 8192), (4, 16384)][:stages] for _ in range(100)]
    assert all(g * most == 64 * 1024 for g, most in asked)


def test_staged_thresholds():
    """specs/vision_r1_griffon.md 2.5: full marks above 0.75, from half of the training on above 0.9."""
    lowest, full = Staged(values=(0.5, 0.75), starts=(0.0, 0.5)), Staged(values=(0.75, 0.9), starts=(0.0, 0.5))
    found = [(lowest(step / 3060), full(step / 3060)) for step in (0, 1529, 1530, 3059)]
    assert found == [(0.5, 0.75)] * 2 + [(0.75, 0.9)] * 2


@pytest.mark.parametrize(
    ("values", "starts"),
    [
        ((), ()),
        ((1.0,), ()),
        ((1.0, 2.0), (0.0,)),
        ((1.0,), (0.1,)),
        ((1.0, 2.0), (0.0, 0.0)),
        ((1.0, 2.0, 3.0), (0.0, 0.6, 0.5)),
        ((1.0, 2.0), (0.0, math.nan)),
    ],
)
def test_stages_out_of_order_are_refused(values, starts):
    with pytest.raises(ValueError, match="one start per value, rising from 0"):
        Staged(values=values, starts=starts)


def test_a_start_beyond_the_training_is_refused():
    with pytest.raises(ValueError, match="start"):
        Staged(values=(16, 8), starts=(0, 100))


def test_what_checks_see_of_a_schedule():
    assert values_of(Staged(values=(3.0, -1.0, 2.0), starts=(0.0, 0.5, 0.9))) == (3.0, -1.0, 2.0)
    assert values_of(Cosine(start=0.3, end=0.1)) == (0.3, 0.1)
    assert values_of(2) == (2.0, 2.0)


# with a measurement


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        (0.3, 0.0101),  # three times the target: the error is held at 0.2
        (0.12, 0.0101),
        (0.11, 0.01005),
        (0.1, 0.01),
        (0.09, 0.00995),
        (0.0, 0.0099),
        (-5.0, 0.0099),  # k1 can be negative
        (math.inf, 0.0101),
    ],
)
def test_adaptive_literal(measured, expected):
    """specs/01-algorithms.md 0.8: beta * (1 + clip(KL / target - 1, -0.2, 0.2) * n / horizon)."""
    assert Adaptive(start=1.0, target=0.1).after(0.01, measured=measured, n=500) == pytest.approx(expected, rel=1e-9)


def test_adaptive_settles_where_the_measurement_is_the_target():
    """A KL that answers to the coefficient as 0.002 / beta: beta comes to 0.02, whatever it started from."""
    controller = Adaptive(start=1.0, target=0.1, horizon=2000)
    for start in (0.001, 0.5):
        beta = start
        for _ in range(400):
            beta = controller.after(beta, measured=0.002 / beta, n=512)
        assert beta == pytest.approx(0.02, rel=1e-3)


def test_an_adaptive_coefficient_never_turns_negative():
    assert Adaptive(start=0.01, target=0.1, horizon=100).after(0.01, measured=0.0, n=512) >= 0


@pytest.mark.parametrize("bad", [{"start": 0.0}, {"target": 0.0}, {"horizon": -1.0}, {"target": math.nan}])
def test_senseless_controllers_are_refused(bad):
    with pytest.raises(ValueError, match="above 0"):
        Adaptive(**{"start": 0.01, "target": 0.1} | bad)
