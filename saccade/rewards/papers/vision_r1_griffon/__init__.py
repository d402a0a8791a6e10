"""Vision-R1 of the Griffon authors (2503.18013): many boxes as text, paid for form, recall and precision.

    rewards = weighted((dual_format(), 1.0), (recall(), 1.0), (precision(), 1.0))         # P, C their sum, 0 to 3

The whole answer is a JSON list of {"bbox_2d": [x1, y1, x2, y2], "label": ...}, bare or in a markdown fence, in pixels
of the picture as the model saw it (`frame=`); there are no thinking tags. The gold is a sequence of Labelled in any
frame. Boxes are paired one to one with the gold by the least total of L1 distance, minus GIoU, minus 1 where labels
agree, in pixels of the original picture: L1 rules, and a pair of different labels counts (P box-prioritised matching).
Both rewards then look at the pairs' overlap:

    recall      f( pairs of at least `hit` / gold boxes )
    precision   sum of f(overlap) over pairs of at least `hit` / predicted boxes
    f(x)        0 below `zero_below`, 1 from `full_from` on, x between                    P differentiation

and the three thresholds rise with training (P staged progression):

    until `switch` of the training   hit 0.50   zero_below 0.50   full_from 0.75           P
    from then on                     hit 0.75   zero_below 0.75   full_from 0.90           P

`switch` is 1/2, best for a strong model; 1.0 (never) is best for a weak one such as Qwen2.5-VL (# P table: 26.6 against
23.3 mAP).

Departs, each with its reason:
- Overlap is IoU (P); the released code takes GIoU, which goes down to -1.
- Predictions beyond the pairs count in precision's denominator (P), and so do list items that are no box; in the
  released code they cost nothing, so that covering a picture with boxes pays.
- The thresholds move (P); the released script leaves them still, and its code leaves recall's f behind.
- Form asks for a box with corners in order inside the picture, and a label, in every item (P); the released code passes
  5, {} and lists of anything without both keys, and turns the value round where there is nothing to find.
- Prose around the list costs the form, and not what the boxes are worth. Single quotes are read.

Not here: Griffon-G's plain-text lines, whose reinforcement code was not released. Marks: # P paper, # C released code,
# O ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from saccade.core.picture import Box, Frame, Labelled
from saccade.core.reward import Reward
from saccade.core.rollout import Rollout, Score
from saccade.rewards.geometry.boxes import Array, corners, iou_and_giou, is_proper, l1
from saccade.rewards.geometry.matching import hungarian
from saccade.rewards.geometry.objects import all_brought, brought, gold_objects
from saccade.rewards.papers.vision_r1_griffon.reading import (
    UNREADABLE,
    loaded,
    predictions,
    released_predictions,
    without_fence,
)
from saccade.rewards.papers.vision_r1_griffon.thresholds import (
    RELEASED_PRECISION,
    RELEASED_PRECISION_ADAPTIVE,
    RELEASED_RECALL,
    RELEASED_RECALL_ADAPTIVE,
    Thresholds,
    staged,
)
from saccade.rewards.published import Example, published

__all__ = [
    "RELEASED_PRECISION",
    "RELEASED_PRECISION_ADAPTIVE",
    "RELEASED_RECALL",
    "RELEASED_RECALL_ADAPTIVE",
    "Thresholds",
    "dual_format",
    "precision",
    "recall",
    "staged",
]

SYSTEM = "Vision-R1 (Griffon)"
Over = Literal["written", "pairs"]  # what the precision is a mean over
_FAR = 1e6  # O pixels; what a model writes beyond is as far


@dataclass(frozen=True, kw_only=True)
class DualFormat:
    """1 if the answer has the form and its boxes are boxes; see `dual_format`."""

    frame: Frame = Frame.MODEL

    def __call__(self, rollout: Rollout) -> Score:
        why = self._fault(rollout)
        return Score(float(not why), why or "a list of boxes")

    def _fault(self, rollout: Rollout) -> str:
        text = rollout.text.strip()
        if text.startswith("```") and not (text.endswith("```") and text.count("```") == 2):
            return "text around the fence"
        value = loaded(without_fence(text))
        if not isinstance(value, list):
            return "no JSON list"
        faults = (self._item_fault(item, rollout) for item in value)
        return next((f"item {n}: {fault}" for n, fault in enumerate(faults, start=1) if fault), "")

    def _item_fault(self, item: Any, rollout: Rollout) -> str:
        if not isinstance(item, dict) or not isinstance(item.get("label"), str) or not item["label"].strip():
            return "no label"
        row = item.get("bbox_2d")
        if not isinstance(row, list) or len(row) != 4 or not all(type(v) in (int, float) and abs(v) < _FAR for v in row):
            return "no bbox_2d of four numbers"
        box = Box(*row, self.frame)
        if not is_proper(box):
            return "corners out of order"
        unit = brought(box, rollout, to=Frame.UNIT)
        is_inside = unit.x1 >= 0 and unit.y1 >= 0 and max(unit.x2, unit.y2) <= 1 + 1e-9
        return "" if is_inside else "outside the picture"


def released_format(rollout: Rollout) -> Score:
    """1 if the answer without its fence is JSON and no item with both keys lacks a list of four, else 0. # C

    Where there is no gold, the other way round.
    """
    gold = gold_objects(rollout.sample.target)
    if gold.value is None:
        return Score(None, gold.why)
    value = loaded(without_fence(rollout.text))
    items = value if isinstance(value, list) else []
    rows = [item["bbox_2d"] for item in items if isinstance(item, dict) and "bbox_2d" in item and "label" in item]
    is_right = value is not UNREADABLE and all(isinstance(row, list) and len(row) == 4 for row in rows)
    why = "JSON" if is_right else "no JSON, or no list of four"
    if not gold.value:
        return Score(float(not is_right), f"{why}; turned round, as there is nothing to find")
    return Score(float(is_right), why)


def pair_overlaps(said: Sequence[Labelled], gold: Sequence[Labelled], rollout: Rollout, *, by_giou: bool = False) -> Array:
    """The IoU (P) or GIoU (C) of every pair of the box-prioritised matching, min(M, N) of them.

    Distances are in pixels of the original picture; without a picture, in the one frame that all boxes must then share.
    """
    if not said or not gold:
        return np.zeros(0)
    frame = Frame.PIXEL if rollout.pictures else gold[0].box.frame
    said, gold = (all_brought(things, rollout, to=frame) for things in (said, gold))
    said_M4, gold_N4 = (corners(thing.box for thing in things).clip(-_FAR, _FAR) for things in (said, gold))
    name_M, name_N = (np.array([thing.label.strip().lower() for thing in things]) for things in (said, gold))
    iou_MN, giou_MN = iou_and_giou(said_M4, gold_N4)
    pairs = hungarian(l1(said_M4, gold_N4) - (name_M[:, None] == name_N[None, :]) - giou_MN)
    overlap_MN = giou_MN if by_giou else iou_MN
    return np.array([overlap_MN[pair] for pair in pairs])


@dataclass(frozen=True, kw_only=True)
class Recall:
    """f of the share of gold boxes that are hit; see `recall`. `is_fractional`: a pair exactly at `hit` counts `hit`. # C"""

    thresholds: Thresholds
    frame: Frame = Frame.MODEL
    as_released: bool = False

    def __call__(self, rollout: Rollout, *, progress: float) -> Score:
        found = _paired(rollout, self.frame, self.as_released)
        if isinstance(found, Score):
            return found
        hit = self.thresholds.hit(progress)
        at_hit = hit if self.as_released else 1.0  # C: its map leaves a pair exactly at the threshold as it is
        hits = sum(1.0 if x > hit else at_hit if x == hit else 0.0 for x in found.overlap_K)
        value = self.thresholds.f(hits / found.n_gold, progress)
        return Score(value, f"{hits:g} of {found.n_gold} found at {hit:g}")


