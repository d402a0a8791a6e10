"""FlightGPT: where on a city map the goal lies, and which landmark the reasoning rests on.

    rewards = weighted((goal(), 1.0), (landmark(), 1.0), (format(), 1.0))         # C their sum, 0 to 3

The answer is `<think> ... {"landmark_bbox": [x1, y1, x2, y2]} ... </think> <answer> {"target_location": [x, y]}
</answer>`, in pixels of the original map, 0.1 m each; the gold is a `Destination`. Where the prompt asks for another
frame, name it (`frame=`): what is read is converted through the picture before it is measured. Flights are measured by
`geometry/paths.py`.

Departs, each with its reason:
- The target is read in the last answer block and the landmark in the last think block, the last of each there. In the
  released code the first match in the whole text wins, so that a provisional target in the reasoning, as in a third of
  the SFT data, is graded instead of the answer.
- No target is 0. In the released code it is [0, 0], and silence earns whatever lies within 800 px of the corner.
- Signs, decimals, any spacing and single quotes are read; the released code reads `12, 34` and nothing else.
- IoU is that of plain areas; the released one counts no overlap of a pixel's width, and divides by zero on two empty
  boxes.
- An empty block is none for the format term, which is one value per answer; the released one appends only the last
  answer's value of a batch.
- A sample without landmarks cannot be scored by `landmark` and says so; the released code gives 0.

Marks: # P paper, # C released code, # I inferred, # O ours.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from saccade.core.picture import Box, Frame, Point, Shape
from saccade.core.reward import Reward
from saccade.core.rollout import Rollout, Score
from saccade.rewards.published import Example, published
from saccade.rewards.read.boxes import box, point
from saccade.rewards.read.numbers import number
from saccade.rewards.read.reading import Reading
from saccade.rewards.read.tags import first_section, last_section

SYSTEM = "FlightGPT"

FULL_PX = 200.0  # C 20 m, the radius of success
NONE_PX = 800.0  # C inclusive
SCALE_PX = 100.0  # C


@dataclass(frozen=True, kw_only=True)
class Destination:
    """The gold of a sample: where the target is, and the boxes of the landmarks that its description names."""

    target: Point
    landmarks: tuple[Box, ...] = ()

    def __post_init__(self) -> None:
        frames = {self.target.frame, *(box.frame for box in self.landmarks)}
        if len(frames) > 1:
            raise ValueError(f"target and landmarks must share one frame, got {', '.join(sorted(frames))}")

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Destination:
        """From a row of the released file: target_position [x, y] and landmark_bbox [[x1, y1, x2, y2], ...], in pixels."""
        x, y = (float(value) for value in row["target_position"])
        boxes = tuple(Box(*(float(value) for value in corners), Frame.PIXEL) for corners in row["landmark_bbox"])
        return cls(target=Point(x, y, Frame.PIXEL), landmarks=boxes)


def target_location(text: str, *, frame: Frame = Frame.PIXEL) -> Reading[Point]:
    """The last "target_location": [x, y] of the last answer block."""
    return last_section(text, "answer").then(lambda block: point(block, frame=frame, which="last", keys=["target_location"]))


def landmark_bbox(text: str, *, frame: Frame = Frame.PIXEL) -> Reading[Box]:
    """The last "landmark_bbox": [x1, y1, x2, y2] of the last think block."""
    return last_section(text, "think").then(lambda block: box(block, frame=frame, which="last", keys=["landmark_bbox"]))


def nearness(distance: float) -> float:
    """exp(-(max(d, 200) - 200) / 100) for d up to 800, else 0; d in pixels of 0.1 m. # C

    >>> [round(nearness(d), 6) for d in (150, 250, 400, 800, 801)]
    [1.0, 0.606531, 0.135335, 0.002479, 0.0]
    """
    return math.exp(-(max(distance, FULL_PX) - FULL_PX) / SCALE_PX) if distance <= NONE_PX else 0.0


@dataclass(frozen=True, kw_only=True)
class Goal:
    """Nearness of the predicted target; see `goal`."""

    frame: Frame = Frame.PIXEL
    as_released: bool = False

    def __call__(self, rollout: Rollout) -> Score:
        gold = _gold(rollout)
        if gold is None:
            return Score(None, "the gold is no Destination")
        read = _released_target(rollout.text) if self.as_released else target_location(rollout.text, frame=self.frame)
        if read.value is None:
            return Score(0.0, read.why)
        here, there = _in_pixels(read.value, rollout), _in_pixels(gold.target, rollout)
        distance = math.hypot(here.x - there.x, here.y - there.y)
        return Score(nearness(distance), f"{distance:.0f} px from the target")


@dataclass(frozen=True, kw_only=True)
class Landmark:
    """Overlap of the predicted landmark; see `landmark`."""

    frame: Frame = Frame.PIXEL
    as_released: bool = False

    def __call__(self, rollout: Rollout) -> Score:
        gold = _gold(rollout)
        if gold is None:
            return Score(None, "the gold is no Destination")
        if not gold.landmarks and not self.as_released:
            return Score(None, "the gold names no landmark")
        read = _released_box(rollout.text) if self.as_released else landmark_bbox(rollout.text, frame=self.frame)
        if read.value is None:
            return Score(0.0, read.why)
        said, overlap = _in_pixels(read.value, rollout), released_iou if self.as_released else Box.iou
        best = max((overlap(_in_pixels(mark, rollout), said) for mark in gold.landmarks), default=0.0)
        return Score(best, f"best IoU {best:.2f} of {len(gold.landmarks)} landmarks")


@dataclass(frozen=True, kw_only=True)
class Format:
    """Which parts the answer has; see `format`."""

    as_released: bool = False

    def __call__(self, rollout: Rollout) -> Score:
        text, section = rollout.text, first_section if self.as_released else last_section
        think, answer = section(text, "think"), section(text, "answer")
        if self.as_released:
            mark, target = think.then(_released_box), answer.then(lambda block: _released(block, "target_location"))
        else:
            mark, target = landmark_bbox(text), target_location(text)
        parts = {
            "both blocks": (0.5, _is_written(think, self.as_released) and _is_written(answer, self.as_released)),
            "a landmark in think": (0.25, mark.value is not None),
            "a target in answer": (0.25, target.value is not None),
        }
        missing = [name for name, (_, is_there) in parts.items() if not is_there]
        value = math.fsum(worth for worth, is_there in parts.values() if is_there)
        return Score(value, f"lacks {', '.join(missing) or 'nothing'}")


_MAP = (1200, 900)
_GOLD = Destination(target=Point(400, 300, Frame.PIXEL), landmarks=(Box(350, 250, 500, 420, Frame.PIXEL),))
_EXAMPLE = Example(
    text='<think>It stands by {"landmark_bbox": [350, 250, 500, 420]}.</think>\n'
    '<answer>{"target_location": [400, 300]}</answer>',
    target=_GOLD,
    size=_MAP,
)


@published(
    formula="exp(-(max(d, 200) - 200) / 100) if d <= 800 else 0, d the pixels from the predicted to the true target",
    source="C",
    target="a flightgpt.Destination",
    released="first target anywhere in the text, digits written `12, 34` only; [0, 0] where there is none",
    changed="read in the last answer block, any spacing and decimals; no target is 0: silence by the corner earns nothing",
    example=_EXAMPLE,
)
def goal(*, frame: Frame = Frame.PIXEL, as_released: bool = False) -> Reward:
    """r_goal: how near the predicted target is, 1 within 20 m. `frame` is that which the prompt asks for."""
    return Reward(name="goal", function=Goal(frame=frame, as_released=as_released))


@published(
    formula="the highest IoU of the predicted landmark with a true one",
    source="C",
    target="a flightgpt.Destination with landmarks",
    released="first landmark anywhere in the text, digits written `12, 34` only; overlaps of one pixel's width count 0",
    changed="read in the last think block, any spacing and decimals; plain IoU; a gold without landmarks cannot be scored",
    example=_EXAMPLE,
)
def landmark(*, frame: Frame = Frame.PIXEL, as_released: bool = False) -> Reward:
    """r_iou: whether the reasoning looks at the right landmark. `frame` is that which the prompt asks for."""
    return Reward(name="landmark", function=Landmark(frame=frame, as_released=as_released))


@published(
    formula="0.5 [a think and an answer block] + 0.25 [a landmark in think] + 0.25 [a target in answer]",
    source="C",
    target="not read",
    released="digits written `12, 34` only, in the first blocks, which may be empty; one value per batch",
    changed="no block empty; the blocks and the numbers that the other two rewards read; one value per answer",
    example=_EXAMPLE,
)
def format(*, as_released: bool = False) -> Reward:
    """r_fmt, 0 to 1 in quarters; order and what stands between do not count."""
    return Reward(name="format", function=Format(as_released=as_released))


def released_iou(a: Box, b: Box) -> float:
    """IoU as released: overlaps of at most one pixel's width or height count 0; 0 where it would divide by zero. # C"""
    width, height = min(a.x2, b.x2) - max(a.x1, b.x1), min(a.y2, b.y2) - max(a.y1, b.y1)
    both = width * height if width > 1 and height > 1 else 0.0
    union = (a.x2 - a.x1) * (a.y2 - a.y1) + (b.x2 - b.x1) * (b.y2 - b.y1) - both
    return both / union if union else 0.0


