"""The rewards of Skywork-R1V3 (2507.06167): a rule or a verifier says right, and think comes before the answer.

    rewards(judge=...)  =  0.8 accuracy + 0.2 format                   # P epsilon 0.8; 0 to 1

The answer is `<think> reasoning </think>` and then a text that boxes the answer. The rule is asked first; the verifier, a
language model beside the gold (Qwen2.5-32B-Instruct in the paper), only where the rule says no. The OR of two graders can
only say right more often than either: the run logs how much of the reward came from which (routes "rule", "verified" and
"none").

Departs from the released evaluation's rule (no training code was released), which `as_released` follows:
- The last box counts with all its braces; there it ends at the first closing one, so that no fraction can be right.
- Formulas keep their commands and are compared by value; there they are stripped, so that the square root of 2 is 2.
- Where the gold is an option's letter, the box must choose it: "B. cat" is B.
- Only what follows the reasoning is read, so that a box within the reasoning is no answer.

Marks: # P paper, # C released code, # I inferred, # O ours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from saccade.core.reward import Reward, Rewards, weighted
from saccade.core.rollout import Rollout, Score
from saccade.rewards.answers.accuracy import accuracy_by
from saccade.rewards.answers.rule import says_the_same_or_chooses
from saccade.rewards.answers.text import MAX_ANSWER
from saccade.rewards.answers.verdict import verified
from saccade.rewards.judges.judge import Judge
from saccade.rewards.mix import any_of
from saccade.rewards.published import Example, published
from saccade.rewards.read.latex import boxed
from saccade.rewards.read.reading import Reading
from saccade.rewards.read.tags import THINK_THEN_TEXT

SYSTEM = "Skywork-R1V3"

ACCURACY_WEIGHT = 0.8  # P epsilon
FORMAT_WEIGHT = 0.2  # P 1 - epsilon

_NOISE = re.compile(r"\$|\\[A-Za-z]++|\s++")  # C
_TAG = re.compile(r"</?[A-Za-z_]++>")
_EXAMPLE = Example(text="<think>6 * 7 is 42.</think>\nSix rows of seven: \\boxed{\\frac{84}{2}}", target="42")


def after_thinking(text: str) -> Reading[str]:
    """What follows the last </think>."""
    _, closed, rest = text.rpartition("</think>")
    if not closed:
        return Reading(None, "the reasoning is not closed")
    return Reading(rest.strip()) if rest.strip() else Reading(None, "nothing follows the reasoning")


def boxed_answer(text: str) -> Reading[str]:
    """The last box after the reasoning."""
    return after_thinking(text).then(boxed)


def released_box(text: str) -> Reading[str]:
    """The last box of the whole text, each on one line and up to its first closing brace. # C"""
    content, opening = None, "\\boxed{"
    for line in text.split("\n"):
        start = line.find(opening)
        while start >= 0 and (end := line.find("}", start)) >= 0:
            content = line[start + len(opening) : end]
            start = line.find(opening, end)
    return Reading(None, "no box on one line") if content is None else Reading(content)


def released_same(answer: str, gold: str) -> float:
    """Equal without dollar signs, commands, whitespace, an outer pair of braces and case: \\sqrt2 is 2. # C"""
    return float(_released_normal(answer) == _released_normal(gold) != "")


@dataclass(frozen=True, kw_only=True)
class Format:
    """Think, then text; see `format`."""

    is_prefilled: bool = False

    def __call__(self, rollout: Rollout) -> Score:
        read = THINK_THEN_TEXT.read(f"<think>{rollout.text}" if self.is_prefilled else rollout.text)
        if read.value is not None and not _TAG.sub("", read.value["after"]).strip():
            return Score(0.0, "nothing but tags follows the reasoning")
        return Score(float(read.value is not None), read.why or "is think, then text")


@published(
    formula="1 if the boxed answer equals the gold, else 0",
    source="P; detail C of the evaluation",
    target="the gold answer, a text or LaTeX",
    released="a box ends at its first closing brace, commands are stripped, the whole text is searched",
    changed="nested boxes; compared by value, options by their letter; only after the reasoning",
    example=_EXAMPLE,
)
def rule(*, as_released: bool = False) -> Reward:
    """What the rule alone says, 0 or 1: to be logged beside the verifier."""
    if as_released:
        return accuracy_by(released_same, read=released_box, name="rule")
    return accuracy_by(says_the_same_or_chooses, read=boxed_answer, name="rule")


@published(
    formula="1 if the rule or the verifier says equal, else 0",
    source="P",
    target="the gold answer, a text or LaTeX",
    released="the rule as the evaluation has it",
    changed="the verifier is asked where the rule says no, and their shares are logged apart: their OR only inflates",
    example=_EXAMPLE,
)
def accuracy(*, judge: Judge | None = None, as_released: bool = False) -> Reward:
    """R_acc, 0 or 1, logged by who said right. Without a judge the rule decides alone."""
    graders = (rule(as_released=as_released),)
    if judge is not None:
        graders += (verified(judge=judge, read=after_thinking),)
    return any_of(*graders, name="accuracy")


@published(
    formula="1 if the text is a think block and then some text, else 0",
    source="P",
    target="not read",
    changed="neither reasoning nor answer may be empty",
    example=_EXAMPLE,
)
def format(*, is_prefilled: bool = False) -> Reward:
    """R_fmt, 0 or 1. `is_prefilled`: the prompt already ends with <think>, as in the model's slow mode. # P"""
    return Reward(name="format", function=Format(is_prefilled=is_prefilled))


def rewards(*, judge: Judge | None = None, is_prefilled: bool = False, as_released: bool = False) -> Rewards:
    """0.8 accuracy + 0.2 format. # P"""
    return weighted(
        (accuracy(judge=judge, as_released=as_released), ACCURACY_WEIGHT), (format(is_prefilled=is_prefilled), FORMAT_WEIGHT)
    )


def _released_normal(text: str) -> str:
    text = _NOISE.sub("", text[:MAX_ANSWER])
    return (text[1:-1] if text.startswith("{") and text.endswith("}") else text).lower()
