"""How Reason-RFT grades an answer: as a string, as a number within a tolerance, as a set of function calls.

A grader is called with a Rollout and returns a Score. `rollout.sample.target` is the gold string, with or without its
<answer> tags; the prediction is the last answer block, over several lines too (# O), or with `block=first_section` the
first (# C), which may be a provisional one in the reasoning. A gold that cannot be read gives Score(None).

Marks: # P paper, # C released code, # I inferred, # O ours.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from saccade.core.rollout import Rollout, Score
from saccade.rewards.papers.reason_rft.matching import pair_up
from saccade.rewards.read.calls import calls
from saccade.rewards.read.numbers import number
from saccade.rewards.read.reading import Reading
from saccade.rewards.read.tags import first_section, last_section

Grader = Callable[[Rollout], Score]
Same = Callable[[str, str], bool]
"""(text of the model, gold) -> whether they say the same."""
Block = Callable[[str, str], Reading[str]]
"""(text, tag) -> which of the blocks of that tag counts."""


def same_text_or_number(a: str, b: str) -> bool:
    """Whether two stripped texts are equal, or two plain numbers of equal value."""
    value = number(a).value
    return a == b or (value is not None and value == number(b).value)


@dataclass(frozen=True, kw_only=True)
class Discrete:
    """1 if the stripped answer block is the stripped gold, as strings, else 0. # P, C

    "3.0" is not "3". `untagged` compares the whole text with the gold where there is no answer block; None, the
    default, gives 0 (# O). The released code has `symbolic.is_equal` there (# C).
    """

    untagged: Same | None = None
    block: Block = last_section

    def __call__(self, rollout: Rollout) -> Score:
        gold, answer = gold_of(rollout), self.block(rollout.text, "answer").value
        if not gold:
            return Score(None, "the gold answer is empty")
        if answer is None:
            return _without_block(rollout, gold, self.untagged)
        return _verdict(answer == gold, answer, gold)


@dataclass(frozen=True, kw_only=True)
class Mathematical:
    """Numbers within a tolerance of the gold, everything else as Discrete. # P, C (there, commented out)

    With d = |answer - gold| / |gold|:

        1                                                    where d < full
        (1 + cos(pi (d - full) / (none - full))) / 2         between
        0                                                    where d > none

    A gold of 0 must be met exactly, the limit of the formula; the released code divides by zero and gives 0 (# O).
    """

    full: float = 0.05  # P, C
    none: float = 0.20  # P, C
    untagged: Same | None = None
    block: Block = last_section

    def __post_init__(self) -> None:
        if not 0 <= self.full < self.none:
            raise ValueError(f"the tolerance needs 0 <= full < none, got full={self.full}, none={self.none}")

    def __call__(self, rollout: Rollout) -> Score:
        gold, answer = gold_of(rollout), self.block(rollout.text, "answer").value or ""
        value, target = number(answer).value, number(gold).value
        if value is None or target is None:
            return Discrete(untagged=self.untagged, block=self.block)(rollout)
        return Score(self.closeness(value, target), f"{_short(answer)} for {_short(gold)}")

    def closeness(self, value: float, target: float) -> float:
        """The formula above."""
        if target == 0:
            return float(value == 0)
        off, full, none = abs(value - target), self.full * abs(target), self.none * abs(target)
        if off < full:
            return 1.0
        if off > none:
            return 0.0
        return (1 + math.cos(math.pi * (off - full) / (none - full))) / 2


@dataclass(frozen=True, kw_only=True)
class Credits:
    """What a pair of calls earns: all parts agree; function and object, or function and value; the function alone."""

    exact: float
    close: float
    func: float


PARTIAL = Credits(exact=1.0, close=0.5, func=0.25)  # C "trance"
FULL_ONLY = Credits(exact=1.0, close=0.0, func=0.0)  # C "trance-only-full"
PENALTY = Credits(exact=1.0, close=-0.25, func=-0.5)  # C "trance-penalty"


@dataclass(frozen=True, kw_only=True)
class FunctionCalls:
    """Overlap of the predicted and the gold set of func(object, value), in any order. # P, C

        variety / max(|P|, |S|) * sum over pairs of their credit

    P and S are the sets of predicted and gold calls; variety = |P| / calls written, so that repeating costs. No
    readable call is 0. `reads_untagged` takes the whole text where there is no answer block (# C); off (# O).
    """

    credits: Credits = FULL_ONLY  # C every released training script
    punishes_repeats: bool = True  # C in training; the evaluator does not
    reads_untagged: bool = False  # O
    block: Block = last_section

    def __call__(self, rollout: Rollout) -> Score:
        gold = set(calls(gold_of(rollout)))
        if not gold:
            return Score(None, "the gold answer holds no func(object, value)")
        answer = self.block(rollout.text, "answer").value
        if answer is None and not self.reads_untagged:
            return Score(0.0, "no answer block")
        written = calls(rollout.text if answer is None else answer)
        if not written:
            return Score(0.0, "no func(object, value) to read")
        said = set(written)
        pairs = pair_up(said, gold)
        credit = self.credits
        earned = pairs.n_exact * credit.exact + pairs.n_close * credit.close + pairs.n_func * credit.func
        variety = len(said) / len(written) if self.punishes_repeats else 1.0
        kinds = f"{pairs.n_exact} exact, {pairs.n_close} close, {pairs.n_func} by function"
        why = f"{kinds}; wrote {len(written)} for {len(gold)}"
        return Score(variety * earned / max(len(said), len(gold)), why)


@dataclass(frozen=True, kw_only=True)
class SameValue:
    """1 if the answer block, else the whole text, says the same as the gold: the evaluator's question. # C

    The default takes equal strings and equal numbers, so "3.0" is "3" (# O); the original adds math-verify, which is
    `same=symbolic.is_equal` (# C).
    """

    same: Same = same_text_or_number
    block: Block = last_section  # O; C the first

    def __call__(self, rollout: Rollout) -> Score:
        gold, answer = gold_of(rollout), self.block(rollout.text, "answer").value
        if not gold:
            return Score(None, "the gold answer is empty")
        answer = rollout.text.strip() if answer is None else answer
        return _verdict(self.same(answer, gold), answer, gold)


@dataclass(frozen=True, kw_only=True)
class ByKind:
    """The grader that the sample's kind asks for. ValueError for a kind that Reason-RFT does not have."""

    counting: Grader
    structure: Grader
    spatial: Grader

    def __call__(self, rollout: Rollout) -> Score:
        graders = {"counting": self.counting, "structure": self.structure, "spatial": self.spatial}
        kind = rollout.sample.kind
        if kind not in graders:
            raise ValueError(f"sample {rollout.sample.id!r} is of kind {kind!r}; Reason-RFT has {', '.join(graders)}")
        return graders[kind](rollout)


def gold_of(rollout: Rollout) -> str:
    """The stripped gold string, out of its <answer> tags where it has them; empty where there is none."""
    target = "" if rollout.sample.target is None else str(rollout.sample.target)
    inside = first_section(target, "answer").value
    return target.strip() if inside is None else inside


def _without_block(rollout: Rollout, gold: str, untagged: Same | None) -> Score:
    if untagged is None:
        return Score(0.0, "no answer block")
    text = rollout.text.strip()
    return _verdict(untagged(text, gold), text, gold)


def _verdict(is_right: bool, answer: str, gold: str) -> Score:
    return Score(float(is_right), f"{_short(answer)} for {_short(gold)}")


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")
