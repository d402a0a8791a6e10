"""Forced rethinking: going on with finished answers after a word such as "Wait", and keeping what became right.

VL-Rethinker (2504.08837), section 3.2 and its released code; specs/vl_rethinker.md 6.7. Which answers are gone on with, where
they are cut, which words are forced upon them and which results are kept is decided here; `run/revise.py` lets the policy go on.
The policy did not sample the forced words: they are read, and not learned (the released code trains on them, too).

    >>> rethink = ForcedRethinking(longest=1024)
    >>> rethink.begun(groups, write=write, pieces=pieces, random=numpy.random.default_rng(0))      # [Begun(group=0, sibling=2, ...)]
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from saccade.core.rollout import Group, Rollout, Stop

WAIT = re.compile(r"\bwait\b", re.IGNORECASE)
_BOX = re.compile(r"\\boxed")
_ANSWER = re.compile(r"<answer>|(?<![</])\banswer", re.IGNORECASE)
BARE = "\n\nWait"  # C
# In our words, one for each of the paper's three kinds.
QUESTION = "\n\nWait, is that so?"
CORRECTION = "\n\nWait, something may be wrong here."
VERIFICATION = "\n\nWait, let me check this again."


@dataclass(frozen=True, kw_only=True)
class Begun:
    """An answer to be gone on with: whose it is, and the branch so far, forced words at its end."""

    group: int
    sibling: int
    rollout: Rollout


@dataclass(frozen=True, kw_only=True)
class ForcedRethinking:
    """Which answers are rethought, how, and what is kept.

    by           the reward term that says whether an answer is right (1) or not
    share        of the answers that may be rethought, how many are
    skip_above   in groups more often right than this, wrong answers are left alone
    cut          the odds of rethinking from before the conclusion instead of after it
    longest      the most tokens of an answer that may be rethought, None for all that ended; and of what is added, `tokens`
    shortest     the fewest tokens that rethinking must add to be kept
    most         of one sample's answers, how many may be replaced
    waits        the most "wait" that a kept answer may hold
    """

    by: str = "accuracy"
    share: float = 0.65  # C
    skip_above: float = 0.7  # C
    cut: float = 0.5  # C
    longest: int | None = 1024  # C the limit of 2048 less 1024
    tokens: int = 1024  # C
    shortest: int = 31  # C more than 30
    most: int = 2  # C
    waits: int = 4  # C

    def __post_init__(self) -> None:
        shares = {"share": self.share, "skip_above": self.skip_above, "cut": self.cut}
        if bad := {name: value for name, value in shares.items() if not 0 <= value <= 1}:
            raise ValueError(f"shares of forced rethinking lie from 0 to 1, got {bad}")
        if min(self.tokens, self.most, self.shortest) < 1 or self.waits < 1:
            raise ValueError(f"tokens, shortest, most and waits of forced rethinking must be at least 1, got {self}")

    def begun(
        self,
        groups: Sequence[Group],
        *,
        write: Callable[[str], tuple[int, ...]],
        pieces: Callable[[Sequence[int]], Sequence[str]],
        random: np.random.Generator,
    ) -> list[Begun]:
        """The answers to be gone on with. `write` gives a text's tokens without an end, `pieces` the text of each token."""
        found = []
        for g, group in enumerate(groups):
            known = [is_right for rollout in group.rollouts if (is_right := self._is_right(rollout)) is not None]
            is_easy = bool(known) and float(np.mean(known)) > self.skip_above
            for s, rollout in enumerate(group.rollouts):
                is_right = self._is_right(rollout)
                # One number is drawn for every answer, so that one group's answers do not change another group's luck.
                is_drawn, is_cut, kind = random.random(3) < (self.share, self.cut, 0.5)
                how = random.random()
                if not (is_drawn and self._may(rollout)) or is_right is None or (is_easy and not is_right):
                    continue
                kept = self._kept(rollout, pieces, is_cut=bool(is_cut))
                trigger = self._trigger(bool(kind), how, is_right=bool(is_right))
                found.append(Begun(group=g, sibling=s, rollout=_followed(rollout, kept, write(trigger))))
        return found

    def accepted(self, groups: Sequence[Group], begun: Sequence[Begun], after: Sequence[Rollout]) -> list[Group]:
        """The groups with answers replaced by what became of them, where that is right and as it should be.

        `after` are the scored results of `begun`, in the same order: each is held to the answer that it came from by its place,
        and never by counting those that were accepted.
        """
        rollouts = [list(group.rollouts) for group in groups]
        n_replaced = [0] * len(groups)
        for one, result in zip(begun, after, strict=True):
            if n_replaced[one.group] < self.most and self._is_kept(one.rollout, result):
                rollouts[one.group][one.sibling] = result
                n_replaced[one.group] += 1
        return [replace(group, rollouts=tuple(row)) for group, row in zip(groups, rollouts, strict=True)]

    def _is_right(self, rollout: Rollout) -> bool | None:
        value = rollout.scores[self.by].value
        return None if value is None else value >= 1.0

    def _may(self, rollout: Rollout) -> bool:
        ended = rollout.stop is Stop.EOS and rollout.n_sampled > 1
        return ended and (self.longest is None or rollout.n_sampled <= self.longest)

    def _is_kept(self, before: Rollout, after: Rollout) -> bool:
        added = len(after.token_T) - len(before.token_T)
        # Fewer than the limit: an answer that reached it was cut off.
        is_whole = after.stop is Stop.EOS and self.shortest <= added
        return is_whole and self._is_right(after) is True and len(WAIT.findall(after.text)) <= self.waits

    def _kept(self, rollout: Rollout, pieces: Callable[[Sequence[int]], Sequence[str]], *, is_cut: bool) -> int:
        """How many tokens of the answer stay: all but its end, or those before its conclusion."""
        whole = len(rollout.token_T) - 1
        if not is_cut:
            return whole
        texts = list(pieces(rollout.token_T[:whole]))
        text = "".join(texts)
        end = _before_conclusion(text)
        kept, at = 0, 0
        for piece in texts:
            at += len(piece)
            if at > end:
                break
            kept += 1
        return kept or whole

    @staticmethod
    def _trigger(is_plain: bool, how: float, *, is_right: bool) -> str:
        if is_plain:
            return BARE if how < 0.4 else QUESTION  # C
        return VERIFICATION if is_right else CORRECTION


def _before_conclusion(text: str) -> int:
    """Where the text before the last "wait", box and answer ends, at its last blank line if there is one. # C"""
    marks = [_last(pattern, text) for pattern in (WAIT, _BOX, _ANSWER)]
    end = min((mark for mark in marks if mark > 0), default=len(text))
    blank = text.rfind("\n\n", 0, end)
    return blank if blank > 0 else end


def _last(pattern: re.Pattern[str], text: str) -> int:
    return max((match.start() for match in pattern.finditer(text)), default=-1)


def _followed(rollout: Rollout, kept: int, forced: tuple[int, ...]) -> Rollout:
    return replace(
        rollout,
        token_T=rollout.token_T[:kept] + forced,
        logp_T=rollout.logp_T[:kept] + (0.0,) * len(forced),
        is_sampled_T=rollout.is_sampled_T[:kept] + (False,) * len(forced),
    )