@dataclass(frozen=True, kw_only=True)
class Precision:
    """The mean of f over predicted boxes, or over the pairs alone; see `precision`."""

    thresholds: Thresholds
    frame: Frame = Frame.MODEL
    as_released: bool = False
    over: Over = "written"

    def __call__(self, rollout: Rollout, *, progress: float) -> Score:
        found = _paired(rollout, self.frame, self.as_released)
        if isinstance(found, Score):
            return found
        hit = self.thresholds.hit(progress)
        total = sum(self.thresholds.f(x, progress) for x in found.overlap_K if x >= hit)
        n = len(found.overlap_K) if self.as_released or self.over == "pairs" else found.n_written
        return Score(total / n, f"{total:.2f} over {n} boxes")


@dataclass(frozen=True)
class _Paired:
    overlap_K: list[float]
    n_gold: int
    n_written: int


def _paired(rollout: Rollout, frame: Frame, as_released: bool) -> _Paired | Score:
    """The pairs' overlaps; or the score, where there is nothing to pair: 1 for nothing said of nothing, else 0. # C"""
    gold = gold_objects(rollout.sample.target)
    if gold.value is None:
        return Score(None, gold.why)
    said = released_predictions(rollout.text, frame=frame) if as_released else predictions(rollout.text, frame=frame)
    if not gold.value:
        return Score(float(not said.n_written), f"wrote {said.n_written} boxes where there is nothing")
    if not said.found:
        return Score(0.0, "no box")
    overlap_K = pair_overlaps(said.found, gold.value, rollout, by_giou=as_released)
    return _Paired(overlap_K.tolist(), len(gold.value), said.n_written)


