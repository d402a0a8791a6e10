"""DAPO's soft overlong punishment, by the numbers of specs/01-algorithms.md 0.10."""

from __future__ import annotations

from dataclasses import replace

import pytest

from saccade.rewards.length import SoftOverlong, soft_overlong
from tests.rollouts import rollout_of


@pytest.mark.parametrize(("tokens", "value"), [(1, 0), (16384, 0), (18432, -0.5), (20480, -1), (20481, -1)])
def test_the_papers_numbers(tokens, value):
    assert soft_overlong(limit=20480, buffer=4096)(rollout_of(None, tokens=tokens)).value == value


def test_what_the_policy_did_not_write_is_not_counted():
    rollout = replace(rollout_of(None, tokens=10), is_sampled_T=(True,) * 4 + (False,) * 6)
    assert SoftOverlong(limit=8, buffer=4, factor=2.0)(rollout).value == 0
    assert SoftOverlong(limit=4, buffer=4, factor=2.0)(rollout).value == -2


@pytest.mark.parametrize("bad", [{"buffer": 0}, {"buffer": 9}, {"buffer": 4, "factor": -1.0}])
def test_a_buffer_outside_the_limit_is_refused(bad):
    with pytest.raises(ValueError, match="within the limit"):
        SoftOverlong(**{"limit": 8} | bad)
