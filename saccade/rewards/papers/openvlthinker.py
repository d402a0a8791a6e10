"""The reward of OpenVLThinker (2503.17352 v3): right, and justified between thinking and answering.

    rewards = weighted((accuracy(), 1.0), (format(), 0.0))         # C format is logged, and must not be rewarded

    1      the answer is right, and some text stands between </think> and <answer>
    0.5    the answer is right, and none does                                        C; the first version of the paper: 1
    0      the answer is wrong, or there is none

Departs, each with its reason:
- Without an answer block the reward is 0. In the released code the whole response is then graded, so that a bare short
  answer earns everything and the format can be given up.
- The last answer block counts and may have several lines, as in the released evaluation; in the released reward it is the
  first that stands on one line, so that longer answers earn 0.
- Where the gold is an option's letter, the answer must choose it: "B. cat" is B. In the released code only "B" is.
- A justification has a word in it, so that a full stop is none, and an answer without any text before it is not justified
  either; in the released code only </think> and then nothing is not.
- The gold is stripped before it is compared as text. Formulas are compared by math-verify where the original has MathRuler.
- The logged format is the one that is wanted: think, text, answer. The released one is failed by just these answers.

Marks: # P paper, # C released code, # I inferred, # O ours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from saccade.core.reward import Reward
from saccade.core.rollout import Rollout, Score
from saccade.rewards.answers.accuracy import golds_of, short
from saccade.rewards.answers.rule import is_the_same, says_the_same_or_chooses
from saccade.rewards.papers.released import first_on_a_line
from saccade.rewards.format import format_of, strict_format_of
from saccade.rewards.published import Example, published
from saccade.rewards.read.tags import THINK_TEXT_ANSWER, last_section

SYSTEM = "OpenVLThinker"

_WORD = re.compile(r"[^\W_]")
UNJUSTIFIED = 0.5  # C what a right answer loses without a justification


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """Right or wrong, less the penalty; see `accuracy`."""

    penalty: float = UNJUSTIFIED
    as_released: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.penalty <= 1:
            raise ValueError(f"the penalty is a part of 1, from 0 to 1, got {self.penalty}")

    def __call__(self, rollout: Rollout) -> Score:
        golds, text = golds_of(rollout.sample), rollout.text
        if not golds:
            return Score(None, "the gold answer is empty")
        answer = first_on_a_line(text, "answer") if self.as_released else last_section(text, "answer")
        given = text.strip() if self.as_released and answer.value is None else answer.value
        if not given:
            return Score(0.0, answer.why or "the answer is empty")
        said = f"{short(given)} for {short(golds[0])}"
        same = is_the_same if self.as_released else says_the_same_or_chooses
        if not any(same(given, gold) or given.lower() == gold.lower() for gold in golds):
            return Score(0.0, said)
        is_justified = _released_justified(text) if self.as_released else _justified(text)
        return Score(1.0 if is_justified else 1 - self.penalty, said if is_justified else f"{said}, without a justification")


_EXAMPLE = Example(
    text="<think>5 + 2 is 7.</think>\nThere are five circles and two squares.\n<answer>7</answer>", target="7"
)


@published(
    formula="[the answer is right] (1 - 0.5 [no text between think and answer])",
    source="C; the first version of the paper has 0 or 1",
    target="the gold answer, a text",
    released="the first answer block on one line, else the whole response; only </think><answer> is unjustified",
    changed="the last answer block, on any lines, and 0 without one; options by their letter; no words before the answer, "
    "no justification",
    example=_EXAMPLE,
)
def accuracy(*, penalty: float = UNJUSTIFIED, as_released: bool = False) -> Reward:
    """0, 0.5 or 1. `penalty` is what a right answer loses without a justification; 0 is the paper's first version."""
    return Reward(name="accuracy", function=Accuracy(penalty=penalty, as_released=as_released))


@published(
    formula="1 if the whole text is a think block, some text and an answer block, else 0; logged only",
    source="C logged; the layout O",
    target="not read",
    released="think and answer blocks with only whitespace between, which the wanted answers fail",
    changed="the layout that the accuracy asks for",
    example=_EXAMPLE,
)
def format(*, as_released: bool = False) -> Reward:
    """0 or 1, to be logged with a weight of 0."""
    return strict_format_of("think", "answer") if as_released else format_of(THINK_TEXT_ANSWER)


def _justified(text: str) -> bool:
    """Whether text stands right before the last answer block, after the reasoning and anything answered before."""
    before = text[: text.rfind("<answer>", 0, text.rfind("</answer>"))]
    start = max(before.rfind(tag) + len(tag) if tag in before else 0 for tag in ("</think>", "</answer>"))
    # Of reasoning without an end nothing is known.
    return bool(_WORD.search(before[start:])) and "<think>" not in before[start:]


def _released_justified(text: str) -> bool:
    """False where nothing stands between the last </think> and the next <answer>. # C"""
    close = text.rfind("</think>")
    start = text.find("<answer>", close) if close >= 0 else -1
    return start < 0 or bool(text[close + len("</think>") : start].strip())