def _released(block: str, key: str) -> Reading[Sequence[float]]:
    """The first such list as the released pattern has it: whole numbers without signs, a comma and one space between. # C"""
    found = _RELEASED[key].search(block)
    if found is None:
        return Reading(None, f"no list under {key}")
    values = [number(figure).value for figure in found.groups()]
    return Reading(None, "a number beyond all bounds") if None in values else Reading(values)


_RELEASED = {
    key: re.compile(rf'"{key}"\s*+:\s*+\[{", ".join(["([0-9]++)"] * count)}\]')
    for key, count in (("target_location", 2), ("landmark_bbox", 4))
}


def _released_target(text: str) -> Reading[Point]:
    return Reading(Point(*(_released(text, "target_location").value or (0.0, 0.0)), Frame.PIXEL))


def _released_box(text: str) -> Reading[Box]:
    return _released(text, "landmark_bbox").then(lambda corners: Reading(Box(*corners, Frame.PIXEL)))


def _is_written(block: Reading[str], as_released: bool) -> bool:
    return block.value is not None if as_released else bool(block.value)


def _gold(rollout: Rollout) -> Destination | None:
    target = rollout.sample.target
    return target if isinstance(target, Destination) else None


def _in_pixels(shape: Shape, rollout: Rollout) -> Shape:
    if shape.frame is Frame.PIXEL:
        return shape
    if not rollout.pictures:
        raise ValueError(f"sample {rollout.sample.id!r} has no picture to convert the {shape.frame} frame through")
    return rollout.pictures[0].convert(shape, to=Frame.PIXEL)
