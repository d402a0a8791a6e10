"""Length and repetition, by the numbers of specs/01-algorithms.md 0.10 and specs/vlm_r1.md 6.4."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saccade.core.reward import Reward, reward
from saccade.rewards.length import (
    LONGER_IF_WRONG,
    SHORTER_IF_WRONG,
    CosineLength,
    SoftOverlong,
    cosine_length,
    soft_overlong,
)
from saccade.rewards.repetition import Repetition, repeated_ngrams, repeated_share, repetition
from tests.rollouts import group_of, rollout_of
from tests.timing import seconds


@pytest.mark.parametrize(("tokens", "value"), [(1, 0), (16384, 0), (18432, -0.5), (20480, -1), (20481, -1)])
def test_the_papers_numbers(tokens, value):
    assert soft_overlong(limit=20480, buffer=4096)(rollout_of(None, tokens=tokens)).value == value


def test_what_the_policy_did_not_write_is_not_counted():
    rollout = replace(rollout_of(None, tokens=10), is_sampled_T=(True,) * 4 + (False,) * 6)
    assert SoftOverlong(limit=8, buffer=4, factor=2.0)(rollout).value == 0
    assert SoftOverlong(limit=4, buffer=4, factor=2.0)(rollout).value == -2
    of_tokens = Repetition(n=1, of="tokens")
    assert of_tokens(replace(rollout, token_T=(1, 2, 3, 4) + (1,) * 6)).value == 0
    assert of_tokens(replace(rollout, token_T=(1, 1, 3, 3) + (7,) * 6)).value == -0.5


@pytest.mark.parametrize("bad", [{"buffer": 0}, {"buffer": 9}, {"buffer": 4, "factor": -1.0}])
def test_a_buffer_outside_the_limit_is_refused(bad):
    with pytest.raises(ValueError, match="within the limit"):
        SoftOverlong(**{"limit": 8} | bad)


# cosine


def accuracy_of(value: float | None) -> Reward:
    return reward(lambda rollout: value, name="accuracy")


@pytest.mark.parametrize("accuracy", [1.0, 0.7])
@pytest.mark.parametrize(("tokens", "value"), [(0, 1.0), (512, 0.75), (1024, 0.5), (2048, 0.5)])
def test_right_answers_earn_by_being_short_and_never_by_being_endless(tokens, value, accuracy):
    """2048 tokens: 1.0 in the released code, whose cosine comes back."""
    length = cosine_length(accuracy_of(accuracy), wrong=LONGER_IF_WRONG)
    assert length(rollout_of(None, tokens=tokens)).value == pytest.approx(value)


@pytest.mark.parametrize(
    ("wrong", "values"), [(LONGER_IF_WRONG, [-0.5, -0.25, 0, 0]), (SHORTER_IF_WRONG, [0, -0.25, -0.5, -0.5])]
)
def test_wrong_answers_go_the_way_that_was_said(wrong, values):
    length = cosine_length(accuracy_of(0.69), wrong=wrong)
    found = [length(rollout_of(None, tokens=n)).value for n in (0, 512, 1024, 4000)]
    assert found == pytest.approx(values)


def test_an_accuracy_that_cannot_tell_leaves_the_length_open():
    assert cosine_length(accuracy_of(None), wrong=LONGER_IF_WRONG)(rollout_of(None)).value is None


def test_the_accuracy_may_be_a_judge_and_gets_what_it_asks_for():
    async def accuracy(rollout, *, progress):
        await asyncio.sleep(0)
        return progress

    length = cosine_length(reward(accuracy), wrong=LONGER_IF_WRONG, right=(3.0, 2.0))
    group = group_of(rollout_of(None, tokens=0))
    assert [asyncio.run(length.scores(group, progress=p))[0].value for p in (1.0, 0.0)] == [3.0, -0.5]


def test_settings_without_meaning_are_refused():
    with pytest.raises(ValueError, match="above 0"):
        cosine_length(accuracy_of(1), wrong=LONGER_IF_WRONG, limit=0)
    with pytest.raises(ValueError, match="compares siblings"):
        CosineLength(accuracy=reward(len, scope="group", name="rank"), wrong=LONGER_IF_WRONG)
    with pytest.raises(ValueError, match="n >= 1"):
        repetition(n=0)


# repetition


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", 0),
        ("one two three four five", 0),
        ("one two three four five six", 0),
        ("a a a a a a a a", -2 / 3),  # three 6-grams, one distinct
        ("a b c d e f A B C D E F", -1 / 7),  # seven, of which the last is the first
    ],
)
def test_repeated_words(text, value):
    assert repetition()(rollout_of(None, text=text)).value == pytest.approx(value)


def test_repeated_things():
    assert repeated_share([]) == 0
    assert repeated_share(["a", "b", "a", "a"]) == 0.5


@given(st.lists(st.sampled_from("abc"), max_size=30), st.integers(1, 7))
def test_repeated_ngrams_is_the_share_of_those_seen_before(items, n):
    seen, again, grams = set(), 0, [tuple(items[i : i + n]) for i in range(len(items) - n + 1)]
    for gram in grams:
        again += gram in seen
        seen.add(gram)
    assert repeated_ngrams(items, n) == pytest.approx(again / len(grams) if grams else 0)


@pytest.mark.parametrize("unit", ["a ", "ab ", "a\n\n", "x"])
def test_a_megabyte_of_repetition_is_counted_quickly(unit):
    rollout = rollout_of(None, text=unit * (1_000_000 // len(unit)))
    assert seconds(lambda: repetition()(rollout), enough=0.2) < 0.2
