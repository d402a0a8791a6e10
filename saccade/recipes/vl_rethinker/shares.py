"""What an answer makes of its second thoughts: shares of answers that are reported beside accuracy. # O"""

from __future__ import annotations

from saccade.algo.rethinking import WAIT
from saccade.core.experience import Experience
from saccade.core.reward import reward
from saccade.core.rollout import Rollout
from saccade.recipes.vl_rethinker.rewards import says_gold
from saccade.rewards.papers.vl_rethinker import gold_of


@reward
def waits(rollout: Rollout) -> bool:
    """Whether it says "wait" anywhere."""
    return bool(WAIT.search(rollout.text))


@reward
def mends(rollout: Rollout) -> bool:
    """Whether what it concluded before its first "wait" is wrong and what it concludes in the end is right."""
    first, last = _conclusions(rollout)
    return first is False and last


@reward
def spoils(rollout: Rollout) -> bool:
    """Whether what it concluded before its first "wait" is right and what it concludes in the end is wrong."""
    first, last = _conclusions(rollout)
    return first is True and not last


def _conclusions(rollout: Rollout) -> tuple[bool | None, bool]:
    """Whether it was right before its first "wait", None where it had not concluded by then, and whether it is in the
    end."""
    gold = gold_of(rollout).value or ""
    last, _ = says_gold(rollout.text, gold)
    turn = WAIT.search(rollout.text)
    before = rollout.text[: turn.start()] if turn else ""
    has_concluded = "\\boxed" in before or "<answer>" in before
    return (says_gold(before, gold)[0] if has_concluded else None), last


def waits_and_better(one: Experience) -> bool:
    """Whether an answer of this step says "wait", forced or by itself, and came out better than its siblings: what the
    code imitates. # C"""
    return not one.is_replayed and bool(WAIT.search(one.rollout.text)) and bool((one.advantage_T > 0).any())
