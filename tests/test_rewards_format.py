"""The format rewards: a grammar's own, and the strict full match of the released code bases."""

from __future__ import annotations

import pytest

from saccade.rewards.format import format_of, strict_format_of
from saccade.rewards.read.tags import PLAIN_JSON, THINK_ANSWER, THINK_TEXT_ANSWER, Grammar
from tests.rollouts import rollout_of


@pytest.mark.parametrize(
    ("text", "robust", "strict"),
    [
        ("<think>a</think> <answer>b</answer>", 1, 1), ("<think>a</think>\n<answer>b</answer>\n", 1, 0),
        ("<think></think><answer>b</answer>", 0, 1), ("<think>a</think><answer>b<answer>c</answer>", 0, 1),
        ("<think>a</think> so <answer>b</answer>", 0, 0), ("<answer>b</answer>", 0, 0), ("", 0, 0),
    ],
)  # fmt: skip
def test_the_robust_and_the_strict_form(text, robust, strict):
    assert format_of(THINK_ANSWER)(rollout_of(None, text=text)).value == robust
    assert strict_format_of("think", "answer")(rollout_of(None, text=text)).value == strict


def test_a_form_of_ones_own_and_why_it_is_not_met():
    term = format_of(Grammar(tags=("look", "answer"), between="text"), name="layout")
    assert term.name == "layout"
    assert term(rollout_of(None, text="<look>a</look> so <answer>b</answer>")).why == "is look, answer"
    assert term(rollout_of(None, text="<look>a</look>")).why == "no answer block"
    assert format_of(THINK_TEXT_ANSWER)(rollout_of(None, text="<think>a</think><answer>b</answer>")).why.startswith("no text between")
    assert format_of(PLAIN_JSON)(rollout_of(None, text="[]")).value == 1
