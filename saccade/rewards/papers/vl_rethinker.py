r"""The rewards of VL-Rethinker (2504.08837): right or wrong in a box, and the released code's bonus for thinking again.

    rewards = weighted((accuracy(), 1.0))                               # P: 1 or 0
    rewards = weighted((shaped(), 1.0))                                 # C: 1.1, 1, 0, -0.1 and between

`shaped`, of a response that is valid if it ended by itself, holds a box and says "wait" fewer than 6 times:

    base = 1 valid and right; 0 valid and wrong; -0.1 not valid
    n = number of "wait,", "wait a" and "alternatively"
    right, and not forced to rethink:      1.1 where n is 1 or 2, else max(base - 0.2 n, -0.1)
    all others:                            base

A response was forced to rethink where its branch holds tokens that the policy did not sample.

Departs, each with its reason:
- The answer is in the last box; without one it is wrong. In the released code a flag arrives in the wrong parameter, so
  no box is ever asked for, and answer tags, text after "Answer:" and the whole response are tried in turn: any number
  in prose may be it.
- Right responses that were cut off keep -0.1. In the released code one or two waits lift them to 1.1.
- A letter must be chosen: in the released code a box that begins with the letter will do, so "Area" is A.
- An empty gold cannot be scored, not as released either: there every answer begins with it and is right.

Marks: # P paper, # C released code, # I inferred, # O ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from saccade.core.reward import Reward
from saccade.core.rollout import Rollout, Score, Stop
from saccade.rewards.answers.rule import says_the_same
from saccade.rewards.answers.symbolic import is_equal
from saccade.rewards.published import Example, published
from saccade.rewards.read.choices import choice
from saccade.rewards.read.latex import boxed
from saccade.rewards.read.reading import Reading
from saccade.rewards.read.tags import last_section

SYSTEM = "VL-Rethinker"

OPTIONS = "ABCDEFGHIJK"  # C
MAX_WAITS = 5  # C more are not valid
BONUS = 1.1  # C
INVALID = -0.1  # C
EXCESS = 0.2  # C for each word of doubt

_FRACTION = re.compile(r"\\dfrac(?![A-Za-z])")
_DROPPED = re.compile(r"\\text(?![A-Za-z])|\bminutes\b|(?<![A-Za-z])cm(?![A-Za-z])")
_EMPTY = re.compile(r"\{\s*+\}")
_WORDS_OF_DOUBT = ("wait,", "wait a", "alternatively")  # C


def normal(answer: str) -> str:
    r"""The answer with \dfrac as \frac and \varnothing as \emptyset, and without \text, minutes and cm. # C"""
    answer = _DROPPED.sub("", _FRACTION.sub(r"\\frac", answer)).replace("\\varnothing", "\\emptyset")
    answer = _EMPTY.sub("", answer).strip()  # O what a unit in \text{} leaves
    return answer[1:-1].strip() if re.fullmatch(r"\{[^{}]*+\}", answer) else answer


def same_answer(answer: str, gold: str) -> bool:
    """Whether the answer chooses the gold letter, or else is the same text or the same mathematics as the gold."""
    if len(gold) == 1 and gold in OPTIONS:
        return choice(answer, OPTIONS).value == gold
    return bool(says_the_same(normal(answer), normal(gold)) or says_the_same(answer, gold))


def is_right(text: str, gold: str) -> tuple[bool, str]:
    """Whether the last box holds the gold answer, and what it holds."""
    answer = boxed(text)
    return (False, answer.why) if answer.value is None else (same_answer(answer.value, gold), repr(answer.value[:60]))


def released_is_right(text: str, gold: str) -> tuple[bool, str]:
    """Whether the last box, the answer block, what follows "Answer:" or else the whole response says the gold. # C"""
    for where, candidate in _candidates(text):
        if len(gold) == 1 and gold in OPTIONS:
            found = candidate.startswith(gold)
        else:
            said = normal(candidate)
            said = f"\\boxed{{{said}}}" if where == "the box" else said
            found = is_equal(said, f"\\boxed{{{normal(gold)}}}")
        if found:
            return True, where
    return False, "nothing that says the gold"


def _candidates(text: str) -> Iterator[tuple[str, str]]:
    box, block = boxed(text).value, last_section(text, "answer").value
    if box is not None:
        yield "the box", box
    if block is not None:
        yield "the answer block", block
    _, marker, after = text.rpartition("Answer:")
    if marker:
        yield "after Answer:", after.strip()
    yield "the whole response", text.strip()


