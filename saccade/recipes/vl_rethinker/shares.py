"""What an answer makes of its second thoughts: shares of answers that are reported beside accuracy. # O"""

from __future__ import annotations

from saccade.algo.rethinking import WAIT
from saccade.core.reward import reward
from saccade.core.rollout import Rollout
from saccade.rewards.papers.vl_rethinker import gold_of, is_right


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
    """Whether it was right before its first "wait", None where it had not concluded by then, and whether it is in the end."""
    gold = gold_of(rollout).value or ""
    last, _ = is_right(rollout.text, gold)
    turn = WAIT.search(rollout.text)
    before = rollout.text[: turn.start()] if turn else ""
    return (is_right(before, gold)[0] if "\\boxed" in before else None), last
