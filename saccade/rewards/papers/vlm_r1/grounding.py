"""VLM-R1's referring expressions: one box for one gold box, and its format.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from saccade.core.picture import Box, Frame
from saccade.core.reward import Reward
from saccade.core.rollout import Rollout, Score
from saccade.rewards.geometry.objects import brought, gold_box
from saccade.rewards.papers.vlm_r1.reading import SYSTEM as SYSTEM
from saccade.rewards.published import Example, published
from saccade.rewards.read.boxes import box
from saccade.rewards.read.reading import Reading
from saccade.rewards.read.tags import THINK_ANSWER, first_section, last_section

Who = Literal["qwen", "internvl", "glm"]

_FOUR = re.compile(r"\[\s{0,3}([0-9]{1,9}),\s{0,3}([0-9]{1,9}),\s{0,3}([0-9]{1,9}),\s{0,3}([0-9]{1,9})\s{0,3}\]")


@dataclass(frozen=True, kw_only=True)
class Grounding:
    """IoU of the answer's first box with the gold; see `rec`."""

    frame: Frame = Frame.MODEL
    above: float | None = None
    as_released: bool = False

    def __call__(self, rollout: Rollout) -> Score:
        gold = gold_box(rollout.sample.target)
        if gold.value is None:
            return Score(None, gold.why)
        read = released_box(rollout.text, self.frame) if self.as_released else self.read(rollout.text)
        if read.value is None:
            return Score(0.0, read.why)
        said = brought(read.value, rollout, to=gold.value.frame)
        iou = released_iou(said, gold.value) if self.as_released else said.iou(gold.value)
        return Score(iou if self.above is None else float(iou > self.above), f"IoU {iou:.2f}")

    def read(self, text: str) -> Reading[Box]:
        """The box that an answer says, in our reading."""
        return last_section(text, "answer").then(lambda block: box(block, frame=self.frame))


def released_box(text: str, frame: Frame) -> Reading[Box]:
    """The first [x1, y1, x2, y2] of whole numbers in the first answer block. # C"""
    return first_section(text, "answer").then(lambda block: _first_four(block, frame))


def _first_four(block: str, frame: Frame) -> Reading[Box]:
    match = _FOUR.search(block)
    return Reading(None, "no four whole numbers") if match is None else Reading(Box(*map(int, match.groups()), frame))


def released_iou(a: Box, b: Box) -> float:
    """IoU, but 0 where the boxes share a pixel or less in width or height. # C

    The code takes boxes to end at x2 - 1 and adds 1 to every side.
    """
    is_thin = min(a.x2, b.x2) - max(a.x1, b.x1) <= 1 or min(a.y2, b.y2) - max(a.y1, b.y1) <= 1
    return 0.0 if is_thin else a.iou(b)


@dataclass(frozen=True, kw_only=True)
class FormatRec:
    """1 if the text is a think and an answer block and the answer holds one box that can be read, else 0."""

    def __call__(self, rollout: Rollout) -> Score:
        read = THINK_ANSWER.read(rollout.text).then(lambda parts: box(parts["answer"], frame=Frame.MODEL))
        return Score(float(read.value is not None), read.why or "think, then a box")


@dataclass(frozen=True, kw_only=True)
class ReleasedFormatRec:
    """1 if think and answer blocks with a box inside stand anywhere in the text, whatever is around them, else 0. # C

    qwen: four whole numbers in brackets, in braces; internvl: without the braces; glm: nothing in particular (# I).
    """

    of: Who = "qwen"

    def __call__(self, rollout: Rollout) -> Score:
        at = rollout.text.find("<think>")
        for part in _PARTS[self.of]:
            match = part.search(rollout.text, at) if at >= 0 else None
            at = -1 if match is None else match.end()
        return Score(float(at >= 0), "found" if at >= 0 else "not found")


_JOINT, _END = re.compile(r"</think>\s*+<answer>"), re.compile("</answer>")
_PARTS = {
    "qwen": (_JOINT, re.compile(r"\{"), _FOUR, re.compile(r"\}"), _END),
    "internvl": (_JOINT, _FOUR, _END),
    "glm": (re.compile("</think>"), re.compile("<answer>"), _END),
}

_EXAMPLE = Example(
    text='<think>The left one is red.</think>\n<answer>{"bbox_2d": [10, 5, 50, 30]}</answer>',
    target=Box(20, 10, 100, 60, Frame.PIXEL),
    size=(200, 100),
    model_size=(100, 50),
)


@published(
    formula="IoU of the answer's box with the gold",
    source="P",
    target="a Box in any frame",
    released="the first answer block; whole numbers only; overlaps of a pixel or less are none",
    changed="the last answer block; floats and signs are read; the frame is said and converted",
    example=_EXAMPLE,
)
def rec(*, frame: Frame = Frame.MODEL, above: float | None = None, as_released: bool = False) -> Reward:
    """Accuracy of referring expressions, named "accuracy".

    `above`: 1 above this IoU, else 0; 0.5 in the first release (# C).
    """
    return Reward(name="accuracy", function=Grounding(frame=frame, above=above, as_released=as_released))


@published(
    formula="1 if the text is a think and an answer block, and the answer holds a box, else 0",
    source="P",
    target="not read",
    released="searched for, not matched in full: anything may stand around; per model family (`of`)",
    changed="the whole text; a box whose corners are in order",
    example=_EXAMPLE,
)
def format_rec(*, as_released: bool = False, of: Who = "qwen") -> Reward:
    """The format of referring expressions, named "format". `of` chooses the released pattern."""
    return Reward(name="format", function=ReleasedFormatRec(of=of) if as_released else FormatRec())
