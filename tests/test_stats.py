"""Intervals and tests against literal numbers, degenerate evaluations, and their own promises (coverage)."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saccade.run.stats import bootstrap, mcnemar, mean_interval, paired_interval, pass_at_k, wilson


@pytest.mark.parametrize(
    ("n_correct", "n", "low", "high"),
    [
        (80, 100, 0.7111708, 0.8666331),
        (5, 10, 0.2365931, 0.7634069),
        (0, 10, 0.0, 0.2775328),
        (10, 10, 0.7224672, 1.0),
        (0, 1, 0.0, 0.7934507),
        (15, 148, 0.0623864, 0.1604872),
    ],
)
def test_wilson_literal(n_correct, n, low, high):
    """The expected values are scipy's, binomtest(k, n).proportion_ci(method='wilson')."""
    assert wilson(n_correct, n) == pytest.approx((low, high), abs=1e-6)


def test_wilson_confidence():
    assert wilson(5, 10, confidence=0.99) == pytest.approx((0.1842255, 0.8157745), abs=1e-6)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_share_and_mirrors(pair):
    n_correct, n = pair
    low, high = wilson(n_correct, n)
    assert 0 <= low <= n_correct / n <= high <= 1
    assert wilson(n - n_correct, n) == pytest.approx((1 - high, 1 - low), abs=1e-12)


def test_bootstrap_agrees_with_the_normal_interval_of_many_scores():
    scores = np.random.default_rng(3).normal(0.4, 0.2, size=400)
    half = 1.96 * scores.std() / 20
    assert bootstrap(scores, resamples=8000) == pytest.approx((scores.mean() - half, scores.mean() + half), abs=1.5e-3)


def test_bootstrap_of_two_samples_is_all_there_is():
    """Means 0, 1/2, 1 with chances 1/4, 1/2, 1/4: the middle 95 % reach from end to end, the middle 40 % are 1/2."""
    assert bootstrap([0.0, 1.0]) == (0.0, 1.0)
    assert bootstrap([0.0, 1.0], confidence=0.4) == (0.5, 0.5)


def test_more_attempts_at_the_same_samples_do_not_feign_certainty():
    scores = [float(i % 2) for i in range(100)]
    assert bootstrap([[score] * 16 for score in scores]) == bootstrap(scores)
    low, high = bootstrap(scores)
    assert high - low == pytest.approx(2 * 1.96 * 0.05, abs=0.02)


def test_bootstrap_is_deterministic_whatever_the_chunk_and_its_seed_matters(monkeypatch):
    scores = list(np.random.default_rng(0).random(200))
    expected = bootstrap(scores)
    assert bootstrap(scores) == expected
    assert bootstrap(scores, seed=1) != expected
    monkeypatch.setattr("saccade.run.stats._CHUNK", 1000)
    assert bootstrap(scores) == expected


def test_bootstrap_covers_the_truth_about_as_often_as_it_says():
    random = np.random.default_rng(5)
    hits = 0
    for trial in range(200):
        low, high = bootstrap(random.beta(2, 3, size=60), resamples=400, seed=trial)
        hits += low <= 0.4 <= high
    assert 0.90 <= hits / 200 <= 0.985


def test_the_interval_fits_the_scores():
    assert mean_interval([1, 0, 1, 1.0]) == wilson(3, 4)
    assert mean_interval([[1], [0], [1], [1]]) == wilson(3, 4)
    assert mean_interval([True, False]) == wilson(1, 2)
    assert mean_interval([[0, 0, 0, 0]] * 50) == wilson(0, 50)
    assert mean_interval([[1, 1], [0, 0], [1, 1]]) == wilson(2, 3)
    assert mean_interval([1, 0, 0.5]) == bootstrap([1, 0, 0.5])
    assert mean_interval([[1, 0], [0, 0]]) == bootstrap([0.5, 0.0])


@pytest.mark.parametrize(
    ("n", "correct", "k", "expected"),
    [(10, 3, 1, 0.3), (10, 3, 5, 11 / 12), (10, 3, 8, 1.0), (4, 0, 4, 0.0), (4, 4, 1, 1.0), (200, 1, 100, 0.5)],
)
def test_pass_at_k_literal(n, correct, k, expected):
    assert pass_at_k(n=n, correct=correct, k=k) == pytest.approx(expected, abs=1e-12)


@given(st.integers(1, 7).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_is_the_share_of_k_subsets_that_hold_a_right_one(case):
    n, correct, k = case
    subsets = list(itertools.combinations([True] * correct + [False] * (n - correct), k))
    assert pass_at_k(n=n, correct=correct, k=k) == pytest.approx(sum(map(any, subsets)) / len(subsets))


def test_mcnemar_literal():
    """6 lost and 16 won of 22: 2 * (C(22,0) + ... + C(22,6)) / 2^22 = 0.0525. Samples both got right tell nothing."""
    before = [1] * 6 + [0] * 16 + [1] * 50 + [0] * 9
    after = [0] * 6 + [1] * 16 + [1] * 50 + [0] * 9
    result = mcnemar(before, after)
    assert (result.n_lost, result.n_won) == (6, 16)
    assert result.p == pytest.approx(0.0524788, abs=1e-7)
    assert mcnemar(after, before).p == result.p
    assert mcnemar([0] * 5, [1] * 5).p == pytest.approx(2 / 32)
    assert mcnemar([1, 0, 1], [1, 0, 1]).p == 1.0
    assert mcnemar([1, 0], [0, 1]).p == 1.0
    with pytest.raises(ValueError, match="0 or 1"):
        mcnemar([0.5, 1], [1, 1])
    with pytest.raises(ValueError, match="same samples twice"):
        mcnemar([1], [1, 1])


def test_paired_interval_literal():
    """Agresti-Min by hand: won 16, lost 6 of 81: (10 / 83) -+ 1.959964 * sqrt(23 - 100 / 83) / 83."""
    before = [1] * 6 + [0] * 16 + [1] * 50 + [0] * 9
    after = [0] * 6 + [1] * 16 + [1] * 50 + [0] * 9
    assert paired_interval(before, after) == pytest.approx((0.0102391, 0.2307247), abs=1e-6)
    low, high = paired_interval([1] * 20, [1] * 20)
    assert (low, high) == pytest.approx((-0.0890893, 0.0890893), abs=1e-6)


def test_pairing_is_worth_it_for_partial_scores():
    random = np.random.default_rng(2)
    before = random.random(100)
    after = before + 0.05 + random.normal(0, 0.01, 100)
    low, high = paired_interval(before, after)
    assert 0.045 < low < 0.05 < high < 0.055
    assert paired_interval(after, before) == pytest.approx((-high, -low), abs=2e-4)


@pytest.mark.parametrize(
    "call",
    [
        lambda: wilson(3, 2),
        lambda: wilson(0, 0),
        lambda: wilson(1, 2, confidence=95),
        lambda: bootstrap([]),
        lambda: bootstrap([[1.0], []]),
        lambda: mean_interval([1.0, float("nan")]),
        lambda: pass_at_k(n=4, correct=1, k=5),
        lambda: paired_interval([1, 0], [1]),
    ],
)
def test_senseless_questions_are_refused(call):
    with pytest.raises(ValueError, match="need|confidence|must"):
        call()


def test_thousands_of_samples_are_quick():
    start = time.perf_counter()
    bootstrap(np.random.default_rng(0).random(3000))
    assert time.perf_counter() - start < 2.0