def gold_of(rollout: Rollout) -> Reading[str]:
    r"""The gold answer, out of its \boxed{}, as ViRL39K has it."""
    target = "" if rollout.sample.target is None else str(rollout.sample.target).strip()
    if not target:
        return Reading.none("the gold answer is empty")
    gold = boxed(target) if "\\boxed" in target else Reading(target)
    return gold if gold.value is not None else Reading.none(f"the gold answer cannot be read: {gold.why}")


def n_doubts(text: str) -> int:
    """How often a text doubts itself: "wait,", "wait a", "alternatively", in either case. # C"""
    lower = text.lower()
    return sum(lower.count(word) for word in _WORDS_OF_DOUBT)


def why_not_valid(rollout: Rollout, *, needs_box: bool = True) -> str:
    """Why the response is not valid, empty where it is. # C"""
    if rollout.stop is Stop.LENGTH:
        return "it was cut off"
    if needs_box and "boxed" not in rollout.text:
        return "it has no box"
    n_waits = rollout.text.lower().count("wait")
    return f"it waits {n_waits} times" if n_waits > MAX_WAITS else ""


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """1 if the last box holds the gold answer, else 0. # P"""

    def __call__(self, rollout: Rollout) -> Score:
        gold = gold_of(rollout)
        if gold.value is None:
            return Score(None, gold.why)
        found, why = is_right(rollout.text, gold.value)
        return Score(float(found), f"{why}; gold {gold.value[:60]!r}")


@dataclass(frozen=True, kw_only=True)
class Shaped:
    """The scheme in this file's head. `lifts_invalid`: what is right but not valid earns the bonus too. # C a fault"""

    is_right: Callable[[str, str], tuple[bool, str]] = is_right
    needs_box: bool = True
    lifts_invalid: bool = False

    def __call__(self, rollout: Rollout) -> Score:
        gold = gold_of(rollout)
        if gold.value is None:
            return Score(None, gold.why)
        found, why = self.is_right(rollout.text, gold.value)
        problem = why_not_valid(rollout, needs_box=self.needs_box)
        was_forced = not all(rollout.is_sampled_T)
        n = n_doubts(rollout.text)
        value = self.worth(is_valid=not problem, is_right=found, was_forced=was_forced, n=n)
        verdict = f"{'right' if found else 'wrong'}: {why}"
        doubt = "forced to rethink" if was_forced else f"doubts {n} times"
        return Score(value, "; ".join(filter(None, (verdict, problem, doubt))))

    def worth(self, *, is_valid: bool, is_right: bool, was_forced: bool, n: int) -> float:
        """The reward of a response with `n` words of doubt."""
        base = float(is_right) if is_valid else INVALID
        if was_forced or not is_right or not (is_valid or self.lifts_invalid):
            return base
        return BONUS if 0 < n < 3 else max(base - EXCESS * n, INVALID)


@published(
    formula="1 if the last box holds the gold answer, else 0",
    source="P",
    target=r"the answer or an option's letter, as \boxed{...} or bare",
    changed="an empty gold cannot be scored; a letter must be chosen, not begun with",
    example=Example(text="6 * 7 is \\boxed{42}.", target="\\boxed{42}"),
)
def accuracy() -> Reward:
    """The paper's reward, named "accuracy"."""
    return Reward(name="accuracy", function=Accuracy())


@published(
    formula="right with 1 or 2 words of doubt 1.1, with n others max(base - 0.2 n, -0.1); base 1 right, 0 wrong, -0.1 not "
    "valid; forced to rethink: base",
    source="C",
    target=r"the answer or an option's letter, as \boxed{...} or bare",
    released="asks for no box and tries the whole response too; a right one that was cut off earns 1.1 with one or two "
    "waits; 'Area' is A",
    changed="the box is required, what was cut off stays at -0.1, a letter must be chosen",
    example=Example(text="6 * 7 is 41. Wait, it is 42: \\boxed{42}.", target="\\boxed{42}"),
)
def shaped(*, as_released: bool = False, name: str = "shaped") -> Reward:
    """The code's reward. Forced rethinking asks `accuracy`, so give that a weight of 0 beside it."""
    function = Shaped(is_right=released_is_right, needs_box=False, lifts_invalid=True) if as_released else Shaped()
    return Reward(name=name, function=function, best=BONUS)
