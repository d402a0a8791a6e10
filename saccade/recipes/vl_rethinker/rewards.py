"""What an answer is worth: the published rewards, reading the last box, or the answer block where there is no box.

The released code tries the box, the answer block and more, in this order; the first two are kept, as the embedded model
answers in
tags.  # C
"""

from __future__ import annotations

from typing import Literal

from saccade.core.reward import Reward, Rewards, reward, weighted
from saccade.core.rollout import Rollout, Score
from saccade.core.sample import DataError
from saccade.rewards.papers.vl_rethinker import BONUS, Shaped, gold_of, is_right, same_answer
from saccade.rewards.read.tags import last_section

RewardName = Literal["paper", "code"]


def says_gold(text: str, gold: str) -> tuple[bool, str]:
    """Whether the last box holds the gold answer, or the last answer block where there is no box; and what was found."""
    if "\\boxed" in text:
        return is_right(text, gold)
    block = last_section(text, "answer")
    return (False, f"no box; {block.why}") if block.value is None else (same_answer(block.value, gold), repr(block.value[:60]))


@reward
def accuracy(rollout: Rollout) -> Score:
    """1 if the answer is the gold one, else 0. # P"""
    gold = gold_of(rollout)
    if gold.value is None:
        return Score(None, gold.why)
    found, why = says_gold(rollout.text, gold.value)
    return Score(float(found), f"{why}; gold {gold.value[:60]!r}")


def rewards(name: RewardName, *, needs_box: bool) -> Rewards:
    """The paper's reward, right or wrong, or the code's, which pays for one or two words of doubt.

    Forced rethinking asks what is right and not what pays, so accuracy stands beside the code's reward, with weight 0.
    """
    match name:
        case "paper":
            return weighted((accuracy, 1.0))  # P
        case "code":
            shaped = Reward(name="shaped", function=Shaped(is_right=says_gold, needs_box=needs_box), best=BONUS)
            return weighted((shaped, 1.0), (accuracy, 0.0))  # C
    raise DataError(f"reward is {name!r}; have: paper, code")
