"""Forced rethinking: going on with finished answers after a word such as "Wait", and keeping what is right then.

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
_TURN = re.compile(r"\bWait\b")
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

    by           the reward term that is 1 exactly where an answer is right; not one that pays for words or length as well
    share        of the answers that may be rethought, how many are
    skip_above   in groups more often right than this, wrong answers are left alone
    cut          the odds of rethinking from before the conclusion instead of after it
    tokens       the most that rethinking adds
    longest      the most tokens of an answer that may be rethought; never so many that limit and `tokens` do not suffice
    shortest     the fewest tokens that rethinking must add to be kept
    most         of one sample's answers, how many may be replaced
    waits        the most "wait" that a kept answer may hold
    """

    by: str = "accuracy"
    share: float = 0.65  # C
    skip_above: float = 0.7  # C
    cut: float = 0.5  # C
    tokens: int = 1024  # C
    longest: int | None = None  # C the limit less `tokens`
    shortest: int = 31  # C more than 30
    most: int = 2  # C
    waits: int = 4  # C

    def __post_init__(self) -> None:
        shares = {"share": self.share, "skip_above": self.skip_above, "cut": self.cut}
        if bad := {name: value for name, value in shares.items() if not 0 <= value <= 1}:
            raise ValueError(f"shares of forced rethinking lie from 0 to 1, got {bad}")
        if min(self.tokens, self.most, self.shortest, self.waits, 1 if self.longest is None else self.longest) < 1:
            raise ValueError(f"tokens, longest, shortest, most and waits of forced rethinking must be at least 1, got {self}")
        if self.shortest > self.tokens:
            raise ValueError(
                f"forced rethinking keeps what adds {self.shortest} tokens or more, but may add {self.tokens} at most; lower shortest"
            )

    def begun(
        self,
        groups: Sequence[Group],
        *,
        limit: int,
        write: Callable[[str], tuple[int, ...]],
        pieces: Callable[[Sequence[int]], Sequence[str]],
        random: np.random.Generator,
    ) -> list[Begun]:
        """The answers to be gone on with. `limit` is the most tokens of a whole answer, forced words and what is added included.

        `write` gives a text's tokens without an end, `pieces` the text of each token.
        """
        found = []
        for g, group in enumerate(groups):
            known = [is_right for rollout in group.rollouts if (is_right := self._is_right(rollout)) is not None]
            is_easy = bool(known) and float(np.mean(known)) > self.skip_above
            for s, rollout in enumerate(group.rollouts):
                is_right = self._is_right(rollout)
                # Drawn for every answer, so that one group's answers do not change another group's luck.
                is_drawn, is_cut, kind = random.random(3) < (self.share, self.cut, 0.5)
                how = random.random()
                if not is_drawn or is_right is None or (is_easy and not is_right):
                    continue
                kept, rest = self._kept(rollout, pieces, is_cut=bool(is_cut))
                forced = write(rest + self._trigger(bool(kind), how, is_right=bool(is_right)))
                if self._may(rollout, limit=limit, forced=len(forced)):
                    found.append(Begun(group=g, sibling=s, rollout=_followed(rollout, kept, forced)))
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

    def _may(self, rollout: Rollout, *, limit: int, forced: int) -> bool:
        room = limit - self.tokens - forced
        most = room if self.longest is None else min(room, self.longest)
        return rollout.stop is Stop.EOS and 1 < rollout.n_sampled <= most

    def _is_kept(self, before: Rollout, after: Rollout) -> bool:
        added = len(after.token_T) - len(before.token_T)
        # One that another reward cannot score would take a scored answer's place and train nothing.
        is_whole = after.stop is Stop.EOS and self.shortest <= added and after.reward is not None
        return is_whole and self._is_right(after) is True and len(WAIT.findall(after.text)) <= self.waits

    @staticmethod
    def _kept(
        rollout: Rollout, pieces: Callable[[Sequence[int]], Sequence[str]], *, is_cut: bool
    ) -> tuple[int, str]:
        """How many tokens of the answer stay, all but its end or those before its conclusion, and what text must follow them.

        Text must follow where the conclusion begins within a token, or a character ends in it.
        """
        whole = len(rollout.token_T) - 1
        if not is_cut:
            return whole, ""
        texts = list(pieces(rollout.token_T[:whole]))
        text = "".join(texts)
        end = _before_conclusion(text)
        if not 0 < end < len(text):
            return whole, ""
        ends = np.cumsum([len(piece) for piece in texts])
        kept = int((ends <= end).sum())
        while kept and "".join(pieces(rollout.token_T[:kept])) != "".join(texts[:kept]):
            kept -= 1
        return kept, text[len("".join(texts[:kept])) : end]

    @staticmethod
    def _trigger(is_plain: bool, how: float, *, is_right: bool) -> str:
        if is_plain:
            return BARE if how < 0.4 else QUESTION  # C
        return VERIFICATION if is_right else CORRECTION


def _before_conclusion(text: str) -> int:
    """Where the text ends before its last "Wait", the last box before that, the last answer before that, at a blank line. # C

    Which "answer" the released code takes is not told; the last one is inferred (# I).
    """
    end = len(text)
    for mark in (_TURN, _BOX, _ANSWER):
        end = max((match.start() for match in mark.finditer(text, 0, end) if match.start() > 0), default=end)
    blank = text.rfind("\n\n", 0, end)
    return blank if blank > 0 else end


def _followed(rollout: Rollout, kept: int, forced: tuple[int, ...]) -> Rollout:
    return replace(
        rollout,
        token_T=rollout.token_T[:kept] + forced,
        logp_T=rollout.logp_T[:kept] + (0.0,) * len(forced),
        is_sampled_T=rollout.is_sampled_T[:kept] + (False,) * len(forced),
    )