_EXAMPLE = Example(
    text='```json\n[{"bbox_2d": [10, 10, 50, 30], "label": "cat"}, {"bbox_2d": [60, 20, 90, 45], "label": "dog"}]\n```',
    target=(
        Labelled("dog", Box(120, 40, 180, 90, Frame.PIXEL)),
        Labelled("cat", Box(20, 20, 100, 60, Frame.PIXEL)),
    ),
    size=(200, 100),
    model_size=(100, 50),
)


@published(
    formula="1 if the answer is a JSON list, bare or fenced, of boxes inside the picture with labels, else 0",
    source="P",
    target="not read",
    released="any JSON passes unless an item with both keys has no list of four; turned round for no gold",
    changed="every item is checked; the value is never turned round",
    example=_EXAMPLE,
)
def dual_format(*, frame: Frame = Frame.MODEL, as_released: bool = False) -> Reward:
    """The form term, named "format"; the numbers are checked against the picture in `frame`."""
    return Reward(name="format", function=released_format if as_released else DualFormat(frame=frame))


@published(
    formula="f(pairs with IoU >= hit / N gold); hit and f's bounds .5, .5, .75, from half of the training on .75, .75, .9",
    source="P",
    target="a sequence of Labelled in any frame",
    released="GIoU; hit 0.5 and f the identity throughout (its --adaptive moves only hit)",
    changed="malformed boxes are read past, prose too",
    example=_EXAMPLE,
)
def recall(
    *, frame: Frame = Frame.MODEL, switch: float = 0.5, thresholds: Thresholds | None = None, as_released: bool = False
) -> Reward:
    """The recall term, named "recall". `switch`: when the thresholds rise, 1 for never; `thresholds` instead of these.

    >>> recall(as_released=True, thresholds=RELEASED_RECALL_ADAPTIVE)        # C its --adaptive true
    """
    chosen = thresholds or (RELEASED_RECALL if as_released else staged(switch))
    return Reward(name="recall", function=Recall(thresholds=chosen, frame=frame, as_released=as_released))


@published(
    formula="sum of f(IoU) over pairs with IoU >= hit / M predicted boxes; thresholds as recall's",
    source="P",
    target="a sequence of Labelled in any frame",
    released="GIoU, the mean over pairs only, f the identity above 0: extra boxes cost nothing",
    changed="list items that are no box count in M",
    example=_EXAMPLE,
)
def precision(
    *,
    frame: Frame = Frame.MODEL,
    switch: float = 0.5,
    thresholds: Thresholds | None = None,
    over: Over = "written",
    as_released: bool = False,
) -> Reward:
    """The precision term, named "precision"; `switch` and `thresholds` as for `recall`.

    `over` "pairs" leaves boxes without a partner out of the mean, so that they cost nothing: the released denominator alone, to be
    held against the paper's.
    """
    chosen = thresholds or (RELEASED_PRECISION if as_released else staged(switch))
    return Reward(name="precision", function=Precision(thresholds=chosen, frame=frame, as_released=as_released, over=over))
